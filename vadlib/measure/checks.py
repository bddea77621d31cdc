"""What may be measured: scores and truth in pairs, or an error that says what is amiss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from vadlib.errors import VadError

Pair = tuple[np.ndarray, np.ndarray]
Arrays = Sequence[Any] | np.ndarray
ONE_CLASS = "These metrics compare abnormal with normal: give videos in which both occur."


def _pool(scores: Arrays, labels: Arrays) -> tuple[np.ndarray, np.ndarray]:
    series, truth = _frames(scores, labels)
    values, pooled = np.concatenate(series), np.concatenate(truth)
    _both_classes(pooled)
    return values, pooled


def _both_classes(truth: np.ndarray) -> None:
    if not 0 < np.count_nonzero(truth) < len(truth):
        kind = "abnormal" if truth[0] else "normal"
        raise VadError(f"labels: all {len(truth)} frames are {kind}", ONE_CLASS)


def _frames(scores: Arrays, labels: Arrays) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One finite (T,) array of scores and one of bool labels a video."""
    pairs = _paired(scores, labels, ndim=1, what="scores")
    return [s for s, _ in pairs], [t for _, t in pairs]


def _paired(given: Arrays, true: Arrays, ndim: int, what: str) -> list[Pair]:
    """Predictions and bool truth, video by video; a lone array is one video."""
    given, true = (_listed(x, ndim, name) for x, name in ((given, what), (true, "labels")))
    if len(given) != len(true):
        raise VadError(
            f"{what}: {len(given)} videos against labels of {len(true)}",
            "Give one array a video on both sides, in the same order.",
        )
    names = (f"{what} of video {i}" for i in range(len(given)))
    return [_checked(g, t, ndim, n) for g, t, n in zip(given, true, names, strict=False)]


def _listed(given: Any, ndim: int, what: str) -> list[Any]:
    """A list with something for each video; a lone array is one video."""
    if isinstance(given, str | bytes | dict) or not hasattr(given, "__getitem__"):
        raise VadError(f"{what}: a {type(given).__name__}", "Give a list with one array a video.")
    if getattr(given, "ndim", 1) == 0 or not hasattr(given, "__len__") or len(given) == 0:
        raise VadError(f"{what}: nothing to measure", "Give at least one video.")
    parts = list(given)
    return [given] if _array(parts[0], what).ndim == ndim - 1 else parts


def _array(given: Any, what: str) -> np.ndarray:
    """Something as an array. Raises VadError for what is none, such as rows of unequal length."""
    try:
        return np.asarray(given)
    except Exception as error:  # whatever the type that it is has to say
        raise VadError(f"{what}: not an array ({error})", "Give arrays of numbers.") from error


def _checked(given: Any, true: Any, ndim: int, name: str) -> Pair:
    given, true = _array(given, name), _array(true, f"labels of {name}")
    if given.ndim != ndim or true.ndim != ndim or not given.size or not true.size:
        raise VadError(
            f"{name}: shape {given.shape} with labels of shape {true.shape}",
            f"Both must have {ndim} dimensions and not be empty.",
        )
    if len(given) != len(true):
        raise VadError(
            f"{name}: {len(given)} frames with {len(true)} labels",
            "Take the labels of the scored frames only: scores.labels(video), scores.masks(video).",
        )
    if given.dtype.kind not in "fiub" or not np.isfinite(given).all():
        raise VadError(
            f"{name}: not all are finite numbers",
            "Look for a division by zero or a diverged training run.",
        )
    if true.dtype != bool:
        if true.dtype.kind not in "fiu" or not ((true == 0) | (true == 1)).all():
            raise VadError(f"{name}: labels other than 0 and 1", "Compare first, as in mask > 0.")
        true = true == 1
    return given, true


def _resized(pairs: list[Pair]) -> Iterator[Pair]:
    """Heat maps in float32 at the size of their masks."""
    for heat, mask in pairs:
        heat = np.ascontiguousarray(heat, np.float32)
        if heat.shape != mask.shape:
            size = mask.shape[2], mask.shape[1]
            heat = np.stack([cv2.resize(h, size, interpolation=cv2.INTER_LINEAR) for h in heat])
        yield heat, mask


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in known:
        raise VadError(f"{name} is {value!r}", f"Choose one of: {', '.join(known)}.")
