"""Boxes around what moves in front of a fixed camera, and the tubes that are cut out along them.

A box is (y0, x0, y1, x1) in pixels, half-open; the boxes of a video are a list with one (n, 4)
float32 array for each frame, and n may be 0. Nothing here is learned, and nothing knows a class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import motion

Boxes = list[np.ndarray]


@dataclass(frozen=True)
class ProposalConfig:
    """How boxes are found. Lengths are in pixels of a frame 128 high, and grow with the frame.

    background  frames, evenly spaced over the video, whose median is the empty scene
    difference  grey levels between a frame and the empty scene that make a pixel foreground
    unrest      the same in standard deviations of the pixel itself: leaves, and edges that jitter
    speeds      pixels per frame; the foreground faster than each is one more map, so that what is
                fast comes apart from the slow crowd around it
    min_area    a component whose box has fewer pixels than this is dropped: half a person's
    merge       components of one map become one where their boxes share more than this part of
                the smaller (0, any overlap: the paper, 3.1)
    duplicate   IoU from which two maps have found the same thing: the larger box stays
    square      whether the shorter side is made as long as the longer (the paper, 3.1)
    enlarge     factor on both sides after that (1.25: the paper, 3.1)
    grid        corners and sides of squared boxes are multiples of it, rounded up in size: then
                many a box returns in the next frame, and what was seen there need not be seen again

    `square` and `enlarge` change no row's place: tight boxes and squared ones belong pairwise.
    """

    background: int = 25
    difference: float = 20.0
    unrest: float = 4.0
    speeds: tuple[float, ...] = (0.5, 1.0, 2.0)
    min_area: float = 90.0
    merge: float = 0.3
    duplicate: float = 0.6
    square: bool = True
    enlarge: float = 1.25
    grid: float = 4.0


def propose(video: Video, config: ProposalConfig | None = None) -> Boxes:
    """Boxes around what differs from the empty scene, or moves: one (n, 4) array a frame.

    The scene is the median of the whole video: on a live camera it would be that of the past.
    Boxes may reach over the frame's border; `Tubes.crops` clips them.
    Raises VadError for a video of one frame, or smaller than optical flow needs.
    """
    config = config or ProposalConfig()
    scale = video.size[0] / 128
    flow = motion.flow(video)
    scene = empty_scene(video, config.background)
    found = []
    for t in range(len(video)):
        moves = flow[min(t, len(flow) - 1)].astype(np.float32)  # the last frame has no next one
        speed = motion.magnitude(moves - np.median(moves, axis=(0, 1)))  # the median: a camera
        there = foreground(video.frames[t], scene, config)  # that shakes
        maps = [there, *(there & (speed > s * scale) for s in config.speeds)]
        boxes = [merge(components(m, config.min_area * scale**2), config.merge) for m in maps]
        tight = distinct(np.concatenate(boxes), config.duplicate)
        found.append(frame_boxes(tight, config, scale))
    return found


def frame_boxes(tight: np.ndarray, config: ProposalConfig, scale: float = 1.0) -> np.ndarray:
    """Tight boxes (n, 4) as `config` wants them: squared and enlarged about their centres, and
    squares put on a grid. `scale` is the frame's height in units of 128 pixels."""
    centre = (tight[:, :2] + tight[:, 2:]) / 2
    side, grid = tight[:, 2:] - tight[:, :2], config.grid * scale
    if config.square:
        side = side.max(1, keepdims=True).repeat(2, axis=1)
    side = side * config.enlarge
    corner = centre - side / 2
    if config.square and grid > 0:
        side = np.ceil(side / grid) * grid
        corner = np.round((centre - side / 2) / grid) * grid
    return np.concatenate([corner, corner + side], axis=1).astype(np.float32)


class Scene(NamedTuple):
    """What is there when nobody is, (H, W, C) float32 each: grey levels as `flat` gives them, and
    their usual spread."""

    level: np.ndarray
    spread: np.ndarray


def empty_scene(video: Video, count: int = 25) -> Scene:
    """Median and scaled median deviation of `count` evenly spaced frames.

    A thing that stands still for half the video becomes part of the scene.
    """
    index = np.unique(np.linspace(0, len(video) - 1, count).round().astype(int))
    frames = flat(video.frames[index])
    level = np.median(frames, axis=0)
    return Scene(level, 1.4826 * np.median(np.abs(frames - level), axis=0))


def flat(frames: np.ndarray) -> np.ndarray:
    """(..., H, W, C) uint8 -> float32 without the median of each frame and channel: the light."""
    frames = frames.astype(np.float32)
    return frames - np.median(frames, axis=(-3, -2), keepdims=True)


def foreground(frame: np.ndarray, scene: Scene, config: ProposalConfig) -> np.ndarray:
    """(H, W) bool: the pixels of a frame that differ from the empty scene, in any channel."""
    difference = np.abs(flat(frame) - scene.level)
    usual = np.maximum(config.difference, config.unrest * scene.spread)
    return np.any(difference > usual, axis=-1)


