"""Alarms: what an operator counts, and the threshold that raises few of them on normal footage.

Frames above the threshold that are less than QUIET seconds apart belong to one alarm. False alarms
an hour are counted on footage in which nothing happens, and what was counted has an interval: the
exact one of a Poisson count, by Garwood (1936).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from vadlib.errors import VadError

QUIET = 10.0  # seconds
LEVEL = 0.95
Timed = tuple[np.ndarray, np.ndarray]  # (N,) rising seconds, (N,) scores
Labelled = tuple[np.ndarray, np.ndarray, np.ndarray]  # and (N,) 0/1, the truth
Run = tuple[np.ndarray, np.ndarray, bool]  # seconds and scores, and whether they are abnormal


class Bell:
    """Rings at a score above the threshold; frame by frame, and of the past alone.

    ringing  whether a frame above the threshold was seen within the last `quiet` seconds
    """

    def __init__(self, threshold: float, quiet: float = QUIET):
        self.threshold, self.quiet = threshold, quiet
        self.last, self.ringing = -math.inf, False

    def hear(self, time: float, score: float) -> bool:
        """Take the next frame; whether an alarm begins at it."""
        above, still = score > self.threshold, time - self.last <= self.quiet
        if above:
            self.last = time
        self.ringing = above or still
        return above and not still


def alarms(times: np.ndarray, scores: np.ndarray, threshold: float, quiet: float = QUIET) -> int:
    """How many alarms a threshold raises in one film: rising seconds (N,), scores (N,)."""
    above = np.asarray(times)[np.asarray(scores) > threshold]
    return int(len(above) > 0) + int((np.diff(above) > quiet).sum())


def garwood(count: int, hours: float, level: float = LEVEL) -> tuple[float, float]:
    """The exact interval of a rate an hour, of which `count` events were seen in `hours`.

    Raises VadError for a negative count, or no time.
    """
    if count < 0 or not 0 < hours < math.inf or not 0 < level < 1:
        raise VadError(f"{count} alarms in {hours} hours at level {level}", "Count over some time.")
    low = chi2.ppf((1 - level) / 2, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(chi2.ppf((1 + level) / 2, 2 * count + 2) / 2 / hours)


@dataclass(frozen=True)
class Promise:
    """A threshold, and what it rests on.

    threshold  an alarm is a score above it
    alarms     that it raised on the normal footage
    hours      of normal footage
    asked      false alarms an hour that it was chosen for
    quiet      seconds that part one alarm from the next
    """

    threshold: float
    alarms: int
    hours: float
    asked: float
    quiet: float = QUIET

    @property
    def expected(self) -> float:
        """False alarms an hour to expect: the next higher score would have made one more."""
        return (self.alarms + 1) / self.hours

    @property
    def interval(self) -> tuple[float, float]:
        """95 percent, an hour."""
        return garwood(self.alarms, self.hours)

    @property
    def words(self) -> str:
        """The promise as a report says it."""
        low, high = self.interval
        return (
            f"At the threshold {self.threshold:.4g}, {duration(3600 * self.hours)} of normal "
            f"footage raised {self.alarms} alarm{'s' * (self.alarms != 1)}: {self.expected:.3g} an "
            f"hour are to be expected where nothing happens ({self.asked:g} were allowed), and "
            f"{low:.3g} to {high:.3g} are likely (95 percent)."
        )

    @property
    def doubt(self) -> str:
        """What the footage is too short to rule out; "" where it rules it out."""
        high = self.interval[1]
        if high <= 2 * self.asked:
            return ""
        return (
            f"Little normal footage: up to {high:.3g} false alarms an hour cannot be ruled out. "
            f"{duration(3600 * rule_of_three(self.asked))} without an alarm would rule out more "
            f"than {self.asked:g}."
        )


def rule_of_three(an_hour: float, level: float = LEVEL) -> float:
    """Hours without an alarm after which a higher rate is ruled out: about three over the rate."""
    return -math.log(1 - level) / an_hour


def duration(seconds: float) -> str:
    """A length of time in words: "42 s", "7 min", "2.5 h"."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def promise(films: Sequence[Timed], an_hour: float, quiet: float = QUIET) -> Promise:
    """The lowest threshold with few enough alarms on normal footage, from there on up.

    films    seconds and scores of each film of normal footage, in which nothing happens; what a
             network was trained on scores lower than new footage, and promises too much
    an_hour  false alarms an hour that may be expected

    With k alarms in T hours, and one more at any lower threshold, (k + 1) / T are expected in new
    footage like it, as of any order statistic; so k is the largest with (k + 1) / T <= an_hour.
    Raises VadError where that is none: the footage is shorter than 1 / an_hour.
    """
    if not 0 < an_hour < math.inf or not 0 <= quiet < math.inf:
        raise VadError(f"{an_hour} alarms an hour, {quiet} s apart", "Give numbers above zero.")
    films = [(np.asarray(t, float), np.asarray(s, float)) for t, s in films if len(t)]
    if not films:
        raise VadError("there is no normal footage to set a threshold by", "Give films of it.")
    spans = [float(t[-1] - t[0] + (np.median(np.diff(t)) if len(t) > 1 else 0)) for t, _ in films]
    hours = sum(spans) / 3600
    allowed = math.floor(an_hour * hours + 1e-9) - 1
    if allowed < 0:
        least = f"{1 / hours:.3g}" if hours else "no"
        raise VadError(
            f"{duration(3600 * hours)} of normal footage cannot promise {an_hour:g} false alarms "
            f"an hour",
            f"Give {duration(3600 / an_hour)} at least, or allow {least} an hour.",
        )
    begins = np.concatenate([[0], np.cumsum(np.array(spans) + 2 * quiet + 1)])
    times = np.concatenate([t - t[0] + b for (t, _), b in zip(films, begins, strict=False)])
    level, count = _lowest(times, np.concatenate([s for _, s in films]), allowed, quiet)
    return Promise(level, count, hours, float(an_hour), quiet)


