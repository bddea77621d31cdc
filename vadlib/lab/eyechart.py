"""The eye chart: how large an anomaly must be for a method to see it, and what it bears.

A method is trained once, on the everyday life of a level, and tested on films in which one dial is
turned: the effect of one kind of anomaly, or one of the conditions under which all are filmed. The
record of it is like any other, with one AUC for each setting of a dial; `vadlib.measure.threshold`
reads the setting from it at which an AUC passes 75.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from vadlib.data import plaza
from vadlib.data.base import Video
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab.experiment import BEYOND, Experiment, Method, roots_of
from vadlib.lab.records import Truth, read_scores, read_truth
from vadlib.lab.sets import PROFILES, SIZES
from vadlib.lab.stamp import stamp

LEVEL_SETS = {"clear": "plaza-clear", "busy": "plaza"}  # level -> where a method is trained for it
# profile -> videos at each setting, and frames in each; fewer than six videos are no chart
FILMS = {"smoke": (2, 40), "standard": (12, 40), "full": (24, 100)}
EFFECTS = (0.0, 0.25, 0.5, 1.0)
TURNS: dict[str, tuple[float, ...]] = {
    "crowd": (0.25, 0.5, 1.0, 2.0),
    "zoom": (0.5, 1.0, 1.6, 2.2),
    "noise": (0.0, 3.0, 8.0, 20.0),
    "light": (0.0, 2.0, 4.0, 8.0),
    "shadow": (0.0, 0.5, 1.0, 2.0),
    "shake": (0.0, 1.0, 2.0, 4.0),
}
SWEEPS = ("kinds", "conditions")


class Point(NamedTuple):
    """One setting of one dial: a kind and its effect, or a condition and its value."""

    dial: str
    value: float

    @property
    def label(self) -> str:
        """As it stands in records, and in the names of its videos."""
        return f"{self.dial} at {self.value:g}"


def point_of(label: str) -> Point:
    """The point of a label, or of a video's name. Raises VadError for another text."""
    dial, _, rest = label.partition(" at ")
    try:
        return Point(dial, float(rest.partition(" ")[0]))
    except ValueError:
        raise VadError(
            f"{label!r} is no setting of a dial", "Write it as `motion at 0.5`."
        ) from None


def points(sweep: str) -> list[Point]:
    """All settings of a sweep, dial by dial. Raises VadError for an unknown sweep."""
    if sweep not in SWEEPS:
        raise VadError(f"there is no sweep of {sweep!r}", f"Use one of: {', '.join(SWEEPS)}.")
    if sweep == "conditions":
        return [Point(dial, value) for dial, values in TURNS.items() for value in values]
    beyond = {kind: (most,) if most > 1 else () for kind, most in plaza.MOST.items()}
    return [Point(k, e) for k in plaza.ALL_KINDS for e in (*EFFECTS, *beyond[k])]


