"""Watching: a film or a camera through a detector, frame by frame, in memory that does not grow.

The score of a frame is made of that frame, of `context[0]` frames before it and `context[1]` after
it, and of nothing else: it is known so many frames late, and no later frame changes it.
"""

from __future__ import annotations

import csv
import itertools
import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vadlib.data import live, store, video
from vadlib.data.base import Video
from vadlib.data.live import Frame, Gap
from vadlib.detector import Detector
from vadlib.errors import VadError
from vadlib.lab.films import COLUMNS
from vadlib.lab.records import versions
from vadlib.measure.alarms import QUIET, Bell, Promise, duration, promise
from vadlib.show import overlay as films
from vadlib.show.report import Moment, Report, clock

WIDEST = 640  # pixels of a picture that is kept or shown; scores are made at the detector's size
APART = 1.0  # seconds between two moments, at least
BEST = 10  # moments in a report
BINS = 600  # stretches of a curve, at most
LEARN = 500  # frames of normal footage from which a rule learns its image of the scene
EVERY = 60.0  # seconds after which the report of a stream is written anew
KEPT = 100  # gaps that a report lists
Size = tuple[int, int]
Say = Callable[[str], Any]


class Look(NamedTuple):
    """A scored frame: its number, seconds, score, heat map (h, w) or None, and picture."""

    number: int
    time: float
    score: float
    heat: np.ndarray | None
    picture: np.ndarray


def looks(
    model: Detector, source: str, size: Size, say: Say = print, tries: int = len(live.WAITS)
) -> Iterator[Look | Gap]:
    """Score a source frame by frame, each as soon as the frames that it needs are there.

    source  a file, an address, or "-"; size (height, width) at which it is scored
    tries   of a lost stream, as in `live.frames`
    After a gap the detector begins anew: no score is made of frames from both sides of it.
    Raises VadError for a detector that must see the whole film, and as `live.frames` does.
    """
    if model.context is None:
        raise VadError(
            f"{model.name} looks at a film as a whole before it scores a frame",
            "Use another method to watch; `vadlib score` can use it on short films.",
        )
    before, after = model.context
    held: deque[tuple[int, float, np.ndarray, np.ndarray]] = deque(maxlen=before + 1 + after)
    numbers = itertools.count()
    for item in live.frames(source, say, tries):
        if isinstance(item, Gap):
            held.clear()
            yield item
            continue
        pixels = item.pixels
        wide = min(pixels.shape[1], WIDEST)
        shown = (max(2, round(pixels.shape[0] * wide / pixels.shape[1])), wide)
        pictures = video.resize(pixels, size), video.resize(pixels, shown)
        held.append((next(numbers), item.time, *pictures))
        if len(held) == held.maxlen:
            yield _look(model, held, before)


def _look(model: Detector, held: deque, before: int) -> Look:
    """The score of the one frame whose whole context is held."""
    frames = np.stack([small for _, _, small, _ in held])
    number, seconds, _, picture = held[before]
    window = Video("watched", frames, key=None, start=held[0][0])
    (scores,) = model.stream([window])
    place = int(np.flatnonzero(scores.index == number)[0])
    heat = None if scores.heatmap is None else np.array(scores.heatmap[place])
    return Look(number, seconds, float(scores.frame[place]), heat, picture)


def learn(model: Detector, path: Path, size: Size) -> int:
    """Let a rule that knows one image of the scene learn it, from the first LEARN frames of a film.

    Returns how many frames it has learned from: they say nothing about new ones.
    """
    found = itertools.islice(live.frames(str(path)), LEARN)
    frames = [video.resize(f.pixels, size) for f in found if isinstance(f, Frame)]
    if len(frames) < LEARN:
        raise VadError(
            f"{path} has {len(frames)} frames, and {model.name} learns its image from {LEARN}",
            "Give more normal footage: the threshold comes from the frames after those.",
        )
    model.fit([Video(path.stem, np.stack(frames), key=None)])
    return len(frames)


@dataclass(frozen=True)
class Normal:
    """What normal footage says: a threshold, the largest heat (0 without), frames a second."""

    promise: Promise
    heat: float
    rate: float


