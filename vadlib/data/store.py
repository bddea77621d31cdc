"""What is slow to make is made once: arrays as memory maps, small facts as JSON.

Everything lands in `cache_root()` under a name that is a hash of what it was made from, so a
changed input makes a new file and an old one is never read in its place. A file takes its name
only when it is complete: it is written beside it, flushed to the disk, and then renamed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from vadlib.errors import VadError

try:
    import fcntl
except ImportError:  # Windows: two processes may then both build; the rename still keeps them safe
    fcntl = None

SPARE = 32 * 2**20  # bytes to leave free: a disk full to the brim breaks other things


def home() -> Path:
    """The folder that holds `data/`: `$VADLIB_HOME`, else this repository, else where you are."""
    if folder := os.environ.get("VADLIB_HOME"):
        return Path(folder).expanduser()
    repository = Path(__file__).resolve().parents[2]
    return repository if (repository / "pyproject.toml").is_file() else Path.cwd()


def data_root() -> Path:
    """Where data sets are looked for: `$VADLIB_DATA`, else `data/` of `home()`."""
    folder = os.environ.get("VADLIB_DATA")
    return Path(folder).expanduser() if folder else home() / "data"


def cache_root() -> Path:
    """Where decoded frames and flow are kept: `$VADLIB_CACHE`, else `data/cache` of `home()`."""
    folder = os.environ.get("VADLIB_CACHE")
    return Path(folder).expanduser() if folder else home() / "data" / "cache"


def digest(*parts: Any) -> str:
    """20 hex digits that stand for `parts`: bytes, strings, arrays, or anything JSON can hold."""
    hasher = hashlib.blake2b(digest_size=10)
    for part in parts:
        if isinstance(part, np.ndarray):
            kind, data = f"array {part.dtype.str} {part.shape}", np.ascontiguousarray(part).data
        elif isinstance(part, bytes | bytearray | memoryview):
            kind, data = "bytes", memoryview(part)
        else:
            text = json.dumps(part, sort_keys=True, default=_plain)
            kind, data = "json", memoryview(text.encode())
        hasher.update(f"{kind} {data.nbytes};".encode())  # "ab", "c" is not "a", "bc"
        if data.nbytes:
            hasher.update(data.cast("B"))
    return hasher.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be part of a digest")


def fingerprint(files: Sequence[Path]) -> str:
    """Digest of what `files` contain, in order; their names and places do not matter.

    It is remembered by path, size and time of change, so unchanged files are not read again.
    Raises VadError for a file that cannot be read.
    """
    try:
        stats = [(os.path.abspath(file), file.stat()) for file in files]
        listing = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
        return remember(
            digest("fingerprint", listing),
            lambda: digest([hashlib.blake2b(f.read_bytes()).hexdigest() for f in files]),
        )
    except OSError as error:
        raise VadError(
            f"cannot read {error.filename}: {error.strerror}", "Restore it, or its permissions."
        ) from error


def remember(key: str, compute: Callable[[], Any]) -> Any:
    """What `compute()` returned when it was first asked under `key`; anything JSON can hold."""
    path = cache_root() / "facts" / f"{digest(key)}.json"
    with suppress(OSError, ValueError):  # missing or damaged: compute it
        return json.loads(path.read_text())
    value = compute()
    with whole(path) as part:
        part.write_text(json.dumps(value))
    return value


def array(
    key: str,
    shape: Sequence[int],
    dtype: Any,
    fill: Callable[[np.ndarray], None],
    folder: Path | None = None,
) -> np.ndarray:
    """The array that `fill` makes, kept on disk: built once, then a read-only memory map.

    key     names the content: it must change whenever `fill` would write something else
    shape   of the array; `fill` gets an array of this shape and dtype, all zero, to write into
    folder  where the file lands; `cache_root()/arrays` unless said otherwise

    Any number of processes may ask at once: one of them builds, the others wait. A build that is
    killed leaves nothing that is ever read, and a damaged file is built again.
    Raises VadError where the disk is full or may not be written.
    """
    shape, dtype = tuple(int(n) for n in shape), np.dtype(dtype)
    if math.prod(shape) == 0:  # nothing to map
        return np.zeros(shape, dtype)
    folder = Path(folder) if folder else cache_root() / "arrays"
    label = re.sub(r"[^\w.-]+", "-", key)[:40].strip("-")
    path = folder / f"{label}-{digest(key, shape, dtype.str)}.npy"
    whole = _open(path, shape, dtype)
    if whole is None:
        with _explained(folder), _alone(path):
            if _open(path, shape, dtype) is None:  # nobody built it while we waited
                _build(path, shape, dtype, fill)
        whole = _open(path, shape, dtype)
    if whole is None:
        raise VadError(f"{path} was damaged as it was written", "Check the disk.")
    return whole


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """The finished array at `path`; None where there is none, or one that is not whole."""
    with suppress(OSError, ValueError, EOFError):
        found = np.load(path, mmap_mode="r")  # ValueError when the file is shorter than it says
        if found.shape == shape and found.dtype == dtype:
            return found
    return None


def _build(path: Path, shape: tuple[int, ...], dtype: np.dtype, fill: Callable) -> None:
    size = math.prod(shape) * dtype.itemsize
    _need(size, path.parent)
    with _complete(path) as part:
        target = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        _reserve(part)  # a sparse file on a full disk would kill the process with SIGBUS
        fill(target)
        target.flush()
        del target


def _need(size: int, folder: Path) -> None:
    if shutil.disk_usage(folder).free < size + SPARE:
        raise OSError(errno.ENOSPC, f"{size / 2**20:.0f} MB are needed")


def _reserve(path: Path) -> None:
    """Give the file its blocks on the disk now. Raises OSError where there are not enough."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` if the block ends well, and leaves nothing if not.

    Raises VadError where the disk is full or may not be written.
    """
    with _explained(path.parent), _complete(path) as part:
        yield part


@contextmanager
def _complete(path: Path) -> Iterator[Path]:
    """A path to write to, which becomes `path` only if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        yield part
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Only one process at a time gets past here for one `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the system lets go of it when a process dies
            for stale in path.parent.glob(f"{path.name}.*.part"):
                stale.unlink(missing_ok=True)  # left behind by a killed build: we hold its lock
        yield


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """Turn what the system says about a disk into something to act on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise VadError(
                f"no disk space left for {folder} ({error.strerror})",
                "Free some, or set VADLIB_CACHE to a folder on a larger disk.",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise VadError(
                f"cannot write to {folder} ({error.strerror})",
                "Set VADLIB_CACHE to a folder that you may write to.",
            ) from error
        raise
