"""How far a number would move with other videos: bootstrap over videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from vadlib.errors import VadError


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
