"""Which tests reach which lines of the library: traced once for each test file, then kept."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest
from forks import KEPT, side_by_side

ROOT = Path(__file__).resolve().parents[1]


class Tracer:
    """A pytest plugin: the lines of the library that each test and each fixture runs."""

    def __init__(self) -> None:
        self.lines: dict[str, set] = defaultdict(set)  # of a test, or of "fixture NAME"
        self.now, self.tests = "import", {}

    def trace(self, frame, event, _):
        """Follow only frames of the library."""
        path = frame.f_code.co_filename
        if not path.startswith(str(ROOT / "vadlib")):
            return None
        name = path[len(str(ROOT)) + 1 :]

        def line(frame, event, _):
            self.lines[self.now].add((name, frame.f_lineno))
            return line

        return line

    @contextlib.contextmanager
    def during(self, what: str):
        """Lines that run now belong to `what`."""
        before, self.now = self.now, what
        try:
            yield
        finally:
            self.now = before

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef):
        with self.during(f"fixture {fixturedef.argname}"):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        begin = time.process_time()
        with self.during(item.nodeid):
            result = yield
        self.tests[item.nodeid] = time.process_time() - begin, list(item.fixturenames)
        return result

    def found(self) -> dict:
        """Test -> [seconds, lines by file], those of its fixtures counted in."""
        answer = {}
        for test, (seconds, fixtures) in self.tests.items():
            by_file = defaultdict(list)
            used = [self.lines[f"fixture {name}"] for name in fixtures]
            for name, line in sorted(set().union(self.lines[test], *used)):
                by_file[name].append(line)
            answer[test] = [seconds, by_file]
        return answer


def traced(session, items, out: Path) -> None:
    """Run the tests of one file under the tracer. In a fork."""
    tracer = Tracer()
    session.config.pluginmanager.register(tracer)
    threading.settrace(tracer.trace)
    sys.settrace(tracer.trace)
    with contextlib.suppress(SystemExit):
        for item, after in zip(items, [*items[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
    sys.settrace(None)
    out.write_text(json.dumps(tracer.found()), encoding="utf-8")
    os._exit(session.testsfailed)


def reached(session, jobs: int) -> dict:
    """Test -> [seconds, lines by file], of all test files; each is kept until something changes."""
    library = hashlib.sha256()
    for path in sorted((ROOT / "vadlib").rglob("*.py")):
        library.update(path.read_bytes())
    by_file = defaultdict(list)
    for item in session.items:
        by_file[item.path].append(item)
    kept, missing = [], []
    for test, items in by_file.items():
        mark = hashlib.sha256(library.digest() + test.read_bytes()).hexdigest()[:16]
        out = KEPT / f"{test.stem}-{mark}.json"
        kept.append(out)
        if not out.exists():
            for old in KEPT.glob(f"{test.stem}-*.json"):
                old.unlink()
            missing.append((test.name, functools.partial(traced, session, items, out), 900))
    for name, code, seconds in side_by_side(missing, jobs):
        print(f"{name} traced in {seconds:.0f} s", flush=True)
        if code != 0:
            sys.exit(f"{name} fails on the sound library; mend that first")
    tests: dict = {}
    for out in kept:
        tests |= json.loads(out.read_text(encoding="utf-8"))
    return tests


def tests_of(path: str, fault, tests: dict) -> list[str]:
    """The tests that reach a fault, quickest first; of what runs at import, all of its folder's."""
    wanted, folder = set(fault.lines), str(Path(path).parent)
    found = []
    for test, (seconds, lines) in tests.items():
        if fault.inside:
            meets = wanted & set(lines.get(path, ()))
        else:  # a config has no lines of its own: it is met by whoever uses its neighbours
            near = folder in {str(Path(p).parent) for p in lines}
            meets = path in lines or near or "test_rows.py" in test
        if meets:
            found.append((seconds, test))
    if not fault.inside:  # a test that reads a default runs no line of the library
        files = {test.split("::")[0] for _, test in found}
        for test, (seconds, lines) in tests.items():
            if not lines and test.split("::")[0] in files:
                found.append((seconds, test))
    return [test for _, test in sorted(found)]
