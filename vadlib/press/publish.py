"""Executes the chapters and builds the book: what `make book` calls."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from vadlib import papers
from vadlib.data.schema import check
from vadlib.data.store import digest
from vadlib.errors import VadError
from vadlib.lab.records import records
from vadlib.lab.schema import Chapter
from vadlib.press import inpage, pages, runner

DEFAULTS = {"PROFILE": "smoke", "SEED": 0, "DEVICE": "auto"}


def main(argv: list[str] | None = None) -> int:
    """The command line. 0: built; 1: a chapter or a page failed; 2: a mistake of the caller's."""
    options = parser().parse_args(argv)
    # Nothing of the user's own set-up reaches a chapter, nor do warnings about it the terminal.
    os.environ |= {"JUPYTER_PLATFORM_DIRS": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    root = Path(options.root).resolve()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see vadlib.__main__
    os.environ["IPYTHONDIR"] = str(root / "_build" / "ipython")
    try:
        return publish(root, options)
    except VadError as error:
        print(f"publish: {error}", file=sys.stderr)
        return 2


def parser() -> argparse.ArgumentParser:
    about = argparse.ArgumentParser(prog="python -m vadlib.press.publish", description=__doc__)
    add = about.add_argument
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a chapter parameter")
    add("--only", default="", metavar="NAME", help="execute these chapters only (a,b)")
    add("--fresh", action="store_true", help="execute chapters even where nothing has changed")
    add("--no-html", action="store_true", help="execute, but build no pages")
    add("--record-times", action="store_true", help="write data/results/chapters.json")
    add("--strict-records", action="store_true", help="refuse stale records (not in smoke)")
    add("--root", default=".", help="the folder of _toc.yml")
    return about


def publish(root: Path, options: argparse.Namespace) -> int:
    """Execute, stage, build, count. Returns the exit code; raises VadError for bad arguments."""
    parameters = parse_parameters(options.set)
    found = pages.read_toc(root)
    only = choose(found, options.only)
    if options.strict_records and parameters["PROFILE"] != "smoke":
        refuse_stale(root)
    folder = root / "_build" / "executed" / "-".join(str(v) for v in parameters.values())
    folder = folder.with_name(folder.name.replace(":", ""))
    failed = execute_all(root, only, parameters, folder, options.fresh)
    if failed:
        print(f"\n{len(failed)} of {len(only)} chapters failed: {', '.join(failed)}")
        return 1
    if options.record_times:
        record_times(root, folder, parameters["PROFILE"])
    return 0 if options.no_html else build(root, found, folder)


def parse_parameters(settings: list[str]) -> dict[str, Any]:
    """PROFILE, SEED and DEVICE from NAME=VALUE texts. Raises VadError for any other."""
    values: dict[str, Any] = dict(DEFAULTS)
    for setting in settings:
        name, _, value = setting.partition("=")
        if name not in DEFAULTS:
            raise VadError(f"unknown parameter {name}", f"Chapters take {', '.join(DEFAULTS)}.")
        values[name] = value
    if re.fullmatch("[0-9]{1,20}", str(values["SEED"])):
        values["SEED"] = int(values["SEED"])
    check(Chapter, values, "the parameters", "Set them so: make book PROFILE=smoke SEED=0.")
    return values


def choose(found: dict[str, Path], only: str) -> dict[str, Path]:
    """The notebooks to execute: chapters first, then the pages that report on them."""
    notebooks = {name: path for name, path in found.items() if path.suffix == ".ipynb"}
    wanted = [name for name in only.replace(",", " ").split() if name]
    for name in wanted:
        if name not in notebooks:
            raise VadError(f"there is no chapter {name}", f"There are {', '.join(notebooks)}.")
    names = wanted or sorted(notebooks, key=reports)  # the sort is stable: False before True
    return {name: notebooks[name] for name in names}


def reports(name: str) -> bool:
    """Front and back matter (no number in front) reports on the others, and runs last."""
    return not name[0].isdigit()


def refuse_stale(root: Path) -> None:
    """Raises VadError when a record was made by other code than today's."""
    found = records(papers.experiments(), root / "data" / "results")
    stale = [r["name"] for r in found if r["stale"]]
    if stale:
        raise VadError(
            f"stale records: {', '.join(stale)}",
            "Run `vadlib reproduce NAME --confirm` for each, or reproduce them.",
        )


def execute_all(
    root: Path, chapters: dict[str, Path], parameters: dict, folder: Path, fresh: bool
) -> list[str]:
    """Run every chapter, say what happens, keep the times. Returns the names that failed."""
    values = ", ".join(f"{k}={v}" for k, v in parameters.items())
    print(f"Executing {len(chapters)} notebooks ({values})", flush=True)
    around, failed = runner.surroundings(root), []
    told = [read_json(root / p) for p in ("data/results/chapters.json", "book/environments.json")]
    book = digest(around, pages.chapters(root), *told)
    expected = last_seconds(root, folder, parameters["PROFILE"])
    for number, (name, path) in enumerate(chapters.items(), 1):
        head = f"[{number}/{len(chapters)}] {name:<14}"
        line = Line(head, expected.get(name))
        try:
            seen = book if reports(name) else around
            done = runner.run(path, parameters, folder, root, seen, fresh, line.tick)
        except runner.ChapterFailed as error:
            line.end("FAILED")
            print(f"\n{plain(str(error))}", flush=True)
            failed.append(name)
            continue
        keep_times(folder, name, done)
        cells = len(runner.code_cells(done.notebook)) - 1  # papermill adds one
        if done.cached:
            line.end(f"unchanged, not run again ({cells} cells, {clock(done.seconds)} last time)")
        else:
            cost = f"{clock(done.seconds)}, {cells} cells, peak {done.peak_mb:.0f} MB"
            line.end(f"done in {cost}{time_left(list(chapters)[number:], expected)}")
    return failed


def time_left(names: list[str], expected: dict[str, float]) -> str:
    """What the chapters still to come cost, of those that have been timed; empty after the last."""
    if not names:
        return ""
    untimed = sum(name not in expected for name in names)
    known = f", at most {clock(sum(expected.get(name, 0) for name in names))} left"
    return known + (f" and {untimed} chapters never timed" if untimed else "")


class Line:
    """One line of the terminal for one chapter, kept up to date where the terminal can do that."""

    def __init__(self, head: str, expected: float | None):
        self.head, self.live, self.shown = head, sys.stdout.isatty(), 0.0
        self.expected = f"of about {clock(expected)}" if expected else "(never timed yet)"

    def tick(self, seconds: float) -> None:
        if self.live:
            print(f"\r\033[K{self.head} running, {clock(seconds)} {self.expected}", end="")
            sys.stdout.flush()
        elif seconds - self.shown > (60 if self.shown else 1):  # a log gets a line a minute
            self.shown = seconds
            print(f"{self.head} running, {clock(seconds)} {self.expected}", flush=True)

    def end(self, text: str) -> None:
        print(f"\r\033[K{self.head} {text}" if self.live else f"{self.head} {text}", flush=True)


def clock(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plain(text: str) -> str:
    """Without colours where the output is not a terminal."""
    return text if sys.stdout.isatty() else re.sub(r"\x1b\[[0-9;]*m", "", text)


def last_seconds(root: Path, folder: Path, profile: str) -> dict[str, float]:
    """Seconds that each chapter took last time: here, else where the committed times were taken."""
    committed = read_json(root / "data" / "results" / "chapters.json")
    found = {n: v[profile]["seconds"] for n, v in committed.items() if profile in v}
    return found | {n: v["seconds"] for n, v in read_json(folder / "run.json").items()}


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_json(path: Path, value: dict) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    os.replace(temporary, path)


def keep_times(folder: Path, name: str, done: runner.Run) -> None:
    """Note in run.json what this chapter cost; the status page reads it."""
    if not done.cached:
        now = datetime.datetime.now(datetime.UTC).date().isoformat()
        times = {"seconds": done.seconds, "peak_mb": done.peak_mb, "date": now}
        write_json(folder / "run.json", read_json(folder / "run.json") | {name: times})


def record_times(root: Path, folder: Path, profile: str) -> None:
    """Merge the measured times into the committed data/results/chapters.json."""
    path = root / "data" / "results" / "chapters.json"
    known = read_json(path)
    for name, times in read_json(folder / "run.json").items():
        known[name] = known.get(name, {}) | {profile: times | {"cores": os.cpu_count()}}
    write_json(path, known)
    print(f"Wrote {path.relative_to(root)}")


def build(root: Path, found: dict[str, Path], folder: Path) -> int:
    """Stage sources and outputs, build the HTML, count the pages. Returns the exit code."""
    stage = root / "_build" / "stage"
    waiting = pages.write_stage(root, stage, found, folder)
    if waiting:
        print(f"Shown without outputs, because they have not run yet: {', '.join(waiting)}")
    if inpage.PAGE in found:
        missing = inpage.write(stage / "_static" / "ort", root / "_build" / "npm")
        if missing:
            print(f"A film stands in place of the detector in {inpage.PAGE}: {missing}.")
    html, log = root / "_build" / "html", root / "_build" / "jupyter-book.log"
    shutil.rmtree(html, ignore_errors=True)
    print("Building the pages …", flush=True)
    started = time.monotonic()
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    command += [str(stage), "--path-output", str(root), "-n", "--keep-going", "--all"]
    # A page that has not run has no numbered figures yet, so references to them cannot resolve.
    command += [] if waiting else ["-W"]
    with log.open("w") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, cwd=root).returncode
    built = [name for name in found if (html / f"{name}.html").exists()]
    text = re.sub(r"\x1b\[[0-9;]*m", "", log.read_text())
    notes = [x for x in text.splitlines() if re.search(r"\b(WARNING|ERROR|CRITICAL|Error):", x)]
    failed = code or len(built) != len(found)
    said = notes or (text.splitlines()[-20:] if failed else [])
    print("\n".join(said).replace(f"{stage}/", "book/"), end="\n" if said else "")
    if failed:
        print(f"The build failed: {len(built)} of {len(found)} pages, {len(notes)} warnings.")
        print(f"All that Jupyter Book said is in {log.relative_to(root)}")
        return 1
    pages.slim(html)
    pages.write_notebooks(root, html / "notebooks", found)
    print(f"Built {len(built)} pages in {clock(time.monotonic() - started)}. Open:")
    print(f"  {html / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
