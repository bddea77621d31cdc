"""What can be measured about a box: how fast, how large, how bright, where, near whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import objects

Boxes = Sequence[np.ndarray]  # one (n, 4) array a frame: y0, x0, y1, x1 in pixels, half-open
REACH = 5  # frames before and after over which a velocity is measured
NEAR = 1.5  # box sides between two middles: closer is near


def rows(video: Video, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """All boxes of a video in order: the frame of each (n,) int, and the boxes (n, 4) float32.

    Raises VadError unless there is one array (n, 4) for each frame.
    """
    odd = [f"frame {t} has {np.shape(b)}" for t, b in enumerate(boxes) if np.shape(b)[1:] != (4,)]
    if len(boxes) != len(video) or odd:
        what = odd[0] if odd else f"boxes of {len(boxes)}"
        raise VadError(
            f"video {video.name} has {len(video)} frames and boxes that do not fit: {what}",
            "Give one (n, 4) array of boxes for each frame, with n = 0 where there are none.",
        )
    frame = np.repeat(np.arange(len(boxes)), [len(b) for b in boxes])
    return frame, np.concatenate([np.asarray(b, np.float32) for b in boxes])


# ------------------------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class Attributes:
    """What can be measured about the n boxes of a video; one row a box, by frame.

    frame       (n,) int; box (n, 4) pixels
    velocity    (n, 2) float, (dy, dx) in pixels a frame; NaN where a box was seen only once
    size        (n,) pixels, the height of what differs from the background
    shape       (n,) width of it in heights
    brightness  (n,) 0..255, its median grey value
    place       (n, 2) y and x of the middle of the box, in fractions of the frame
    neighbours  (n,) int, boxes near this one
    nearest     (n, 2) float, (dy, dx) in pixels to the nearest of them; NaN where there is none
    """

    frame: np.ndarray
    box: np.ndarray
    velocity: np.ndarray
    size: np.ndarray
    shape: np.ndarray
    brightness: np.ndarray
    place: np.ndarray
    neighbours: np.ndarray
    nearest: np.ndarray

    @property
    def speed(self) -> np.ndarray:
        """(n,) pixels a frame; NaN where unknown."""
        return np.hypot(*self.velocity.T)


def attributes(video: Video, boxes: Boxes, ids: Sequence[np.ndarray] | None = None) -> Attributes:
    """Measure the boxes of a video.

    boxes  one (n, 4) array a frame
    ids    which track each box belongs to, one (n,) array a frame; `objects.track` when None
    Raises VadError where boxes, or ids, do not fit the video.
    """
    frame, box = rows(video, boxes)
    ids = objects.track(list(boxes)) if ids is None else ids
    track_of = np.concatenate([np.asarray(i, int) for i in ids])
    if len(track_of) != len(box):
        raise VadError(
            f"video {video.name} has {len(box)} boxes and {len(track_of)} track numbers",
            "Give one number for each box: objects.track(boxes).",
        )
    middle = (box[:, :2] + box[:, 2:]) / 2
    size, shape, brightness = _look(video, frame, box)
    neighbours, nearest = _neighbours(frame, box)
    return Attributes(
        frame,
        box,
        velocities(frame, middle, track_of),
        size,
        shape,
        brightness,
        middle / np.array(video.size),
        neighbours,
        nearest,
    )


def velocities(frame: np.ndarray, middle: np.ndarray, track_of: np.ndarray) -> np.ndarray:
    """The velocity of each box: the middle half of its track's steps within REACH frames.

    frame (n,), middle (n, 2), track_of (n,) -> (n, 2), in units of `middle` a frame; NaN for a
    track of one box. The outer quarters are left out: where two boxes merge, the middle jumps.
    """
    out = np.full(middle.shape, np.nan)
    order = np.lexsort((frame, track_of))
    for part in np.split(order, np.flatnonzero(np.diff(track_of[order])) + 1):
        if len(part) < 2:
            continue
        t, gap = frame[part], np.diff(frame[part])
        steps, when = np.diff(middle[part], axis=0) / gap[:, None], t[:-1] + gap / 2
        for row, now in zip(part, t, strict=True):
            close = np.abs(when - now)
            near = close <= max(REACH, close.min())  # a track with holes takes its nearest step
            sorted_ = np.sort(steps[near], axis=0)
            out[row] = sorted_[len(sorted_) // 4 : len(sorted_) - len(sorted_) // 4].mean(0)
    return out


def _look(video: Video, frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, ...]:
    """Height, width over height, and median grey value of what is in each box; (n,) each."""
    size, shape, brightness = (np.zeros(len(box)) for _ in range(3))
    usual = objects.ProposalConfig()
    scene = objects.empty_scene(video, usual.background)
    limit = np.array(video.size)
    low = np.clip(np.round(box[:, :2]), 0, limit - 1).astype(int)
    high = np.clip(np.round(box[:, 2:]), low + 1, limit).astype(int)
    current = -1
    grey, thing = np.zeros(video.size), np.zeros(video.size, bool)
    for i, ((y0, x0), (y1, x1)) in enumerate(zip(low, high, strict=True)):
        if frame[i] != current:
            current = int(frame[i])
            grey = video.frames[current].mean(-1)
            thing = objects.foreground(video.frames[current], scene, usual)
        inside = thing[y0:y1, x0:x1]
        if not inside.any():  # it looks like the empty scene: measure the whole box
            inside = np.ones_like(inside)
        height, width = (_extent(inside.sum(axis)) for axis in (1, 0))
        size[i], shape[i] = height, width / height
        brightness[i] = np.median(grey[y0:y1, x0:x1][inside])
    return size, shape, brightness


def _extent(count: np.ndarray) -> float:
    """How long a thing is, from its pixels a row: the middle 90 % of them, so that a stray one
    does not make it longer."""
    share = count.cumsum() / count.sum()
    return 1.0 + np.searchsorted(share, 0.95) - np.searchsorted(share, 0.05)


def _neighbours(frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many boxes of the same frame are near each box (n,), and the way to the nearest.

    Boxes of which one holds the other's middle show one thing: they are no neighbours, and count
    as one neighbour of a third.
    """
    count, nearest = np.zeros(len(frame), int), np.full((len(frame), 2), np.nan)
    middle, side = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    for part in np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame)) + 1):
        if not len(part):
            continue
        way = middle[part][None] - middle[part][:, None]  # from row to column
        far = np.hypot(way[..., 0], way[..., 1])
        same, reach = same_thing(way, side[part]), NEAR * side[part].max(1)
        near = (far < np.maximum(reach[:, None], reach)) & ~same
        again = near.astype(int) @ np.triu(same, 1) > 0  # the second box of one neighbour
        count[part] = (near & ~again).sum(1)
        closest = np.where(near, far, np.inf).argmin(1)
        nearest[part] = np.where(near.any(1)[:, None], way[np.arange(len(part)), closest], np.nan)
    return count, nearest


def same_thing(way: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Whether the middle of one box lies in the other: ways (n, n, 2), sides (n, 2) -> (n, n)."""
    inside = np.all(np.abs(way) < side / 2, axis=-1)
    return np.logical_or(inside, inside.T)
