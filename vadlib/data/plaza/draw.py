"""How Plaza is filmed: figures and shadows over the empty square, then light, and a noisy sensor.

Everything that reaches a pixel goes through integers (points in 1/64 pixel, colours in bytes), so
that a seed gives the same frames on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import cv2
import numpy as np

from vadlib.data.plaza.dials import Dials
from vadlib.data.plaza.figures import Figure, lamp, spray, tree
from vadlib.data.plaza.scene import LAYOUT, SHIFT, SUPER, Camera, fixed, shifted

SUN = (0.62, 0.5)  # metres of shadow per metre of height: to the right, and away from us
SHADE = 105  # how dark a shadow is, of 256
UNIT = SUPER << SHIFT  # the painter's integers in one pixel


class Cast:
    """A figure on its way through a video: where its parts are painted in each of its frames.

    at: (n, 2) metres (right, depth) where it stands; frames: (n,) when, or None for what always
    stands there (n = 1); water: (n,) or one height in metres below which it is hidden.
    """

    def __init__(self, camera: Camera, figure: Figure, at: np.ndarray, frames=None, water=0.0):
        self.parts, self.depth, self.size = figure.parts, at[:, 1], camera.size
        self.row = None if frames is None else {int(t): i for i, t in enumerate(frames)}
        right, away, up = np.moveaxis(np.stack(figure.points, 1), -1, 0)  # (n, points) each
        up = np.maximum(up, np.broadcast_to(water, len(at))[:, None])
        # A figure is small, so that all of it takes the scale of the spot where it stands.
        foot = camera.project(at[:, 0], at[:, 1])[:, None]
        scale = camera.scale(at[:, 1])[:, None]
        slope = camera.height / at[:, 1:]
        points = foot + scale[..., None] * np.stack([right, -(up + slope * away)], -1)
        self.points = fixed(points)
        right, away = right + SUN[0] * up, away + SUN[1] * up
        shadow = foot + scale[..., None] * np.stack([right, -slope * away], -1)
        self.shadow = fixed(shadow, 2)
        widths = np.array([width for _, width, _ in self.parts])
        self.widths = np.maximum(widths > 0, np.round(SUPER * scale * widths).astype(int)).tolist()
        room = (scale * widths.max() / 2 + 2).astype(int)
        low = np.floor(points.min(1)).astype(int) - room
        high = np.ceil(points.max(1)).astype(int) + room
        self.low = np.maximum(low, 0).tolist()
        self.high = np.minimum(high, camera.size[::-1]).tolist()
        self.kept: dict = {}

    def patch(self, i: int, jitter: tuple[int, int]):
        """(y, x, (h, w, 4) premultiplied RGBA) of its i-th frame; None when out of view."""
        if self.row is None and jitter in self.kept:
            return self.kept[jitter]
        (x0, y0), (x1, y1) = self.low[i], self.high[i]
        if x1 <= x0 or y1 <= y0:
            return None
        large = np.zeros(((y1 - y0) * SUPER, (x1 - x0) * SUPER, 4), np.uint8)
        quarter = UNIT // SUPER
        points = self.points[i] + np.array(
            [jitter[0] * quarter - x0 * UNIT, jitter[1] * quarter - y0 * UNIT], np.int32
        )
        for (colour, _, span), width in zip(self.parts, self.widths[i], strict=True):
            _paint(large, points[span], (*colour, 255), width)
        small = cv2.resize(large, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
        self.kept[jitter] = (y0, x0, small) if self.row is None else None
        return y0, x0, small

    def shade(self, layer: np.ndarray, i: int):
        """Paints the shadow into `layer`, which is twice the frame's size."""
        points = self.shadow[i]
        for (_, _, span), width in zip(self.parts, self.widths[i], strict=True):
            _paint(layer, points[span], 255, (width + 1) // 2)


def _paint(canvas: np.ndarray, points: np.ndarray, colour, width: int):
    if width:
        cv2.polylines(canvas, [points], False, colour, width, cv2.LINE_8, SHIFT)
    else:
        cv2.fillConvexPoly(canvas, points, colour, cv2.LINE_8, SHIFT)


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


def render(camera: Camera, casts: list[Cast], length: int, seed: Sequence[int], dials: Dials):
    """Films `casts` on the square: frames (T, H, W, 3) uint8, and who is seen where, ids
    (T, H, W) uint16: 0, or 1 + the number of the cast."""
    light, sensor, water = (np.random.default_rng([*seed, i]) for i in (3, 4, 5))
    fixtures = _fixtures(camera, length, water, dials.hidden > 0)
    (height, width), table = camera.size, noise_table(dials.noise)
    frames = np.empty((length, height, width, 3), np.uint8)
    ids = np.zeros((length, height, width), np.uint16)
    gains, jitter = daylight(length, light, dials.light), shake(length, light, dials.shake)
    shadow = round(SHADE * dials.shadow)
    always = np.zeros((2 * height, 2 * width), np.uint8)
    for cast in fixtures:
        cast.shade(always, 0)
    for t, shift in enumerate(map(tuple, jitter.tolist())):
        present = [(c, c.row[t], n) for n, c in enumerate(casts, 1) if c.row and t in c.row]
        shade = always.copy()
        for cast, i, _ in present:
            cast.shade(shade, i)
        dark = cv2.resize(shade, (width, height), interpolation=cv2.INTER_AREA)
        dark = (256 - ((dark.astype(np.uint16) * shadow) >> 8))[..., None]
        canvas = ((shifted(camera, shift) * dark) >> 8).astype(np.uint8)
        present += [(c, t if c.row else 0, 0) for c in fixtures]
        for cast, i, number in sorted(present, key=lambda p: -p[0].depth[p[1]]):
            patch = cast.patch(i, shift)
            if patch is not None:
                composite(canvas, ids[t], patch, number)
        lit = np.clip((np.arange(256)[:, None] * gains[t] + 128) >> 8, 0, 255).astype(np.uint8)
        canvas = cv2.LUT(canvas, lit[:, None])
        noise = cv2.LUT(np.frombuffer(sensor.bytes(canvas.size), np.uint8), table)
        frames[t] = cv2.add(canvas, noise.reshape(canvas.shape), dtype=cv2.CV_8U)
    return frames, ids


def _fixtures(camera: Camera, length: int, water: np.random.Generator, hidden: bool) -> list[Cast]:
    """Lamps, the tree and the fountain's jets: they hide people, but are nobody."""

    def spot(x: float, row: float) -> np.ndarray:
        return np.array([[x * camera.stretch, camera.depth(row)]])

    jets = np.repeat(spot(*LAYOUT.fountain), length, 0)
    fountain = Cast(camera, spray(length, water), jets, range(length))
    if not hidden:
        return [fountain]
    lamps = [Cast(camera, lamp(), spot(*place)) for place in LAYOUT.lamps]
    return [Cast(camera, tree(), spot(*LAYOUT.tree)), *lamps, fountain]


def daylight(length: int, rng: np.random.Generator, amount: float = 1.0) -> np.ndarray:
    """(T, 3) int: the slowly drifting light, of 256, in red, green and blue."""
    time = np.arange(length)
    base, warm = rng.uniform(0.93, 1.03), rng.uniform(-0.02, 0.02)
    drift = amount * 0.035 * np.sin(2 * np.pi * (time / rng.uniform(150, 400) + rng.random()))
    tint = np.array([1 + warm, 1, 1 - warm])
    return np.round(256 * (base + drift)[:, None] * tint).astype(np.int64)


def shake(length: int, rng: np.random.Generator, amount: float = 1.0) -> np.ndarray:
    """(T, 2) int: the camera's jitter in quarter pixels, at most half a pixel times `amount`."""
    now, path = np.zeros(2, int), np.empty((length, 2), int)
    for t in range(length):
        now = np.clip(now + (rng.integers(0, 10, 2) == 0) - (rng.integers(0, 10, 2) == 0), -2, 2)
        path[t] = now
    return np.round(path * amount).astype(int)


def noise_table(sigma: float) -> np.ndarray:
    """(256,) int8: turns a random byte into Gaussian noise of `sigma` grey levels."""
    normal = NormalDist()
    return np.array([round(sigma * normal.inv_cdf((i + 0.5) / 256)) for i in range(256)], np.int8)
