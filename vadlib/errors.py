"""The one error that users are meant to read."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class VadError(ValueError):
    """A mistake that its maker can mend: what is wrong, naming file or argument, and the remedy.

    The command line prints it as one line and exits with code 2.
    """

    def __init__(self, problem: str, remedy: str):
        super().__init__(f"{problem}. {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy

    def __reduce__(self):  # exceptions cross process borders by their constructor's arguments
        return type(self), (self.problem, self.remedy)


@contextmanager
def writing(path: str | Path, remedy: str) -> Iterator[None]:
    """Around what writes a file or folder: where it cannot, VadError says so.

    remedy  what to do where it may not be written; a full disk has its own
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem, remedy = f"no disk space left for {path}", "Free some, and run it again."
        else:
            problem = f"{path} cannot be written ({error.strerror or error})"
        raise VadError(problem, remedy) from error


class VadNotice(UserWarning):
    """What was done can be used, and there is something to know about it."""
