"""Words: what a box shows, said in four sentences.

Local Patterns (Jiang and Mao, 2025) lets CLIP choose a word for each of four templates: what
somebody does, how they look, where they are, what is near. `AttributeCaptioner` needs no weights:
it measures a tracked box, and compares it with the boxes of the training videos. `see.clip`
has the paper's way, behind the same two calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see.attributes import Attributes, Boxes, attributes

TEMPLATES = ("action", "appearance", "place", "nearby")
BRANCHES = {1: ("action",), 2: ("appearance", "place", "nearby")}


STILL = 0.25  # of the median speed in training: slower is standing


class Captioner(Protocol):
    """Whatever says four sentences about a box."""

    def fit(self, videos: Sequence[Video], boxes: Sequence[Boxes]) -> Captioner:
        """Learn from training videos what is usual there. Returns itself."""
        ...

    def captions(self, video: Video, boxes: Boxes) -> np.ndarray:
        """Four sentences a box: (n, 4) str, in the order of `TEMPLATES`."""
        ...


def sides(way: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Which side (dy, dx) points to: (n, 2) -> n of `names` (left, right, up, down)."""
    dy, dx = np.nan_to_num(way).T
    across = np.abs(dx) >= np.abs(dy)
    which = np.where(across, (dx > 0).astype(int), 2 + (dy > 0))
    return [names[i] for i in which]


HEADING = ("to the left", "to the right", "away", "towards the camera")
BESIDE = ("on the left", "on the right", "behind", "in front")
PACE = ("slowly", "steadily", "fast")
HEIGHT, BUILD = ("small", "tall"), ("slim", "broad")
CLOTHES = ("dark", "grey", "bright")
COLUMN, ROW = ("on the left", "in the middle", "on the right"), ("far away", "near the camera")
# attribute -> the quantiles of the training boxes that part its words
QUANTILES = {
    "speed": (1 / 3, 2 / 3),
    "size": (1 / 2,),
    "shape": (1 / 2,),
    "brightness": (1 / 3, 2 / 3),
    "row": (1 / 2,),
    "column": (1 / 3, 2 / 3),
}


class AttributeCaptioner:
    """Sentences from measured attributes. What is "fast" or "tall", the training videos say.

    `edges` holds, by attribute, the values that part its words; `fit` finds them.
    """

    def __init__(self):
        self.edges: dict[str, np.ndarray] = {}

    def fit(self, videos: Sequence[Video], boxes: Sequence[Boxes]) -> AttributeCaptioner:
        """Find what is usual: the quantiles of the boxes of these videos.

        boxes  for each video one (n, 4) array a frame
        Raises VadError where there is no box at all.
        """
        return self.fit_attributes([attributes(v, b) for v, b in zip(videos, boxes, strict=True)])

    def fit_attributes(self, measured: Sequence[Attributes]) -> AttributeCaptioner:
        """`fit`, from attributes that are measured already."""
        values = {k: np.concatenate([_columns(m)[k] for m in measured]) for k in QUANTILES}
        if not len(values["size"]):
            raise VadError("there is no box to learn words from", "Look at objects.propose.")
        speed = values["speed"][~np.isnan(values["speed"])]
        still = STILL * np.median(speed) if len(speed) else 0.0
        values["speed"] = speed[speed >= still] if len(speed) else np.ones(1)
        self.edges = {k: np.quantile(values[k], q) for k, q in QUANTILES.items()}
        self.edges["still"] = np.array([still])
        return self

    def captions(self, video: Video, boxes: Boxes) -> np.ndarray:
        """Four sentences for each box, in the order of TEMPLATES: (n, 4) str, by frame.

        Raises VadError before `fit`.
        """
        return self.describe(attributes(video, boxes))

    def describe(self, measured: Attributes) -> np.ndarray:
        """`captions`, from attributes that are measured already."""
        if not self.edges:
            raise VadError("the captioner knows no usual speeds yet", "Call fit first.")
        bins = {k: np.digitize(v, self.edges[k]) for k, v in _columns(measured).items()}
        heading, beside = sides(measured.velocity, HEADING), sides(measured.nearest, BESIDE)
        out = [
            (
                _action(speed, self.edges["still"][0], bins["speed"][i], heading[i]),
                _appearance(bins["size"][i], bins["shape"][i], bins["brightness"][i]),
                f"someone is {COLUMN[bins['column'][i]]} {ROW[bins['row'][i]]}",
                _nearby(measured.neighbours[i], beside[i]),
            )
            for i, speed in enumerate(measured.speed)
        ]
        return np.array(out, dtype=object).reshape(-1, len(TEMPLATES)).astype(str)

    @staticmethod
    def sentences() -> dict[str, list[str]]:
        """Every sentence that can be said, by template."""
        action = {_action(s, 1.0, b, h) for s in (0, 1, np.nan) for b in range(3) for h in HEADING}
        looks = {_appearance(s, w, c) for s in range(2) for w in range(2) for c in range(3)}
        place = {f"someone is {c} {r}" for c in COLUMN for r in ROW}
        nearby = {_nearby(n, b) for n in range(3) for b in BESIDE}
        found = (action, looks, place, nearby)
        return {k: sorted(s) for k, s in zip(TEMPLATES, found, strict=True)}


def _columns(m: Attributes) -> dict[str, np.ndarray]:
    """The attributes that are parted by quantiles, (n,) each."""
    row, column = m.place.T
    named = {"speed": m.speed, "size": m.size, "shape": m.shape, "brightness": m.brightness}
    return named | {"row": row, "column": column}


def _action(speed: float, still: float, pace: int, heading: str) -> str:
    if np.isnan(speed):
        return "someone is there"
    return "someone is standing" if speed < still else f"someone is walking {PACE[pace]} {heading}"


def _appearance(size: int, shape: int, brightness: int) -> str:
    return f"someone {HEIGHT[size]} and {BUILD[shape]} is in {CLOTHES[brightness]} clothes"


def _nearby(count: int, beside: str) -> str:
    if count > 1:
        return "there are several people near"
    return f"there is someone near {beside}" if count else "there is nobody near"
