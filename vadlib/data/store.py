"""What is slow to make is made once: arrays as memory maps, small facts as JSON.

Everything lands in `cache_root()` under a name that is a hash of what it was made from, so a
changed input makes a new file and an old one is never read in its place. A file takes its name
only when it is complete: it is written beside it, flushed to the disk, and then renamed.

What was written has a checksum, and is made again where it no longer fits. Facts are checked at
every reading. An array is checked when it is opened, unless it was within a day and the system
knows of no change since (inode, size, times): to read all of it before it is read would double the
cost of a warm read. So what any program changed is noticed at once, and what a disk loses by itself
within a day. An array that came without a checksum is taken at its word, and given one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import threading
import time
import zlib
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
SETTLED = (
    0.1  # seconds after which a change that follows has another time, however coarse clocks are
)
DAY = 24 * 3600  # seconds for which an array that was checked is trusted
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)
PIECE = 2**20  # bytes that are summed at once


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


@contextmanager
def passing() -> Iterator[None]:
    """A cache for this block alone, which goes with it."""
    before = os.environ.get("VADLIB_CACHE")
    with tempfile.TemporaryDirectory(prefix="vadlib-") as folder:
        os.environ["VADLIB_CACHE"] = folder
        try:
            yield
        finally:
            del os.environ["VADLIB_CACHE"]
            if before is not None:
                os.environ["VADLIB_CACHE"] = before


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

    It is remembered by path, inode, size and times of change, so unchanged files are not read
    again; the time at which the system saw a change cannot be set back.
    Raises VadError for a file that cannot be read.
    """
    try:
        listing = [(os.path.abspath(file), *_state(file)) for file in files]
        return remember(
            digest("fingerprint", listing),
            lambda: digest([_hash(file) for file in files]),
            when=lambda: all(_settled(state[1:]) for state in listing),
        )
    except OSError as error:
        raise VadError(
            f"cannot read {error.filename}: {error.strerror}", "Restore it, or its permissions."
        ) from error


def _hash(path: Path) -> str:
    with path.open("rb") as file:  # piece by piece: a film may be larger than the memory
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _state(path: Path) -> list[int]:
    """What the system knows of a file's changes: inode, size, and two times in ns."""
    stat = os.stat(path)
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def _settled(state: Sequence[int]) -> bool:
    """Whether a change from now on would give the file another time than it has."""
    return time.time() - state[-1] / 1e9 > SETTLED


def remember(key: str, compute: Callable[[], Any], when: Callable[[], bool] = lambda: True) -> Any:
    """What `compute()` returned when it was first asked under `key`; anything JSON can hold.

    when  asked afterwards: whether the answer may be kept
    """
    path = cache_root() / "facts" / f"{digest(key)}.fact"
    with suppress(OSError, ValueError):  # missing or damaged: compute it
        checksum, text = path.read_text().split("\n", 1)
        if checksum == digest(text):
            return json.loads(text)
    value = compute()
    if when():
        text = json.dumps(value)
        with whole(path) as part:
            part.write_text(f"{digest(text)}\n{text}")
    return value


def array(
    key: str | None,
    shape: Sequence[int],
    dtype: Any,
    fill: Callable[[np.ndarray], None],
    folder: Path | None = None,
) -> np.ndarray:
    """The array that `fill` makes, kept on disk: built once, then a read-only memory map.

    key     names the content: it must change whenever `fill` would write something else; None
            keeps nothing, and makes the array in memory
    shape   of the array; `fill` gets an array of this shape and dtype, all zero, to write into
    folder  where the file lands; `cache_root()/arrays` unless said otherwise

    Any number of processes may ask at once: one of them builds, the others wait. A build that is
    killed leaves nothing that is ever read, and a damaged file is built again.
    Raises VadError where the disk is full or may not be written.
    """
    shape, dtype = tuple(int(n) for n in shape), np.dtype(dtype)
    if math.prod(shape) == 0:  # nothing to map
        return np.zeros(shape, dtype)
    if key is None:
        target = np.zeros(shape, dtype)
        fill(target)
        return target
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
    with suppress(OSError, ValueError, EOFError, KeyError, TypeError):  # a damaged file, or sum
        found = np.load(path, mmap_mode="r")  # ValueError when the file is shorter than it says
        if found.shape == shape and found.dtype == dtype and _sound(path):
            return found
    return None


def _sound(path: Path) -> bool:
    """Whether a file has the checksum that stands beside it."""
    beside, state, now = path.with_suffix(".sum"), _state(path), time.time()
    known: dict[str, Any] = {}
    if beside.exists():
        known = json.loads(beside.read_text())  # ValueError where it is damaged
        if known["state"] == state and 0 <= now - known["checked"] < DAY:
            return True
    found = _sum(path)
    if known.setdefault("sum", found) != found:
        return False
    if _settled(state):
        with suppress(OSError), _complete(beside) as part:  # a folder that is only to be read
            part.write_text(json.dumps(known | {"state": state, "checked": now}))
    return True


def _sum(path: Path) -> int:
    """CRC-32 of a file."""
    found = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found = zlib.crc32(piece, found)
    return found


def _build(path: Path, shape: tuple[int, ...], dtype: np.dtype, fill: Callable) -> None:
    size = math.prod(shape) * dtype.itemsize
    _need(size, path.parent)
    with _complete(path) as part:
        target = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
        _reserve(part)  # a sparse file on a full disk would kill the process with SIGBUS
        fill(target)
        target.flush()
        del target
        with _complete(path.with_suffix(".sum")) as beside:
            beside.write_text(json.dumps({"sum": _sum(part), "state": [], "checked": 0}))


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
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise VadError(
                f"no disk space left for {folder} ({error.strerror})",
                "Free some, or choose a folder on a larger disk (for the cache, VADLIB_CACHE).",
            ) from error
        if error.errno in REFUSED:
            raise VadError(
                f"cannot write to {folder} ({error.strerror})",
                "Choose a folder that you may write to (for the cache, VADLIB_CACHE).",
            ) from error
        raise
