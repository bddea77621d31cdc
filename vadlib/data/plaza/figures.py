"""Who is on Plaza: people on foot and on bicycles, and what is never seen in training.

A figure is a list of limbs and faces on points that move; `draw` paints them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vadlib.data.plaza.dials import mix

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What a person looks like: metres and colours."""

    height: float
    girth: float
    coat: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    hem: float  # where the coat ends, in body heights
    flare: float  # how much wider the hem is than the shoulders
    extra: str  # "", "backpack", "bag" or "hat"


COATS = (
    (176, 52, 48), (44, 74, 128), (52, 56, 62), (224, 216, 200), (196, 148, 52), (70, 108, 78),
    (120, 70, 110), (96, 140, 170), (212, 120, 84), (140, 132, 120), (34, 36, 44), (230, 226, 226),
)  # fmt: skip
TROUSERS = ((40, 44, 58), (60, 74, 104), (92, 80, 66), (34, 34, 36), (128, 120, 104), (70, 72, 76))
SKINS = ((236, 196, 166), (214, 166, 130), (172, 122, 88), (120, 82, 60), (226, 184, 150))
HAIRS = ((44, 32, 26), (92, 62, 38), (28, 26, 28), (168, 134, 84), (120, 116, 112))


def look(rng: np.random.Generator) -> Look:
    """A passer-by: varied height, build and clothes."""
    hem, flare = ((0.47, 0.95), (0.47, 0.95), (0.36, 1.1), (0.27, 1.5))[rng.integers(4)]
    return Look(
        height=float(rng.uniform(1.55, 1.9)),
        girth=float(rng.uniform(0.9, 1.2)),
        coat=COATS[rng.integers(len(COATS))],
        trousers=TROUSERS[rng.integers(len(TROUSERS))],
        skin=SKINS[rng.integers(len(SKINS))],
        hair=HAIRS[rng.integers(len(HAIRS))],
        hem=hem,
        flare=flare,
        extra=("", "", "backpack", "bag", "hat")[rng.integers(5)],
    )


def darker(colour: Colour, by: float = 0.8) -> Colour:
    """A colour in the shade."""
    return tuple(int(c * by) for c in colour)  # type: ignore[return-value]


class Figure:
    """A jointed thing seen from n frames: parts in painter's order on points that move.

    heading: (n, 2) unit vectors (right, away). A point is (right, away, up) in metres from where
    the figure stands. `near` is the side turned to the camera.
    """

    def __init__(self, heading: np.ndarray):
        self.heading = heading
        side = np.stack([heading[:, 1], -heading[:, 0]], -1)
        self.near = np.where(heading[:, :1] >= 0, side, -side)
        self.points: list[np.ndarray] = []
        self.parts: list[tuple[Colour, float, slice]] = []
        self._count = 0

    def at(self, forward: Any, near: Any, up: Any, right: Any = 0.0) -> np.ndarray:
        """(n, 3) point from metres along the heading, to the camera's side, up, and in the view."""
        n = len(self.heading)
        forward, near, up = (np.broadcast_to(a, n)[:, None] for a in (forward, near, up))
        ground = forward * self.heading + near * self.near
        ground[:, 0] += right
        return np.concatenate([ground, up], 1)

    def limb(self, colour: Colour, width: float, *points: np.ndarray):
        """A line through `points` with round ends, `width` metres thick; one point is a ball."""
        self._add(colour, width, points if len(points) > 1 else points * 2)

    def fill(self, colour: Colour, *points: np.ndarray):
        """A convex polygon."""
        self._add(colour, 0.0, points)

    def box(self, colour: Colour, forward: tuple, half: float, up: tuple):
        """A box: its side towards us and its top."""
        (a, b), (low, high) = forward, up
        corners = [self.at(f, half, h) for f, h in ((a, low), (b, low), (b, high), (a, high))]
        self.fill(colour, *corners)
        far = [self.at(b, -half, high), self.at(a, -half, high)]
        self.fill(tuple(min(255, c + 28) for c in colour), corners[3], corners[2], *far)  # type: ignore[arg-type]

    def wheel(self, forward: float, radius: float, width: float, near: float = 0.0):
        """A wheel of a cycle or a cart, from its spokes to its rim."""
        turn = np.linspace(0, 2 * np.pi, 13)
        rim = [
            self.at(forward + radius * np.cos(a), near, radius + radius * np.sin(a)) for a in turn
        ]
        self.limb((38, 38, 42), width, *rim)

    def take(self, other: Figure, scale: float, paint: Callable[[Colour], Colour]):
        """All parts of another figure, `scale` times as large, in other colours."""
        for colour, width, span in other.parts:
            self._add(paint(colour), width * scale, [scale * p for p in other.points[span]])

    def _add(self, colour, width, points: Sequence[np.ndarray]):
        self.parts.append((colour, width, slice(self._count, self._count + len(points))))
        self.points += points
        self._count += len(points)


