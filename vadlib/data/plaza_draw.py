"""How Plaza is drawn: a pinhole camera, a painted square, jointed figures, shadows, a noisy sensor.

Everything that reaches a pixel goes through integers (points in 1/64 pixel, colours in bytes), so
that a seed gives the same frames on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import cv2
import numpy as np

SUPER = 4  # figures and background are painted at 4 times the size, then averaged
SHIFT = 4  # OpenCV's fractional bits: points are kept in 1/16 of a painted pixel
MARGIN = 2  # pixels of background beyond the frame, room for the camera's jitter
SUN = (0.62, 0.5)  # metres of shadow per metre of height: to the right, and away from us
SHADE = 105  # how dark a shadow is, of 256

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a shifted lens, so that what is upright stays upright.

    size: (H, W) in pixels; horizon: row of the horizon in frame heights (above the frame);
    height: metres above the ground; focal: focal length in frame heights.
    """

    size: tuple[int, int]
    horizon: float = -0.6
    height: float = 11.0
    focal: float = 2.9

    @property
    def stretch(self) -> float:
        """How much wider than 3:2 the frame is; the square is laid out that much wider."""
        return self.size[1] / self.size[0] / 1.5

    def depth(self, row: float) -> float:
        """Metres from the camera to the ground seen at `row` (in frame heights)."""
        return self.focal * self.height / (row - self.horizon)

    def scale(self, depth):
        """Pixels per metre at `depth`."""
        return self.size[0] * self.focal / depth

    def half_width(self, depth: float) -> float:
        """Metres from the middle of the frame to its edge at `depth`."""
        return self.size[1] / 2 / self.scale(depth)

    def project(self, x, depth, up=0.0) -> np.ndarray:
        """(..., 2) pixel (x, y) of the point `x` metres right of the middle, `up` metres high."""
        scale = self.scale(depth)
        column = self.size[1] / 2 + scale * x
        row = self.size[0] * self.horizon + scale * (self.height - up)
        return np.stack(np.broadcast_arrays(column, row), -1)


@dataclass(frozen=True)
class Layout:
    """Where things are on the square. Rows are in frame heights, x in metres at a 3:2 frame."""

    facade: float = 0.27  # the foot of the building
    promenade: tuple[float, float] = (0.31, 0.42)  # people walk both ways
    lawn: tuple[float, float] = (0.455, 0.57)  # nobody walks here
    lawn_end: float = -1.1  # from the left edge of the frame to this x
    fountain: tuple[float, float] = (3.6, 0.51)  # x and row of its middle; nobody walks here
    basin: float = 1.9  # radius in metres
    crossing: tuple[float, float] = (-0.7, 1.1)  # x of the path between lawn and fountain
    one_way: tuple[float, float] = (0.60, 0.71)  # people walk from left to right only
    shared: tuple[float, float] = (0.79, 0.93)  # walkers and cyclists, both ways
    tree: tuple[float, float] = (-5.6, 0.465)
    lamps: tuple[tuple[float, float], ...] = ((-3.3, 0.745), (4.4, 0.745))


LAYOUT = Layout()


def fixed(points: np.ndarray) -> np.ndarray:
    """Pixel coordinates -> the painter's integers (pixel centres at one half)."""
    return np.round((points * SUPER - 0.5) * (1 << SHIFT)).astype(np.int32)


# --- figures ---------------------------------------------------------------------------------


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

    def at(self, forward, near, up, right=0.0) -> np.ndarray:
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
        turn = np.linspace(0, 2 * np.pi, 13)
        rim = [
            self.at(forward + radius * np.cos(a), near, radius + radius * np.sin(a)) for a in turn
        ]
        self.limb((38, 38, 42), width, *rim)

    def _add(self, colour, width, points: Sequence[np.ndarray]):
        self.parts.append((colour, width, slice(self._count, self._count + len(points))))
        self.points += points
        self._count += len(points)


