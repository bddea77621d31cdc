"""Looks that are never seen in training, and what lies between them and a passer-by's."""

from __future__ import annotations

import numpy as np

from vadlib.data.plaza.dials import mix, ratio
from vadlib.data.plaza.figures import Colour, Figure, Look, balloons, cart, robot, walker

ODD = {"robot": robot, "cart": cart, "balloons": balloons}
# For each: how tall a person is that is as odd in size; how much larger than a person's the side of
# a square of its area is; and the colour of a person that is as odd in colour.
TALL = {"robot": 0.6, "cart": 1.5, "balloons": 1.8}
SIDE = {"robot": 1.1, "cart": 1.9, "balloons": 2.0}
BRIGHT = {"robot": (255, 120, 0), "cart": (0, 225, 130), "balloons": (250, 50, 200)}


def odd_figure(
    figure: Figure, look: Look, phase: np.ndarray, role: str, kind: str, effect: float
) -> None:
    """A passer-by who becomes a robot, a cart or a person under balloons as the effect grows.

    kind  "appearance": the person shrinks to nothing as the odd thing grows from nothing, so that
          their areas add up to something between; beyond 1 it is larger than it was. "size": a
          person, smaller or taller. "shape": as appearance, but with a person's area and in the
          colours of the clothes. "colour": a person, in clothes of another colour.
    """
    if kind == "size":
        figure.take(person(figure, look, phase), ratio(1.0, TALL[role], effect), lambda c: c)
    elif kind == "colour":
        clothes = (look.coat, look.trousers)

        def dyed(colour: Colour) -> Colour:
            return blend(colour, BRIGHT[role], effect) if near(colour, clothes) else colour

        figure.take(person(figure, look, phase), 1.0, dyed)
    elif effect == 1 and kind == "appearance":
        ODD[role](figure, look, phase)
    else:
        between(figure, look, phase, role, kind, effect)


def between(
    figure: Figure, look: Look, phase: np.ndarray, role: str, kind: str, effect: float
) -> None:
    """A person who shrinks, and an odd thing that grows, on one spot."""
    there, scale = min(effect, 1.0), max(effect, 1.0) ** 0.5
    odd = Figure(figure.heading)
    ODD[role](odd, look, phase)
    if kind == "shape":
        scale /= SIDE[role]

    def paint(colour: Colour) -> Colour:
        cloth = look.trousers if sum(colour) < 300 else look.coat
        return blend(cloth, colour, 0.0 if kind == "shape" else there)

    if there < 1:
        figure.take(person(figure, look, phase), (1 - there) ** 0.5, lambda c: c)
    if there > 0:
        figure.take(odd, scale * there**0.5, paint)


def person(figure: Figure, look: Look, phase: np.ndarray) -> Figure:
    """A passer-by on foot who heads where `figure` does."""
    made = Figure(figure.heading)
    walker(made, look, phase, np.ones_like(phase))
    return made


def blend(a: Colour, b: Colour, share: float) -> Colour:
    """From colour a at 0 to colour b at 1."""
    return tuple(round(mix(x, y, share)) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def near(colour: Colour, shades: tuple[Colour, ...]) -> bool:
    """Whether a colour is one of some, or the shade of one: parts in the back are darker."""
    return any(
        all(abs(c - s * by) <= 1 for c, s in zip(colour, shade, strict=True))
        for shade in shades
        for by in (1.0, 0.9, 0.8)
    )
