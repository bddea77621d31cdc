"""One record against another: a paired bootstrap over videos, from kept scores and labels.

Nothing is trained. Where every seed draws its own test videos (weak Ped2), a draw of the bootstrap
is one of all videos, and each seed takes of it what it has tested: seeds that share a video share
its luck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab.records import Truth, kept, read_record, read_scores, read_truth, scores_path
from vadlib.measure.intervals import Interval

Weighted = Callable[[np.ndarray], np.ndarray]  # (draws, videos) counts -> measures, NaN where none
Tested = Sequence[tuple[Scores, Truth]]  # what one seed has tested, and its truth
Measure = Callable[[Tested], Weighted]


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


def term_auc(term: str = "score", protocol: str = "headline", kind: str = "") -> Measure:
    """AUC over all frames of a term of the scores, as a protocol wants them; with a kind, over the
    videos that hold it alone (Plaza). Averages over frames, not over videos."""
    from vadlib.measure.evaluate import PROTOCOLS, apply  # needs PyTorch; claims do not

    wanted = PROTOCOLS[protocol]

    def measure(videos: Tested) -> Weighted:
        values = apply(wanted, [s.frame if term == "score" else s.terms[term] for s, _ in videos])
        labels = [t.labels[s.index] for s, t in videos]
        keep = [not kind or kind in t.truth.get("kind", ()) for _, t in videos]
        cut = [slice(None) if k else slice(0) for k in keep]
        pairs = list(zip(values, labels, cut, strict=True))
        return auc([v[c] for v, _, c in pairs], [y[c] for _, y, c in pairs])

    return measure


def seeds_of(name: str) -> list[int]:
    """The seeds of a record; none where there is no record."""
    path = kept("results") / f"{name}.json"
    return read_record(path)["seeds"] if path.exists() else []


@cache
def _kept(name: str, seed: int, *_: Any) -> Tested:
    """Scores and labels, which are in one order. Two draws with equal labels share a file of them,
    and its names are those of one of the draws: the scores know better."""
    pairs = zip(read_scores(name, seed), read_truth(name, seed), strict=True)
    return [(s, replace(t, name=s.video)) for s, t in pairs]


def measured(measure: Measure, name: str, seed: int) -> tuple[list[str], Weighted]:
    """The videos that a seed of a record has tested, and its measure of them.

    Read once for scores that did not change: a page compares many pairs of few records.
    Raises VadError where scores or labels were not kept.
    """
    path = kept("scores") / scores_path(name, seed).name
    found = _kept(name, seed, path, path.stat().st_mtime_ns if path.exists() else 0)
    return [t.name for _, t in found], measure(found)


def compared(
    measure: Measure,
    first: str,
    second: str | float,
    sign: float = 1.0,
    draws: int = 1000,
    other: Measure | None = None,
) -> Interval | None:
    """A measure of one record minus that of another (or a number), mean of their common seeds.

    first, second  names of records; they may be one, where `other` measures it otherwise
    other          the measure of the second; that of the first when None
    sign     -1 turns the difference, where less is better
    Returns None where a record, its scores or its labels are missing, and where no draw has both
    classes. Raises VadError for a seed with which the two have tested different videos.
    """
    records = [first, second] if isinstance(second, str) else [first]
    base = 0.0 if isinstance(second, str) else second
    seeds = sorted(set.intersection(*(set(seeds_of(name)) for name in records)))
    try:
        how = [measure, other or measure]
        runs = [
            [measured(m, name, seed) for m, name in zip(how, records, strict=False)]
            for seed in seeds
        ]
    except (VadError, KeyError):  # not kept, or a term that it does not have
        return None
    if not runs:
        return None
    for seed, run in zip(seeds, runs, strict=True):
        if any(sorted(videos) != sorted(run[0][0]) for videos, _ in run):
            raise VadError(
                f"{first} and {second} have tested different videos with seed {seed}",
                "Compare records of one data set.",
            )
    names = sorted({name for run in runs for name in run[0][0]})
    place = {name: i for i, name in enumerate(names)}

    def value(w: np.ndarray) -> np.ndarray:
        found = [[m(w[:, [place[n] for n in videos]]) for videos, m in run] for run in runs]
        return sign * np.mean([one - sum(rest) - base for one, *rest in found], 0)

    rng, count = np.random.default_rng(0), len(names)
    picks = rng.integers(count, size=(draws, count))
    drawn = value(np.array([np.bincount(p, minlength=count) for p in picks], float))
    drawn = drawn[np.isfinite(drawn)]  # a draw of one class has no AUC
    if not len(drawn):
        return None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Interval(float(value(np.ones((1, count)))[0]), float(low), float(high), drawn)
