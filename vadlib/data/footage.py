"""Your own films: a folder of them as training videos, and names that tell them apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vadlib.data import film, frames, video
from vadlib.data.base import Video
from vadlib.errors import VadError


def videos(
    folder: str | Path, split: str = "train", size: tuple[int, int] | None = None
) -> list[Video]:
    """Every film in a folder and the folders in it, in order of their paths, as normal footage.

    size  (height, width) to resize to; the films' own when None
    What is no film by its suffix, and what is hidden, is left alone. Raises VadError for a folder
    without films, a damaged film, and for any split but "train": nobody labelled these frames.
    """
    if split != "train":
        raise VadError(f"films in {folder} are no {split} videos", "Only training needs no labels.")
    found = list_films(Path(folder))
    bar = tqdm(found, desc=f"films of {folder}", unit="film", delay=0.5, leave=False)
    read = [video.read(path, size) for path in bar]
    return frames.one_colour(
        [
            Video(name, v.frames, np.zeros(len(v), np.uint8), None, v.key, v.fps, "films", split)
            for name, v in zip(names(found), read, strict=True)
        ]
    )


def list_films(folder: Path) -> list[Path]:
    """The films in a folder and the folders in it. Raises VadError where there is none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in film.VIDEOS and p.is_file())
    found = [p for p in found if not any(s.startswith(".") for s in p.relative_to(folder).parts)]
    if not found:
        suffixes = ", ".join(sorted(film.VIDEOS))
        raise VadError(f"{folder} holds no films", f"Put some there: files that end in {suffixes}.")
    return found


def names(paths: Sequence[Path]) -> list[str]:
    """A name for each film: the file's without its suffix, or as much of its path as it takes to
    tell it from the others. Raises VadError for a film that is named twice."""
    whole = [path.absolute() for path in paths]
    for i, path in enumerate(whole):
        if path in whole[:i]:
            raise VadError(f"{paths[i]} is named twice", "Name each film once.")
    found = [path.stem for path in paths]
    for depth in range(1, 1 + max((len(path.parts) for path in whole), default=0)):
        doubled = [found.count(name) > 1 for name in found]
        ends = ["/".join(path.parts[-depth:]) for path in whole]
        found = [
            end if twice else name for end, twice, name in zip(ends, doubled, found, strict=True)
        ]
    return found
