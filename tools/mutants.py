"""Make one small fault in the library, run the tests that reach it, and see whether one fails.

    make mutants N=100 SEED=0                       # a sample of all that decides a number
    python tools/mutants.py vadlib/measure -n 30    # of some files
    python tools/mutants.py --named                 # those of tools/named.txt, found by hand
    python tools/mutants.py --again                 # those that survived last time

`mutations.py` beside this file says which faults, `reached.py` which tests are run. Tests are
collected once; a mutant is a fork of that process in which functions get the faulty code, so that
it costs no more than the tests that reach its line. A fault in what runs at import takes a fork in
which nothing was imported yet. `equivalent.txt` lists faults that change nothing, with a reason
each; they are not drawn.

Left out are `claims.py` (sentences and printed numbers, held against the papers by hand), tests on
real data, and those that start Python anew, which would see the sound library.
"""

from __future__ import annotations

import argparse
import ast
import functools
import gc
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType

import pytest
from forks import KEPT, side_by_side
from mutations import Fault, faults, words
from reached import reached, tests_of

ROOT = Path(__file__).resolve().parents[1]
SCOPE = ("vadlib/papers", "vadlib/measure", "vadlib/lab/train.py", "vadlib/see")
TESTS = (
    "attributes baselines check_detector claims data_extract data_features data_fetch "
    "data_weak evaluate experiments hub itam la_net layers legendre local_patterns maam mdsf "
    "metrics motion msti objects painters plaza_clear price rows score stamp text train watch"
)
QUIET = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]


# -- what is tried --------------------------------------------------------------------------------


class Named:
    """A fault that is written down: what is replaced by what."""

    def __init__(self, title: str, path: str, old: str, new: str) -> None:
        source = (ROOT / path).read_text(encoding="utf-8")
        if source.count(old) != 1:
            sys.exit(f"named.txt: in {path} there is not one\n{old}")
        begin = source[: source.index(old)].count("\n") + 1
        self.lines = range(begin, begin + old.count("\n"))
        around = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef)]
        self.inside = any(n.body[0].lineno <= begin <= (n.end_lineno or 0) for n in around)
        self.text, self.tree = title, ast.parse(source.replace(old, new))

    def make(self) -> None:
        """Its tree is changed already."""


Mutant = tuple[str, ast.Module, Fault | Named]


def named() -> list[Mutant]:
    """The faults of `tools/named.txt`."""
    found: list[Mutant] = []
    text = (ROOT / "tools" / "named.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n")[1:]:
        title, path, *change = block.split("\n")
        old, new = ("".join(f"{x[1:]}\n" for x in change if x[0] == sign) for sign in "-+")
        fault = Named(title.removeprefix("# "), path, old, new)
        found.append((path, fault.tree, fault))
    return found


def modules(scope) -> list[str]:
    """Paths of the modules in some files and folders, without those that only hold sentences."""
    found = []
    for name in scope:
        path = ROOT / name
        found += [path] if path.suffix else sorted(path.rglob("*.py"))
    return [str(p.relative_to(ROOT)) for p in found if p.name != "claims.py"]


