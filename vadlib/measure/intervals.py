"""How far a number would move with other videos: bootstrap over videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from vadlib.errors import VadError

Weighted = Callable[[np.ndarray], np.ndarray]  # (draws, videos) counts -> measures, NaN where none


@dataclass(frozen=True, eq=False)
class Interval:
    """A value with its bootstrap percentile interval; draws (D,) holds every resampled value."""

    value: float
    low: float
    high: float
    draws: np.ndarray


def bootstrap(
    metric: Callable[[list, list], float],
    scores: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    other: Sequence[np.ndarray] | None = None,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """How far a metric would move with other videos of the same kind: percentile bootstrap.

    Videos, not frames, are drawn with replacement: frames of one video are no independent
    evidence. Draws in which the metric does not exist (one class only) are drawn again.

    metric  (scores, labels) -> float on lists with one array a video, such as `frame_auc`
    other   a second detector's scores on the same videos: the interval is then of the paired
            difference metric(scores) - metric(other), both on the same drawn videos
    Raises VadError for fewer than two videos, videos that differ in number, and as the metric does.
    """
    given = [scores, labels] + ([] if other is None else [other])
    listed = all(isinstance(g, list | tuple) or np.ndim(g) > 0 for g in given)
    count = len(labels) if listed else 0
    if count < 2 or any(len(g) != count for g in given):
        raise VadError(
            f"bootstrap over labels of {count} videos, or scores of another number",
            "Give two videos or more, and one array a video everywhere.",
        )
    kinds = isinstance(draws, Integral) and isinstance(level, Real)
    if not kinds or draws < 1 or not 0 < level < 1:
        raise VadError(f"draws is {draws}, level is {level}", "Take draws >= 1, level in (0, 1).")

    def value(pick: Iterable[int]) -> float:
        truth = [labels[i] for i in pick]
        one = metric([scores[i] for i in pick], truth)
        return one if other is None else one - metric([other[i] for i in pick], truth)

    whole, rng, values = value(range(count)), np.random.default_rng(seed), []
    for _ in range(100 * draws):
        try:
            values.append(value(rng.integers(count, size=count).tolist()))
        except VadError:  # the whole set passed, so the draw is of one class
            continue
        if len(values) == draws:
            low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
            return Interval(whole, float(low), float(high), np.array(values))
    raise VadError("bootstrap: fewer than 1 draw in 100 has both classes", "Add videos.")


def _ratio(part: np.ndarray, of: np.ndarray) -> np.ndarray:
    return np.divide(part, of, out=np.full(len(of), np.nan), where=of > 0)


def auc(scores: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Weighted:
    """The AUC of videos by how often each is drawn: it counts pairs of frames, won by the abnormal
    one, so that pairs of videos add up. One array a video, which may be empty; ties count half.
    """
    odd, calm = ([s[(y > 0) == k] for s, y in zip(scores, labels, strict=True)] for k in (1, 0))
    owner, frames = np.repeat(np.arange(len(odd)), [len(o) for o in odd]), np.concatenate(odd)
    won = np.zeros((len(odd), len(calm)))
    for j, c in enumerate(map(np.sort, calm)):
        beaten = sum(np.searchsorted(c, frames, side) for side in ("left", "right")) / 2
        won[:, j] = np.bincount(owner, beaten, len(odd))
    sizes = [np.array([len(x) for x in part], float) for part in (odd, calm)]
    return lambda w: _ratio(((w @ won) * w).sum(1), (w @ sizes[0]) * (w @ sizes[1]))


def mean(values: Sequence[np.ndarray]) -> Weighted:
    """The mean over all numbers of the videos drawn: one array a video, which may be empty."""
    total, size = (np.array([f(v) for v in values], float) for f in (np.sum, len))
    return lambda w: _ratio(w @ total, w @ size)


def weighted_bootstrap(value: Weighted, count: int, draws: int = 1000) -> Interval:
    """As `bootstrap`, of which it takes the draws, of a measure that knows weights: much faster.

    count  of videos
    Raises VadError as `bootstrap` does for draws that lack a class.
    """
    rng, drawn = np.random.default_rng(0), np.zeros(0)
    for _ in range(100):
        picks = rng.integers(count, size=(draws, count))
        more = value(np.array([np.bincount(p, minlength=count) for p in picks], float))
        drawn = np.concatenate([drawn, more[np.isfinite(more)]])[:draws]
        if len(drawn) == draws:
            low, high = np.quantile(drawn, [0.025, 0.975])
            return Interval(float(value(np.ones((1, count)))[0]), float(low), float(high), drawn)
    raise VadError("bootstrap: fewer than 1 draw in 100 has both classes", "Add videos.")
