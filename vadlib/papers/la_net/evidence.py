"""What LA-Net's claims are judged by, beside the AUC over all frames: measures of kept scores."""

from __future__ import annotations

import numpy as np

from vadlib.detector import Scores
from vadlib.lab import compare
from vadlib.lab.compare import Tested, Truth, Weighted, auc, mean
from vadlib.measure.intervals import Interval


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


def compared(
    measure: str, first: str, second: str | float, sign: float = 1.0, draws: int = 1000
) -> Interval | None:
    """`lab.compare.compared` by one of MEASURES."""
    return compare.compared(MEASURES[measure], first, second, sign, draws)