@dataclass(frozen=True)
class Chart(Experiment):
    """An experiment whose test is a sweep over a dial.

    level  of Plaza, on which it is trained and from which a condition is turned
    sweep  "kinds": the effect of each kind; "conditions": each condition, all kinds in turn
    """

    level: str = "clear"
    sweep: str = "kinds"

    @property
    def stamp(self) -> str:
        """Hash of all that decides its numbers: as an experiment's, and what the sweep asks."""
        return chart_stamp(self)

    def films(self, point: Point, seed: int = 0) -> list[Video]:
        """The test videos of one setting: the same passers-by at each setting of a dial, as far as
        what is abnormal does not stand in their way."""
        count, length = FILMS[self.profile]
        asked: dict[str, Any] = {"effect": point.value, "kinds": [point.dial], "level": self.level}
        if self.sweep == "conditions":
            kinds = plaza.KINDS_OF[self.level]
            count = -(-count // len(kinds)) * len(kinds)
            level = plaza.turned(self.level, **{point.dial: point.value})
            asked = {"kinds": kinds, "level": level}
        # a seed that no other record tests on
        made = plaza.videos("test", count, length, SIZES["standard"], 1000 + seed, **asked)
        return [replace(v, name=f"{point.label} {i:02d}") for i, v in enumerate(made)]

    def trial(self, seed: int, device: str = "auto", say: Any = print) -> Any:
        """Train one seed, and test it at every setting; films are made and forgotten in turn.

        Returns a `vadlib.lab.run.Trial`.
        """
        from vadlib.lab.run import Trial, fit  # slow to load, and a list of charts needs none of it

        say(f"{self.name}, seed {seed}: training")
        model, train = self.detector(seed, device), self.load("train", seed)
        history = fit(self, model, train, seed, say)
        scores: list[Scores] = []
        truth: list[Seen] = []
        for point in points(self.sweep):
            say(f"{self.name}, seed {seed}: {point.label}")
            for video in self.films(point, seed):
                s = model.score(video)
                scores.append(Scores(s.video, s.frame, s.index, terms=s.terms))
                truth.append(Seen(video.name, np.asarray(video.labels), {}, video.key or ""))
        return Trial(model, history, scores, auc_rows(scores, truth), train, truth, [])


@dataclass(frozen=True, eq=False)
class Seen(Truth):
    """What is kept of a film: its labels, and the key of its content."""

    key: str = ""


def chart_stamp(chart: Chart) -> str:
    """The stamp of a chart."""
    asked = chart.set.settings(chart.profile, "train")
    roots = [*roots_of(chart)[:2], "vadlib.lab.eyechart:Chart", "vadlib.lab.experiment:Experiment"]
    config = [chart.config_dict, asked, chart.level, chart.sweep, chart.profile]
    return stamp(roots, config, (*BEYOND, "vadlib.lab.eyechart:chart_stamp"))


def auc_rows(scores: list[Scores], truth: list[Any]) -> list[dict[str, Any]]:
    """The AUC at each setting and, as the headline, over all frames; of the score and its terms."""
    from vadlib.measure.frames import frame_auc  # slow to load, and `vadlib status` lists charts

    rows = []
    for term in (None, *scores[0].terms):
        frames = [s.frame if term is None else s.terms[term] for s in scores]
        labels = [t.labels[s.index] for s, t in zip(scores, truth, strict=True)]
        of = {"protocol": "headline", "term": term or "score"}
        rows.append(of | {"metric": "auc", "value": frame_auc(frames, labels)})
        for label, group in grouped([s.video for s in scores]):
            value = frame_auc([frames[i] for i in group], [labels[i] for i in group])
            rows.append(of | {"metric": f"auc, {label}", "value": value})
    return rows


def grouped(names: list[str]) -> Iterator[tuple[str, list[int]]]:
    """Labels of settings, each with the places of its videos in a list of names."""
    places: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        places.setdefault(point_of(name).label, []).append(i)
    yield from places.items()


def chart(method: Method, level: str = "clear", sweep: str = "kinds", profile="standard") -> Chart:
    """The chart of a method. Raises VadError for an unknown level, sweep or profile."""
    for value, choices, what in (
        (level, tuple(LEVEL_SETS), "level"),
        (sweep, SWEEPS, "sweep"),
        (profile, PROFILES, "profile"),
    ):
        if value not in choices:
            raise VadError(f"there is no {what} {value!r}", f"Use one of: {', '.join(choices)}.")
    name = f"{method.name}-eyechart-{level}{'-conditions' * (sweep == 'conditions')}-{profile}"
    seeds = (0, 1, 2) if method.trained or method.name == "random" else (0,)
    note = "how large an anomaly must be" if sweep == "kinds" else "what it bears"
    return Chart(
        name, method, LEVEL_SETS[level], profile, seeds, note=note, level=level, sweep=sweep
    )


def curves(
    chart: Chart,
    seed: int,
    dials: Sequence[str] = (),
    draws: int = 1000,
    term: str = "score",
    twins: bool = False,
) -> list[Any]:
    """What the record of a chart says, dial by dial: a `measure.threshold.Curve` for each.

    term   of the score
    twins  measured against the same films at effect 0, not against everyday life: what is seen
           where all else is equal
    Raises VadError for an unknown dial or term, where there is no record, for too few videos, and
    for twins of a film under other conditions, which has none.
    """
    from vadlib.measure.threshold import curve, twin_curve

    if twins and chart.sweep != "kinds":
        raise VadError("a film under other conditions has no twin", "Ask for the sweep of kinds.")
    asked = known_dials(chart.sweep, dials)
    scores, truth = read_scores(chart.name, seed), read_truth(chart.name, seed)
    if term != "score" and term not in scores[0].terms:
        known = ", ".join(["score", *scores[0].terms])
        raise VadError(f"{chart.name} has no term {term!r}", f"Use one of: {known}.")
    places = {point_of(label): at for label, at in grouped([s.video for s in scores])}
    out = []
    for dial in asked:
        settings = sorted(p for p in places if p.dial == dial)
        frames = [
            [scores[i].frame if term == "score" else scores[i].terms[term] for i in places[p]]
            for p in settings
        ]
        labels = [[truth[i].labels[scores[i].index] for i in places[p]] for p in settings]
        make = twin_curve if twins else curve
        out.append(make(dial, [p.value for p in settings], frames, labels, draws))
    return out


def thresholds(
    chart: Chart, seed: int = 0, dials: Sequence[str] = (), **how: Any
) -> dict[str, Any]:
    """Dial -> `measure.threshold.Threshold` from the record of a chart; `how` as in `curves`."""
    from vadlib.measure.threshold import threshold

    return {c.dial: threshold(c, falls(c)) for c in curves(chart, seed, dials, **how)}


def known_dials(sweep: str, dials: Sequence[str] = ()) -> tuple[str, ...]:
    """Some dials of a sweep, or all. Raises VadError for an unknown one."""
    known = tuple(dict.fromkeys(p.dial for p in points(sweep)))
    for dial in dials:
        if dial not in known:
            raise VadError(f"the chart of {sweep} has no {dial!r}", f"Use {', '.join(known)}.")
    return tuple(dials) or known


def falls(curve: Any) -> bool:
    """Whether a dial is one under which seeing grows harder; a larger person is easier to see."""
    return curve.dial in TURNS and curve.dial != "zoom"