def calibrate(
    model: Detector,
    normal: Sequence[Path],
    size: Size,
    an_hour: float,
    quiet: float = QUIET,
    skip: int = 0,
) -> Normal:
    """The threshold that normal footage allows.

    skip  frames of the first film that the detector was trained on

    Takes 16 bytes a frame. Raises VadError for too little footage, and as `looks` does.
    """
    parts, hottest, rates = [], 0.0, []
    for path in normal:
        times, scores = array("d"), array("d")
        for look in looks(model, str(path), size):
            if isinstance(look, Look) and look.number >= skip:
                times.append(look.time)
                scores.append(look.score)
                hottest = max(hottest, 0.0 if look.heat is None else float(look.heat.max()))
        skip = 0
        parts.append((np.array(times), np.array(scores)))
        if len(times) > 1:
            rates.append((len(times) - 1) / (times[-1] - times[0]))
    return Normal(promise(parts, an_hour, quiet), hottest, float(np.median(rates or [0.0])))


class Curve:
    """The highest score of each of BINS equal stretches of time or fewer, however long it takes."""

    def __init__(self, bins: int = BINS):
        self.step, self.bins = 0.1, np.full(bins, np.nan)
        self.used = 0

    def add(self, seconds: float, score: float) -> None:
        """Take a score at its time."""
        while (at := int(seconds / self.step)) >= len(self.bins):
            pairs = self.bins.reshape(-1, 2)
            merged = np.where(np.isnan(pairs[:, 0]), pairs[:, 1], np.fmax(*pairs.T))
            self.bins = np.concatenate([merged, np.full(len(merged), np.nan)])
            self.step, self.used = 2 * self.step, (self.used + 1) // 2
        self.bins[at] = np.fmax(self.bins[at], score)
        self.used = max(self.used, at + 1)

    @property
    def values(self) -> np.ndarray:
        """(N,) the stretches up to the last score; NaN where nothing was scored."""
        return self.bins[: self.used]


class Moments:
    """The highest of the local maxima: frames above all others within `apart` seconds."""

    def __init__(self, most: int = BEST, apart: float = APART):
        self.most, self.apart = most, apart
        self.kept: list[Look] = []
        self.waiting: Look | None = None  # the highest of late, until `apart` seconds went by
        self.recent: deque[tuple[float, float]] = deque()  # falling scores of the last seconds

    def add(self, look: Look) -> None:
        """Take the next frame."""
        while self.recent and look.time - self.recent[0][0] > self.apart:
            self.recent.popleft()
        highest = self.recent[0][1] if self.recent else -math.inf
        while self.recent and self.recent[-1][1] <= look.score:
            self.recent.pop()
        self.recent.append((look.time, look.score))
        if self.waiting is not None and look.time - self.waiting.time > self.apart:
            self.kept, self.waiting = self.best, None
        if look.score > highest:
            self.waiting = look

    @property
    def best(self) -> list[Look]:
        """The highest so far, highest first."""
        found = [*self.kept, *([] if self.waiting is None else [self.waiting])]
        return sorted(found, key=lambda look: -look.score)[: self.most]


