"""Who crosses Plaza, where and when: everyday traffic, and the anomalies set into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vadlib.data.plaza.figures import Figure, Look, balloons, cart, cyclist, look, robot, walker
from vadlib.data.plaza.scene import LAYOUT, Camera

FPS = 10.0
SPEED = {"walker": (1.0, 1.7), "cyclist": (3.6, 4.2), "runner": (3.3, 4.1)}  # metres per second
STRIDE = {"walker": 1.45, "runner": 2.9, "cyclist": 5.0}  # metres per cycle of the gait
SURGE, BEAT = 0.13, 15.0  # how much the speed of a ride varies, and in how many frames
STROLL = 1.35  # metres per second, a usual pace
ODD = {"robot": robot, "cart": cart, "balloons": balloons}  # what never appears in training


def milestones(path: np.ndarray) -> np.ndarray:
    """(k,) metres from the start of `path` (k, 2) to each of its points."""
    return np.concatenate([[0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])


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
    water: Any = 0.0
    stands: np.ndarray | bool = False

    def figure(self) -> Figure:
        """How this actor looks, heading where it walks."""
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
        self.brisk = float(self.traffic.uniform())  # of the anomaly: 0 slow, 1 fast for its role

    # --- paths ---

    def edge(self, depth: float, room: float = 1.3) -> float:
        """Metres from the middle to just outside the frame."""
        return self.camera.half_width(depth) + room

    def lane(self, band: str) -> float:
        """A depth in a band of the layout, in metres."""
        low, high = (self.camera.depth(r) for r in getattr(LAYOUT, band)[::-1])
        return float(self.traffic.uniform(low + 0.15 * (high - low), high - 0.15 * (high - low)))

    def straight(self, slot: Slot) -> np.ndarray:
        """The way straight through the scene at a slot's depth: (T, 2) metres."""
        edge = self.edge(slot.depth)
        return np.array([[-edge, slot.depth], [edge, slot.depth]])[:: slot.direction]

    def follow(self, slot: Slot, path: np.ndarray, through: float | None = None) -> Actor:
        """Walks `path` (k, 2) at constant speed, being `through` metres along it at slot.when."""
        along = milestones(path)
        middle = along[-1] / 2 if through is None else through
        time, start = np.arange(self.length) - slot.when, self.traffic.uniform(0, 2 * np.pi)
        surge = SURGE if slot.speed > 2.5 else 0.0  # what is fast does not keep an even pace
        beat = 2 * np.pi * time / BEAT + start
        gone = middle + slot.speed / FPS * (time + surge * BEAT / (2 * np.pi) * np.sin(beat))
        frames = np.flatnonzero((gone >= 0) & (gone <= along[-1]))
        gone = gone[frames]

        def spot(s):
            return np.stack([np.interp(s, along, path[:, i]) for i in (0, 1)], -1)

        at = (spot(gone - 0.3) + spot(gone) + spot(gone + 0.3)) / 3  # corners are rounded
        heading = spot(np.minimum(gone + 0.4, along[-1])) - spot(np.maximum(gone - 0.4, 0))
        heading /= np.maximum(np.hypot(*heading.T), 1e-9)[:, None]
        at[:, 1] += 0.08 * np.sin(gone / 1.7 + start)  # nobody walks along a ruler
        # Who glides on foot at a cyclist's speed still moves the legs of a walker.
        pace = STROLL / slot.speed if slot.kind == "joint" and slot.role == "walker" else 1.0
        phase = start + 2 * np.pi * pace * gone / STRIDE.get(slot.role, STRIDE["walker"])
        speed = slot.speed * (1 + surge * np.cos(beat[frames]))
        odd = np.full(len(frames), bool(slot.kind))
        who = look(self.looks)
        return Actor(slot.role, who, frames, at, heading, phase, speed, odd, slot.kind, slot.does)

    # --- normal life ---

    def stream(self, band: str, role: str, headway: float, anchor: float | None) -> dict[int, Slot]:
        """Passers-by about every `headway` frames, irregularly; number 0 comes at `anchor`."""
        rng, reach = self.traffic, 260 * max(1.0, self.camera.stretch)
        anchor = float(rng.uniform(0, headway)) if anchor is None else anchor
        slots = {}
        for step in (1, -1):
            number, when = (0, anchor) if step == 1 else (-1, anchor - self.gap(headway))
            while -reach < when < self.length + reach:
                slots[number] = self.slot(band, role, when)
                number, when = number + step, when + step * self.gap(headway)
        return slots

    def gap(self, headway: float) -> float:
        """Seconds to the next passer-by, about a headway."""
        return headway * float(self.traffic.uniform(0.6, 1.4))

    def slot(self, band: str, role: str, when: float) -> Slot:
        """Who comes when, in which band and from which side."""
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
            ("promenade", "walker"): 33.0,
            ("one_way", "walker"): 33.0,
            ("shared", "walker"): 50.0,
            ("shared", "cyclist"): 16.0,
        }
        target = self.target(kind)
        for (band, role), headway in streams.items():
            hit = (band, role) == target
            slots = self.stream(band, role, headway, self.anchor(band, role, kind) if hit else None)
            if hit:
                slots[0] = replace(slots[0], speed=self.speed(role))
                getattr(self, kind)(slots)
            for slot in slots.values():
                self.pass_by(slot)
        self.bystanders()
        return [actor for actor in self.actors if len(actor.frames)]

    def pass_by(self, slot: Slot):
        """The actor that a slot stands for."""
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
        rides = ("shared", "cyclist")
        return {
            "": ("", ""),
            "appearance": walks[(self.variant + self.variant // 3) % 3],
            "motion": walks[(self.variant + 1) % 2],
            "joint": (rides, walks[2])[self.variant % 2],
            "direction": walks[1],
        }.get(kind, walks[0])

    def speed(self, role: str) -> float:
        """Metres per second of the anomaly."""
        slow, fast = SPEED[role]
        return slow + self.brisk * (fast - slow)

    def anchor(self, band: str, role: str, kind: str) -> float:
        """When the anomaly is half over: early or late, and cut by the video's beginning or end
        if it would fill the video."""
        wide, depth = self.camera.stretch, self.camera.depth(sum(getattr(LAYOUT, band)) / 2)
        metres = 2 * self.edge(depth, 0.0)
        if kind == "place":
            lawn = self.edge(self.camera.depth(0.525), LAYOUT.lawn_end * wide)
            metres = 2 * LAYOUT.basin if self.variant % 3 == 2 else lawn
        lasts = metres / self.speed("runner" if kind == "motion" else role) * FPS
        if kind == "interaction":
            lasts = 0.35 * self.length
        if lasts < 0.6 * self.length:
            when = self.traffic.uniform(0.3 * lasts, self.length / 2)
        else:
            when = self.traffic.uniform(0.35, 0.5) * self.length - lasts / 2
        return float(when if self.early else self.length - when)

    def appearance(self, slots: dict[int, Slot]):
        """Something that does not belong here, at the pace of those who do."""
        role = tuple(ODD)[self.variant % len(ODD)]
        slots[0] = replace(slots[0], role=role, kind="appearance", does=role)

    def twice(self, slot: Slot) -> tuple[Slot, ...]:
        """What is fast is soon gone: two in a row, where the video has room for them."""
        crossing = 2 * self.edge(slot.depth) / slot.speed * FPS
        if 1.6 * crossing > 0.6 * self.length:
            return (slot,)
        middle = min(max(slot.when, 0.25 * self.length), 0.75 * self.length)
        return tuple(replace(slot, when=middle + by * crossing) for by in (-0.3, 0.3))

    def motion(self, slots: dict[int, Slot]):
        """Somebody runs where a person would have walked."""
        run = replace(slots.pop(0), role="runner", speed=self.speed("runner"))
        run = replace(run, kind="motion", does="runner")
        slots |= {max(slots) + i: slot for i, slot in enumerate(self.twice(run), 1)}

    def joint(self, slots: dict[int, Slot]):
        """A walker's look at a cyclist's speed, or the reverse, where both are everyday sights."""
        role = "walker" if slots[0].role == "cyclist" else "cyclist"
        step = 4 if self.early else -4  # what is fast is soon gone, and comes again
        again = role == "walker" and self.length >= 100 and self.camera.stretch < 1.5
        for n in (0, step) if again else (0,):
            slots[n] = replace(slots[n], role=role, kind="joint", does=role)

    def direction(self, slots: dict[int, Slot]):
        """Somebody who walks against the arrows."""
        slots[0] = replace(slots[0], direction=-1, kind="direction", does="direction")

    def place(self, slots: dict[int, Slot]):
        """The way leads over the lawn, or through the fountain."""
        slot, way = slots.pop(0), self.variant % 3
        does = "fountain" if way == 2 else "lawn"
        path = self.way_through(slot, does)
        leg = 2  # the one that is out of bounds
        if way == 1:
            path, leg = path[::-1], 0
        through = float(milestones(path)[leg : leg + 2].mean())
        actor = self.follow(replace(slot, kind="place", does=does), path, through)
        x, depth = actor.at.T
        if does == "lawn":
            near, far = (self.camera.depth(row) for row in LAYOUT.lawn[::-1])
            actor.abnormal = (x < LAYOUT.lawn_end * self.camera.stretch) & (depth > near)
            actor.abnormal &= depth < far
        else:
            middle = LAYOUT.fountain[0] * self.camera.stretch
            out = depth - self.camera.depth(LAYOUT.fountain[1])
            actor.abnormal = np.hypot(x - middle, out) < LAYOUT.basin
            actor.water = np.where(actor.abnormal, 0.45, 0.0)
        self.actors.append(actor)

    def way_through(self, slot: Slot, does: str) -> np.ndarray:
        """From the right of the promenade over the lawn and out, or through the fountain."""
        wide, (x, row) = self.camera.stretch, LAYOUT.fountain
        start = (self.edge(slot.depth), slot.depth)
        if does == "lawn":
            depth = self.camera.depth(float(self.traffic.uniform(0.5, 0.55)))
            onto = (LAYOUT.lawn_end * wide + 0.6, depth)
            return np.array([start, (0.4 * wide, slot.depth), onto, (-self.edge(depth), depth)])
        goal, depth, x = self.lane("one_way"), self.camera.depth(row), x * wide
        left, right = x - LAYOUT.basin, x + LAYOUT.basin
        through = [(right, depth + 0.3), (left, depth - 0.3)]
        end = [(left - 0.3, goal), (self.edge(goal), goal)]
        return np.array([start, (right + 0.4, slot.depth), *through, *end])

    def interaction(self, slots: dict[int, Slot]):
        """Two people meet, circle or push each other at walking speed, and go their ways."""
        one, other = slots.pop(0), slots.pop(1 if self.early else -1)
        middle = min(max((one.when + other.when) / 2, 0.25 * self.length), 0.75 * self.length)
        left = replace(one, direction=1, when=middle)
        right = replace(left, direction=-1, speed=other.speed)
        does = ("circling", "scuffle")[self.variant % 2]
        x = float(self.traffic.uniform(-0.45, 0.45)) * self.edge(left.depth)
        lasts = float(self.traffic.uniform(0.3, 0.4)) * self.length
        pace = (left.speed + right.speed) / 2
        for slot in (left, right):
            self.actors.append(self.meet(slot, does, x, lasts, pace))

    def meet(self, slot: Slot, does: str, x: float, lasts: float, pace: float) -> Actor:
        """One of the two: walks up to `x`, is busy for `lasts` frames at `pace` m/s, walks on."""
        side, time = -slot.direction, np.arange(self.length)  # the side it comes from
        start = slot.when - lasts / 2
        since = np.clip(time - start, 0, lasts)
        busy, still = (since > 0) & (since < lasts), np.zeros(self.length)
        if does == "circling":
            turn = since * pace / FPS / 0.5 + (np.pi if side < 0 else 0)
            offset = 0.5 * np.stack([np.cos(turn), np.sin(turn)], -1)
            facing = np.stack([-np.sin(turn), np.cos(turn)], -1)
        else:  # back and forth, 0.6 metres to each side
            swing = 2 * np.abs((since * pace / FPS / 1.2) % 2 - 1) - 1
            offset = np.stack([0.3 * side + 0.6 * swing, still + 0.1 * side], -1)
            facing = np.stack([still - side, still], -1)
        at = np.array([x, slot.depth]) + offset
        at[:, 0] -= side * slot.speed / FPS * (time - start - since)
        heading = np.where(busy[:, None], facing, [-float(side), 0.0])
        speed = np.where(busy, pace, slot.speed)
        phase = np.cumsum(speed) / FPS * 2 * np.pi / STRIDE["walker"] + side
        frames = np.flatnonzero(np.abs(at[:, 0]) < self.edge(slot.depth))
        at, heading, phase, speed, busy = (a[frames] for a in (at, heading, phase, speed, busy))
        who = look(self.looks)
        return Actor("walker", who, frames, at, heading, phase, speed, busy, "interaction", does)
