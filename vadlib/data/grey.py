"""A data set without its colours: what a grey camera and a coloured one both have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from vadlib.data import load, store
from vadlib.data.base import Video


def videos(name: str, split: str, **kw: Any) -> list[Video]:
    """The videos of `data.load`, in one grey channel; arguments and errors are its own."""
    return [grey(video) for video in load(name, split, **kw)]


def grey(video: Video) -> Video:
    """A video in grey, (T, H, W, 1), under a key of its own; as it is, where it is grey already."""
    if video.frames.shape[3] == 1:
        return video
    key = f"grey-{video.key or store.digest(video.frames)}"

    def fill(out: np.ndarray) -> None:
        for row, frame in zip(out, video.frames, strict=True):
            row[..., 0] = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)

    frames = store.array(key, (*video.frames.shape[:3], 1), np.uint8, fill)
    return replace(video, frames=frames, key=key)
