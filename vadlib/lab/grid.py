"""A grid of runs, rows times seeds, on as many machines as there are; who works is in `workers`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vadlib.errors import VadError
from vadlib.lab import unit
from vadlib.lab.experiment import Experiment
from vadlib.lab.records import read_records
from vadlib.lab.run import recorded
from vadlib.lab.workers import GPU

Unit = tuple[str, int]  # a row's name and a seed
PATIENCE = 600  # seconds in which the first worker must come; a job of Slurm may have to queue


@dataclass
class Progress:
    """What of a grid has ended, what runs, what is left, and how long that will take.

    slots     how many runs go on at once
    expected  seconds that a row's run took when it was recorded, where it was
    """

    units: Sequence[Unit]
    slots: int
    expected: dict[str, float] = field(default_factory=dict)
    began: dict[Unit, float] = field(default_factory=dict)
    took: dict[Unit, float] = field(default_factory=dict)
    failed: dict[Unit, str] = field(default_factory=dict)

    @property
    def left(self) -> list[Unit]:
        """Units that have not ended."""
        return [u for u in self.units if u not in self.took and u not in self.failed]

    @property
    def running(self) -> list[Unit]:
        """Units that have begun and not ended; one that lost its worker runs until it is begun
        anew."""
        return [u for u in self.left if u in self.began]

    def seconds_left(self, now: float) -> float | None:
        """Until all has ended, if slots stay busy; None where nothing like a unit has ever ended.

        A row's own runs of this grid count first, then its record, then this grid's other runs.
        """
        total, longest = 0.0, 0.0
        for name, seed in self.left:
            usual = self.usual(name)
            if usual is None:
                return None
            spent = now - self.began.get((name, seed), now)
            total, longest = total + max(0.0, usual - spent), max(longest, usual - spent)
        return max(total / self.slots, longest)

    def usual(self, name: str) -> float | None:
        """Seconds that one run of a row takes, as far as is known."""
        own = [t for (n, _), t in self.took.items() if n == name]
        if not own and name in self.expected:
            return self.expected[name]
        known = own or list(self.took.values())
        return sum(known) / len(known) if known else None

    def line(self, now: float) -> str:
        """The dashboard: what runs, what is left, time left."""
        runs = [f"{n} s{s} ({clock(now - self.began[n, s])})" for n, s in self.running]
        shown = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
        seconds = self.seconds_left(now)
        rest = "time left unknown" if seconds is None else f"about {clock(seconds)} left"
        bad = f", {len(self.failed)} failed" if self.failed else ""
        return (
            f"{len(runs)} running{': ' if runs else ''}{shown}; "
            f"{len(self.left)} of {len(self.units)} to end{bad}; {rest}"
        )


def clock(seconds: float) -> str:
    """A duration as people say it: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def todo(rows: Iterable[Experiment], seeds: Sequence[int] | None = None) -> list[Unit]:
    """Rows times seeds, each once, without those that the records hold for today's code."""
    units = {(e.name, s): e for e in rows for s in (e.seeds if seeds is None else seeds)}
    return [u for u, e in units.items() if recorded(e, u[1]) is None]


