"""What MSTI-Net's claims are judged by: two ladders, measured from kept scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from vadlib.errors import VadError
from vadlib.lab.claims import Difference
from vadlib.lab.compare import Measure, Tested, Weighted, compared, mean, term_auc
from vadlib.lab.records import read_scores
from vadlib.measure.intervals import Interval

RUNGS = {"A": "-appearance", "B": "-apart", "C": "-concat", "D": "-nomemory", "E": ""}
WHAT = {
    "A": "appearance, memory",
    "B": "+ motion, met at the end",
    "C": "+ direct fusion",
    "D": "ASTFM, no memory",
    "E": "ASTFM and memory",
}
# how a rung is measured: term of its scores, protocol
MEASURES = {
    "headline": ("score", "headline"),
    "paper's protocol": ("paper", "headline"),
    "min-max PSNR": ("psnr", "per-video min-max"),
}
OTHERS = {"raw PSNR": ("psnr", "headline")}


def record(rung: str, data: str = "ped2", bare: bool = False) -> str:
    """The record of a rung of the ladder; bare: without skips, everything through the memory."""
    return f"msti{'-bare' * bare}{RUNGS[rung]}-{data}-standard"


def step(
    one: str,
    other: str,
    measure: str = "headline",
    data: str = "ped2",
    bare: bool = False,
    kind: str = "",
) -> Difference:
    """One rung minus another, by one of MEASURES or OTHERS."""
    term, protocol = (MEASURES | OTHERS)[measure]
    names = record(one, data, bare), record(other, data, bare)
    return Difference(*names, term, protocol=protocol, kind=kind)


def at(name: str, term: str = "score", protocol: str = "headline", kind: str = ""):
    """AUC of one record, with its interval over videos; None without scores."""
    return compared(term_auc(term, protocol, kind), name, 0.0)


def told(found: Interval | None) -> str:
    """On which side of zero an interval lies."""
    if found is None:
        return "not run"
    return "ahead" if found.low > 0 else "behind" if found.high < 0 else "not told apart"


def listed(words: Iterable[str], none: str = "none") -> str:
    """Words as prose has them: "a, b and c"."""
    *rest, last = [*words] or [none]
    return f"{', '.join(rest)} and {last}" if rest else last


def sides(found: dict[str, Interval | None]) -> str:
    """In which measures one is ahead, behind, or neither: "ahead in x and y, behind in z"."""
    names: dict[str, list[str]] = {}
    for name, interval in found.items():
        names.setdefault(told(interval), []).append(name)
    return ", ".join(f"{side} in {listed(rest)}" for side, rest in names.items())


def effect(found: dict[str, Interval | None]) -> str:
    """What the intervals of one step, in several measures, say together."""
    told_apart = {told(interval) for interval in found.values()} - {"not told apart"}
    if "not run" in told_apart:
        return "has not been run yet"
    if not told_apart:
        return "has no effect that can be told from luck"
    if len(told_apart) > 1:
        return "helps in some measures and harms in others"
    return "helps in some measure" if told_apart == {"ahead"} else "harms in some measure"


def quality(odd: bool, kind: str = "") -> Measure:
    """Mean PSNR of abnormal frames, or of normal ones, in decibels."""

    def measure(videos: Tested) -> Weighted:
        keep = [not kind or kind in t.truth["kind"] for _, t in videos]
        cut = [
            (t.labels[s.index] > 0) == odd if k else slice(0)
            for (s, t), k in zip(videos, keep, strict=True)
        ]
        return mean([-s.terms["psnr"][c] for (s, _), c in zip(videos, cut, strict=True)])

    return measure


def standout(kind: str = "") -> Measure:
    """By how many decibels abnormal frames are predicted worse than normal ones."""

    def measure(videos: Tested) -> Weighted:
        calm, odd = quality(False, kind)(videos), quality(True, kind)(videos)
        return lambda w: calm(w) - odd(w)

    return measure


@dataclass(frozen=True)
class Measured:
    """Evidence that is no AUC: one of the measures above, of one record minus another or 0."""

    measure: str
    first: str
    second: str | float = 0.0
    kind: str = ""

    @property
    def records(self) -> tuple[str, ...]:
        """Both, or the one that stands against a number."""
        return tuple(x for x in (self.first, self.second) if isinstance(x, str))

    def interval(self) -> Interval | None:
        """First minus second; None without records."""
        return compared({"standout": standout}[self.measure](self.kind), self.first, self.second)


@dataclass(frozen=True)
class AboveChance:
    """Evidence: AUC of a term minus one half."""

    name: str
    term: str = "score"

    @property
    def records(self) -> tuple[str, ...]:
        """The one."""
        return (self.name,)

    def interval(self) -> Interval | None:
        """How far above chance; None without records."""
        return compared(term_auc(self.term), self.name, 0.5)


@dataclass(frozen=True)
class OverUntrained:
    """Evidence: AUC of a record minus that of a rule that has learned nothing, each in the paper's
    protocol, all seeds against the one run of the rule, on the frames that both speak for."""

    first: str
    rule: str

    @property
    def records(self) -> tuple[str, ...]:
        """Both."""
        return self.first, self.rule

    def interval(self) -> Interval | None:
        """First minus rule; None without records."""
        try:
            scores = {s.video: s for s in read_scores(self.rule, 0)}
        except VadError:
            return None

        def measure(videos: Tested) -> Weighted:
            same = []
            for s, t in videos:
                rule = scores[t.name]
                keep = np.isin(rule.index, s.index)
                own = {"frame": rule.frame[keep], "index": rule.index[keep]}
                same.append((replace(rule, **own, heatmap=None, terms={}, facts={}), t))
            ours = term_auc("paper")(videos)
            theirs = term_auc("score", "per-video min-max")(same)
            return lambda w: ours(w) - theirs(w)

        return compared(measure, self.first, 0.0)
