"""A short time on a GPU, spent on the rows that are worth most: what ends is kept, what is cut off
goes on the next day."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vadlib.data.store import cache_root, home, whole
from vadlib.errors import VadError
from vadlib.lab import unit
from vadlib.lab.checkpoints import checkpoint_path
from vadlib.lab.experiment import Experiment
from vadlib.lab.grid import clock
from vadlib.lab.records import results_folder, scores_path, truth_path
from vadlib.lab.run import recorded, resume_folder

LARGEST, ROOM = 16 * 2**20, 64 * 2**20  # bytes: of a checkpoint, and of all that is brought home
SPARE_SECONDS = 15  # to bring home what is there


@dataclass
class Day:
    """What a day came to: units by name and seed."""

    ended: list[tuple[str, int]] = field(default_factory=list)
    failed: dict[tuple[str, int], str] = field(default_factory=dict)
    cut: tuple[str, int] | None = None  # what ran when the time was up
    left: int = 0  # not begun


def spend(
    rows: Sequence[Experiment],
    minutes: float,
    device: str,
    out: Path | None = None,
    say: Callable[[str], Any] = print,
) -> Day:
    """Run rows in their order, the first seed of each before the second of any, until time is up.

    rows  the most valuable first; what the records hold for today's code is left out
    out   a folder for what leaves the machine, at most `ROOM`: records, scores, labels, checkpoints
          of at most `LARGEST`, and what a training that was cut off needs to go on, where it fits.
          What an earlier day left there is taken up. None keeps all in `data/` alone.
    Raises VadError for a time of zero or less, and at the end where a run failed.
    """
    if not minutes > 0:  # nor is NaN
        raise VadError(f"{minutes} minutes are no time", "Give --minutes above zero.")
    until, day = time.monotonic() + 60 * minutes - (SPARE_SECONDS if out else 0), Day()
    take_up(out)
    waiting = order(rows)
    while waiting and time.monotonic() < until:
        exp, seed = waiting.pop(0)
        left = until - time.monotonic()
        say(f"{exp.name}, seed {seed}: begins with {clock(left)} left, {len(waiting)} more wait")
        why = run_until(exp.name, seed, device, left)
        if why is None:
            day.cut = (exp.name, seed)
            say(f"{exp.name}, seed {seed}: time is up; it goes on where it was last kept")
        elif why:
            day.failed[(exp.name, seed)] = why
            say(f"{exp.name}, seed {seed} failed: {why}")
        else:
            day.ended.append((exp.name, seed))
        if out:
            say(bring_home([(exp, seed)], out))
    day.left = len(waiting)
    if day.failed:
        (name, seed), why = next(iter(day.failed.items()))
        raise VadError(
            f"{len(day.failed)} of {len(day.failed) + len(day.ended)} runs failed, "
            f"first {name}, seed {seed}: {why}",
            "What ended is recorded.",
        )
    return day


def order(rows: Sequence[Experiment]) -> list[tuple[Experiment, int]]:
    """Rows and seeds that have no record yet: seed by seed, and in each the rows as they come."""
    most = max((len(e.seeds) for e in rows), default=0)
    every = [(e, e.seeds[i]) for i in range(most) for e in rows if i < len(e.seeds)]
    return [(e, s) for e, s in every if recorded(e, s) is None]


def run_until(name: str, seed: int, device: str, seconds: float) -> str | None:
    """Reproduce one seed in a process of its own: "" when it ended well, one line on why it did
    not, None when the time was up and it was ended."""
    env = os.environ | {unit.FOLLOW: "1"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(unit.command(name, seed, device), stderr=said, env=env)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
        finally:
            process.kill()
        said.seek(0)
        return unit.reason(code, said.read()) if code else ""


def bring_home(units: Sequence[tuple[Experiment, int]], out: Path) -> str:
    """Copy what runs left to `out`, under the paths that it has in `data/`; says what and how much.

    The small and precious comes first, and nothing more when `ROOM` is full.
    """
    taken, refused = 0, []
    for exp, seed in units:
        for path, place, most in leavings(exp, seed):
            if not path.exists():
                continue
            target, size = out / place, path.stat().st_size
            if size > most or held(out) - held(target) + size > ROOM:
                refused.append(f"{path.name} ({size / 2**20:.0f} MB)")
                continue
            _copy(path, target)
            taken += 1
    without = f"; too large: {', '.join(refused)}" if refused else ""
    return f"{taken} files brought to {out}, {held(out) / 2**20:.1f} MB in all{without}"


def leavings(exp: Experiment, seed: int) -> list[tuple[Path, Path, int]]:
    """What a run leaves: each file, its place in what is brought home, and the most bytes it may
    have there; the precious first."""
    record, runs = recorded(exp, seed), resume_folder(exp, seed)
    if record is None:  # it was cut off
        files = sorted(p for p in runs.rglob("*") if p.is_file())
        return [(p, Path("runs") / p.relative_to(runs.parent), ROOM) for p in files]
    run = next(r for r in record["runs"] if r["seed"] == seed)
    small = [results_folder() / f"{exp.name}.json"]
    small += [
        home() / "data" / p for p in (scores_path(exp.name, seed), truth_path(run["label_sha"]))
    ]
    kept = [(p, ROOM) for p in small] + [(checkpoint_path(exp, seed), LARGEST)]
    return [(p, p.relative_to(home()), most) for p, most in kept]


def take_up(out: Path | None) -> None:
    """Put what an earlier day brought home back where runs look for it, where it is not there."""
    if out is None or not out.exists():
        return
    for path in sorted(p for p in out.rglob("*") if p.is_file() and not p.name.startswith(".")):
        inside = path.relative_to(out)
        root = cache_root() if inside.parts[0] == "runs" else home()
        if not (root / inside).exists():
            _copy(path, root / inside)


def _copy(path: Path, target: Path) -> None:
    """Copy a file whole or not at all. Raises VadError where the disk is full."""
    with whole(target) as part:
        shutil.copyfile(path, part)


def held(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; 0 where there is nothing."""
    if path.is_file():
        return path.stat().st_size
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())
