"""What a video is to every part of this library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vadlib.data import strict
from vadlib.errors import VadError


@dataclass(frozen=True, eq=False)
class Video:
    """One video: its frames, and the truth about each of them where there is any.

    name     unique within a split, e.g. "01"
    frames   (T, H, W, C) uint8; C is 1 (grey) or 3 (RGB); usually a read-only memory map
    labels   (T,) uint8, 1 where the frame is abnormal; None where nobody knows
    masks    (T, H, W) bool, the abnormal pixels; None where nobody drew them
    key      hash of the content, under which flow and features are cached; None where the frames
             pass by once, and nothing is to be kept of them
    truth    what else is known about each frame (Plaza: kind, tracks, boxes, captions)
    start    the number of its first frame in the film that it is a window of
    times    (T,) seconds from the film's first frame, rising; None where nobody knows

    Raises VadError when the parts do not fit together.
    """

    name: str
    frames: np.ndarray
    labels: np.ndarray | None = None
    masks: np.ndarray | None = None
    key: str | None = ""
    fps: float | None = None
    dataset: str = ""
    split: str = ""
    truth: dict[str, Any] = field(default_factory=dict)
    start: int = 0
    times: np.ndarray | None = None

    def __post_init__(self):
        where = f"video {self.dataset}/{self.name}"
        shape = np.shape(self.frames)
        if len(shape) != 4 or shape[-1] not in (1, 3) or 0 in shape[1:3]:
            raise VadError(
                f"{where} has frames of shape {shape}",
                "Frames must be (time, height, width, 1 or 3).",
            )
        if not isinstance(self.frames, np.ndarray) or self.frames.dtype != np.uint8:
            kind = getattr(self.frames, "dtype", type(self.frames).__name__)
            raise VadError(f"{where} has frames of {kind}", "Frames must be uint8, 0 to 255.")
        if len(self.frames) == 0:
            raise VadError(f"{where} has no frames", "Remove it, or restore its files.")
        if self.labels is not None:
            strict.labels(self.labels, len(self.frames), where)
        if self.masks is not None and np.shape(self.masks) != shape[:3]:
            raise VadError(
                f"{where} has masks of shape {np.shape(self.masks)} for frames of shape "
                f"{shape[:3]}",
                "Masks must have the frames' number, height and width.",
            )
        if self.masks is not None and np.asarray(self.masks).dtype != bool:
            kind = np.asarray(self.masks).dtype
            raise VadError(f"{where} has masks of {kind}", "Compare first, as mask > 0.")
        if self.labels is not None and self.masks is not None:
            strict.agree(self.labels, self.masks, where)
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise VadError(f"{where} has {self.fps} frames a second", "Leave out fps: None.")
        if self.times is not None and np.shape(self.times) != shape[:1]:
            raise VadError(
                f"{where} has times of shape {np.shape(self.times)} for {len(self.frames)} frames",
                "Each frame has one time, in seconds.",
            )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels."""
        return self.frames.shape[1], self.frames.shape[2]