def components(mask: np.ndarray, min_area: float) -> np.ndarray:
    """Bounding boxes of the 8-connected components of (H, W) bool, gaps of a pixel closed."""
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    x, y, w, h, _ = cv2.connectedComponentsWithStats(closed, connectivity=8)[2][1:].T
    keep = w * h >= min_area
    return np.stack([y, x, y + h, x + w], axis=1)[keep].astype(np.float32)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair: (n, 4) and (m, 4) -> (n, m), in [0, 1]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas = [np.prod(c[:, 2:] - c[:, :2], axis=1) for c in (a, b)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)


def merge(boxes: np.ndarray, share: float = 0.0) -> np.ndarray:
    """Boxes that share more than this part of the smaller become the box around both, over and
    over: (n, 4) -> (m, 4)."""
    waiting, out = list(boxes), []
    while waiting:
        box = waiting.pop()
        near = [i for i, o in enumerate(out) if _shared(box, o) > share]
        if not near:
            out.append(box)
            continue
        group = np.stack([box, *(out[i] for i in near)])
        out = [o for i, o in enumerate(out) if i not in near]
        waiting.append(np.concatenate([group[:, :2].min(0), group[:, 2:].max(0)]))
    return np.stack(out) if out else np.zeros((0, 4), np.float32)


def _shared(a: np.ndarray, b: np.ndarray) -> float:
    """The part of the smaller of two boxes that lies in the other."""
    inside = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    smaller = min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
    return float(np.prod(np.clip(inside, 0, None)) / smaller)


def distinct(boxes: np.ndarray, duplicate: float) -> np.ndarray:
    """Boxes, largest first, without those that a larger one covers with an IoU >= duplicate."""
    order = np.argsort(-np.prod(boxes[:, 2:] - boxes[:, :2], axis=1), kind="stable")
    kept: list[int] = []
    overlap = iou(boxes, boxes)
    for i in order:
        if not kept or overlap[i, kept].max() < duplicate:
            kept.append(int(i))
    return boxes[kept]


@dataclass(frozen=True, eq=False)
class Tubes:
    """The same window cut out of `length` frames, `step` apart, for each of n boxes.

    frame   (n,) int, the *last* frame of each tube
    box     (n, 4) float32
    """

    video: Video
    frame: np.ndarray
    box: np.ndarray
    length: int
    step: int = 1

    def __len__(self) -> int:
        return len(self.frame)

    def crops(self, i: np.ndarray, size: int = 64) -> np.ndarray:
        """Tubes number `i` (m,) as (m, length, C, size, size) uint8.

        The window is clipped to the frame and then resized; it does not move with its object, so
        that motion shows inside it.
        """
        height, width = self.video.size
        channels = self.video.frames.shape[3]
        out = np.empty((len(i), self.length, channels, size, size), np.uint8)
        for row, n in zip(out, i, strict=True):
            (y0, x0), (y1, x1) = np.floor(self.box[n, :2]), np.ceil(self.box[n, 2:])
            y0, x0 = int(np.clip(y0, 0, height - 1)), int(np.clip(x0, 0, width - 1))
            y1, x1 = int(np.clip(y1, y0 + 1, height)), int(np.clip(x1, x0 + 1, width))
            start = self.frame[n] - (self.length - 1) * self.step
            window = self.video.frames[start : self.frame[n] + 1 : self.step, y0:y1, x0:x1]
            for image, target in zip(window, row, strict=True):
                # a copy: OpenCV refuses read-only views
                small = cv2.resize(np.array(image), (size, size), interpolation=cv2.INTER_LINEAR)
                target[:] = np.moveaxis(small.reshape(size, size, channels), -1, 0)
        return out


def tubes(video: Video, boxes: Boxes, length: int, before: int = 0) -> Tubes:
    """A tube for every box of frame before+length-1 and later, in order of frame and row.

    before  frames that are to be there before a tube begins
    Raises VadError where boxes and frames differ in number, or the video is shorter than a tube.
    """
    if len(boxes) != len(video):
        raise VadError(
            f"boxes of {len(boxes)} frames for the {len(video)} of video {video.name}",
            "Give one array for each frame, as `propose` returns them.",
        )
    first = before + length - 1
    if not 0 <= before <= first < len(video):
        raise VadError(
            f"tubes that reach over {first + 1} frames, from video {video.name} of {len(video)}",
            "Take shorter tubes, or leave that video out.",
        )
    late = boxes[first:]
    frame = np.repeat(np.arange(first, len(video)), [len(b) for b in late])
    return Tubes(video, frame, np.concatenate(late).reshape(-1, 4), length)


def track(boxes: Boxes, least: float = 0.3) -> list[np.ndarray]:
    """An identity for every box: one (n,) int array a frame.

    A box takes that of the box in the frame before which it overlaps most, greedily and with an
    IoU of at least `least`; otherwise a new one.
    """
    ids: list[np.ndarray] = []
    fresh = 0
    for t, now in enumerate(boxes):
        own = np.full(len(now), -1)
        if t and len(now) and len(boxes[t - 1]):
            overlap = iou(boxes[t - 1], now)
            while overlap.max() >= least:
                a, b = np.unravel_index(overlap.argmax(), overlap.shape)
                own[b] = ids[-1][a]
                overlap[a], overlap[:, b] = -1, -1
        new = own < 0
        own[new] = fresh + np.arange(new.sum())
        fresh += int(new.sum())
        ids.append(own)
    return ids