def walker(figure: Figure, look: Look, phase: np.ndarray, swing, run: bool = False):
    """A person on foot. phase: (n,) radians of the gait; swing: how far the legs go (0 stands)."""
    tall = look.height
    hip, neck, reach = 0.5 * tall, 0.8 * tall, (0.75 if run else 0.46) * np.asarray(swing)
    legs = []
    for at in (phase, phase + np.pi):
        thigh = reach * np.sin(at)
        shin = thigh - (1.5 if run else 0.8) * swing * np.maximum(0, np.cos(at))
        knee = 0.25 * tall * np.stack([np.sin(thigh), -np.cos(thigh)])
        legs.append((knee, knee + 0.25 * tall * np.stack([np.sin(shin), -np.cos(shin)])))
    up = -np.minimum(legs[0][1][1], legs[1][1][1]) - hip + 0.02 * tall  # the lower foot stands
    lean = 0.12 * tall if run else 0.015 * tall
    wide = np.hypot(0.105 * figure.heading[:, 0], 0.15 * figure.heading[:, 1]) * tall * look.girth
    side = 0.05 * tall

    def leg(which: int, near: float, colour: Colour):
        joints = [figure.at(0, near, hip + up)]
        joints += [figure.at(j[0], near, hip + up + j[1]) for j in legs[which]]
        figure.limb(colour, 0.075 * tall * look.girth, *joints)
        toe = figure.at(legs[which][1][0] + 0.07 * tall, near, hip + up + legs[which][1][1])
        figure.limb((44, 38, 36), 0.05 * tall, joints[-1], toe)

    def arm(sign: int, near: float, colour: Colour):
        angle = -sign * (0.9 if run else 0.8) * reach * np.sin(phase)
        bend = angle + (1.5 if run else 0.25)
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
    figure.limb(look.skin, 0.125 * tall, head)
    figure.limb(look.hair, 0.115 * tall, head + figure.at(-0.025 * tall, 0, 0.025 * tall))
    if look.extra == "hat":
        brim = head + figure.at(0, 0, 0.04 * tall)
        figure.limb((214, 190, 140), 0.05 * tall, brim - [[0.09 * tall, 0, 0]],
                    brim + [[0.09 * tall, 0, 0]])  # fmt: skip
        figure.limb((214, 190, 140), 0.1 * tall, brim + [[0, 0, 0.03 * tall]])


def cyclist(figure: Figure, look: Look, phase: np.ndarray):
    """A person on a bicycle. phase: (n,) radians of the pedals."""
    paint, at = darker(look.trousers, 1.4), figure.at
    crank = (0.05, 0.3)
    pedals = [
        (crank[0] + 0.17 * np.sin(p), crank[1] - 0.17 * np.cos(p)) for p in (phase, phase + np.pi)
    ]

    def leg(pedal, near: float, colour: Colour):
        knee = (0.5 * (pedal[0] - 0.18) + 0.26, 0.5 * (pedal[1] + 0.95) + 0.1)
        figure.limb(colour, 0.14, at(-0.18, near, 0.95), at(*_mid(knee, near)))
        figure.limb(colour, 0.11, at(*_mid(knee, near)), at(*_mid(pedal, near)))
        figure.limb((44, 38, 36), 0.09, at(*_mid(pedal, near)), at(pedal[0] + 0.12, near, pedal[1]))

    figure.wheel(-0.52, 0.34, 0.05)
    figure.wheel(0.55, 0.34, 0.05)
    leg(pedals[1], -0.1, darker(look.trousers))
    figure.limb(paint, 0.06, at(-0.52, 0, 0.34), at(*_mid(crank, 0)), at(0.42, 0, 0.82))
    figure.limb(paint, 0.06, at(-0.52, 0, 0.34), at(-0.2, 0, 0.86), at(0.42, 0, 0.82))
    figure.limb(paint, 0.05, at(0.55, 0, 0.34), at(0.42, 0, 1.02))
    leg(pedals[0], 0.1, look.trousers)
    shoulder = at(0.2, 0, 1.42)
    figure.limb(look.coat, 0.32 * look.girth, at(-0.14, 0, 1.05), at(0.1, 0, 1.34))
    figure.limb(darker(look.coat, 0.88), 0.11, shoulder, at(0.32, 0.15, 1.16), at(0.48, 0.15, 1.06))
    figure.limb(look.skin, 0.22, at(0.3, 0, 1.62))
    figure.limb(look.hair, 0.2, at(0.26, 0, 1.67))


def _mid(point, near: float) -> tuple:
    return point[0], near, point[1]


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


def lamp() -> Figure:
    figure = Figure(np.array([[1.0, 0.0]]))
    figure.limb((52, 60, 58), 0.1, figure.at(0, 0, 0), figure.at(0, 0, 3.3))
    figure.limb((52, 60, 58), 0.2, figure.at(0, 0, 0), figure.at(0, 0, 0.3))
    figure.limb((250, 244, 220), 0.42, figure.at(0, 0, 3.5))
    figure.limb((52, 60, 58), 0.1, figure.at(-0.2, 0, 3.72), figure.at(0.2, 0, 3.72))
    return figure