def module_of(path: str) -> str:
    """The name under which a file is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def every(scope) -> list[Mutant]:
    """All mutants of some files, without those that are known to change nothing.

    A fault changes the tree that it was found in, once, in the fork that tries it.
    """
    listed = (ROOT / "tools" / "equivalent.txt").read_text(encoding="utf-8").splitlines()
    known = {tuple(line.split(" | ")[:2]) for line in listed if line and line[0] != "#"}
    found: list[Mutant] = []
    for path in modules(scope):
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        early = path.endswith("rows.py")  # its functions run when it is imported, and only then
        for fault in faults(tree):
            if (path, fault.text) not in known:
                found.append((path, tree, replace(fault, inside=fault.inside and not early)))
    return found


def again() -> list[Mutant]:
    """The faults that survived last time, by their words; one of several that say the same."""
    known = {tuple(x) for x in json.loads((KEPT / "survivors.json").read_text(encoding="utf-8"))}
    found = {(path, fault.text): (path, tree, fault) for path, tree, fault in every(SCOPE)}
    return [found[key] for key in sorted(known & found.keys())]


def drawn(scope, number: int, seed: int) -> list[Mutant]:
    """A sample of the mutants of some files."""
    whole = every(scope)
    print(f"{len(whole)} faults in {len(modules(scope))} files", flush=True)
    order = random.Random(seed).sample(range(len(whole)), len(whole))
    return [whole[i] for i in sorted(order[:number])]


# -- one mutant -----------------------------------------------------------------------------------


def run(session, items) -> None:
    """Run collected tests up to the first that fails, and end this fork with what came of it."""
    for item, after in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            os._exit(1)
    os._exit(0)


def exchange(path: str, tree: ast.Module) -> None:
    """Give the living functions of a module the code of another tree of it."""
    codes, left = {}, [compile(tree, str(ROOT / path), "exec")]
    while left:
        code = left.pop()
        codes[code.co_qualname, code.co_firstlineno] = code
        if not code.co_flags & 0x02:  # a module or a class: its functions are alive already
            left += [c for c in code.co_consts if isinstance(c, CodeType)]
    for living in gc.get_objects():
        if type(living) is FunctionType and living.__code__.co_filename == str(ROOT / path):
            key = living.__code__.co_qualname, living.__code__.co_firstlineno
            living.__code__ = codes.get(key, living.__code__)


def within(session, path, tree, fault, names: list[str]) -> None:
    """Try a fault inside a function, in a fork in which tests are collected."""
    importlib.import_module(module_of(path))  # a method's modules are imported when it is asked for
    fault.make()
    exchange(path, tree)
    items = {item.nodeid: item for item in session.items}
    run(session, [items[name] for name in names])


class Faulty(importlib.abc.MetaPathFinder, SourceFileLoader):
    """Loads one module from a changed tree, and no other."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        SourceFileLoader.__init__(self, module_of(path), str(ROOT / path))
        self.tree = tree

    def find_spec(self, fullname, path=None, target=None):
        if fullname != self.name:
            return None
        folder = [str(Path(self.path).parent)] if self.path.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, self.path, loader=self, submodule_search_locations=folder
        )

    def get_code(self, fullname):
        return compile(self.tree, self.path, "exec")


