"""Plaza's dials: how it is filmed, and how far what is abnormal is from what is normal.

An effect of 0 is a passer-by like the others, 1 is the anomaly as the level `busy` has always had
it, and what lies between is between them; `MOST` says how far beyond 1 each kind can go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from vadlib.errors import VadError

KINDS = ("appearance", "motion", "joint", "direction", "place", "interaction")
LEFT = "left behind"
LOOKS = ("size", "shape", "colour")  # what is one in "appearance", apart
ALL_KINDS = (*KINDS, LEFT, *LOOKS)
# The largest effect of each kind. There is no more than against the arrows, and what went further
# past the border of the lawn would come out on the other side.
MOST = {
    "appearance": 1.5,
    "motion": 1.5,
    "joint": 1.5,
    "direction": 1.0,
    "place": 1.0,
    "interaction": 2.0,
    LEFT: 1.0,
    "size": 1.5,
    "shape": 1.0,
    "colour": 1.0,
}


@dataclass(frozen=True)
class Dials:
    """How Plaza is filmed. The defaults are the level `busy`.

    crowd    passers-by, as a multiple of busy's
    zoom     height of a person, as a multiple of busy's (0.18 of the frame's height, on average)
    noise    standard deviation of the sensor's noise, in grey levels
    light    how far the light drifts, as a multiple of busy's (3.5 % up and down)
    shadow   how dark shadows are, as a multiple of busy's (0: none)
    shake    how far the camera shakes, as a multiple of busy's (half a pixel)
    luggage  share of those on foot who pull a suitcase, in 0 .. 1
    hidden   whether lamps and a tree stand in the way (1), or nothing does (0)
    """

    crowd: float = 1.0
    zoom: float = 1.0
    noise: float = 2.2
    light: float = 1.0
    shadow: float = 1.0
    shake: float = 1.0
    luggage: float = 0.0
    hidden: float = 1.0

    def __post_init__(self):
        for name, (low, high) in BOUNDS.items():
            check_range(f"plaza's dial {name}", getattr(self, name), low, high)


BOUNDS = {
    "crowd": (0.1, 2.0),
    "zoom": (0.5, 2.5),
    "noise": (0.0, 40.0),
    "light": (0.0, 8.0),
    "shadow": (0.0, 2.0),
    "shake": (0.0, 4.0),  # two pixels: as far as the empty square is painted beyond the frame
    "luggage": (0.0, 1.0),
    "hidden": (0.0, 1.0),
}


def check_range(what: str, value: float, low: float, high: float) -> None:
    """Raises VadError for a value outside of low .. high, or that is no number."""
    if not low <= value <= high:
        raise VadError(f"{what} is {value:g}", f"It goes from {low:g} to {high:g}.")


LEVELS = {
    "busy": Dials(),
    "clear": Dials(
        crowd=0.25, zoom=1.6, noise=1.5, light=0.5, shadow=0.2, shake=0.0, luggage=0.1, hidden=0.0
    ),
}
KINDS_OF = {"busy": KINDS, "clear": (*KINDS, LEFT)}  # what a level's test videos show


def dials_of(level: str | Dials) -> Dials:
    """The dials of a level. Raises VadError for an unknown one."""
    if isinstance(level, Dials):
        return level
    if level not in LEVELS:
        raise VadError(f"plaza has no level {level!r}", f"Use one of: {', '.join(LEVELS)}.")
    return LEVELS[level]


def turned(level: str | Dials, **dials: float) -> Dials:
    """A level with some dials turned. Raises VadError for an unknown level or dial, and for a
    value out of range."""
    known = [f.name for f in fields(Dials)]
    for name in dials:
        if name not in known:
            raise VadError(f"plaza has no dial {name!r}", f"Use one of: {', '.join(known)}.")
    return replace(dials_of(level), **dials)


def check_effect(kinds: Sequence[str], effect: float) -> None:
    """Raises VadError for an unknown kind, none at all, or an effect that a kind cannot have."""
    unknown = [k for k in kinds if k not in ALL_KINDS]
    if unknown or not kinds:
        raise VadError(f"plaza has no kind {unknown[0]!r}" if unknown else "kinds is empty",
                       f"Choose among {', '.join(ALL_KINDS)}.")  # fmt: skip
    for kind in kinds:
        check_range(f"the effect of {kind}", effect, 0, MOST[kind])


def mix(normal: Any, odd: Any, effect: float) -> Any:
    """From `normal` at 0 to `odd` at 1, both to the bit, and beyond."""
    return normal * (1 - effect) + odd * effect


def ratio(normal: float, odd: float, effect: float) -> float:
    """From `normal` at 0 to `odd` at 1, both to the bit, by equal factors."""
    return odd if effect == 1 else normal * (odd / normal) ** effect
