"""Plaza: the data set that the book carries with it, a synthetic square under a fixed camera.

Normal life: people walk both ways along a promenade, from left to right along a one-way walk, and
share a path with cyclists; some stand and talk; nobody steps on the lawn or into the fountain.
An anomaly is a normal passer-by with exactly one thing changed (`KINDS`), in the place and at the
time of the normal one: so neither speed, nor size, nor the number of people gives it away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import cv2
import numpy as np

from vadlib.data.base import Video
from vadlib.data.plaza_draw import (
    LAYOUT,
    MARGIN,
    SHADE,
    SUPER,
    Camera,
    Cast,
    Figure,
    Look,
    background,
    balloons,
    cart,
    composite,
    cyclist,
    lamp,
    look,
    robot,
    sensor_table,
    spray,
    tree,
    walker,
)
from vadlib.errors import VadError

KINDS = ("appearance", "motion", "joint", "direction", "place", "interaction")
VERSION = 1  # raised whenever a pixel or a label changes
FPS = 10.0
SPEED = {"walker": (1.0, 1.7), "cyclist": (3.2, 4.6), "runner": (3.2, 4.4)}  # metres per second
SHORTEST, SMALLEST = 40, 32  # frames in a video, pixels in a side
STRIDE = {"walker": 1.45, "runner": 2.9, "cyclist": 5.0}  # metres per cycle of the gait
ODD = {"robot": robot, "cart": cart, "balloons": balloons}  # what never appears in training
DOES = {
    "robot": "a delivery robot rolls",
    "cart": "an electric cart drives",
    "balloons": "a person under a bunch of balloons walks",
    "runner": "a person runs",
    "cyclist": "a cyclist creeps at walking pace",
    "walker": "a person on foot glides at a cyclist's speed",
    "direction": "a person walks against the arrows",
    "lawn": "a person walks across the lawn",
    "fountain": "a person wades through the fountain",
    "circling": "two people circle each other",
    "scuffle": "two people push each other back and forth",
}
BAND = {"promenade": "promenade", "one_way": "one-way walk", "shared": "shared path"}


@dataclass(frozen=True)
class Slot:
    """One passer-by to be: who, where, and when in the middle of the frame."""

    role: str
    band: str
    depth: float  # metres from the camera
    direction: int  # 1 to the right, -1 to the left
    speed: float  # metres per second
    when: float  # frame
    kind: str = ""
    does: str = ""


@dataclass
class Actor:
    """One passer-by in full: a state for each of its frames.

    frames (n,) int; at (n, 2) metres (right, depth); heading (n, 2) unit; phase (n,) radians of
    the gait; abnormal (n,) bool; water (n,) metres of it that the fountain hides.
    """

    role: str
    look: Look
    frames: np.ndarray
    at: np.ndarray
    heading: np.ndarray
    phase: np.ndarray
    speed: np.ndarray
    abnormal: np.ndarray
    kind: str = ""
    does: str = ""
    water: np.ndarray | float = 0.0
    stands: np.ndarray | bool = False

    def figure(self) -> Figure:
        figure = Figure(self.heading)
        if self.role in ODD:
            ODD[self.role](figure, self.look, self.phase)
        elif self.role == "cyclist":
            cyclist(figure, self.look, self.phase)
        else:
            swing = np.where(self.stands, 0.0, 1.0) * np.ones(len(self.frames))
            walker(figure, self.look, self.phase, swing, run=self.role == "runner")
        return figure


@dataclass
class Director:
    """Decides who crosses the square, and when. One random stream for each concern."""

    camera: Camera
    length: int
    seed: Sequence[int]
    early: bool = True
    variant: int = 0
    actors: list[Actor] = field(default_factory=list)

    def __post_init__(self):
        self.traffic, self.looks = (np.random.default_rng([*self.seed, i]) for i in (1, 2))
        self.seconds = self.length / FPS

    # --- paths ---

    def edge(self, depth: float, room: float = 1.3) -> float:
        """Metres from the middle to just outside the frame."""
        return self.camera.half_width(depth) + room

    def lane(self, band: str) -> float:
        low, high = (self.camera.depth(r) for r in getattr(LAYOUT, band)[::-1])
        return float(self.traffic.uniform(low + 0.15 * (high - low), high - 0.15 * (high - low)))

    def straight(self, slot: Slot) -> np.ndarray:
        edge = self.edge(slot.depth)
        return np.array([[-edge, slot.depth], [edge, slot.depth]])[:: slot.direction]

    def follow(self, slot: Slot, path: np.ndarray, through: float | None = None) -> Actor:
        """Walks `path` (k, 2) at constant speed, being `through` metres along it at slot.when."""
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        through = along[-1] / 2 if through is None else through
        gone = through + slot.speed / FPS * (np.arange(self.length) - slot.when)
        frames = np.flatnonzero((gone >= 0) & (gone <= along[-1]))
        gone = gone[frames]

        def spot(s):
            return np.stack([np.interp(s, along, path[:, i]) for i in (0, 1)], -1)

        at = (spot(gone - 0.3) + spot(gone) + spot(gone + 0.3)) / 3  # corners are rounded
        heading = spot(np.minimum(gone + 0.4, along[-1])) - spot(np.maximum(gone - 0.4, 0))
        heading /= np.maximum(np.hypot(*heading.T), 1e-9)[:, None]
        start = self.traffic.uniform(0, 2 * np.pi)
        at[:, 1] += 0.08 * np.sin(gone / 1.7 + start)  # nobody walks along a ruler
        stride = STRIDE.get(slot.role, STRIDE["walker"])
        paced = gone if slot.does != "walker" else gone / slot.speed * 1.35
        speed = np.full(len(frames), slot.speed)
        abnormal = np.full(len(frames), bool(slot.kind))
        phase = start + 2 * np.pi * paced / stride
        look_ = look(self.looks)
        return Actor(slot.role, look_, frames, at, heading, phase, speed, abnormal, slot.kind,
                     slot.does)  # fmt: skip

    # --- normal life ---

    def stream(self, band: str, role: str, headway: float, anchor: float | None) -> dict[int, Slot]:
        """Passers-by at irregular intervals (about `headway` frames); number 0 comes at `anchor`."""
        rng, reach = self.traffic, 260
        headway /= self.camera.stretch
        anchor = float(rng.uniform(0, headway)) if anchor is None else anchor
        slots = {}
        for step in (1, -1):
            number, when = (0, anchor) if step == 1 else (-1, anchor - self.gap(headway))
            while -reach < when < self.length + reach:
                slots[number] = self.slot(band, role, when)
                number, when = number + step, when + step * self.gap(headway)
        return slots

    def gap(self, headway: float) -> float:
        return headway * float(self.traffic.uniform(0.6, 1.4))

    def slot(self, band: str, role: str, when: float) -> Slot:
        direction = 1 if band == "one_way" else int(self.traffic.choice([-1, 1]))
        speed = float(self.traffic.uniform(*SPEED[role]))
        return Slot(role, band, self.lane(band), direction, speed, when)

    def bystanders(self):
        """People who stand: a pair in talk, and one or two who wait."""
        wide, frames = self.camera.stretch, np.arange(self.length)
        spots = [(-2.4, 0.300), (3.0, 0.305), (1.5, 0.575), (6.6, 0.44), (-4.6, 0.30)]
        order = self.traffic.permutation(len(spots))[: int(self.traffic.integers(2, 4))]
        for i, which in enumerate(order):
            x, depth = spots[which][0] * wide, self.camera.depth(spots[which][1])
            for side in (-1, 1) if i == 0 else (int(self.traffic.choice([-1, 1])),):
                sway = 0.03 * np.sin(frames / self.traffic.uniform(6, 12) + which + side)
                at = np.stack([x + side * 0.38 + sway, np.full(self.length, depth)], -1)
                still = np.zeros(self.length)
                heading = np.tile([-float(side), 0.0], (self.length, 1))
                self.actors.append(
                    Actor("walker", look(self.looks), frames, at, heading, still, still,
                          still > 0, does="stands", stands=True)
                )  # fmt: skip

    def run(self, kind: str = "") -> list[Actor]:
        """Everybody in the video; with a kind, the anomaly takes the place of passers-by."""
        streams = {
            ("promenade", "walker"): 30.0,
            ("one_way", "walker"): 31.0,
            ("shared", "walker"): 50.0,
            ("shared", "cyclist"): 20.0,
        }
        target = self.target(kind)
        for (band, role), headway in streams.items():
            hit = (band, role) == target
            anchor = self.anchor(band, role, kind) if hit else None
            slots = self.stream(band, role, headway, anchor)
            if hit:
                getattr(self, kind)(slots)
            for slot in slots.values():
                self.pass_by(slot)
        self.bystanders()
        return [actor for actor in self.actors if len(actor.frames)]

    def pass_by(self, slot: Slot):
        rng = self.traffic
        if slot.kind == "" and slot.band == "promenade" and rng.random() < 0.2:
            self.cut_across(slot)
            return
        self.actors.append(self.follow(slot, self.straight(slot)))
        if slot.kind == "" and slot.role == "walker" and rng.random() < 0.15:  # in company
            friend = replace(slot, depth=slot.depth + 0.45, when=slot.when + rng.uniform(-2, 2))
            self.actors.append(self.follow(friend, self.straight(friend)))

    def cut_across(self, slot: Slot):
        """From the promenade over the crossing to the one-way walk."""
        x = float(self.traffic.uniform(*LAYOUT.crossing)) * self.camera.stretch
        goal = self.lane("one_way")
        path = np.array([[-slot.direction * self.edge(slot.depth), slot.depth], [x, slot.depth],
                         [x, goal], [self.edge(goal), goal]])  # fmt: skip
        self.actors.append(self.follow(slot, path))

    # --- what goes wrong ---

    def target(self, kind: str) -> tuple[str, str]:
        """The stream whose passer-by is replaced."""
        walks = [("promenade", "walker"), ("one_way", "walker"), ("shared", "walker")]
        if kind == "joint":
            return ("shared", "cyclist" if self.variant % 2 == 0 else "walker")
        if kind == "appearance":
            return walks[(self.variant + self.variant // 3) % 3]
        if kind == "motion":
            return walks[(self.variant + 1) % 2]
        return {"direction": walks[1]}.get(kind, walks[0]) if kind else ("", "")

    def anchor(self, band: str, role: str, kind: str) -> float:
        """When the anomaly is in the middle of the frame: early or late, and cut by the video's
        beginning or end if it would fill the video."""
        depth = self.camera.depth(sum(getattr(LAYOUT, band)) / 2)
        pace = {"motion": "runner"}.get(kind, role)
        lasts = 2 * self.edge(depth, 0.0) / (sum(SPEED[pace]) / 2) * FPS
        if kind in ("place", "interaction"):
            lasts *= 0.5
        if lasts < 0.6 * self.length:
            when = self.traffic.uniform(0.3 * lasts, self.length / 2)
        else:
            when = self.traffic.uniform(0.35, 0.5) * self.length - lasts / 2
        return float(when if self.early else self.length - when)

    def again(self, slots: dict[int, Slot]) -> list[int]:
        """Fast anomalies are soon gone, so that they come twice."""
        step = 1 if self.early else -1
        return [n for n in (0, 3 * step) if n in slots]

    def appearance(self, slots: dict[int, Slot]):
        role = tuple(ODD)[self.variant % len(ODD)]
        slots[0] = replace(slots[0], role=role, kind="appearance", does=role)

    def motion(self, slots: dict[int, Slot]):
        for n in self.again(slots):
            speed = float(self.traffic.uniform(*SPEED["runner"]))
            slots[n] = replace(slots[n], role="runner", speed=speed, kind="motion", does="runner")

    def joint(self, slots: dict[int, Slot]):
        """A walker's look at a cyclist's speed, or the reverse, where both are everyday sights."""
        gliding = slots[0].role == "cyclist"
        role = "walker" if gliding else "cyclist"
        for n in self.again(slots) if gliding else [0]:
            slots[n] = replace(slots[n], role=role, kind="joint", does=role)

    def direction(self, slots: dict[int, Slot]):
        slots[0] = replace(slots[0], direction=-1, kind="direction", does="direction")

    def place(self, slots: dict[int, Slot]):
        """The way leads over the lawn, or through the fountain."""
        wide, slot, goal = self.camera.stretch, slots.pop(0), self.lane("one_way")
        lawn = self.camera.depth(float(self.traffic.uniform(0.5, 0.55)))
        end, (x, row) = LAYOUT.lawn_end * wide, LAYOUT.fountain
        x, middle, radius = x * wide, self.camera.depth(row), LAYOUT.basin
        edge, depth = self.edge(slot.depth), slot.depth
        paths = {
            "lawn": [(edge, depth), (0.4 * wide, depth), (end + 0.6, lawn), (-self.edge(lawn), lawn)],
            "fountain": [(edge, depth), (x + radius + 0.4, depth), (x + radius, middle + 0.3),
                         (x - radius, middle - 0.3), (x - radius - 0.3, goal),
                         (self.edge(goal), goal)],
        }  # fmt: skip
        does = "fountain" if self.variant % 3 == 2 else "lawn"
        path = np.array(paths[does])
        if self.variant % 3 == 1:
            path = path[::-1]
        slot = replace(slot, kind="place", does=does)
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
        leg = 2 if does == "fountain" or self.variant % 3 == 0 else 0
        actor = self.follow(slot, path, through=float(along[leg : leg + 2].mean()))
        right, away = actor.at.T
        if does == "lawn":
            near, far = (self.camera.depth(r) for r in LAYOUT.lawn[::-1])
            actor.abnormal = (right < end) & (away > near) & (away < far)
        else:
            gone = np.hypot(right - x, away - middle)
            actor.abnormal = gone < radius
            actor.water = np.where(actor.abnormal, 0.45, 0.0)
        self.actors.append(actor)

    def interaction(self, slots: dict[int, Slot]):
        """Two people meet, circle or push each other at walking speed, and go their ways."""
        left, right = replace(slots.pop(0), direction=1), replace(slots.pop(1), direction=-1)
        slots.pop(-1, None)  # they stay twice as long as others do
        does = ("circling", "scuffle")[self.variant % 2]
        x = float(self.traffic.uniform(-0.45, 0.45)) * self.edge(left.depth)
        lasts = float(self.traffic.uniform(0.3, 0.4)) * self.length
        start, time = left.when - lasts / 2, np.arange(self.length)
        busy = (time >= start) & (time < start + lasts)
        pace = (left.speed + right.speed) / 2 / FPS
        since = np.clip(time - start, 0, lasts)
        for slot, sign in ((left, -1), (right, 1)):
            away = slot.speed / FPS * (np.minimum(time - start, 0) + np.maximum(0, time - start - lasts))
            if does == "circling":
                turn = since * pace / 0.5 + (np.pi if sign < 0 else 0)
                offset = 0.5 * np.stack([np.cos(turn), np.sin(turn)], -1)
                facing = np.stack([-np.sin(turn), np.cos(turn)], -1)
            else:
                swing = 2 * np.abs((since * pace / 1.2) % 2 - 1) - 1  # back and forth, 0.6 m each way
                offset = np.stack([0.3 * sign + 0.6 * swing, 0.0 * since + 0.1 * sign], -1)
                facing = np.tile([-float(sign), 0.0], (self.length, 1))
            at = np.array([x, left.depth]) + offset
            at[:, 0] += -sign * away
            heading = np.where(busy[:, None], facing, [-float(sign), 0.0])
            speed = np.where(busy, pace * FPS, slot.speed)
            phase = np.cumsum(speed) / FPS * 2 * np.pi / STRIDE["walker"] + sign
            inside = np.abs(at[:, 0]) < self.edge(left.depth)
            frames = np.flatnonzero(inside)
            self.actors.append(
                Actor("walker", look(self.looks), frames, at[frames], heading[frames],
                      phase[frames], speed[frames], busy[frames], "interaction", does)
            )  # fmt: skip


# --- rendering and truth -----------------------------------------------------------------------


def render(camera: Camera, actors: list[Actor], length: int, seed: Sequence[int]):
    """The frames (T, H, W, 3) uint8, and who is seen where: ids (T, H, W), 0 or actor number + 1."""
    (height, width), stretch = camera.size, camera.stretch
    light, sensor, water = (np.random.default_rng([*seed, i]) for i in (3, 4, 5))
    casts = [(Cast(camera, a.figure(), a.at, a.water), a.frames, n + 1)
             for n, a in enumerate(actors)]  # fmt: skip
    everywhere = np.arange(length)
    for x, row in LAYOUT.lamps:
        spot = np.array([[x * stretch, camera.depth(row)]])
        casts.append((Cast(camera, lamp(), spot), everywhere, 0))
    spot = np.array([[LAYOUT.tree[0] * stretch, camera.depth(LAYOUT.tree[1])]])
    casts.append((Cast(camera, tree(), spot), everywhere, 0))
    spot = np.array([[LAYOUT.fountain[0] * stretch, camera.depth(LAYOUT.fountain[1])]])
    spout = spray(length, water)
    casts.append((Cast(camera, spout, np.repeat(spot, length, 0)), everywhere, 0))

    frames = np.empty((length, height, width, 3), np.uint8)
    ids = np.zeros((length, height, width), np.uint16)
    gains, jitter = daylight(length, light), shake(length, light)
    table = sensor_table(2.2)
    levels = np.arange(256)[:, None]
    still: dict = {}
    for t in range(length):
        shift = (int(jitter[t, 0]), int(jitter[t, 1]))
        if shift not in still:
            still[shift] = shifted(camera.size, shift)
        canvas = still[shift].copy()
        present = []
        for cast, when, number in casts:
            i = int(np.searchsorted(when, t))
            if i < len(when) and when[i] == t:
                present.append((cast, min(i, len(cast.depth) - 1), number))
        present.sort(key=lambda p: -p[0].depth[p[1]])
        shade = np.zeros((2 * height, 2 * width), np.uint8)
        for cast, i, _ in present:
            cast.shade(shade, i)
        dark = cv2.resize(shade, (width, height), interpolation=cv2.INTER_AREA)
        dark = (256 - ((dark.astype(np.uint16) * SHADE) >> 8))[..., None]
        canvas = ((canvas * dark) >> 8).astype(np.uint8)
        for cast, i, number in present:
            patch = cast.patch(i, shift, camera.size)
            if patch is not None:
                composite(canvas, ids[t], patch, number)
        lit = np.clip((levels * gains[t] + 128) >> 8, 0, 255).astype(np.uint8)
        canvas = cv2.LUT(canvas, lit[:, None])
        noise = table[np.frombuffer(sensor.bytes(canvas.size), np.uint8)].reshape(canvas.shape)
        frames[t] = cv2.add(canvas, noise, dtype=cv2.CV_8U)
    return frames, ids


def shifted(size: tuple[int, int], shift: tuple[int, int]) -> np.ndarray:
    """The empty square as a camera sees it that is off by `shift` quarter pixels (x, y)."""
    x, y = (MARGIN * SUPER - s for s in shift)
    crop = background(size)[y : y + size[0] * SUPER, x : x + size[1] * SUPER]
    return cv2.resize(crop, size[::-1], interpolation=cv2.INTER_AREA)


def daylight(length: int, rng: np.random.Generator) -> np.ndarray:
    """(T, 3) int: the slowly drifting light, of 256, in red, green and blue."""
    time = np.arange(length)
    base, warm = rng.uniform(0.93, 1.03), rng.uniform(-0.02, 0.02)
    drift = 0.035 * np.sin(2 * np.pi * (time / rng.uniform(150, 400) + rng.random()))
    tint = np.array([1 + warm, 1, 1 - warm])
    return np.round(256 * (base + drift)[:, None] * tint).astype(np.int64)


def shake(length: int, rng: np.random.Generator) -> np.ndarray:
    """(T, 2) int: the camera's jitter in quarter pixels, at most half a pixel."""
    now, path = np.zeros(2, int), np.empty((length, 2), int)
    for t in range(length):
        now = np.clip(now + (rng.integers(0, 10, 2) == 0) - (rng.integers(0, 10, 2) == 0), -2, 2)
        path[t] = now
    return path


