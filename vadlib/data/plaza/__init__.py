"""Plaza: the data set that the book carries with it, a synthetic square under a fixed camera.

Normal life: people walk both ways along a promenade, from left to right along a one-way walk, and
share a path with cyclists; some stand and talk; nobody steps on the lawn or into the fountain.
An anomaly is a normal passer-by with exactly one thing changed (`KINDS`), in the place and at the
time of the normal one: so neither speed, nor size, nor the number of people gives it away.

How far it is changed is a dial (`effect`), and so is how the square is filmed (`Dials`). The level
`busy` is the hard test; at `clear` people are larger and fewer, and a suitcase may be left behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import cv2
import numpy as np

from vadlib.data.base import Video
from vadlib.data.plaza.dials import (
    ALL_KINDS,
    KINDS,
    KINDS_OF,
    LEVELS,
    MOST,
    Dials,
    check_effect,
    dials_of,
    turned,
)
from vadlib.data.plaza.draw import Cast, render
from vadlib.data.plaza.scene import HIGH, LAYOUT, Camera
from vadlib.data.plaza.traffic import FPS, SPEED, Actor
from vadlib.data.plaza.wrong import Director
from vadlib.errors import VadError

__all__ = [
    "ALL_KINDS",
    "FPS",
    "KINDS",
    "KINDS_OF",
    "LAYOUT",
    "LEVELS",
    "MOST",
    "SPEED",
    "VERSION",
    "Camera",
    "Dials",
    "turned",
    "videos",
]
VERSION = 1  # raised whenever a pixel or a label changes
SHORTEST, SMALLEST = 40, 32  # frames in a video, pixels in a side
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
    "left": "a suitcase is left behind",
    "size": "a person of unusual size walks",
    "shape": "something of unusual shape moves",
    "colour": "a person in unusual colours walks",
}


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
    about = [{"id": n, "role": role_of(a), "kind": a.kind} for n, a in enumerate(actors)]
    return masks, {
        "kind": kind,
        "actors": about,
        "boxes": boxes,
        "tracks": tracks,
        "speed": speed,
        "abnormal": abnormal,
        "captions": captions,
    }


def role_of(actor: Actor) -> str:
    """What an actor is: a person on foot whose looks or gait differ by nothing is a walker."""
    person = actor.effect == 0 and actor.kind in ("appearance", "shape", "motion")
    return "walker" if person or actor.kind in ("size", "colour") else actor.role


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def caption(actors: list[Actor], seen: np.ndarray, abnormal: np.ndarray) -> str:
    """One sentence on what a frame shows."""

    def some(count: int, one: str, many: str) -> str:
        number = NUMBERS[count] if count < len(NUMBERS) else str(count)
        return f"{number} {one if count == 1 else many}"

    people = zip(actors, seen, abnormal, strict=True)
    usual = [a for a, s, odd in people if s and not odd and a.role != "case"]
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


def _check(split: str, count, length: int, size) -> None:
    if split not in ("train", "test"):
        raise VadError(f"plaza has no split {split!r}", 'Use "train" or "test".')
    if count is not None and count < 1:
        raise VadError(f"count is {count}", "Ask for at least one video.")
    if length < SHORTEST:
        raise VadError(f"length is {length}", f"A video needs at least {SHORTEST} frames.")
    if min(size) < SMALLEST:
        remedy = f"A frame needs at least {SMALLEST} pixels a side."
        raise VadError(f"size is {tuple(size)}", remedy)
    if not 0.5 <= size[1] / size[0] <= 3:
        raise VadError(f"size is {tuple(size)}", "A frame is half to three times as wide as high.")


def videos(
    split: str,
    count: int | None = None,
    length: int = 150,
    size: tuple[int, int] = (128, 192),
    seed: int = 0,
    kinds: Sequence[str] | None = None,
    first: int = 0,
    level: str | Dials = "busy",
    effect: float = 1.0,
) -> list[Video]:
    """Films `count` videos of the square (10 of "train", 12 of "test" by default), at 10 frames/s.

    split   "train": normal life only; "test": video i shows the anomaly kinds[i % len(kinds)]
            in one or two intervals, and normal life in the rest
    length  frames in a video, at least 40; size: (H, W), at least 32 each, W/H in 0.5 .. 3
    seed    same seed, same frames; video i does not depend on `count`
    kinds   among ALL_KINDS; those of the level when None (KINDS_OF)
    first   number of the first video: those before it are not filmed
    level   "busy", "clear", or dials of your own: how it is filmed, and what is everyday
    effect  how far the anomalies are from normal: 0 not at all, 1 as always, MOST[kind] at most

    Frames are (T, H, W, 3) uint8 RGB. A frame's label is 1 if and only if its mask is not empty.
    truth: with N passers-by, NaN where one is not seen,
      kind      (T,) str, "" where normal
      actors    N dicts: id, role ("walker", "cyclist", "runner", "robot", "cart", "balloons",
                "case"), kind
      boxes     (T, N, 4) float32 x0, y0, x1, y1 around the visible pixels (x1, y1 exclusive)
      tracks    (T, N, 2) float32 x, y of the spot on the ground
      speed     (T, N) float32 metres per second
      abnormal  (T, N) bool
      captions  T sentences

    Raises VadError for an unknown split, kind or level, count < 1, first < 0, or a size, length,
    dial or effect out of bounds.
    """
    _check(split, count, length, size)
    dials = dials_of(level)
    if kinds is None:
        kinds = KINDS_OF.get(level, KINDS) if isinstance(level, str) else KINDS
    check_effect(kinds, effect)
    if first < 0:
        raise VadError(f"first is {first}", "Videos are numbered from 0.")
    count = count or (10 if split == "train" else 12)
    camera = Camera((int(size[0]), int(size[1])), height=HIGH / dials.zoom)
    films = []
    for i in range(first, first + count):
        turn, place = divmod(i, len(kinds))
        # Each kind, and each of its variants, comes early in a video as often as late.
        early = (place + turn + turn // 2) % 2 == 0
        kind = kinds[place] if split == "test" else ""
        stream = [VERSION, seed, ("train", "test").index(split), i]
        director = Director(camera, length, stream, early, turn, dials, effect)
        films.append(_video(f"plaza-{split}-{i:02d}", director, kind, split))
    return films


def _video(name: str, director: Director, kind: str, split: str) -> Video:
    camera, length, stream = director.camera, director.length, director.seed
    actors = director.run(kind)
    casts = [Cast(camera, a.figure(), a.at, a.frames, a.water) for a in actors]
    frames, ids = render(camera, casts, length, stream, director.dials)
    masks, truth = annotate(camera, actors, ids)
    turn, early = director.variant, director.early
    recipe = [VERSION, stream, kind, turn, early, length, asdict(camera), asdict(LAYOUT)]
    if director.dials != LEVELS["busy"] or (kind and director.effect != 1):
        recipe += [asdict(director.dials), director.effect if kind else 1.0]
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]
    labels = np.any(masks, axis=(1, 2)).astype(np.uint8)
    return Video(name, frames, labels, masks, f"plaza-{key}", FPS, "plaza", split, truth)