def walker(figure: Figure, look: Look, phase: np.ndarray, swing, run: float = 0.0):
    """A person on foot. phase: (n,) radians of the gait; swing: how far the legs go (0 stands);
    run: from a walk (0) to a run (1)."""
    tall = look.height
    hip, neck, reach = 0.5 * tall, 0.8 * tall, mix(0.46, 0.75, run) * np.asarray(swing)
    legs = []
    for at in (phase, phase + np.pi):
        thigh = reach * np.sin(at)
        shin = thigh - mix(0.8, 1.5, run) * swing * np.maximum(0, np.cos(at))
        knee = 0.25 * tall * np.stack([np.sin(thigh), -np.cos(thigh)])
        legs.append((knee, knee + 0.25 * tall * np.stack([np.sin(shin), -np.cos(shin)])))
    up = -np.minimum(legs[0][1][1], legs[1][1][1]) - hip + 0.02 * tall  # the lower foot stands
    lean = mix(0.015, 0.12, run) * tall
    wide = np.hypot(0.105 * figure.heading[:, 0], 0.15 * figure.heading[:, 1]) * tall * look.girth
    side = 0.05 * tall

    def leg(which: int, near: float, colour: Colour):
        joints = [figure.at(0, near, hip + up)]
        joints += [figure.at(j[0], near, hip + up + j[1]) for j in legs[which]]
        figure.limb(colour, 0.075 * tall * look.girth, *joints)
        toe = figure.at(legs[which][1][0] + 0.07 * tall, near, hip + up + legs[which][1][1])
        figure.limb((44, 38, 36), 0.05 * tall, joints[-1], toe)

    def arm(sign: int, near: float, colour: Colour):
        angle = -sign * mix(0.8, 0.9, run) * reach * np.sin(phase)
        bend = angle + mix(0.25, 1.5, run)
        shoulder = figure.at(lean, near, neck + up - 0.02 * tall)
        elbow = shoulder + figure.at(0.16 * tall * np.sin(angle), 0, -0.16 * tall * np.cos(angle))
        hand = elbow + figure.at(0.14 * tall * np.sin(bend), 0, -0.14 * tall * np.cos(bend))
        figure.limb(colour, 0.055 * tall, shoulder, elbow, hand)
        figure.limb(look.skin, 0.045 * tall, hand)

    leg(1, -side, darker(look.trousers))
    arm(-1, -0.11 * tall, darker(look.coat))
    leg(0, side, look.trousers)
    if look.extra == "backpack":
        pack = [figure.at(lean * h - 0.13 * tall, 0, h * tall + up) for h in (0.58, 0.76)]
        figure.limb(darker(look.trousers, 1.3), 0.13 * tall, *pack)
    hem, low = wide * look.flare, look.hem * tall
    figure.fill(
        look.coat,
        figure.at(lean, 0, neck + up, wide * 0.8),
        figure.at(0, 0, low + up, hem),
        figure.at(0, 0, low + up, -hem),
        figure.at(lean, 0, neck + up, -wide * 0.8),
    )
    top = figure.at(lean, 0, neck + up - 0.02 * tall)
    figure.limb(look.coat, 0.12 * tall, top)
    arm(1, 0.11 * tall, darker(look.coat, 0.9))
    if look.extra == "bag":
        figure.limb((96, 66, 44), 0.11 * tall, figure.at(-0.02, 0.13 * tall, hip + up))
    head = top + figure.at(0.02 * tall, 0, 0.115 * tall)
    figure.limb(look.skin, 0.135 * tall, head)
    figure.limb(look.hair, 0.11 * tall, head + figure.at(-0.03 * tall, 0, 0.035 * tall))
    if look.extra == "hat":
        brim = head + figure.at(0, 0, 0.04 * tall)
        figure.limb((214, 190, 140), 0.05 * tall, brim - [[0.09 * tall, 0, 0]],
                    brim + [[0.09 * tall, 0, 0]])  # fmt: skip
        figure.limb((214, 190, 140), 0.1 * tall, brim + [[0, 0, 0.03 * tall]])


