"""What detectors of boxes share: which to keep, and how their scores become those of frames."""

from __future__ import annotations

import inspect
from functools import cache
from importlib import import_module

import numpy as np

from vadlib.data import store


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


@cache
def source_of(*modules: str) -> str:
    """What stands for the code of some modules in the key of what they made."""
    return store.digest([inspect.getsource(import_module(f"vadlib.{m}")) for m in modules])


def spread(count: int, at_most: int) -> np.ndarray:
    """`at_most` of the positions 0 .. count-1, evenly spread; all of them where there are fewer."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int))
