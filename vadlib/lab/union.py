"""A union of methods: scores of many on one scale, which normal videos held out have set.

A part is trained on all training videos but the last quarter; what it scores that quarter is what
is usual, and says what a score of its record is worth. No test video has a say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np

from vadlib.data.store import digest, remember
from vadlib.detector import History, Scores
from vadlib.errors import VadError
from vadlib.lab.experiment import BEYOND, Experiment
from vadlib.lab.records import read_scores
from vadlib.lab.stamp import stamp

SCALES = ("z", "rank")
JOINS = {"mean": np.mean, "largest": np.max}
HELD = 0.25  # of the training videos, the last ones


@dataclass(frozen=True)
class Union(Experiment):
    """An experiment made of others, whose records it reads; what it costs is what they cost.

    parts  trained on the same videos, tested on the same
    scale  "z": deviations above the usual mean; "rank": the share of usual scores that are lower
    join   "mean" of the parts, or the "largest"
    """

    parts: tuple[Experiment, ...] = ()
    scale: str = "z"
    join: str = "mean"

    @property
    def config_dict(self) -> dict[str, Any]:
        """What is joined, and how."""
        names = [part.name for part in self.parts]
        return {"parts": names, "scale": self.scale, "join": self.join, "held": HELD}

    @property
    def stamp(self) -> str:
        """Hash of all that decides its numbers: its parts' stamps, and how they are joined."""
        roots = [f"vadlib.lab.union:{name}" for name in ("fuse", "held_out")]
        own = stamp([*roots, "vadlib.measure.evaluate:evaluate"], self.config_dict, BEYOND)
        return digest(own, [part.stamp for part in self.parts])

    def trial(self, seed: int, device: str = "auto", say: Any = print) -> Any:
        """Read what the parts have scored, and put it on one scale.

        Returns a `vadlib.lab.run.Trial`. Raises VadError for a part without a current record.
        """
        from vadlib.lab.run import Scored, Trial, recorded  # slow to load, and lists need none
        from vadlib.measure.evaluate import evaluate

        train, test = self.load("train", seed), self.load("test", seed)
        known, usual, spent = {}, {}, 0.0
        for part in self.parts:
            if recorded(part, seed) is None:
                make = f"Make it: vadlib reproduce {part.name} --seed {seed}"
                raise VadError(f"{self.name} needs a current record of {part.name}", make)
            name = part.method.name
            known[name] = read_scores(part.name, seed)
            usual[name], seconds = held_out(part, seed, train, device, say)
            spent += seconds
        scores = fuse(known, usual, self.scale, self.join)
        rows = evaluate(Scored({s.video: s for s in scores}), test)
        return Trial(None, History(seconds=spent), scores, rows, train, test, [])


def held_out(
    part: Experiment, seed: int, train: Sequence[Any], device: str, say: Any
) -> tuple[np.ndarray, float]:
    """What an experiment scores on training videos that it was not trained on, and the seconds that
    its training took; remembered, since unions share parts."""
    from vadlib.lab.run import fit, forget

    cut = len(train) - max(1, round(HELD * len(train)))

    def found() -> dict[str, Any]:
        say(f"{part.name}: trained without the last {len(train) - cut} videos")
        aside = replace(part, name=f"{part.name}-held", curve=())
        model = aside.detector(seed, device)
        history = fit(aside, model, list(train[:cut]), seed, say)
        forget(aside, seed)
        scores = np.concatenate([model.score(video).frame for video in train[cut:]])
        return {"scores": scores.tolist(), "seconds": history.seconds}

    key = digest("held out", part.stamp, seed, cut, [video.key for video in train])
    kept = remember(key, found)
    return np.array(kept["scores"]), kept["seconds"]


def fuse(
    known: Mapping[str, Sequence[Scores]],
    usual: Mapping[str, np.ndarray],
    scale: str = "z",
    join: str = "mean",
) -> list[Scores]:
    """The scores of several methods as one, over the frames that all of them score.

    known    name -> one Scores a video, the same videos in the same order
    usual    name -> (n,) scores of normal frames
    returns  one Scores a video; `terms` holds each part on the common scale
    Raises VadError for unknown options, other videos, and usual scores that are all alike.
    """
    if scale not in SCALES or join not in JOINS:
        raise VadError(f"no scale {scale!r} or join {join!r}", f"Use {SCALES}, {tuple(JOINS)}.")
    if len({tuple(s.video for s in series) for series in known.values()}) != 1:
        raise VadError("parts of a union that scored different videos", "Take records of one set.")
    fused = []
    for each in zip(*known.values(), strict=True):
        index = reduce(np.intersect1d, [s.index for s in each])
        cut = [s.frame[np.isin(s.index, index)] for s in each]
        terms = {
            name: on_scale(frame, usual[name], scale)
            for name, frame in zip(known, cut, strict=True)
        }
        frame = JOINS[join](list(terms.values()), axis=0)
        fused.append(Scores(each[0].video, frame, index, terms=terms))
    return fused


def on_scale(scores: np.ndarray, usual: np.ndarray, scale: str) -> np.ndarray:
    """Scores (N,) as deviations above the mean of usual ones (n,), or as the share of those that
    are lower, ties one half. Raises VadError for usual scores that are all alike."""
    usual = np.sort(np.asarray(usual, float))
    if scale == "rank":
        sides = [np.searchsorted(usual, scores, side) for side in ("left", "right")]
        return np.mean(sides, axis=0) / len(usual)
    if not (spread := usual.std()) > 0:
        raise VadError("usual scores that are all alike have no scale", "Leave the part out.")
    return (np.asarray(scores, float) - usual.mean()) / spread
