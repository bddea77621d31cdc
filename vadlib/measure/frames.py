"""From scores and labels of frames to numbers: AUC, ROC, equal error rate, average precision."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.metrics import average_precision_score

from vadlib.errors import VadError
from vadlib.measure.checks import ONE_CLASS, Arrays, _both_classes, _frames, _one_of, _pool


def frame_auc(
    scores: Arrays, labels: Arrays, average: str = "micro", single_class: str = "skip"
) -> float:
    """Area under the ROC curve: the chance that an abnormal frame outscores a normal one.

    scores, labels  one (T,) array a video; any real numbers, and 0/1
    average         "micro": all frames of all videos in one pool;
                    "macro": the mean of the videos' own AUCs
    single_class    what macro does with a video of one class, whose AUC does not exist:
                    "skip" leaves it out; "pad" gives every video one more normal frame with the
                    lowest score of all and one more abnormal frame with the highest, as several
                    published evaluations do. Padding is inflated: it presents a video of one
                    class with an AUC of about 1, and random scores on Ped2 with 68.6 %.
    Returns a fraction in 0..1; ties count one half. Raises VadError for lengths that differ,
    NaN, other labels, one class only (macro: in every video) and unknown options.
    """
    _one_of("average", average, ("micro", "macro"))
    _one_of("single_class", single_class, ("skip", "pad"))
    series, truth = _frames(scores, labels)
    if average == "micro":
        return _pooled_auc(np.concatenate(series), np.concatenate(truth))
    if single_class == "pad":
        low, high = min(s.min() for s in series), max(s.max() for s in series)
        series = [np.concatenate([[low], s, [high]]) for s in series]
        truth = [np.concatenate([[False], t, [True]]) for t in truth]
    aucs = [_pooled_auc(s, t) for s, t in zip(series, truth, strict=True) if 0 < t.sum() < len(t)]
    if not aucs:
        raise VadError("no video has both normal and abnormal frames", ONE_CLASS)
    return float(np.mean(aucs))


def roc_points(scores: Arrays, labels: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ROC curve of all frames: false and true positive rates, and the thresholds.

    Returns three (K,) arrays from (0, 0) at threshold infinity to (1, 1), one point for each
    distinct score: a frame is called abnormal when its score reaches the threshold (MAAM-Net,
    eq. 12).
    Raises VadError as `frame_auc` does.
    """
    values, truth = _pool(scores, labels)
    values = values.astype(np.float64)  # minus an unsigned number would wrap around
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)  # ends of ties
    hits = np.cumsum(truth)[last]
    false = last + 1 - hits
    fpr, tpr = np.append(0, false) / false[-1], np.append(0, hits) / hits[-1]
    return fpr, tpr, np.append(np.inf, values[last])


def eer(scores: Arrays, labels: Arrays) -> float:
    """Equal error rate: where the ROC curve crosses 1 - TPR = FPR, between points linearly.

    Returns a fraction in 0..1, lower is better. Raises VadError as `frame_auc` does.
    """
    fpr, tpr, _ = roc_points(scores, labels)
    return float(np.interp(0.0, fpr + tpr - 1, fpr))


def average_precision(scores: Arrays, labels: Arrays) -> float:
    """Average precision, sum of (R_k - R_{k-1}) P_k over all frames; random gives the base rate.

    This is the step sum; `auc(recall, precision)` by trapezoids, seen in some published code, is
    another number. Returns a fraction in 0..1. Raises VadError as `frame_auc` does.
    """
    values, truth = _pool(scores, labels)
    return float(average_precision_score(truth, values))


def _auc(abnormal: np.ndarray, normal: Iterable[np.ndarray]) -> float:
    """P(abnormal > normal) + P(equal) / 2, counted over all pairs; normal comes in pieces."""
    abnormal, wins, pairs = np.sort(abnormal), 0, 0
    for piece in normal:
        piece = np.sort(piece)
        wins += int(np.searchsorted(piece, abnormal, "left").sum())  # outscored
        wins += int(np.searchsorted(piece, abnormal, "right").sum())  # outscored or equalled
        pairs += 2 * len(piece) * len(abnormal)
    return wins / pairs


def _pooled_auc(values: np.ndarray, truth: np.ndarray) -> float:
    _both_classes(truth)
    return _auc(values[truth], [values[~truth]])