def run_grid(
    rows: Sequence[Experiment],
    client: Any,
    seeds: Sequence[int] | None = None,
    device: str = "auto",
    say: Callable[[str], Any] = print,
    every: float = 60.0,
) -> Progress:
    """Run what `todo` finds on the workers of a client, each unit on one worker at a time.

    seeds   of every row; each row's own when None
    device  "cuda" asks for a worker with a GPU slot, "auto" does where there is one
    every   seconds after which progress is said again though nothing happened

    A unit whose worker dies is handed to another, and goes on where its training was last kept. A
    unit that fails does not stop the others. Raises VadError where no worker can do the work, where
    the scheduler is lost, and at the end where a unit failed or left its record elsewhere.
    """
    known = {e.name: e for e in rows}
    units, slots = todo(rows, seeds), slots_of(client, device)
    total = len({(e.name, s) for e in rows for s in (e.seeds if seeds is None else seeds)})
    if len(units) < total:
        say(f"{total - len(units)} of {total} runs are recorded already")
    progress = Progress(units, len(slots), seconds_of({u[0] for u in units}))
    asks = {GPU: 1} if device != "cpu" and all(s.get(GPU) for s in slots) else {}
    client.subscribe_topic(unit.TOPIC, lambda event: _begun(progress, event))
    futures = {
        client.submit(
            unit.run, *u, device, key=f"{u[0]}-s{u[1]}-{time.time_ns()}", resources=asks, pure=False
        ): u
        for u in units
    }
    said, before = 0.0, None
    while futures:
        _check(client)
        for future in [f for f in futures if f.done()]:
            name, seed = u = futures.pop(future)
            outcome = _outcome(future)
            if not outcome["failed"] and recorded(known[name], seed) is None:
                outcome["failed"] = f"its record is not here: {outcome['host']} wrote it elsewhere"
            if outcome["failed"]:
                progress.failed[u] = outcome["failed"]
                say(f"{name}, seed {seed} failed: {outcome['failed']}")
            else:
                progress.took[u] = outcome["seconds"]
        now, state = time.monotonic(), (progress.running, progress.left)
        if state != before or now - said > every:
            say(progress.line(now))
            said, before = now, state
            progress.slots = max(1, len(_slots(client, device)))  # workers come and go
        time.sleep(min(0.2, every))
    if progress.failed:
        (name, seed), why = next(iter(progress.failed.items()))
        raise VadError(
            f"{len(progress.failed)} of {len(units)} runs failed, first {name}, seed {seed}: {why}",
            "What ended is recorded; mend it and start the same grid again.",
        )
    return progress


def seconds_of(names: set[str]) -> dict[str, float]:
    """Mean seconds of the recorded runs of rows, whatever code made them."""
    found = {r["name"]: [run["wall_s"] for run in r["runs"]] for r in read_records()}
    return {n: sum(found[n]) / len(found[n]) for n in names if found.get(n)}


def slots_of(client: Any, device: str) -> list[dict[str, float]]:
    """The resources of each worker that may take runs. Raises VadError where there is none."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise VadError(
            f"no worker has come to {client.scheduler.address} in {PATIENCE} s",
            "Start some: dask worker ADDRESS --nthreads 1.",
        ) from error
    slots = _slots(client, device)
    if device == "cuda" and not any(s.get(GPU) for s in slots):
        raise VadError(
            "no worker offers a GPU", f'Start one with: dask worker ADDRESS --resources "{GPU}=1".'
        )
    return slots


def _slots(client: Any, device: str) -> list[dict[str, float]]:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    slots = [dict(w["resources"]) for w in workers]
    with_gpu = [s for s in slots if s.get(GPU)]
    return with_gpu if with_gpu and device != "cpu" else slots


def _begun(progress: Progress, event: Any) -> None:
    news = event[1] if isinstance(event, tuple | list) else event
    if isinstance(news, dict) and "unit" in news:
        progress.began[(news["unit"][0], news["unit"][1])] = time.monotonic()


def _check(client: Any) -> None:
    """Raises VadError where the scheduler is gone for good."""
    if client.status in ("closing", "closed"):
        raise _lost()


def _lost() -> VadError:
    return VadError(
        "the scheduler is gone", "What ended is recorded; start the same grid again for the rest."
    )


def _outcome(future: Any) -> dict[str, Any]:
    """What a unit returned; a worker that could not run it at all counts as a failure.

    Raises VadError where the future was lost with its scheduler.
    """
    if future.status == "finished":
        return future.result()
    if future.status != "error":
        raise _lost()
    error = future.exception()
    name, text = type(error).__name__, " ".join(str(error).split())
    return {"failed": f"{name}: {text}", "host": "", "seconds": 0.0}