@dataclass(eq=False)
class Watched:
    """What was seen so far: enough for the report, and no more however long it lasts.

    begun  when; the time of day is told of streams alone
    """

    source: str
    normal: Normal | None = None
    facts: dict[str, str] = field(default_factory=dict)
    curve: Curve = field(default_factory=Curve)
    moments: Moments = field(default_factory=Moments)
    gaps: list[Gap] = field(default_factory=list)
    frames: int = 0
    alarms: int = 0
    losses: int = 0
    lost: float = 0.0
    first: float = 0.0
    seconds: float = 0.0
    cpu: float = 0.0
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))

    def add(self, look: Look, begins: bool) -> None:
        """Take a scored frame, and whether an alarm begins at it."""
        self.first = look.time if self.frames == 0 else self.first
        self.frames, self.alarms = self.frames + 1, self.alarms + begins
        self.seconds = look.time
        self.curve.add(look.time, look.score)
        self.moments.add(look)

    def miss(self, gap: Gap) -> None:
        """Take a gap: the first KEPT are listed, all are counted."""
        self.losses, self.lost = self.losses + 1, self.lost + gap.seconds
        self.gaps = [*self.gaps, gap][:KEPT]

    @property
    def rate(self) -> float:
        """Frames a second, 0 where fewer than two were scored."""
        seen = self.seconds - self.first - self.lost
        return (self.frames - 1) / seen if seen > 0 else 0.0

    @property
    def words(self) -> str:
        """What was seen, in a sentence."""
        alarms = f"{self.alarms} alarm{'s' * (self.alarms != 1)}"
        what = alarms if self.normal else "no threshold was set, and so no alarm was raised"
        return f"{duration(self.seconds)} watched, {self.frames} frames scored: {what}."

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before believing a number."""
        if self.normal is None:
            found = ["Give normal footage (--normal) to have a threshold and alarms."]
        else:
            found = [self.normal.promise.doubt] * bool(self.normal.promise.doubt)
            rates = sorted([self.normal.rate, self.rate])
            if rates[0] and rates[1] > 1.1 * rates[0]:
                found.append(
                    f"The normal footage has {self.normal.rate:.3g} frames a second, this "
                    f"{self.rate:.3g}: what moves, moves further from frame to frame in one than "
                    "in the other, and the threshold fits the first alone."
                )
        if self.losses:
            words = f"{self.losses} time{'s' * (self.losses != 1)} something was lost, "
            found.append(words + f"{duration(self.lost)} in all: nothing is known of it.")
        return found

    def report(self) -> Report:
        """The page about it."""
        hope = self.normal.promise if self.normal else None
        summary, cost = [self.words, *([hope.words] if hope else [])], {}
        if self.seconds:
            share = self.cpu / self.seconds
            cost["processor"] = f"{self.cpu:.1f} s, {share:.2f} times the length of what was seen"
        streams = live.is_stream(self.source)
        found = [
            Moment(m.number, m.time, m.score, m.picture, m.heat, self._day(m.time) * streams)
            for m in self.moments.best
        ]
        name = live.shown(self.source)
        return Report(
            f"What was seen: {name if streams else Path(name).name}",
            summary,
            found,
            self.curve.values,
            self.curve.step,
            hope.threshold if hope else None,
            self.gaps,
            self.warnings,
            self.facts | cost,
        )

    def _day(self, seconds: float) -> str:
        return f"{self.begun + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"


def watch(
    model: Detector,
    source: str,
    size: Size = (128, 192),
    normal: Sequence[Path] = (),
    an_hour: float = 2.0,
    quiet: float = QUIET,
    report: Path | None = None,
    overlay: Path | None = None,
    table: Path | None = None,
    minutes: float = math.inf,
    learns: bool = False,
    tries: int = len(live.WAITS),
    facts: dict[str, str] | None = None,
    say: Say = print,
) -> Watched:
    """Watch a source: scores, alarms, a report, a film with its scores, a table of every frame.

    normal   footage in which nothing happens, that the detector was not trained on: it sets the
             threshold; without it nothing is called an alarm
    an_hour  false alarms an hour that may be expected; `quiet` seconds part two alarms
    table    a CSV file with the columns of `vadlib score`
    minutes  end after so many, of the source's time
    learns   the detector is a rule with one image of the scene: it learns it from the first frames
             of the normal footage, and the threshold comes from the others
    tries    of a lost stream, in a row; 0 for a recording that is sent as a stream
    facts    what the report is to say of how it was made
    say      gets a line as an alarm begins, and for each loss of a stream

    Files take their names when all is done, and none does where it fails. An interrupt (Ctrl-C)
    ends a stream in good order. Raises VadError as `calibrate` and `looks` do, for a source of
    which nothing can be scored, and for files that cannot be written.
    """
    kind = films.FORMATS.get(overlay.suffix.lower()) if overlay else None
    if overlay and kind is None:
        known = ", ".join(films.FORMATS)
        raise VadError(f"{overlay} is to be no film that is known here", f"Use one of: {known}.")
    spent = time.process_time()
    skip = learn(model, normal[0], size) if learns and normal else 0
    usual = calibrate(model, normal, size, an_hour, quiet, skip) if normal else None
    limit = usual.promise.threshold if usual else None
    cost = {"processor, normal footage": f"{time.process_time() - spent:.1f} s"} if normal else {}
    seen = Watched(source, usual, _facts(model, source, size, normal, quiet) | (facts or {}) | cost)
    spent = time.process_time()
    with ExitStack() as files:
        row = _table(files, table, source)
        draw: films.Overlay | None = None
        if overlay:
            part = files.enter_context(store.whole(overlay))
            draw = films.Overlay(part, kind or "", limit, usual.heat if usual else 0.0)
            files.callback(draw.close)
        bell, written = Bell(math.inf if limit is None else limit, quiet), time.monotonic()
        try:
            for look in looks(model, source, size, say, tries):
                if isinstance(look, Gap):
                    seen.miss(look)
                    row(look, bell)
                    continue
                if look.time > 60 * minutes:
                    break
                begins = bell.hear(look.time, look.score)
                seen.add(look, begins)
                row(look, bell)
                if draw:
                    draw.add(look.picture, look.time, look.score, look.heat, bell.ringing)
                if begins:
                    say(f"alarm at {clock(look.time)}, frame {look.number}: {look.score:.4g}")
                if report and live.is_stream(source) and time.monotonic() - written > EVERY:
                    seen.cpu = time.process_time() - spent
                    _write(report, seen)
                    written = time.monotonic()
        except KeyboardInterrupt:
            if not live.is_stream(source) or not seen.frames:
                raise
            say("ended from outside")
        if not seen.frames:
            needed = 1 + sum(model.context or ())
            raise VadError(
                f"nothing of {live.shown(source)} can be scored",
                f"{model.name} needs {needed} frame{'s' * (needed > 1)} in a row at least.",
            )
        seen.cpu = time.process_time() - spent
    if report:
        _write(report, seen)
    return seen


def _write(path: Path, seen: Watched) -> None:
    with store.whole(path) as part:
        part.write_text(seen.report().html, encoding="utf-8")


def _table(files: ExitStack, path: Path | None, source: str) -> Callable[[Look | Gap, Bell], None]:
    """A function that writes a row of the table for each frame and gap; nothing without a path."""
    if path is None:
        return lambda look, bell: None
    part = files.enter_context(store.whole(path))
    out = csv.writer(files.enter_context(part.open("w", newline="", encoding="utf-8")))
    out.writerow((*COLUMNS, "alarm", "gap"))
    name = live.shown(source) if live.is_stream(source) else Path(source).stem

    def row(look: Look | Gap, bell: Bell) -> None:
        if isinstance(look, Gap):
            out.writerow((name, "", f"{look.time:.3f}", "", "", "", "", f"{look.seconds:.3f}"))
            return
        judged = ("", "", "")
        if bell.threshold < math.inf:
            over = int(look.score > bell.threshold)
            judged = (f"{bell.threshold:.6g}", str(over), str(int(bell.ringing)))
        out.writerow((name, look.number, f"{look.time:.3f}", f"{look.score:.6g}", *judged, ""))

    return row


def _facts(
    model: Detector, source: str, size: Size, normal: Sequence[Path], quiet: float
) -> dict[str, str]:
    """How a report was made, as far as it is known here."""
    before, after = model.context or (0, 0)
    late = f"{after} frame{'s' * (after != 1)}" if after else "none: with the frame itself"
    return {
        "source": live.shown(source),
        "method": model.name,
        "scored at": f"{size[0]} x {size[1]} pixels",
        "a score is made of": f"its frame, {before} before it and {after} after it",
        "delay of a score": late,
        "normal footage": ", ".join(path.name for path in normal) or "none",
        "an alarm ends": f"after {quiet:g} s without a frame above the threshold",
        "begun": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "versions": ", ".join(f"{name} {number}" for name, number in versions().items()),
    }
