"""What is measured of each box: attributes, a few numbers each, that a person could name."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vadlib.data.base import Video
from vadlib.see import attributes, motion, objects

Measured = dict[str, np.ndarray]  # attribute -> (n, d), a row a box


def measure(video: Video, boxes: objects.Boxes, bins: int) -> Measured:
    """All attributes of a video's boxes but the deep ones, in order of frame and row.

    flow     (n, bins) `histogram` of the flow of what is in the box
    heading  (n, 2) its mean (dx, dy), pixels a frame
    unrest   (n, 2) how much dx and dy differ inside it, a standard deviation each
    foot     (n, 2) where it stands: y of its lower edge, x of its middle, in parts of the frame
    size     (n, 1) logarithm of its height in pixels; shape: that of its width in heights
    colour   (n, C) its median colour, 0..255
    Raises VadError where boxes do not fit the video.
    """
    seen = attributes.attributes(video, boxes)
    rows = [
        (histogram(flow, bins), flow.mean(0), flow.std(0), np.median(colours, 0))
        for flow, colours in _things(video, seen.frame, seen.box)
    ]
    channels = video.frames.shape[3]
    widths = (bins, 2, 2, channels)
    parts = zip(*rows, strict=True) if rows else ([],) * 4
    flow, heading, unrest, colour = (
        np.reshape(np.array(p, np.float32), (-1, d)) for p, d in zip(parts, widths, strict=True)
    )
    foot = np.stack([seen.box[:, 2] / video.size[0], seen.place[:, 1]], 1)
    return {
        "flow": flow,
        "heading": heading,
        "unrest": unrest,
        "foot": foot,
        "size": np.log(seen.size)[:, None],
        "shape": np.log(seen.shape)[:, None],
        "colour": colour,
    }


def histogram(flow: np.ndarray, bins: int) -> np.ndarray:
    """How far the pixels of a thing move into each of some directions: flow (m, 2) -> (bins,).

    Of each pixel |dx| + |dy|, as in the paper's code, in the bin of its angle; summed, and divided
    by all m pixels. The first bin begins at dx > 0 and they go round from x to y.
    """
    turn = np.arctan2(flow[:, 1], flow[:, 0]) / (2 * np.pi) % 1
    way = np.minimum((turn * bins).astype(int), bins - 1)
    return np.bincount(way, np.abs(flow).sum(1), bins) / len(flow)


def _things(
    video: Video, frame: np.ndarray, box: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each box, flow (m, 2) and colours (m, C) of the pixels that differ from the empty scene:
    a box's mean would be half ground. The flow is that which leads to the frame."""
    usual, current = objects.ProposalConfig(), -1
    scene, flow = objects.empty_scene(video, usual.background), motion.flow(video)
    there = np.zeros(video.size, bool)
    limit = np.array(video.size)
    low = np.clip(np.floor(box[:, :2]), 0, limit - 1).astype(int)
    high = np.clip(np.ceil(box[:, 2:]), low + 1, limit).astype(int)
    for t, (y0, x0), (y1, x1) in zip(frame.tolist(), low, high, strict=True):
        if t != current:
            current, there = t, objects.foreground(video.frames[t], scene, usual)
        part = slice(y0, y1), slice(x0, x1)
        inside = there[part] if there[part].any() else np.ones((y1 - y0, x1 - x0), bool)
        yield flow[max(t - 1, 0)][part][inside].astype(np.float32), video.frames[t][part][inside]
