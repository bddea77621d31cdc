"""What LA-Net's claims are judged by: measures of one record less those of another, with a paired
bootstrap over videos, from kept scores and labels. Nothing is trained.

Where every seed draws its own test videos (Ped2), a draw of the bootstrap is one of all videos, and
each seed takes of it what it has tested: seeds that share a video share its luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab.records import (
    Truth,
    kept,
    read_records,
    read_scores,
    read_truth,
    scores_path,
)
from vadlib.measure.intervals import Interval

Weighted = Callable[[np.ndarray], np.ndarray]  # (draws, videos) counts -> measures, NaN where none
Tested = Sequence[tuple[Scores, Truth]]  # what one seed has tested, and its truth


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


def frames(videos: Tested) -> Weighted:
    """AUC over all frames."""
    return auc([s.frame for s, _ in videos], [t.labels[s.index] for s, t in videos])


def inside(videos: Tested) -> Weighted:
    """AUC over the frames of abnormal videos alone: to tell videos apart is no help."""
    cut = [slice(None) if t.labels.any() else slice(0) for _, t in videos]
    pairs = list(zip(videos, cut, strict=True))
    return auc([s.frame[c] for (s, _), c in pairs], [t.labels[s.index][c] for (s, t), c in pairs])


def whole(videos: Tested) -> Weighted:
    """AUC of each video's highest score against its label: how well videos are told apart."""
    return auc(
        [s.frame.max(keepdims=True) for s, _ in videos],
        [t.labels.max(keepdims=True) for _, t in videos],
    )


def outside(videos: Tested) -> Weighted:
    """Mean score of the normal frames of abnormal videos."""
    return mean([s.frame[(t.labels[s.index] == 0) & t.labels.any()] for s, t in videos])


def moves(scores: Scores, truth: Truth) -> np.ndarray:
    """Of each pair of neighbouring snippets: feature dynamics, score dynamics, and 1 where the
    label changes: (3, T-1); without any pair for a normal video.

    A snippet's frames share score and dynamics, so that its length shows in where these change.
    """
    both = np.stack([scores.frame, scores.terms["dynamics"]])
    starts = np.flatnonzero((np.diff(both) != 0).any(0)) + 1
    span = int(np.gcd.reduce(starts)) or both.shape[1]
    starts = np.arange(0, both.shape[1], span)
    y = np.maximum.reduceat(truth.labels[scores.index], starts).astype(int)
    found = np.stack([both[1, starts][1:], *np.abs(np.diff([both[0, starts], y]))])
    return found if truth.labels.any() else found[:, :0]


def edges(videos: Tested) -> Weighted:
    """AUC with which feature dynamics find the edges of anomalies among all pairs of neighbours."""
    found = [moves(s, t) for s, t in videos]
    return auc([f[0] for f in found], [f[2] for f in found])


def agreement(videos: Tested) -> Weighted:
    """Mean correlation of feature and score dynamics within an abnormal video."""
    found = [moves(s, t)[:2] for s, t in videos]
    return mean(
        [np.corrcoef(f)[:1, 1] if f.size and f.std(1).all() else np.zeros(0) for f in found]
    )


MEASURES = {m.__name__: m for m in (frames, inside, whole, outside, edges, agreement)}


def seeds_of(name: str) -> list[int]:
    """The seeds of a record; none where there is no record."""
    return [seed for r in read_records() if r["name"] == name for seed in r["seeds"]]


@cache
def _kept(name: str, seed: int, *_: Any) -> Tested:
    """Scores and labels, which are in one order. Two draws with equal labels share a file of them,
    and its names are those of one of the draws: the scores know better."""
    pairs = zip(read_scores(name, seed), read_truth(name, seed), strict=True)
    return [(s, replace(t, name=s.video)) for s, t in pairs]


@cache
def _measured(measure: str, *run: Any) -> tuple[list[str], Weighted]:
    found = _kept(*run)
    return [t.name for _, t in found], MEASURES[measure](found)


def measured(measure: str, name: str, seed: int) -> tuple[list[str], Weighted]:
    """The videos that a seed of a record has tested, and its measure of them.

    Counted once for scores that did not change: a page compares many pairs of few records.
    Raises VadError where scores or labels were not kept.
    """
    path = kept("scores") / scores_path(name, seed).name
    return _measured(measure, name, seed, path, path.stat().st_mtime_ns if path.exists() else 0)


def compared(
    measure: str, first: str, second: str | float, sign: float = 1.0, draws: int = 1000
) -> Interval | None:
    """A measure of one record minus that of another (or a number), mean of their common seeds.

    measure  one of MEASURES; first, second: names of records
    sign     -1 turns the difference, where less is better
    Returns None where a record, its scores or its labels are missing.
    """
    records = [first, second] if isinstance(second, str) else [first]
    base = 0.0 if isinstance(second, str) else second
    seeds = sorted(set.intersection(*(set(seeds_of(name)) for name in records)))
    try:
        runs = [[measured(measure, name, seed) for name in records] for seed in seeds]
    except VadError:
        return None
    if not runs:
        return None
    names = sorted({name for run in runs for name in run[0][0]})
    place = {name: i for i, name in enumerate(names)}

    def value(w: np.ndarray) -> np.ndarray:
        found = [[m(w[:, [place[n] for n in videos]]) for videos, m in run] for run in runs]
        return sign * np.mean([one - sum(rest) - base for one, *rest in found], 0)

    rng, count = np.random.default_rng(0), len(names)
    picks = rng.integers(count, size=(draws, count))
    drawn = value(np.array([np.bincount(p, minlength=count) for p in picks], float))
    drawn = drawn[np.isfinite(drawn)]  # a draw of one class has no AUC
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(value(np.ones((1, count)))[0]), float(low), float(high), drawn)
