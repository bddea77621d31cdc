"""One run of a grid: `vadlib reproduce NAME --seed S` in a process of its own, on any machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from vadlib.data.store import SPARE, cache_root, home

TOPIC = "vadlib-grid"  # under which a worker tells that a run has begun
FOLLOW = "VADLIB_FOLLOW"  # set for a process that shall not outlive the one that started it


def run(name: str, seed: int, device: str = "auto") -> dict[str, Any]:
    """Reproduce one seed of a row, and say how it went; called by a worker of Dask.

    Returns "host", "seconds", and "failed": one line on what went wrong, "" where nothing did. The
    record and the scores lie in the folder that `home()` is on this machine.
    """
    _tell({"unit": [name, seed], "host": socket.gethostname()})
    # one thread a run: many runs side by side, each with threads that wait for one another, crawl
    calm = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TQDM_DISABLE": "1"}
    started, env = time.monotonic(), calm | os.environ | {FOLLOW: "1"}
    done = subprocess.run(command(name, seed, device), env=env, capture_output=True, text=True)
    seconds = time.monotonic() - started
    failed = "" if done.returncode == 0 else reason(done.returncode, done.stderr)
    return {"host": socket.gethostname(), "seconds": seconds, "failed": failed}


def command(name: str, seed: int, device: str = "auto") -> list[str]:
    """What reproduces one seed of a row, as a process of its own."""
    asked = ["reproduce", name, "--seed", str(seed), "--device", device]
    return [sys.executable, "-m", "vadlib", *asked]


def _tell(news: dict[str, Any]) -> None:
    from distributed import get_worker

    get_worker().log_event(TOPIC, news)


def reason(code: int, stderr: str) -> str:
    """Why a run failed, in one line: a full disk, what it said itself, or how it ended."""
    for folder in (home(), cache_root()):
        if not has_room(folder):
            return f"no disk space left for {folder}"
    said = [line.strip() for line in stderr.splitlines() if line.strip()]
    if code < 0:
        return f"it was ended by signal {-code}"
    return said[-1].removeprefix("vadlib: ") if said else f"it ended with exit code {code}"


def has_room(folder: Path) -> bool:
    """Whether a folder's disk has more left than a run must leave free."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free > SPARE


def follow_parent(every: float = 1.0) -> None:
    """End this process when the one that started it is gone: a run does not outlive its worker."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
