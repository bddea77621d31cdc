"""Optical flow: how far each pixel moves from one frame to the next.

A flow is (..., H, W, 2): the last axis is (dx, dy), to the right and down, in pixels per frame *at
the size of the frames it was computed on*. `resize_flow` is the one way to change that size: it
rescales the vectors along with the map.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from tqdm.auto import tqdm

from vadlib.data import store
from vadlib.data.base import Video
from vadlib.errors import VadError

METHODS = ("dis", "raft_small", "raft_large")
SMALLEST = 16  # pixels; below this DIS has no room for a patch and its pyramid


def flow(video: Video, method: str = "dis") -> np.ndarray:
    """The flow between all neighbouring frames of a video, computed once and then read from disk.

    method   one of METHODS
    returns  (T-1, H, W, 2) float16, read-only: entry t leads from frame t to frame t+1,
             in pixels per frame at video.size
    Of a video whose key is None, which passes by once, nothing is kept.
    Raises VadError for a video of one frame, an unknown method, or weights that cannot be had.
    """
    _known(method)
    if len(video) < 2:
        raise VadError(
            f"video {video.dataset}/{video.name} has one frame",
            "Motion needs two frames at least; drop this video or use a longer one.",
        )
    height, width = video.size
    key = None
    if video.key is not None:
        key = f"flow {video.key or store.digest(video.frames)} {_version(method)} {height}x{width}"

    def fill(out: np.ndarray) -> None:
        steps = range(len(out))
        for t in tqdm(
            steps, desc=f"{method} flow of video {video.name}", unit="f", leave=False, delay=0.5
        ):
            out[t] = compute(video.frames[t], video.frames[t + 1], method)

    # float16 keeps a thousandth of a pixel at the speeds of people, in half the space
    return store.array(key, (len(video) - 1, height, width, 2), np.float16, fill)


def compute(a: np.ndarray, b: np.ndarray, method: str = "dis") -> np.ndarray:
    """The flow that leads from frame a to frame b.

    a, b     (H, W), (H, W, 1) or (H, W, 3) uint8, of one size
    method   "dis": Dense Inverse Search (Kroeger et al., 2016), on the CPU, grey values only;
             "raft_small", "raft_large": RAFT (Teed and Deng, 2020), which needs its weights
    returns  (H, W, 2) float32, (dx, dy) in pixels
    Raises VadError for frames that do not fit each other or are too small, an unknown method, or
    weights that cannot be loaded; another method is never used in its place.
    """
    _known(method)
    if a.shape != b.shape or a.dtype != np.uint8 or b.dtype != np.uint8:
        raise VadError(
            f"frames of {a.shape} {a.dtype} and {b.shape} {b.dtype} have no flow between them",
            "Give two uint8 frames of one size.",
        )
    if min(a.shape[:2]) < SMALLEST:
        raise VadError(
            f"frames of {a.shape[0]}x{a.shape[1]} are too small for optical flow",
            f"Use {SMALLEST} pixels a side at least.",
        )
    if method == "dis":
        # None, not zeros: DIS remembers that it was once given a start, and then depends on order
        return _dis().calc(_grey(a), _grey(b), None)  # pyright: ignore
    from vadlib.see import raft  # torch is slow to load, and DIS needs none of it

    return raft.flow(method, a, b)


def resize_flow(flow: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A flow at another size, its vectors rescaled: twice as wide means dx twice as long.

    flow     (H, W, 2) or (N, H, W, 2)
    size     (height, width)
    returns  the same number of axes, float32, pixels per frame at the new size
    """
    if flow.ndim == 4:
        return np.stack([resize_flow(f, size) for f in flow])
    (height, width), (h, w) = flow.shape[:2], size
    # averaging over areas when shrinking keeps small movers from falling between the samples
    how = cv2.INTER_AREA if h <= height and w <= width else cv2.INTER_LINEAR
    resized = cv2.resize(np.asarray(flow, dtype=np.float32), (w, h), interpolation=how)
    return resized * np.array([w / width, h / height], dtype=np.float32)


def magnitude(flow: np.ndarray) -> np.ndarray:
    """Length of each flow vector: (..., 2) -> (...) float32, pixels per frame."""
    flow = np.asarray(flow, dtype=np.float32)
    return np.hypot(flow[..., 0], flow[..., 1])


def _known(method: str) -> None:
    if method not in METHODS:
        raise VadError(f"unknown flow method {method!r}", f"Use one of: {', '.join(METHODS)}.")


def _version(method: str) -> str:
    """What decides a method's result besides the frames; part of the cache's key."""
    if method == "dis":
        return f"dis-0 opencv {cv2.__version__}"
    from vadlib.see import raft

    return f"{method} {raft.weights_of(method)}"


def _grey(frame: np.ndarray) -> np.ndarray:
    """(H, W) uint8 of a grey or RGB frame; a copy, since OpenCV refuses read-only views."""
    if frame.ndim == 3 and frame.shape[-1] == 3:
        return cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY)
    return np.array(frame.reshape(frame.shape[:2]))


@functools.cache
def _dis() -> cv2.DISOpticalFlow:
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    # All of OpenCV's presets stop at half or a quarter of the resolution and enlarge the result.
    # That suits large videos; at 128x192 a pedestrian's legs are two pixels wide there.
    dis.setFinestScale(0)
    return dis