def cyclist(figure: Figure, look: Look, phase: np.ndarray):
    """A person on a bicycle. phase: (n,) radians of the pedals."""
    paint = darker(look.trousers, 1.4)

    def at(forward, up, near=0.0):
        return figure.at(forward, near, up)

    def leg(angle: np.ndarray, near: float, colour: Colour):
        x, y = 0.05 + 0.17 * np.sin(angle), 0.3 - 0.17 * np.cos(angle)
        hip, foot = at(-0.18, 0.95, near), at(x, y, near)
        knee = at(0.5 * (x - 0.18) + 0.26, 0.5 * (y + 0.95) + 0.1, near)
        figure.limb(colour, 0.14, hip, knee)
        figure.limb(colour, 0.11, knee, foot)
        figure.limb((44, 38, 36), 0.09, foot, at(x + 0.12, y, near))

    rear, front, bars = at(-0.52, 0.34), at(0.55, 0.34), at(0.42, 0.82)
    figure.wheel(-0.52, 0.34, 0.05)
    figure.wheel(0.55, 0.34, 0.05)
    leg(phase + np.pi, -0.1, darker(look.trousers))
    figure.limb(paint, 0.06, rear, at(0.05, 0.3), bars)
    figure.limb(paint, 0.06, rear, at(-0.2, 0.86), bars)
    figure.limb(paint, 0.05, front, at(0.42, 1.02))
    leg(phase, 0.1, look.trousers)
    figure.limb(look.coat, 0.32 * look.girth, at(-0.14, 1.05), at(0.1, 1.34))
    sleeve = at(0.2, 1.42), at(0.32, 1.16, 0.15), at(0.48, 1.06, 0.15)
    figure.limb(darker(look.coat, 0.88), 0.11, *sleeve)
    figure.limb(look.skin, 0.23, at(0.3, 1.62))
    figure.limb(look.hair, 0.19, at(0.25, 1.68))


def robot(figure: Figure, look: Look, phase: np.ndarray):
    """A delivery robot: a white box on wheels with a flag."""
    for wheel in (-0.34, 0, 0.34):
        figure.wheel(wheel, 0.13, 0.1, 0.3)
    figure.box((232, 234, 238), (-0.5, 0.5), 0.32, (0.2, 0.85))
    figure.fill((40, 46, 56), *(figure.at(f, 0.33, h) for f, h in
                                ((0.2, 0.5), (0.46, 0.5), (0.46, 0.74), (0.2, 0.74))))  # fmt: skip
    sway = 0.05 * np.sin(phase)
    tip = figure.at(-0.4 + sway, 0, 1.75)
    figure.limb((60, 60, 60), 0.04, figure.at(-0.4, 0, 0.85), tip)
    figure.fill((240, 110, 30), tip, tip + figure.at(-0.38, 0, -0.12), tip + figure.at(0, 0, -0.28))


def cart(figure: Figure, look: Look, phase: np.ndarray):
    """An electric cart with a roof and a driver."""
    figure.box((70, 110, 90), (-0.95, 0.95), 0.5, (0.28, 0.7))
    figure.box((84, 70, 60), (-0.95, -0.2), 0.5, (0.7, 1.05))
    figure.limb(look.coat, 0.34, figure.at(-0.05, 0.1, 0.8), figure.at(0.0, 0.1, 1.15))
    figure.limb(look.skin, 0.22, figure.at(0.04, 0.1, 1.42))
    for post in (-0.85, 0.75):
        figure.limb((210, 210, 210), 0.06, figure.at(post, 0.45, 0.7), figure.at(post, 0.45, 1.75))
    figure.box((236, 232, 214), (-1.0, 0.9), 0.5, (1.72, 1.82))
    for wheel in (-0.6, 0.6):
        figure.wheel(wheel, 0.2, 0.14, 0.5)
        figure.limb((150, 150, 150), 0.14, figure.at(wheel, 0.52, 0.2))


