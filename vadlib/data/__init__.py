"""Where frames come from: one call, `load`, whatever the data set and its layout on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vadlib.data import frames
from vadlib.data.base import Video
from vadlib.data.store import cache_root, data_root
from vadlib.errors import VadError

__all__ = ["NAMES", "Video", "available", "cache_root", "data_root", "load"]

NAMES = ("plaza", *frames.PLACES)


def load(
    name: str,
    split: str = "train",
    size: tuple[int, int] | None = None,
    root: str | Path | None = None,
    **kw: Any,
) -> list[Video]:
    """The videos of one split of a data set, in order, with frame labels and masks.

    name   "plaza", "ped1", "ped2", "avenue" or "shanghaitech"
    split  "train" (normal videos only) or "test"
    size   (height, width) of the frames and masks; the data set's own when None
    root   the folder that holds the data sets, or the set's own folder; `data_root()` when None
    kw     for `plaza.videos`: count, length, seed, kinds

    Frames are read-only memory maps, decoded on the first call and served from the store after.
    Raises VadError for an unknown name or split, and for files that are missing or damaged.
    """
    _known(name)
    if split not in ("train", "test"):
        raise VadError(f"there is no split {split!r}", 'Splits are "train" and "test".')
    if name == "plaza":
        from vadlib.data import plaza

        return plaza.videos(split, **({"size": tuple(size)} if size else {}), **kw)
    if kw:
        raise VadError(f"{', '.join(kw)}: unknown for {name}", "Only plaza takes extra arguments.")
    return frames.videos(name, split, size, Path(root) if root else None)


def available(name: str) -> bool:
    """Whether the data set lies under `data_root()`; Plaza always does."""
    _known(name)
    if name == "plaza":
        return True
    return frames.find(name, data_root()) is not None


def _known(name: str) -> None:
    if name not in NAMES:
        raise VadError(f"there is no data set {name!r}", f"Data sets are {', '.join(NAMES)}.")
