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
from vadlib.measure.frames import frame_auc
from vadlib.measure.intervals import Interval, Weighted, auc, mean, weighted_bootstrap

Tested = Sequence[tuple[Scores, Truth]]  # what one seed has tested, and its truth
Measure = Callable[[Tested], Weighted]


def term_auc(term: str = "score", protocol: str = "headline", kind: str = "") -> Measure:
    """AUC of a term of the scores, under a named protocol; with a kind, over the videos that hold
    it alone (Plaza). Raises VadError for an unknown protocol."""
    from vadlib.measure.evaluate import PROTOCOLS, apply  # needs PyTorch; claims do not

    if protocol not in PROTOCOLS:
        raise VadError(f"unknown protocol {protocol!r}", f"Use one of: {', '.join(PROTOCOLS)}.")
    wanted = PROTOCOLS[protocol]

    def measure(videos: Tested) -> Weighted:
        values = apply(wanted, [s.frame if term == "score" else s.terms[term] for s, _ in videos])
        labels = [t.labels[s.index] for s, t in videos]
        keep = [not kind or kind in t.truth.get("kind", ()) for _, t in videos]
        cut = [slice(None) if k else slice(0) for k in keep]
        values, labels = ([x[c] for x, c in zip(xs, cut, strict=True)] for xs in (values, labels))
        if wanted["average"] == "macro":
            return _macro(values, labels, wanted["single_class"])
        return auc(values, labels)

    return measure


def _macro(
    scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], single_class: str
) -> Weighted:
    """The mean of the videos' own AUCs; a video of one class has none, unless it is padded."""
    ends = [f(np.concatenate(scores)) for f in (np.min, np.max)] if any(map(len, scores)) else []
    own = []
    for s, y in zip(scores, labels, strict=True):
        if single_class == "pad" and len(s):
            s, y = np.concatenate([s, ends]), np.concatenate([y, [0, 1]])
        own.append(np.array([frame_auc(s, y)] if 0 < (y > 0).sum() < len(y) else []))
    return mean(own)


def seeds_of(name: str) -> list[int]:
    """The seeds of a record; none where there is no record."""
    path = kept("results") / f"{name}.json"
    return read_record(path)["seeds"] if path.exists() else []


def _drawn(name: str) -> bool:
    """Whether another seed would give another record, by its cost: weights, trained on frames."""
    path = kept("results") / f"{name}.json"
    cost = read_record(path)["runs"][0].get("cost") or {} if path.exists() else {}
    return bool(cost.get("params") and cost.get("train_frames"))


def seeds_between(*names: str) -> list[tuple[int, ...]]:
    """Which seeds of records stand against each other, a tuple for each: equal ones.

    A record of one seed in which nothing is drawn stands against every seed of the others.
    """
    each = {name: seeds_of(name) for name in names}
    fixed = {name for name, seeds in each.items() if len(seeds) == 1 and not _drawn(name)}
    sets = [set(seeds) for name, seeds in each.items() if name not in fixed]
    common = sorted(set.intersection(*sets)) if sets else [0]
    if not all(each.values()):
        return []
    return [tuple(each[n][0] if n in fixed else seed for n in names) for seed in common]


@cache
def _kept(name: str, seed: int, *_: Any) -> Tested:
    """Scores and labels, which are in one order. Two draws with equal labels share a file of them,
    and its names are those of one of the draws: the scores know better."""
    pairs = zip(read_scores(name, seed), read_truth(name, seed), strict=True)
    return [(s, replace(t, name=s.video)) for s, t in pairs]


def tested(name: str, seed: int) -> Tested:
    """What a seed of a record has tested, read once: a page compares many pairs of few records.

    Raises VadError where scores or labels were not kept.
    """
    path = kept("scores") / scores_path(name, seed).name
    return _kept(name, seed, path, path.stat().st_mtime_ns if path.exists() else 0)


def _paired(one: Tested, two: Tested) -> list[Tested]:
    """Two records of the same videos, each cut to the frames that both have scored."""
    others = {s.video: (s, t) for s, t in two}
    pairs = [(first, others[first[0].video]) for first in one]
    shared = [np.intersect1d(a.index, b.index) for (a, _), (b, _) in pairs]
    return [
        [(_cut(s, index), t) for (s, t), index in zip(side, shared, strict=True)]
        for side in zip(*pairs, strict=True)
    ]


def _cut(scores: Scores, index: np.ndarray) -> Scores:
    keep = np.isin(scores.index, index)
    if keep.all():
        return scores
    terms = {k: v[keep] for k, v in scores.terms.items()}
    return replace(scores, frame=scores.frame[keep], index=scores.index[keep], terms=terms)


def compared(
    measure: Measure,
    first: str,
    second: str | float,
    sign: float = 1.0,
    draws: int = 1000,
    other: Measure | None = None,
) -> Interval | None:
    """A measure of one record minus that of another (or a number), mean of their common seeds; a
    record of one seed, in which nothing is drawn, stands against every seed of the other
    (`seeds_between`).

    first, second  names of records; they may be one, where `other` measures it otherwise
    sign           -1 turns the difference, where less is better
    other          the measure of the second; that of the first when None
    Both are measured on the frames that both have scored. Draws without a value (one class only)
    are drawn again. Returns None where a record, its scores or its labels are missing. Raises
    VadError for different videos with one seed, for unknown terms, and where no draw has a value.
    """
    records = [first, second] if isinstance(second, str) else [first]
    base = 0.0 if isinstance(second, str) else second
    pairs = seeds_between(*records)
    try:
        found = [[tested(*run) for run in zip(records, pair, strict=True)] for pair in pairs]
    except VadError:  # not kept
        return None
    if not found:
        return None
    runs = []
    for pair, sides in zip(pairs, found, strict=True):
        names = [sorted(s.video for s, _ in side) for side in sides]
        if names[-1] != names[0]:
            raise VadError(
                f"{first} and {second} have tested different videos with seed {pair[0]}",
                "Compare records of one data set.",
            )
        sides = _paired(*sides) if len(sides) == 2 else sides
        how = [measure, other or measure][: len(sides)]
        try:
            values = [m(side) for m, side in zip(how, sides, strict=True)]
        except KeyError as error:
            known = ", ".join(sides[-1][0][0].terms)
            raise VadError(f"{first}, {second}: no term {error}", f"Kept are: {known}.") from error
        runs.append(([s.video for s, _ in sides[0]], values))
    names = sorted({name for videos, _ in runs for name in videos})
    place = {name: i for i, name in enumerate(names)}

    def value(w: np.ndarray) -> np.ndarray:
        parts = [[m(w[:, [place[n] for n in videos]]) for m in values] for videos, values in runs]
        return sign * np.mean([one - sum(rest) - base for one, *rest in parts], 0)

    return weighted_bootstrap(value, len(names), draws)