def balloons(figure: Figure, look: Look, phase: np.ndarray):
    """A walker under a great bunch of balloons."""
    colours = ((226, 60, 66), (250, 196, 50), (60, 140, 214), (240, 130, 180), (110, 190, 90))
    places = ((-0.42, 2.5), (0.42, 2.45), (0.0, 2.25), (-0.2, 2.95), (0.25, 2.9))
    walker(figure, look, phase, np.ones_like(phase))
    hand = figure.at(0.15, 0.2, 1.1)
    for i, (colour, (forward, up)) in enumerate(zip(colours, places, strict=True)):
        ball = figure.at(forward + 0.05 * np.sin(phase / 2 + i) - 0.1, 0.2, up)
        figure.limb((90, 90, 90), 0.02, hand, ball)
        figure.limb(colour, 0.56, ball)


def suitcase(figure: Figure):
    """A suitcase, upright."""
    figure.box((128, 60, 44), (-0.36, 0.36), 0.14, (0.06, 0.66))
    for band in (-0.18, 0.18):
        strap = figure.at(band, 0.15, 0.08), figure.at(band, 0.15, 0.64)
        figure.limb((66, 40, 34), 0.05, *strap)
    figure.limb((66, 40, 34), 0.05, figure.at(-0.1, 0, 0.72), figure.at(0.1, 0, 0.72))


def lamp() -> Figure:
    """A street lamp, which hides what is behind it."""
    figure = Figure(np.array([[1.0, 0.0]]))
    figure.limb((52, 60, 58), 0.1, figure.at(0, 0, 0), figure.at(0, 0, 3.3))
    figure.limb((52, 60, 58), 0.2, figure.at(0, 0, 0), figure.at(0, 0, 0.3))
    figure.limb((250, 244, 220), 0.42, figure.at(0, 0, 3.5))
    figure.limb((52, 60, 58), 0.1, figure.at(-0.2, 0, 3.72), figure.at(0.2, 0, 3.72))
    return figure


def tree() -> Figure:
    """A tree, which hides what is behind it."""
    figure = Figure(np.array([[1.0, 0.0]]))
    figure.limb((88, 68, 52), 0.24, figure.at(0, 0, 0), figure.at(0.03, 0, 1.9))
    rng = np.random.default_rng(5)
    for i in range(26):
        green = (58 + 3 * i // 2, 98 + 2 * i, 48 + i)
        angle, far = rng.uniform(0, 2 * np.pi), (1.0 - i / 40) * rng.uniform(0.3, 1)
        spot = figure.at(1.05 * far * np.cos(angle) - 0.01 * i, 0, 2.5 + 0.75 * far * np.sin(angle)
                         + 0.018 * i)  # fmt: skip
        figure.limb(green, float(rng.uniform(0.45, 0.75)), spot)
    return figure


def spray(frames: int, rng: np.random.Generator) -> Figure:
    """The fountain's water: jets that flicker."""
    figure = Figure(np.tile([1.0, 0.0], (frames, 1)))
    figure.limb((150, 146, 138), 0.3, figure.at(0, 0, 0), figure.at(0, 0, 0.75))
    figure.limb((168, 164, 156), 0.16, figure.at(-0.45, 0, 0.8), figure.at(0.45, 0, 0.8))
    for lean in (-0.55, -0.3, 0.0, 0.3, 0.55):
        high = (1.65 - 0.9 * abs(lean)) * rng.uniform(0.85, 1.1, frames)
        tip = figure.at(lean * 0.6, 0, high)
        figure.limb((226, 238, 244), 0.1, figure.at(0, 0, 0.8), tip)
        figure.limb((206, 224, 236), 0.07, tip, figure.at(lean * 1.3, 0, 0.35))
    return figure