def tree() -> Figure:
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


# --- the square ------------------------------------------------------------------------------


class _Painter:
    """Paints ground, walls and textures on the large background canvas."""

    def __init__(self, camera: Camera):
        height, width = (SUPER * (n + 2 * MARGIN) for n in camera.size)
        self.camera, self.rng = camera, np.random.default_rng(20)
        self.canvas = np.zeros((height, width, 3), np.uint8)

    def fill(self, colour, points: np.ndarray, holes: np.ndarray | None = None):
        cv2.fillPoly(self.canvas, [fixed(points + MARGIN)], colour, cv2.LINE_8, SHIFT)

    def ground(self, colour, x: Sequence[float], rows: Sequence[float]):
        """A rectangle on the ground, between two x (metres) and two rows (frame heights)."""
        depth = [self.camera.depth(r) for r in rows]
        corners = ((0, 0), (1, 0), (1, 1), (0, 1))
        self.fill(colour, np.array([self.camera.project(x[i], depth[j]) for i, j in corners]))

    def wall(self, colour, x: Sequence[float], up: Sequence[float]):
        depth, corners = self.camera.depth(LAYOUT.facade), ((0, 0), (1, 0), (1, 1), (0, 1))
        self.fill(colour, np.array([self.camera.project(x[i], depth, up[j]) for i, j in corners]))

    def disc(self, colour, x: float, row: float, radius: float, up: float = 0.0):
        turn, depth = np.linspace(0, 2 * np.pi, 49)[:-1], self.camera.depth(row)
        self.fill(
            colour, self.camera.project(x + radius * np.cos(turn), depth + radius * np.sin(turn), up)
        )

    def tiles(self, colour, rows: tuple[float, float], side: float, reach: float):
        """Slabs `side` metres long, each of its own tone, with joints between them."""
        low, high = self.camera.depth(rows[1]), self.camera.depth(rows[0])
        self.ground(darker(colour, 0.88), (-reach, reach), rows)
        joint = 0.03 * side
        for i, depth in enumerate(np.arange(low, high, side)):
            for x in np.arange(-reach + (i % 2) * side / 2, reach, side):
                tone = self.rng.integers(-7, 8)
                far = min(depth + side, high) - joint
                box = [(x, depth), (x + side - joint, depth), (x + side - joint, far), (x, far)]
                self.fill(
                    [int(c + tone) for c in colour],
                    np.array([self.camera.project(*corner) for corner in box]),
                )

    def grain(self, amount: int, coarse: int):
        """Adds a mottle of `coarse` cells a frame height, so that nothing is flat."""
        height, width = self.canvas.shape[:2]
        cell = max(1, self.camera.size[0] * SUPER // coarse)
        shape = (height // cell + 1, width // cell + 1)
        mottle = self.rng.integers(-amount, amount + 1, shape, dtype=np.int16)
        mottle = mottle.repeat(cell, 0).repeat(cell, 1)[:height, :width, None]
        self.canvas = np.clip(self.canvas + mottle, 0, 255).astype(np.uint8)


def _building(paint: _Painter, reach: float):
    paint.wall((196, 172, 140), (-reach, reach), (0, 8))
    paint.wall((150, 134, 116), (-reach, reach), (0, 0.35))
    paint.wall((214, 194, 164), (-reach, reach), (3.0, 3.15))
    awnings = ((168, 54, 50), (48, 104, 104), (186, 138, 58))
    for i, x in enumerate(np.arange(-reach + 0.4, reach, 3.2)):
        if i % 3 == 1:  # a door
            paint.wall((92, 62, 46), (x + 0.5, x + 1.7), (0, 2.3))
            paint.wall((120, 150, 160), (x + 0.65, x + 1.55), (1.2, 2.15))
            paint.wall((212, 196, 170), (x + 0.35, x + 1.85), (2.3, 2.5))
            continue
        paint.wall((226, 212, 186), (x - 0.1, x + 2.5), (0.45, 2.35))
        paint.wall((74, 92, 104), (x, x + 2.4), (0.55, 2.3))
        for pane in (0.0, 0.8, 1.6):
            paint.wall((98, 120, 132), (x + pane + 0.08, x + pane + 0.5), (1.2, 2.2))
        for stripe in range(8):
            colour = awnings[i % 3] if stripe % 2 == 0 else (236, 228, 212)
            paint.wall(colour, (x - 0.15 + stripe * 0.34, x + 0.19 + stripe * 0.34), (1.9, 2.55))


def _bench(paint: _Painter, x: float, row: float):
    depth = paint.camera.depth(row)
    for low, high, colour in ((0.0, 0.42, (70, 60, 54)), (0.4, 0.5, (150, 108, 70)),
                              (0.62, 0.9, (158, 114, 74))):  # fmt: skip
        wide = 0.7 if low == 0 else 0.85
        corners = ((-wide, low), (wide, low), (wide, high), (-wide, high))
        paint.fill(colour, np.array([paint.camera.project(x + a, depth, b) for a, b in corners]))


def _markings(paint: _Painter, reach: float):
    """Arrows on the one-way walk, lines and dashes on the shared path."""
    middle = sum(LAYOUT.one_way) / 2
    depth = paint.camera.depth(middle)
    for x in np.arange(-reach + 1.2, reach, 4.2):
        shaft = [(x, 0.1), (x + 0.9, 0.1), (x + 0.9, 0.36), (x + 1.5, 0.0), (x + 0.9, -0.36),
                 (x + 0.9, -0.1), (x, -0.1)]  # fmt: skip
        paint.fill((240, 236, 226), np.array([paint.camera.project(a, depth + b) for a, b in shaft]))
    top, bottom = LAYOUT.shared
    for row in (top + 0.006, bottom - 0.012):
        paint.ground((232, 226, 216), (-reach, reach), (row, row + 0.008))
    for x in np.arange(-reach, reach, 2.2):
        row = (top + bottom) / 2
        paint.ground((226, 216, 204), (x, x + 1.0), (row, row + 0.007))


@lru_cache(maxsize=4)
def background(size: tuple[int, int]) -> np.ndarray:
    """The empty square, SUPER times as large as `size` and with a MARGIN: (h, w, 3) uint8."""
    camera = Camera(size)
    paint, wide = _Painter(camera), camera.stretch
    reach = camera.half_width(camera.depth(LAYOUT.facade)) + 1.5
    _building(paint, reach)
    paint.tiles((204, 192, 174), (LAYOUT.facade, 1.05), 1.1, reach)
    paint.tiles((188, 170, 150), LAYOUT.promenade, 0.75, reach)
    end, (top, bottom) = LAYOUT.lawn_end * wide, LAYOUT.lawn
    paint.ground((168, 160, 148), (-reach, end + 0.15), (top - 0.008, bottom + 0.01))
    paint.ground((112, 146, 78), (-reach, end), (top, bottom))
    for x in np.arange(-reach, end - 0.2, 0.4):  # a border of flowers along the lawn
        colour = ((206, 84, 96), (226, 186, 80), (188, 120, 180))[paint.rng.integers(3)]
        paint.disc((88, 122, 62), x + 0.12, bottom - 0.008, 0.26)
        paint.disc(colour, x + paint.rng.uniform(0, 0.2), bottom - 0.010, 0.13, 0.12)
    x, row = LAYOUT.fountain
    paint.disc((150, 140, 126), x * wide + 0.2, row - 0.006, LAYOUT.basin + 0.25)
    paint.disc((222, 214, 200), x * wide, row, LAYOUT.basin + 0.12, 0.3)
    paint.disc((120, 168, 186), x * wide, row, LAYOUT.basin - 0.12, 0.24)
    paint.disc((146, 192, 206), x * wide - 0.3, row - 0.004, LAYOUT.basin * 0.62, 0.24)
    paint.tiles((214, 206, 190), LAYOUT.one_way, 0.6, reach)
    paint.ground((132, 128, 122), (-reach, reach), (0.722, 0.728))
    paint.ground((124, 152, 90), (-reach, reach), (0.728, 0.764))
    paint.ground((216, 210, 200), (-reach, reach), (0.764, 0.776))
    paint.ground((142, 136, 128), (-reach, reach), (0.776, 0.785))
    paint.ground((164, 112, 98), (-reach, reach), (0.785, LAYOUT.shared[1] + 0.01))
    paint.ground((216, 210, 200), (-reach, reach), (LAYOUT.shared[1] + 0.01, 0.953))
    paint.ground((118, 148, 84), (-reach, reach), (0.953, 1.1))
    _markings(paint, reach)
    _bench(paint, -0.9 * wide - 6.8 * wide, 0.60)
    _bench(paint, 1.9 * wide, 0.445)
    paint.grain(9, 24)
    paint.grain(7, 110)
    paint.grain(12, 400)
    paint.canvas.flags.writeable = False
    return paint.canvas


# --- the camera at work ----------------------------------------------------------------------


class Cast:
    """A figure on its way through a video: where its parts are painted in each of its frames.

    at: (n, 2) metres (right, depth) where it stands; water: (n,) height below which it is hidden.
    `ready(i, jitter)` gives the patch to composite at its i-th frame.
    """

    def __init__(self, camera: Camera, figure: Figure, at: np.ndarray, water=0.0):
        self.parts = figure.parts
        points = np.stack(figure.points, 1)  # (n, p, 3)
        floor = np.broadcast_to(water, len(at))[:, None]
        x, depth = at[:, :1], at[:, 1:]
        self.scale = camera.scale(at[:, 1])
        up = np.maximum(points[..., 2], floor)
        # Offsets are small, so they take the scale of the spot where the figure stands.
        foot = camera.project(at[:, 0], at[:, 1])
        slope = camera.height / depth
        right, away = points[..., 0], points[..., 1]
        picture = np.stack([right, -(up + slope * away)], -1)
        self.foot = foot
        self.picture = foot[:, None] + picture * self.scale[:, None, None]
        right, away = right + SUN[0] * up, away + SUN[1] * up
        shadow = np.stack([right, -slope * away], -1)
        self.shadow_fixed = np.round(
            ((foot[:, None] + shadow * self.scale[:, None, None]) * 2 - 0.5) * (1 << SHIFT)
        ).astype(np.int32)
        self.depth = at[:, 1]
        pad = 0.5 * max([w for _, w, _ in self.parts], default=0.0) * self.scale + 2
        self.low = np.floor(self.picture.min(1) - pad[:, None]).astype(int)
        self.high = np.ceil(self.picture.max(1) + pad[:, None]).astype(int)
        self.fixed = fixed(self.picture)
        widths = np.array([w for _, w, _ in self.parts])
        self.width = np.maximum(1, np.round(SUPER * self.scale[:, None] * widths)).astype(int)

    def patch(self, i: int, jitter: tuple[int, int], size: tuple[int, int]):
        """(y, x, patch (h, w, 4) premultiplied RGBA) inside the frame; None when out of view."""
        x0, y0 = np.maximum(self.low[i], 0)
        x1, y1 = np.minimum(self.high[i], (size[1], size[0]))
        if x1 <= x0 or y1 <= y0:
            return None
        large = np.zeros(((y1 - y0) * SUPER, (x1 - x0) * SUPER, 4), np.uint8)
        unit = 1 << SHIFT
        offset = ((jitter[0] - x0 * SUPER) * unit, (jitter[1] - y0 * SUPER) * unit)
        points, width = self.fixed[i] + np.array(offset, np.int32), self.width[i]
        for (colour, wide, span), thick in zip(self.parts, width.tolist(), strict=True):
            rgba = (*colour, 255)
            if wide:
                cv2.polylines(large, [points[span]], False, rgba, thick, cv2.LINE_8, SHIFT)
            else:
                cv2.fillConvexPoly(large, points[span], rgba, cv2.LINE_8, SHIFT)
        small = cv2.resize(large, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_AREA)
        return int(y0), int(x0), small

    def shade(self, layer: np.ndarray, i: int):
        """Paints the shadow into `layer`, which is twice the frame's size."""
        points = self.shadow_fixed[i]
        for (_, wide, span), thick in zip(self.parts, self.width[i].tolist(), strict=True):
            if wide:
                thick = max(1, thick // 2)
                cv2.polylines(layer, [points[span]], False, 255, thick, cv2.LINE_8, SHIFT)
            else:
                cv2.fillConvexPoly(layer, points[span], 255, cv2.LINE_8, SHIFT)


def composite(canvas: np.ndarray, ids: np.ndarray, patch, number: int):
    """Lays a patch over the canvas and writes `number` where it covers at least half a pixel."""
    y, x, rgba = patch
    height, width = rgba.shape[:2]
    spot = canvas[y : y + height, x : x + width]
    cover = rgba[..., 3:].astype(np.uint16)
    cover += cover >> 7  # 0..256
    spot -= ((spot * cover + 128) >> 8).astype(np.uint8)
    spot += np.minimum(rgba[..., :3], 255 - spot)
    ids[y : y + height, x : x + width][rgba[..., 3] >= 128] = number


def sensor_table(sigma: float) -> np.ndarray:
    """(256,) int8: turns a random byte into Gaussian noise of `sigma` grey levels."""
    normal = NormalDist(0, sigma)
    return np.array([round(normal.inv_cdf((i + 0.5) / 256)) for i in range(256)], np.int8)
