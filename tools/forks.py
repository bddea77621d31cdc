"""Work in forks of this process, some at a time."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import tempfile
from pathlib import Path

KEPT = Path(__file__).resolve().parents[1] / "_build" / "mutants"


def forked(work, seconds: float, log: Path) -> int:
    """Begin `work` in a fork, which ends when it has used so many seconds of the processor; its id.

    A test that waits and computes nothing is ended by pytest's own timeout.
    """
    child = os.fork()
    if child:
        return child
    nothing = os.open(os.devnull, os.O_RDWR)
    said = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    for stream, target in ((0, nothing), (1, said), (2, said)):
        os.dup2(target, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 5))
    tempfile.tempdir = str(log.with_suffix(".tmp"))  # a cache of its own: no fault is hidden by it
    shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    Path(tempfile.tempdir).mkdir()
    with contextlib.suppress(Exception):
        work()
    os._exit(70)


def side_by_side(tasks, jobs: int):
    """Run (name, work, seconds) in forks, some at a time; yields (name, exit status, seconds used).

    The status is None for one that used up its seconds, 1 for one that died of anything else.
    """
    running: dict = {}
    waiting, free = iter(tasks), [KEPT / f"log-{os.getpid()}-{i}" for i in range(jobs)]
    while True:
        while free and (task := next(waiting, None)):
            name, work, seconds = task
            log = free.pop()
            running[forked(work, seconds, log)] = name, log
        if not running:
            return
        child, status, used = os.wait4(-1, 0)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL):
            code = None
        name, log = running.pop(child)
        free.append(log)
        yield name, code, used.ru_utime + used.ru_stime
