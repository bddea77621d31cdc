"""Who crosses Plaza, where and when: everyday traffic. What goes wrong in it is in `wrong`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vadlib.data.plaza.dials import LEVELS, Dials, mix
from vadlib.data.plaza.figures import Figure, Look, cyclist, look, suitcase, walker
from vadlib.data.plaza.odd import ODD, odd_figure
from vadlib.data.plaza.scene import LAYOUT, Camera

FPS = 10.0
SPEED = {"walker": (1.0, 1.7), "cyclist": (3.6, 4.2), "runner": (3.3, 4.1)}  # metres per second
STRIDE = {"walker": 1.45, "runner": 2.9, "cyclist": 5.0}  # metres per cycle of the gait
SURGE, BEAT = 0.13, 15.0  # how much the speed of a ride varies, and in how many frames
STROLL = 1.35  # metres per second, a usual pace
BEHIND = 0.62  # metres from who pulls a suitcase to the suitcase


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
    effect: float = 1.0

    def figure(self) -> Figure:
        """How this actor looks, heading where it walks."""
        figure = Figure(self.heading)
        if self.role in ODD:
            odd_figure(figure, self.look, self.phase, self.role, self.kind, self.effect)
        elif self.role == "case":
            suitcase(figure)
        elif self.role == "cyclist":
            cyclist(figure, self.look, self.phase)
        else:
            swing = np.where(self.stands, 0.0, 1.0) * np.ones(len(self.frames))
            run = min(self.effect, 1.0) if self.role == "runner" else 0.0
            walker(figure, self.look, self.phase, swing, run)
        return figure


@dataclass
class Traffic:
    """Everyday life on the square. One random stream for each concern.

    effect  of what goes wrong, where something does
    """

    camera: Camera
    length: int
    seed: Sequence[int]
    early: bool = True
    variant: int = 0
    dials: Dials = LEVELS["busy"]
    effect: float = 1.0
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
        phase = start + 2 * np.pi * self.pace(slot) * gone / self.stride(slot)
        speed = slot.speed * (1 + surge * np.cos(beat[frames]))
        odd = np.full(len(frames), bool(slot.kind))
        who = look(self.looks)
        return Actor(slot.role, who, frames, at, heading, phase, speed, odd, slot.kind, slot.does,
                     effect=self.effect)  # fmt: skip

    def pace(self, slot: Slot) -> float:
        """Steps for each that the way takes: who glides on foot at a cyclist's speed still moves
        the legs of a walker."""
        if slot.kind == "joint" and slot.role == "walker":
            return (STROLL / slot.speed) ** min(self.effect, 1.0)
        return 1.0

    def stride(self, slot: Slot) -> float:
        """Metres per cycle of the gait."""
        if slot.role == "runner":
            return mix(STRIDE["walker"], STRIDE["runner"], min(self.effect, 1.0))
        return STRIDE.get(slot.role, STRIDE["walker"])

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
        order = self.traffic.permutation(len(spots))
        groups = int(int(self.traffic.integers(2, 4)) * self.dials.crowd)
        for i, which in enumerate(order[:groups]):
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

    def pass_by(self, slot: Slot):
        """The actor that a slot stands for."""
        rng = self.traffic
        if slot.kind == "" and slot.band == "promenade" and rng.random() < 0.2:
            self.cut_across(slot)
            return
        self.walk(slot)
        if slot.kind == "" and slot.role == "walker" and rng.random() < 0.15:  # in company
            friend = replace(slot, depth=slot.depth + 0.45, when=slot.when + rng.uniform(-2, 2))
            self.actors.append(self.follow(friend, self.straight(friend)))

    def walk(self, slot: Slot):
        """Straight on; where there is luggage, perhaps with a suitcase in tow."""
        self.actors.append(self.follow(slot, self.straight(slot)))
        some = self.dials.luggage > 0 and slot.kind == "" and slot.role == "walker"
        if some and self.traffic.random() < self.dials.luggage:
            late = slot.when + BEHIND / slot.speed * FPS
            case = replace(slot, role="case", when=late)
            self.actors.append(self.follow(case, self.straight(case)))

    def cut_across(self, slot: Slot):
        """From the promenade over the crossing to the one-way walk."""
        x = float(self.traffic.uniform(*LAYOUT.crossing)) * self.camera.stretch
        goal = self.lane("one_way")
        path = np.array([[-slot.direction * self.edge(slot.depth), slot.depth], [x, slot.depth],
                         [x, goal], [self.edge(goal), goal]])  # fmt: skip
        self.actors.append(self.follow(slot, path))
