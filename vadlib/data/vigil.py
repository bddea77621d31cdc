"""Plaza's test films among everyday life: as many quiet minutes as a rate an hour needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.data import plaza
from vadlib.data.base import Video

SEED = 2000  # of the everyday life: that of no film that is trained on, or tested on elsewhere


def videos(split: str, quiet: int, minute: int = 600, **asked: Any) -> list[Video]:
    """The films of `plaza.videos`; in the split "test" after them so many minutes of normal life.

    quiet   films of normal life, of `minute` frames each
    asked   for `plaza.videos`: count, length, size, level
    Raises VadError as `plaza.videos` does.
    """
    films = plaza.videos(split, **asked)
    if split == "test":
        calm = asked | {"count": quiet, "length": minute, "seed": SEED}
        everyday = plaza.videos("train", **calm)  # pyright: ignore
        films += [replace(v, name=f"everyday-{i:02d}") for i, v in enumerate(everyday)]
    return films
