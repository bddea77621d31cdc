"""From scores of boxes to scores of frames: along the tracks of things, and onto the picture."""

from __future__ import annotations

import numpy as np


def average(errors: np.ndarray, frame: np.ndarray, thing: np.ndarray, frames: int) -> np.ndarray:
    """The mean error of a thing over its last `frames` frames, the newest among them: errors (n,),
    the frame and the thing of each (n,) int, frames rising -> (n,)."""
    out, past = np.empty(len(errors)), {}
    for i, (t, who) in enumerate(zip(frame.tolist(), thing.tolist(), strict=True)):
        recent = [(s, e) for s, e in past.get(who, []) if s > t - frames] + [(t, errors[i])]
        past[who] = recent
        out[i] = np.mean([e for _, e in recent])
    return out


def paint(boxes: np.ndarray, values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32: each pixel the largest value among the boxes (n, 4) over it, 0 elsewhere."""
    heat = np.zeros(size, np.float32)
    for (y0, x0, y1, x1), value in zip(np.clip(boxes, 0, None), values, strict=True):
        part = heat[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))]
        np.maximum(part, np.float32(value), out=part)
    return heat