def annotate(camera: Camera, actors: list[Actor], ids: np.ndarray) -> tuple[np.ndarray, dict]:
    """The abnormal pixels (T, H, W) bool, and `truth` as `videos` documents it."""
    length, count = len(ids), len(actors)
    boxes = np.full((length, count, 4), np.nan, np.float32)
    tracks = np.full((length, count, 2), np.nan, np.float32)
    speed = np.full((length, count), np.nan, np.float32)
    abnormal = np.zeros((length, count), bool)
    masks = np.zeros(ids.shape, bool)
    for n, actor in enumerate(actors):
        feet = camera.project(actor.at[:, 0], actor.at[:, 1])
        for i, t in enumerate(actor.frames):
            seen = ids[t] == n + 1
            x, y, width, height = cv2.boundingRect(seen.view(np.uint8))
            if not width:
                continue
            boxes[t, n] = x, y, x + width, y + height
            tracks[t, n], speed[t, n] = feet[i], actor.speed[i]
            if actor.abnormal[i]:
                abnormal[t, n] = True
                masks[t] |= seen
    seen = ~np.isnan(boxes[..., 0])
    kinds = np.array([a.kind for a in actors] or [""])
    kind = np.array([kinds[row.argmax()] if row.any() else "" for row in abnormal], "<U11")
    captions = [caption(actors, seen[t], abnormal[t]) for t in range(length)]
    about = [{"id": n, "role": a.role, "kind": a.kind} for n, a in enumerate(actors)]
    return masks, {
        "kind": kind,
        "actors": about,
        "boxes": boxes,
        "tracks": tracks,
        "speed": speed,
        "abnormal": abnormal,
        "captions": captions,
    }


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def caption(actors: list[Actor], seen: np.ndarray, abnormal: np.ndarray) -> str:
    """One sentence on what a frame shows."""

    def some(count: int, one: str, many: str) -> str:
        number = NUMBERS[count] if count < len(NUMBERS) else str(count)
        return f"{number} {one if count == 1 else many}"

    usual = [a for a, s, odd in zip(actors, seen, abnormal, strict=True) if s and not odd]
    stand = sum(a.does == "stands" for a in usual)
    ride = sum(a.role == "cyclist" for a in usual)
    parts = [some(len(usual) - stand - ride, "person walks", "people walk")]
    if stand:
        parts.append(some(stand, "stands", "stand"))
    if ride:
        parts.append(some(ride, "cyclist rides past", "cyclists ride past"))
    text = ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0]
    odd = {DOES[a.does] for a, wrong in zip(actors, abnormal, strict=True) if wrong}
    return f"{text[0].upper()}{text[1:]}{''.join('; ' + o for o in sorted(odd))}."


