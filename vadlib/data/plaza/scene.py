"""Plaza itself: the camera that looks at it, where things are, and the empty square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from vadlib.data.plaza.figures import darker

SUPER = 4  # figures and background are painted at 4 times the size, then averaged
SHIFT = 4  # OpenCV's fractional bits: points are kept in 1/16 of a painted pixel
MARGIN = 2  # pixels of background beyond the frame, room for the camera's jitter
HIGH = 11.0  # metres above the ground at which the square has the size that `Layout` gives


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a shifted lens, so that what is upright stays upright.

    size: (H, W) in pixels; horizon: row of the horizon in frame heights (above the frame);
    height: metres above the ground; focal: focal length in frame heights.
    """

    size: tuple[int, int]
    horizon: float = -0.6
    height: float = HIGH
    focal: float = 2.9

    @property
    def narrow(self) -> float:
        """How much smaller the square is laid out: a lower camera sees larger people on it."""
        return self.height / HIGH

    @property
    def stretch(self) -> float:
        """How much wider the square is laid out: as the frame is wider than 3:2, and as `narrow`
        says."""
        return self.size[1] / self.size[0] / 1.5 * self.narrow

    @property
    def basin(self) -> float:
        """Radius of the fountain in metres."""
        return LAYOUT.basin * self.narrow

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


def fixed(points: np.ndarray, times: int = SUPER) -> np.ndarray:
    """Pixels -> the painter's integers on a canvas `times` as large (pixel centres at 1/2)."""
    return np.round((points * times - 0.5) * (1 << SHIFT)).astype(np.int32)


class _Painter:
    """Paints ground, walls and textures on the large background canvas."""

    def __init__(self, camera: Camera):
        height, width = (SUPER * (n + 2 * MARGIN) for n in camera.size)
        self.camera, self.rng = camera, np.random.default_rng(20)
        self.canvas = np.zeros((height, width, 3), np.uint8)

    def fill(self, colour, points: np.ndarray):
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
            colour,
            self.camera.project(x + radius * np.cos(turn), depth + radius * np.sin(turn), up),
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
        cell = self.camera.size[0] * SUPER / coarse
        rows, columns = np.arange(height) / cell, np.arange(width) / cell
        knots = self.rng.integers(-amount, amount + 1, (int(rows[-1]) + 2, int(columns[-1]) + 2))
        top, left = rows.astype(int), columns.astype(int)
        low, right = (rows - top)[:, None], columns - left
        across = [knots[t][:, left] * (1 - right) + knots[t][:, left + 1] * right
                  for t in (top, top + 1)]  # fmt: skip
        mottle = across[0] * (1 - low) + across[1] * low
        self.canvas = np.clip(self.canvas + np.round(mottle)[..., None], 0, 255).astype(np.uint8)


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
        paint.fill(
            (240, 236, 226), np.array([paint.camera.project(a, depth + b) for a, b in shaft])
        )
    top, bottom = LAYOUT.shared
    for row in (top + 0.006, bottom - 0.012):
        paint.ground((232, 226, 216), (-reach, reach), (row, row + 0.008))
    for x in np.arange(-reach, reach, 2.2):
        row = (top + bottom) / 2
        paint.ground((226, 216, 204), (x, x + 1.0), (row, row + 0.007))


@lru_cache(maxsize=4)
def background(camera: Camera) -> np.ndarray:
    """The empty square, SUPER times as large as a frame and with a MARGIN: (h, w, 3) uint8."""
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
    paint.disc((150, 140, 126), x * wide + 0.2, row - 0.006, camera.basin + 0.25)
    paint.disc((222, 214, 200), x * wide, row, camera.basin + 0.12, 0.3)
    paint.disc((120, 168, 186), x * wide, row, camera.basin - 0.12, 0.24)
    paint.disc((146, 192, 206), x * wide - 0.3, row - 0.004, camera.basin * 0.62, 0.24)
    paint.tiles((214, 206, 190), LAYOUT.one_way, 0.6, reach)
    paint.ground((132, 128, 122), (-reach, reach), (0.722, 0.728))
    paint.ground((124, 152, 90), (-reach, reach), (0.728, 0.764))
    paint.ground((216, 210, 200), (-reach, reach), (0.764, 0.776))
    paint.ground((142, 136, 128), (-reach, reach), (0.776, 0.785))
    paint.ground((164, 112, 98), (-reach, reach), (0.785, LAYOUT.shared[1] + 0.01))
    paint.ground((216, 210, 200), (-reach, reach), (LAYOUT.shared[1] + 0.01, 0.953))
    paint.ground((118, 148, 84), (-reach, reach), (0.953, 1.1))
    _markings(paint, reach)
    _bench(paint, 1.9 * wide, 0.445)
    paint.grain(5, 9)
    paint.grain(5, 60)
    paint.grain(12, 400)
    paint.canvas.flags.writeable = False
    return paint.canvas


def shifted(camera: Camera, shift: tuple[int, int]) -> np.ndarray:
    """The empty square as a camera sees it that is off by `shift` quarter pixels (x, y)."""
    x, y = (MARGIN * SUPER - s for s in shift)
    height, width = camera.size
    crop = background(camera)[y : y + height * SUPER, x : x + width * SUPER]
    return cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA)
