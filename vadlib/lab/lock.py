"""One at a time: a lock on a name, across processes and, where the folder is shared, machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vadlib.data.store import _explained, fcntl, home


@contextmanager
def alone(what: str, say: Callable[[str], Any] = lambda text: None) -> Iterator[bool]:
    """Only one process at a time gets past here for one `what`; the others wait.

    Yields whether it had to wait: then another process may have done the work already. The system
    lets go of a lock when its process dies, however it dies. Raises VadError where the folder of
    locks may not be written, or the disk is full.
    """
    path = home() / "data" / "locks" / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', what)}.lock"
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    waited = False
    try:
        if fcntl is not None:  # Windows has none: there two processes may run the same thing
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waited = True
                say(f"{what} is under way in another process; waiting for it")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield waited
    finally:
        file.close()
