"""What goes wrong on Plaza: each kind of anomaly, set into everyday traffic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vadlib.data.plaza.dials import LEFT, LOOKS, mix, ratio
from vadlib.data.plaza.figures import look
from vadlib.data.plaza.odd import ODD
from vadlib.data.plaza.scene import LAYOUT
from vadlib.data.plaza.traffic import BEHIND, FPS, SPEED, STRIDE, Actor, Slot, Traffic, milestones

STAYS = 0.3  # the part of a video that a suitcase is left: what stays longer becomes the scene
OTHER = {"cyclist": "walker", "walker": "cyclist"}


class Director(Traffic):
    """Sets an anomaly into the traffic, in the place of one or two passers-by."""

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
            anchor = self.anchor(band, role, kind) if hit else None
            slots = self.stream(band, role, headway / self.dials.crowd, anchor)
            if hit:
                slots[0] = replace(slots[0], speed=self.speed(role))
                self.happen(kind, slots)
            for slot in slots.values():
                self.pass_by(slot)
        self.bystanders()
        return [actor for actor in self.actors if len(actor.frames)]

    def happen(self, kind: str, slots: dict[int, Slot]):
        """An anomaly among the passers-by of its stream."""
        if kind in ("appearance", *LOOKS):
            self.odd_looks(kind, slots)
        else:
            getattr(self, kind.replace(" ", "_"))(slots)

    def target(self, kind: str) -> tuple[str, str]:
        """The stream whose passer-by is replaced."""
        walks = [("promenade", "walker"), ("one_way", "walker"), ("shared", "walker")]
        rides = ("shared", "cyclist")
        odd = dict.fromkeys(("appearance", *LOOKS), walks[(self.variant + self.variant // 3) % 3])
        return {
            "": ("", ""),
            **odd,
            "motion": walks[(self.variant + 1) % 2],
            "joint": (rides, walks[2])[self.variant % 2],
            "direction": walks[1],
            LEFT: walks[self.variant % 2],
        }.get(kind, walks[0])

    def speed(self, role: str) -> float:
        """Metres per second of the anomaly."""
        slow, fast = SPEED[role]
        return slow + self.brisk * (fast - slow)

    def run_speed(self) -> float:
        """Metres per second of who runs."""
        return ratio(self.speed("walker"), self.speed("runner"), self.effect)

    def swapped(self, role: str, speed: float) -> float:
        """Metres per second of who has another role's look than the one of `role` and `speed`."""
        return ratio(self.speed(OTHER[role]), speed, self.effect)

    def anchor(self, band: str, role: str, kind: str) -> float:
        """When the anomaly is half over: early or late, and cut by the video's beginning or end
        if it would fill the video."""
        wide, depth = self.camera.stretch, self.camera.depth(sum(getattr(LAYOUT, band)) / 2)
        metres = 2 * self.edge(depth, 0.0)
        if kind == "place":
            lawn = self.edge(self.camera.depth(0.525), LAYOUT.lawn_end * wide)
            metres = 2 * self.camera.basin if self.variant % 3 == 2 else lawn
        speed = self.speed(role)
        if kind in ("motion", "joint"):
            speed = self.run_speed() if kind == "motion" else self.swapped(role, speed)
        lasts = metres / speed * FPS
        if kind == "direction" and self.effect < 1:  # at an angle for a while only
            lasts = min(lasts, 0.35 * self.length)
        if kind in ("interaction", LEFT):
            lasts = (STAYS if kind == LEFT else 0.35) * self.length
        if lasts < 0.6 * self.length:
            when = self.traffic.uniform(0.3 * lasts, self.length / 2)
        else:
            when = self.traffic.uniform(0.35, 0.5) * self.length - lasts / 2
        return float(when if self.early else self.length - when)

    def odd_looks(self, kind: str, slots: dict[int, Slot]):
        """Something that does not belong here, at the pace of those who do."""
        role = tuple(ODD)[self.variant % len(ODD)]
        does = role if kind == "appearance" else kind
        slots[0] = replace(slots[0], role=role, kind=kind, does=does)

    def twice(self, slot: Slot) -> tuple[Slot, ...]:
        """What is fast is soon gone: two in a row, where the video has room for them."""
        crossing = 2 * self.edge(slot.depth) / slot.speed * FPS
        if 1.6 * crossing > 0.6 * self.length:
            return (slot,)
        middle = min(max(slot.when, 0.25 * self.length), 0.75 * self.length)
        return tuple(replace(slot, when=middle + by * crossing) for by in (-0.3, 0.3))

    def motion(self, slots: dict[int, Slot]):
        """Somebody runs where a person would have walked."""
        run = replace(slots.pop(0), role="runner", speed=self.run_speed())
        run = replace(run, kind="motion", does="runner")
        slots |= {max(slots) + i: slot for i, slot in enumerate(self.twice(run), 1)}

    def joint(self, slots: dict[int, Slot]):
        """A walker's look at a cyclist's speed, or the reverse, where both are everyday sights."""
        role = OTHER[slots[0].role]
        step = 4 if self.early else -4  # what is fast is soon gone, and comes again
        again = role == "walker" and self.length >= 100 and self.camera.stretch < 1.5
        for n in (0, step) if again else (0,):
            speed = self.swapped(slots[n].role, slots[n].speed)
            slots[n] = replace(slots[n], role=role, kind="joint", does=role, speed=speed)

    def direction(self, slots: dict[int, Slot]):
        """Somebody who walks against the arrows; with less effect, at an angle to them for a while:
        zigzag, since the walk is narrow."""
        slot = replace(slots[0], kind="direction", does="direction")
        if self.effect == 1:
            slots[0] = replace(slot, direction=-1)
            return
        del slots[0]
        metres = min(2 * self.edge(slot.depth, 0.0), 0.35 * self.length * slot.speed / FPS)
        path, begin = self.zigzag(slot, metres)
        actor = self.follow(slot, path, begin + metres / 2)
        actor.abnormal = np.abs(actor.frames - slot.when) <= metres / 2 / slot.speed * FPS
        self.actors.append(actor)

    def zigzag(self, slot: Slot, metres: float) -> tuple[np.ndarray, float]:
        """A way along the arrows but for some metres in the middle, at an angle of 180 degrees
        times the effect; and how far along it those begin."""
        low, high = (self.camera.depth(row) for row in LAYOUT.one_way[::-1])
        low, high = low + 0.15 * (high - low), high - 0.15 * (high - low)
        angle, along = np.pi * self.effect, np.linspace(0, metres, max(2, round(10 * metres)))
        x = np.cos(angle) * (along - metres / 2)
        across = slot.depth - low + np.sin(angle) * along
        depth = low + np.abs((across + high - low) % (2 * (high - low)) - (high - low))
        edge = self.edge(slot.depth)
        way = np.stack([x, depth], -1)
        path = np.concatenate([[[-edge, slot.depth]], way, [[edge, depth[-1]]]])
        return path, float(milestones(path)[1])

    def place(self, slots: dict[int, Slot]):
        """The way leads over the lawn, or through the fountain."""
        slot, way = slots.pop(0), self.variant % 3
        does = "fountain" if way == 2 else "lawn"
        path = mix(self.way_past(slot, does), self.way_through(slot, does), self.effect)
        leg = 2  # the one that is out of bounds
        if way == 1:
            path, leg = path[::-1], 0
        through = float(milestones(path)[leg : leg + 2].mean())
        actor = self.follow(replace(slot, kind="place", does=does), path, through)
        self.out_of_bounds(actor)
        self.actors.append(actor)

    def out_of_bounds(self, actor: Actor):
        """Marks where an actor is on the lawn or in the fountain; with less effect, where it would
        have been."""
        x, depth = actor.at.T
        if actor.does == "lawn":
            near, far = (self.camera.depth(row) for row in LAYOUT.lawn[::-1])
            actor.abnormal = x < LAYOUT.lawn_end * self.camera.stretch
            if self.effect == 1:
                actor.abnormal &= (depth > near) & (depth < far)
            return
        middle = LAYOUT.fountain[0] * self.camera.stretch
        out = depth - self.camera.depth(LAYOUT.fountain[1])
        wet = np.hypot(x - middle, out) < self.camera.basin
        past = sum(LAYOUT.crossing) / 2 * self.camera.stretch
        spot = mix(past, middle, self.effect)
        actor.abnormal = np.hypot(x - spot, out) < self.camera.basin
        actor.water = np.where(wet, 0.45, 0.0)

    def way_past(self, slot: Slot, does: str) -> np.ndarray:
        """What `way_through` would be if it kept to the walks: as many points."""
        wide, (x, row) = self.camera.stretch, LAYOUT.fountain
        start = (self.edge(slot.depth), slot.depth)
        if does == "lawn":
            on = [(0.4 * wide, slot.depth), (LAYOUT.lawn_end * wide + 0.6, slot.depth)]
            return np.array([start, *on, (-self.edge(slot.depth), slot.depth)])
        goal, depth = self.camera.depth(sum(LAYOUT.one_way) / 2), self.camera.depth(row)
        x = sum(LAYOUT.crossing) / 2 * wide
        across = [(x, depth + 0.3), (x, depth - 0.3), (x, goal)]
        return np.array([start, (x, slot.depth), *across, (self.edge(goal), goal)])

    def way_through(self, slot: Slot, does: str) -> np.ndarray:
        """From the right of the promenade over the lawn and out, or through the fountain."""
        wide, (x, row) = self.camera.stretch, LAYOUT.fountain
        start = (self.edge(slot.depth), slot.depth)
        if does == "lawn":
            depth = self.camera.depth(float(self.traffic.uniform(0.5, 0.55)))
            onto = (LAYOUT.lawn_end * wide + 0.6, depth)
            return np.array([start, (0.4 * wide, slot.depth), onto, (-self.edge(depth), depth)])
        goal, depth, x = self.lane("one_way"), self.camera.depth(row), x * wide
        left, right = x - self.camera.basin, x + self.camera.basin
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
        pace = (left.speed + right.speed) / 2 * max(self.effect, 1.0)
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
        if self.effect < 1:
            at, heading, speed = self.calmed(slot, x, at)
        phase = np.cumsum(speed) / FPS * 2 * np.pi / STRIDE["walker"] + side
        frames = np.flatnonzero(np.abs(at[:, 0]) < self.edge(slot.depth))
        at, heading, phase, speed, busy = (a[frames] for a in (at, heading, phase, speed, busy))
        who = look(self.looks)
        return Actor("walker", who, frames, at, heading, phase, speed, busy, "interaction", does)

    def calmed(self, slot: Slot, x: float, at: np.ndarray) -> tuple[np.ndarray, ...]:
        """A way (T, 2) between passing by at `x` and `at`, with its headings and speeds: the less
        the effect, the wider and the weaker is what the two do with each other."""
        time = np.arange(self.length)
        straight = np.stack([x + slot.direction * slot.speed / FPS * (time - slot.when),
                             np.full(self.length, slot.depth)], -1)  # fmt: skip
        at = mix(straight, at, self.effect)
        step = np.gradient(at, axis=0)
        length = np.hypot(*step.T)
        onward = np.array([float(slot.direction), 0.0])
        heading = np.where(length[:, None] > 0.01, step / np.maximum(length, 0.01)[:, None], onward)
        return at, heading, length * FPS

    def left_behind(self, slots: dict[int, Slot]):
        """Somebody walks on without the suitcase, until somebody else takes it along; with less
        effect, it follows its owner at a lower speed."""
        one, other = slots.pop(0), slots.pop(1 if self.early else -1)
        lasts = STAYS * self.length
        begin, end = one.when - lasts / 2, one.when + lasts / 2
        x = float(self.traffic.uniform(-0.45, 0.45)) * self.edge(one.depth)
        owner, finder = (
            replace(s, depth=one.depth, when=t - (s.direction * x + BEHIND) / s.speed * FPS)
            for s, t in ((one, begin), (other, end))
        )
        self.actors += [self.follow(s, self.straight(s)) for s in (owner, finder)]
        self.actors.append(self.luggage(owner, finder, begin))

    def luggage(self, owner: Slot, finder: Slot, begin: float) -> Actor:
        """A suitcase in tow until frame `begin`, then slower, then in tow of who finds it."""
        time = np.arange(self.length)
        first, then = (
            s.direction * (s.speed / FPS * (time - s.when) - BEHIND) for s in (owner, finder)
        )
        slowed = begin + (time - begin) * np.where(time > begin, 1 - self.effect, 1.0)
        x = owner.direction * (owner.speed / FPS * (slowed - owner.when) - BEHIND)
        there = finder.direction * (then - x) > -1e-6  # from when on the finder has come to it
        owned = np.abs(x - first) < 1.5  # nobody takes what its owner is near
        caught = there & ~np.roll(there, 1) & (time > begin) & ~owned
        taken = np.maximum.accumulate(caught)
        x = np.where(taken, then, x)
        alone = (time > begin) & ~taken
        speed = np.abs(np.gradient(x)) * FPS
        frames = np.flatnonzero(np.abs(x) < self.edge(owner.depth))
        at = np.stack([x, np.full(self.length, owner.depth)], -1)[frames]
        heading = np.tile([float(owner.direction), 0.0], (len(frames), 1))
        who, still = look(self.looks), np.zeros(len(frames))
        return Actor("case", who, frames, at, heading, still, speed[frames], alone[frames], LEFT,
                     "left")  # fmt: skip
