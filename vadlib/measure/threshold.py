"""At which setting of a dial a method sees: a psychometric function, fitted to AUCs.

An AUC is the share of right answers in a choice between two frames, one of them abnormal
(Hanley and McNeil, 1982), so that the tools of eye tests fit it: psignifit (Schuett et al., 2016)
with a guess rate of one half. Frames of one video are no independent answers; how many answers
an AUC is worth is read from its bootstrap over videos.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vadlib.errors import VadError
from vadlib.measure.frames import frame_auc
from vadlib.measure.intervals import Interval, Weighted, auc, mean, weighted_bootstrap

SEES = 0.75  # half-way between guessing and never failing
FEWEST_VIDEOS, FEWEST_POINTS = 6, 4


@dataclass(frozen=True, eq=False)
class Curve:
    """AUC against one dial: a value and an interval (bootstrap over videos) at each setting."""

    dial: str
    at: np.ndarray  # (k,) settings, rising
    auc: list[Interval]

    @property
    def values(self) -> np.ndarray:
        """(k,) the AUCs."""
        return np.array([a.value for a in self.auc])


@dataclass(frozen=True)
class Threshold:
    """The setting at which an AUC passes 75, with its interval.

    at      None where it does not within the settings tried
    low     not below the lowest of them; `high` may lie beyond the largest
    falls   whether the method sees below the setting, as with noise, or above it
    level   AUC at the setting where the method should see best, by the fit
    """

    at: float | None
    low: float
    high: float
    falls: bool
    level: float
    largest: float

    @property
    def blind(self) -> bool:
        """Whether nothing that was tried is seen."""
        return self.at is None and self.level < SEES

    @property
    def words(self) -> str:
        """The threshold as a table says it."""
        if self.at is not None:
            high = f"{self.high:.2f}" if self.high <= self.largest else f"beyond {self.largest:g}"
            return f"{self.at:.2f} ({self.low:.2f} to {high})"
        if self.falls:
            return "not at any" if self.blind else f"bears all, up to {self.largest:g}"
        return f"not up to {self.largest:g}" if self.blind else "at all tried"


def curve(
    dial: str,
    at: Sequence[float],
    scores: Sequence[Sequence[np.ndarray]],
    labels: Sequence[Sequence[np.ndarray]],
    draws: int = 1000,
) -> Curve:
    """AUC at each setting, with intervals over videos; scores and labels by setting and video.

    Raises VadError for fewer than six videos at a setting, or four settings.
    """
    weighted = [auc(s, y) for s, y in zip(scores, labels, strict=True)]
    return _curve(dial, at, weighted, [len(s) for s in scores], draws)


def twin_curve(
    dial: str,
    at: Sequence[float],
    scores: Sequence[Sequence[np.ndarray]],
    labels: Sequence[Sequence[np.ndarray]],
    draws: int = 1000,
) -> Curve:
    """As `curve`, but each video against its twin at the lowest setting: all else is equal.

    The abnormal frames of a video are told from the same frames of its twin: an AUC for each
    video, and their mean. At the lowest setting it is one half.
    Raises VadError as `curve` does, and for videos whose twins have other frames.
    """
    twins = scores[int(np.argmin(at))] if len(at) else []
    if any([len(s) for s in row] != [len(s) for s in twins] for row in scores):
        raise VadError(
            f"{dial} has videos at one setting that differ in length from those at its lowest",
            "Film the same videos at each setting.",
        )
    aucs = [
        [
            np.array([_told(s, twin, y)])
            for s, twin, y in zip(row, twins, seen, strict=True)
            if (y > 0).any()  # what is abnormal may have stayed out of view
        ]
        for row, seen in zip(scores, labels, strict=True)
    ]
    return _curve(dial, at, [mean(row) for row in aucs], [len(row) for row in aucs], draws)


def _told(scores: np.ndarray, twin: np.ndarray, labels: np.ndarray) -> float:
    """AUC of a video's abnormal frames against the same frames of its twin."""
    there = labels > 0
    both, sides = np.concatenate([scores[there], twin[there]]), np.repeat([1, 0], there.sum())
    return frame_auc([both], [sides])


def _curve(
    dial: str, at: Sequence[float], measures: list[Weighted], videos: list[int], draws: int
) -> Curve:
    if min(videos, default=0) < FEWEST_VIDEOS or len(at) < FEWEST_POINTS:
        raise VadError(
            f"{dial} has {len(at)} settings with {min(videos, default=0)} videos or more: "
            "too few for a threshold",
            f"Take {FEWEST_POINTS} settings and {FEWEST_VIDEOS} videos at each: profile standard.",
        )
    order = np.argsort(at)
    aucs = [weighted_bootstrap(measures[i], videos[i], draws) for i in order]
    return Curve(dial, np.asarray(at, float)[order], aucs)


def worth(auc: Interval, videos: int, most: int = 400) -> int:
    """How many independent answers have the spread of an AUC: at least one for each video."""
    spread = float(np.var(auc.draws))
    return int(np.clip(auc.value * (1 - auc.value) / max(spread, 1e-9), videos, most))


def threshold(curve: Curve, falls: bool = False, videos: int = FEWEST_VIDEOS) -> Threshold:
    """Where a curve passes 75.

    falls  the AUC falls as the dial rises
    Raises VadError where psignifit is missing, and where its fit does not converge.
    """
    try:
        psignifit = importlib.import_module("psignifit")
    except ImportError as error:
        raise VadError(
            "a threshold needs psignifit, which is not installed",
            "Install it: pip install psignifit==4.3 (its licence is GPL-3; vadlib's is MIT).",
        ) from error
    trials = np.array([worth(a, videos) for a in curve.auc])
    # A falling curve is fitted as a rising one, on the axis turned round: psignifit 4.3 finds a
    # flat line with its own falling functions.
    at = -curve.at if falls else curve.at
    data = np.stack([at, np.round(curve.values * trials), trials], 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it warns of is in the interval
            fit = psignifit.psignifit(
                data,
                sigmoid="norm",
                experiment_type="2AFC",
                stimulus_range=(float(at.min()), float(at.max())),
                fixed_parameters={"eta": 0.0},  # how videos differ is in the number of answers
                verbose=False,
            )
    except Exception as error:  # its own, numpy's and scipy's
        raise VadError(
            f"the fit of {curve.dial} does not converge ({error})",
            "Add settings around the one where the AUC rises, or videos at each.",
        ) from error
    return read(fit, curve, falls)


def read(fit: Any, curve: Curve, falls: bool) -> Threshold:
    """The threshold of a fit: where its function passes 75, if it does within the settings.

    Raises VadError for a fit that is no curve.
    """
    sign, first, last = -1.0 if falls else 1.0, float(curve.at[0]), float(curve.at[-1])
    ends = sorted((sign * first, sign * last))
    worst, best = (float(fit.proportion_correct(x)) for x in ends)
    if not np.isfinite([worst, best]).all():
        raise VadError(
            f"the fit of {curve.dial} does not converge (at its ends it is {worst} and {best})",
            "Add settings around the one where the AUC rises, or videos at each.",
        )
    nan = float("nan")
    if best < SEES or worst >= SEES:
        return Threshold(None, nan, nan, falls, best, last)
    at, middle = float(fit.threshold(SEES, return_ci=False)), fit.parameter_estimate["threshold"]
    # where a method also fails on what is large, 75 is not the middle of its curve
    low, high = (float(x) + at - middle for x in fit.confidence_intervals["threshold"]["0.95"])
    low, high = sorted((sign * low, sign * high))
    return Threshold(sign * at, max(low, first), high, falls, best, last)