class Chosen:
    """A pytest plugin: only these tests, in this order."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def pytest_collection_modifyitems(self, items):
        found = {item.nodeid: item for item in items}
        items[:] = [found[name] for name in self.names if name in found]


def at_import(path, tree, fault, names: list[str]) -> None:
    """Try a fault in what runs when a module is imported, in a fork that has imported none."""
    fault.make()
    sys.meta_path.insert(0, Faulty(path, tree))
    files = sorted({str(ROOT / test.split("::")[0]) for test in names})
    os._exit(int(pytest.main([*QUIET, *files], plugins=[Chosen(names)])))


# -- a sample, and what became of it --------------------------------------------------------------


class Trials:
    """A pytest plugin: in place of running the tests, try mutants; results go to `out`."""

    def __init__(self, sample: list[Mutant], jobs: int, out: Path) -> None:
        self.sample, self.jobs, self.out = sample, jobs, out

    def pytest_runtestloop(self, session):
        tests = reached(session, self.jobs)
        chosen = [tests_of(path, fault, tests) for path, _, fault in self.sample]
        tasks = (
            (n, functools.partial(within, session, *mutant, names), self.limit(names, tests))
            for n, (mutant, names) in enumerate(zip(self.sample, chosen, strict=True))
            if names and mutant[2].inside
        )
        results = []
        for n, code, used in side_by_side(tasks, self.jobs):
            results.append((n, code, used))
            if code == 0:
                print(f"alive: {self.sample[n][0]}  {self.sample[n][2].text}", flush=True)
        limits = [self.limit(names, tests) for names in chosen]
        self.out.write_text(json.dumps([results, chosen, limits]), encoding="utf-8")
        return True

    def limit(self, names: list[str], tests: dict) -> float:
        """Seconds after which a mutant runs for ever."""
        return 15 + 3 * sum(tests[name][0] for name in names)


def tried(sample: list[Mutant], tests: set[str], jobs: int) -> tuple[list[str], float]:
    """What became of each mutant under some test files, and the seconds that all took."""
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)  # no shrinking: that it fails is enough
    settings.register_profile(
        "mutants", database=None, deadline=None, derandomize=True, phases=phases
    )
    settings.load_profile("mutants")
    files, out = [str(ROOT / "tests" / f"test_{t}.py") for t in sorted(tests)], KEPT / "out.json"
    out.unlink(missing_ok=True)
    if not (child := os.fork()):
        os._exit(int(pytest.main([*QUIET, "-s", *files], plugins=[Trials(sample, jobs, out)])))
    os.waitpid(child, 0)
    if not out.exists():
        sys.exit("the tests could not be collected, or one of them fails")
    results, chosen, limits = json.loads(out.read_text(encoding="utf-8"))
    tasks = (
        (n, functools.partial(at_import, *mutant, chosen[n]), limits[n])
        for n, mutant in enumerate(sample)
        if chosen[n] and not mutant[2].inside
    )
    became, total = ["unreached"] * len(sample), 0.0
    for n, code, used in [*results, *side_by_side(tasks, jobs)]:
        became[n] = {None: "timeout", 0: "survived"}.get(code, "killed")
        total += used
    return became, total


def library() -> None:
    """Import all that the library imports, and forget the library itself."""
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("VADLIB_HOME", str(ROOT))
    os.environ.pop("VADLIB_DATA", None)
    for path in modules(SCOPE):
        importlib.import_module(module_of(path))
    for name in [n for n in sys.modules if n.split(".")[0] == "vadlib"]:
        del sys.modules[name]


def report(sample: list[Mutant], became: list[str], seconds: float) -> None:
    """Survivors, then killed, timeouts (which count as killed) and survivors of each file."""
    kinds = ("killed", "timeout", "survived", "unreached")
    table, sums, left = defaultdict(Counter), Counter(became), []
    for (path, _, fault), what in zip(sample, became, strict=True):
        table[path][what] += 1
        if what in kinds[2:]:
            left.append((path, fault.text))
            print(f"{what}: {path}:{fault.lines.start}  {fault.text}")
    (KEPT / "survivors.json").write_text(json.dumps(left, indent=1), encoding="utf-8")
    print(f"\n{'  '.join(kinds)}  file")
    for path, row in [*table.items(), ("all", sums)]:
        print("  ".join(f"{row[kind]:{len(kind)}}" for kind in kinds) + f"  {path}")
    dead = sums["killed"] + sums["timeout"]
    print(f"{100 * dead / max(len(became), 1):.1f} % killed, {seconds / 60:.1f} min of CPU")


def main() -> None:
    """Draw, try, and print a table; the survivors' list is kept for `--again`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scope", nargs="*", default=SCOPE, help="files or folders")
    parser.add_argument("-n", "--number", type=int, default=100)
    parser.add_argument("-s", "--seed", type=int, default=0)
    parser.add_argument("-j", "--jobs", type=int, default=2, help="how many at a time")
    parser.add_argument("--tests", default=TESTS, help="names of test files, in quotation marks")
    parser.add_argument("--named", action="store_true", help="those of tools/named.txt")
    parser.add_argument("--again", action="store_true", help="those that survived last time")
    chosen = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    library()
    if chosen.named or chosen.again:
        sample = named() if chosen.named else again()
    else:
        sample = drawn(chosen.scope, chosen.number, chosen.seed)
    report(sample, *tried(sample, words(chosen.tests), chosen.jobs))


if __name__ == "__main__":
    main()