def _check(split: str, count, length: int, size, kinds) -> None:
    if split not in ("train", "test"):
        raise VadError(f"plaza has no split {split!r}", 'Use "train" or "test".')
    unknown = [k for k in kinds if k not in KINDS]
    if unknown or not kinds:
        raise VadError(f"plaza has no kind {unknown[0]!r}" if unknown else "kinds is empty",
                       f"Choose among {', '.join(KINDS)}.")  # fmt: skip
    if count is not None and count < 1:
        raise VadError(f"count is {count}", "Ask for at least one video.")
    if length < SHORTEST:
        raise VadError(f"length is {length}", f"A video needs at least {SHORTEST} frames.")
    if min(size) < SMALLEST:
        raise VadError(f"size is {tuple(size)}", f"A frame needs at least {SMALLEST} pixels a side.")


def videos(
    split: str,
    count: int | None = None,
    length: int = 150,
    size: tuple[int, int] = (128, 192),
    seed: int = 0,
    kinds: Sequence[str] = KINDS,
) -> list[Video]:
    """Films `count` videos of the square (10 of "train", 12 of "test" by default), at 10 frames/s.

    split   "train": normal life only; "test": video i shows the anomaly kinds[i % len(kinds)]
            in one or two intervals, and normal life in the rest
    length  frames in a video, at least 40; size: (H, W), at least 32 each
    seed    same seed, same frames; video i does not depend on `count`

    Frames are (T, H, W, 3) uint8 RGB. A frame's label is 1 if and only if its mask is not empty.
    truth: with N passers-by, NaN where one is not seen,
      kind      (T,) str, "" where normal
      actors    N dicts: id, role ("walker", "cyclist", "runner", "robot", "cart", "balloons"), kind
      boxes     (T, N, 4) float32 x0, y0, x1, y1 around the visible pixels (x1, y1 exclusive)
      tracks    (T, N, 2) float32 x, y of the spot on the ground
      speed     (T, N) float32 metres per second
      abnormal  (T, N) bool
      captions  T sentences

    Raises VadError for an unknown split or kind, count < 1, or too small a size or length.
    """
    _check(split, count, length, size, kinds)
    count = count or (10 if split == "train" else 12)
    camera = Camera((int(size[0]), int(size[1])))
    films = []
    for i in range(count):
        kind = kinds[i % len(kinds)] if split == "test" else ""
        films.append(_video(split, i, kind, i // len(kinds), length, camera, seed))
    return films


def _video(split, number, kind, turn, length, camera, seed) -> Video:
    stream = [VERSION, seed, ("train", "test").index(split), number]
    early = (number + turn) % 2 == 0
    actors = Director(camera, length, stream, early, turn).run(kind)
    frames, ids = render(camera, actors, length, stream)
    masks, truth = annotate(camera, actors, ids)
    recipe = [VERSION, stream, kind, turn, length, asdict(camera), asdict(LAYOUT)]
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    labels = masks.any((1, 2)).astype(np.uint8)
    name = f"plaza-{split}-{number:02d}"
    return Video(name, frames, labels, masks, f"plaza-{key}", FPS, "plaza", split, truth)