def _lowest(times: np.ndarray, scores: np.ndarray, most: int, quiet: float) -> tuple[float, int]:
    """The threshold, and its alarms: frames are taken highest first, until there are too many."""
    order = np.argsort(-scores, kind="stable")
    above: list[float] = []  # times of frames above the threshold, rising
    level, count, before, i = math.nan, 0, 0, 0
    while i < len(order):
        level, before = float(scores[order[i]]), count
        while i < len(order) and scores[order[i]] == level:
            time = float(times[order[i]])
            at = bisect.bisect(above, time)
            left = at > 0 and time - above[at - 1] <= quiet
            right = at < len(above) and above[at] - time <= quiet
            split = 0 < at < len(above) and above[at] - above[at - 1] > quiet
            # joined to none, one more; to both of two, one less; inside of one, as many
            count += 1 - left - right if split or not (left and right) else 0
            above.insert(at, time)
            i += 1
        if count > most:
            return level, before
    return level, before


@dataclass(frozen=True)
class Price:
    """What it costs in false alarms to find a share of the events.

    threshold  the highest one above which enough events have a frame
    found      events of `events` that have a frame above it
    alarms     above it on normal frames, and frames of `normal` ones that are above it
    seconds    of normal footage
    """

    threshold: float
    found: int
    events: int
    alarms: int
    frames: int
    normal: int
    seconds: float

    @property
    def an_hour(self) -> float:
        """False alarms an hour of normal footage."""
        return 3600 * self.alarms / self.seconds

    @property
    def interval(self) -> tuple[float, float]:
        """95 percent, an hour: what `seconds` of normal footage cannot tell apart."""
        return garwood(self.alarms, self.seconds / 3600)


def price(films: Sequence[Labelled], share: float = 0.8, quiet: float = QUIET) -> Price:
    """False alarms at the highest threshold that finds a share of the events.

    films  seconds, scores and labels of each film; an event is a run of abnormal frames, and is
           found where any frame of it is above the threshold
    quiet  seconds that part one alarm from the next

    Alarms are counted in each run of normal frames by itself: one that rings on after an event is
    counted there. A frame lasts as long as its film's frames usually do.
    Raises VadError for films of one frame, and where there is no event or no normal frame.
    """
    if not 0 < share <= 1 or not 0 <= quiet < math.inf:
        raise VadError(f"a share of {share} events, {quiet} s apart", "Give a share above 0.")
    if min((len(t) for t, _, _ in films), default=2) < 2:
        raise VadError("a film of one frame has no frame rate", "Leave it out.")
    runs = [(run, np.median(np.diff(film[0]))) for film in films for run in _runs(*film)]
    peaks = sorted((s.max() for (_, s, odd), _ in runs if odd), reverse=True)
    calm = [(t, s, step) for (t, s, odd), step in runs if not odd]
    if not peaks or not calm:
        raise VadError(
            f"{len(peaks)} events and {len(calm)} stretches of normal frames have no price",
            "Give films with both.",
        )
    wanted = math.ceil(share * len(peaks) - 1e-9)
    level = math.nextafter(peaks[wanted - 1], -math.inf)
    return Price(
        threshold=level,
        found=sum(peak > level for peak in peaks),
        events=len(peaks),
        alarms=sum(alarms(t, s, level, quiet) for t, s, _ in calm),
        frames=sum(int((s > level).sum()) for _, s, _ in calm),
        normal=sum(len(s) for _, s, _ in calm),
        seconds=float(sum(len(s) * step for _, s, step in calm)),
    )


def _runs(times: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> list[Run]:
    """The stretches of a film in which the label stays: seconds, scores, and whether abnormal."""
    odd = np.asarray(labels) > 0
    cuts = np.flatnonzero(np.diff(odd)) + 1
    parts = zip(*(np.split(np.asarray(x), cuts) for x in (times, scores, odd)), strict=True)
    return [(t, s.astype(float), bool(o[0])) for t, s, o in parts]
