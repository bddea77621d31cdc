"""Words: what a box shows, said in four sentences; and sentences as numbers for a network.

Local Patterns (Jiang and Mao, 2025) lets CLIP choose a word for each of four templates: what
somebody does, how they look, where they are, what is near. `AttributeCaptioner` needs no weights:
it measures a tracked box, and compares it with the boxes of the training videos. `ClipCaptioner`
is the paper's way, behind the same two calls.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vadlib import objects
from vadlib.data.base import Video
from vadlib.errors import VadError

TEMPLATES = ("action", "appearance", "place", "nearby")
BRANCHES = {1: ("action",), 2: ("appearance", "place", "nearby")}
Boxes = Sequence[np.ndarray]  # one (n, 4) array a frame: y0, x0, y1, x1 in pixels, half-open
REACH = 5  # frames before and after over which a velocity is measured
NEAR = 1.5  # box sides between two middles: closer is near
STILL = 0.25  # of the median speed in training: slower is standing


class Captioner(Protocol):
    """Whatever says four sentences about a box."""

    def fit(self, videos: Sequence[Video], boxes: Sequence[Boxes]) -> Captioner:
        """Learn from training videos what is usual there. Returns itself."""
        ...

    def captions(self, video: Video, boxes: Boxes) -> np.ndarray:
        """Four sentences a box: (n, 4) str, in the order of `TEMPLATES`."""
        ...


def rows(video: Video, boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """All boxes of a video in order: the frame of each (n,) int, and the boxes (n, 4) float32.

    Raises VadError unless there is one array (n, 4) for each frame.
    """
    odd = [f"frame {t} has {np.shape(b)}" for t, b in enumerate(boxes) if np.shape(b)[1:] != (4,)]
    if len(boxes) != len(video) or odd:
        what = odd[0] if odd else f"boxes of {len(boxes)}"
        raise VadError(
            f"video {video.name} has {len(video)} frames and boxes that do not fit: {what}",
            "Give one (n, 4) array of boxes for each frame, with n = 0 where there are none.",
        )
    frame = np.repeat(np.arange(len(boxes)), [len(b) for b in boxes])
    return frame, np.concatenate([np.asarray(b, np.float32) for b in boxes])


# ------------------------------------------------------------------------------- what is measured


@dataclass(frozen=True)
class Attributes:
    """What can be measured about the n boxes of a video; one row a box, by frame.

    frame       (n,) int; box (n, 4) pixels
    velocity    (n, 2) float, (dy, dx) in pixels a frame; NaN where a box was seen only once
    size        (n,) pixels, the height of what differs from the background
    shape       (n,) width of it in heights
    brightness  (n,) 0..255, its median grey value
    place       (n, 2) y and x of the middle of the box, in fractions of the frame
    neighbours  (n,) int, boxes near this one
    nearest     (n, 2) float, (dy, dx) in pixels to the nearest of them; NaN where there is none
    """

    frame: np.ndarray
    box: np.ndarray
    velocity: np.ndarray
    size: np.ndarray
    shape: np.ndarray
    brightness: np.ndarray
    place: np.ndarray
    neighbours: np.ndarray
    nearest: np.ndarray

    @property
    def speed(self) -> np.ndarray:
        """(n,) pixels a frame; NaN where unknown."""
        return np.hypot(*self.velocity.T)


def attributes(video: Video, boxes: Boxes, ids: Sequence[np.ndarray] | None = None) -> Attributes:
    """Measure the boxes of a video.

    boxes  one (n, 4) array a frame
    ids    which track each box belongs to, one (n,) array a frame; `objects.track` when None
    Raises VadError where boxes, or ids, do not fit the video.
    """
    frame, box = rows(video, boxes)
    ids = objects.track(list(boxes)) if ids is None else ids
    track_of = np.concatenate([np.asarray(i, int) for i in ids])
    if len(track_of) != len(box):
        raise VadError(
            f"video {video.name} has {len(box)} boxes and {len(track_of)} track numbers",
            "Give one number for each box: objects.track(boxes).",
        )
    middle = (box[:, :2] + box[:, 2:]) / 2
    size, shape, brightness = _look(video, frame, box)
    neighbours, nearest = _neighbours(frame, box)
    return Attributes(
        frame,
        box,
        velocities(frame, middle, track_of),
        size,
        shape,
        brightness,
        middle / np.array(video.size),
        neighbours,
        nearest,
    )


def velocities(frame: np.ndarray, middle: np.ndarray, track_of: np.ndarray) -> np.ndarray:
    """The velocity of each box: the middle half of its track's steps within REACH frames.

    frame (n,), middle (n, 2), track_of (n,) -> (n, 2), in units of `middle` a frame; NaN for a
    track of one box. The outer quarters are left out: where two boxes merge, the middle jumps.
    """
    out = np.full(middle.shape, np.nan)
    order = np.lexsort((frame, track_of))
    for part in np.split(order, np.flatnonzero(np.diff(track_of[order])) + 1):
        if len(part) < 2:
            continue
        t, gap = frame[part], np.diff(frame[part])
        steps, when = np.diff(middle[part], axis=0) / gap[:, None], t[:-1] + gap / 2
        for row, now in zip(part, t, strict=True):
            close = np.abs(when - now)
            near = close <= max(REACH, close.min())  # a track with holes takes its nearest step
            sorted_ = np.sort(steps[near], axis=0)
            out[row] = sorted_[len(sorted_) // 4 : len(sorted_) - len(sorted_) // 4].mean(0)
    return out


def _look(video: Video, frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, ...]:
    """Height, width over height, and median grey value of what is in each box; (n,) each."""
    size, shape, brightness = (np.zeros(len(box)) for _ in range(3))
    usual = objects.ProposalConfig()
    scene = objects.empty_scene(video, usual.background)
    limit = np.array(video.size)
    low = np.clip(np.round(box[:, :2]), 0, limit - 1).astype(int)
    high = np.clip(np.round(box[:, 2:]), low + 1, limit).astype(int)
    current = -1
    grey, thing = np.zeros(video.size), np.zeros(video.size, bool)
    for i, ((y0, x0), (y1, x1)) in enumerate(zip(low, high, strict=True)):
        if frame[i] != current:
            current = int(frame[i])
            grey = video.frames[current].mean(-1)
            thing = objects.foreground(video.frames[current], scene, usual)
        inside = thing[y0:y1, x0:x1]
        if not inside.any():  # it looks like the empty scene: measure the whole box
            inside = np.ones_like(inside)
        height, width = (_extent(inside.sum(axis)) for axis in (1, 0))
        size[i], shape[i] = height, width / height
        brightness[i] = np.median(grey[y0:y1, x0:x1][inside])
    return size, shape, brightness


def _extent(count: np.ndarray) -> float:
    """How long a thing is, from its pixels a row: the middle 90 % of them, so that a stray one
    does not make it longer."""
    share = count.cumsum() / count.sum()
    return 1.0 + np.searchsorted(share, 0.95) - np.searchsorted(share, 0.05)


def _neighbours(frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many boxes of the same frame are near each box (n,), and the way to the nearest.

    Boxes of which one holds the other's middle show one thing: they are no neighbours, and count
    as one neighbour of a third.
    """
    count, nearest = np.zeros(len(frame), int), np.full((len(frame), 2), np.nan)
    middle, side = (box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]
    for part in np.split(np.arange(len(frame)), np.flatnonzero(np.diff(frame)) + 1):
        if not len(part):
            continue
        way = middle[part][None] - middle[part][:, None]  # from row to column
        far = np.hypot(way[..., 0], way[..., 1])
        same, reach = same_thing(way, side[part]), NEAR * side[part].max(1)
        near = (far < np.maximum(reach[:, None], reach)) & ~same
        again = near.astype(int) @ np.triu(same, 1) > 0  # the second box of one neighbour
        count[part] = (near & ~again).sum(1)
        closest = np.where(near, far, np.inf).argmin(1)
        nearest[part] = np.where(near.any(1)[:, None], way[np.arange(len(part)), closest], np.nan)
    return count, nearest


def same_thing(way: np.ndarray, side: np.ndarray) -> np.ndarray:
    """Whether the middle of one box lies in the other: ways (n, n, 2), sides (n, 2) -> (n, n)."""
    inside = np.all(np.abs(way) < side / 2, axis=-1)
    return np.logical_or(inside, inside.T)


# ---------------------------------------------------------------------------------- in sentences


def sides(way: np.ndarray, names: tuple[str, ...]) -> list[str]:
    """Which side (dy, dx) points to: (n, 2) -> n of `names` (left, right, up, down)."""
    dy, dx = np.nan_to_num(way).T
    across = np.abs(dx) >= np.abs(dy)
    which = np.where(across, (dx > 0).astype(int), 2 + (dy > 0))
    return [names[i] for i in which]


HEADING = ("to the left", "to the right", "away", "towards the camera")
BESIDE = ("on the left", "on the right", "behind", "in front")
PACE = ("slowly", "steadily", "fast")
HEIGHT, BUILD = ("small", "tall"), ("slim", "broad")
CLOTHES = ("dark", "grey", "bright")
COLUMN, ROW = ("on the left", "in the middle", "on the right"), ("far away", "near the camera")
# attribute -> the quantiles of the training boxes that part its words
QUANTILES = {
    "speed": (1 / 3, 2 / 3),
    "size": (1 / 2,),
    "shape": (1 / 2,),
    "brightness": (1 / 3, 2 / 3),
    "row": (1 / 2,),
    "column": (1 / 3, 2 / 3),
}


class AttributeCaptioner:
    """Sentences from measured attributes. What is "fast" or "tall", the training videos say.

    `edges` holds, by attribute, the values that part its words; `fit` finds them.
    """

    def __init__(self):
        self.edges: dict[str, np.ndarray] = {}

    def fit(self, videos: Sequence[Video], boxes: Sequence[Boxes]) -> AttributeCaptioner:
        """Find what is usual: the quantiles of the boxes of these videos.

        boxes  for each video one (n, 4) array a frame
        Raises VadError where there is no box at all.
        """
        return self.fit_attributes([attributes(v, b) for v, b in zip(videos, boxes, strict=True)])

    def fit_attributes(self, measured: Sequence[Attributes]) -> AttributeCaptioner:
        """`fit`, from attributes that are measured already."""
        values = {k: np.concatenate([_columns(m)[k] for m in measured]) for k in QUANTILES}
        if not len(values["size"]):
            raise VadError("there is no box to learn words from", "Look at objects.propose.")
        speed = values["speed"][~np.isnan(values["speed"])]
        still = STILL * np.median(speed) if len(speed) else 0.0
        values["speed"] = speed[speed >= still] if len(speed) else np.ones(1)
        self.edges = {k: np.quantile(values[k], q) for k, q in QUANTILES.items()}
        self.edges["still"] = np.array([still])
        return self

    def captions(self, video: Video, boxes: Boxes) -> np.ndarray:
        """Four sentences for each box, in the order of TEMPLATES: (n, 4) str, by frame.

        Raises VadError before `fit`.
        """
        return self.describe(attributes(video, boxes))

    def describe(self, measured: Attributes) -> np.ndarray:
        """`captions`, from attributes that are measured already."""
        if not self.edges:
            raise VadError("the captioner knows no usual speeds yet", "Call fit first.")
        bins = {k: np.digitize(v, self.edges[k]) for k, v in _columns(measured).items()}
        heading, beside = sides(measured.velocity, HEADING), sides(measured.nearest, BESIDE)
        out = [
            (
                _action(speed, self.edges["still"][0], bins["speed"][i], heading[i]),
                _appearance(bins["size"][i], bins["shape"][i], bins["brightness"][i]),
                f"someone is {COLUMN[bins['column'][i]]} {ROW[bins['row'][i]]}",
                _nearby(measured.neighbours[i], beside[i]),
            )
            for i, speed in enumerate(measured.speed)
        ]
        return np.array(out, dtype=object).reshape(-1, len(TEMPLATES)).astype(str)

    @staticmethod
    def sentences() -> dict[str, list[str]]:
        """Every sentence that can be said, by template."""
        action = {_action(s, 1.0, b, h) for s in (0, 1, np.nan) for b in range(3) for h in HEADING}
        looks = {_appearance(s, w, c) for s in range(2) for w in range(2) for c in range(3)}
        place = {f"someone is {c} {r}" for c in COLUMN for r in ROW}
        nearby = {_nearby(n, b) for n in range(3) for b in BESIDE}
        found = (action, looks, place, nearby)
        return {k: sorted(s) for k, s in zip(TEMPLATES, found, strict=True)}


def _columns(m: Attributes) -> dict[str, np.ndarray]:
    """The attributes that are parted by quantiles, (n,) each."""
    row, column = m.place.T
    named = {"speed": m.speed, "size": m.size, "shape": m.shape, "brightness": m.brightness}
    return named | {"row": row, "column": column}


def _action(speed: float, still: float, pace: int, heading: str) -> str:
    if np.isnan(speed):
        return "someone is there"
    return "someone is standing" if speed < still else f"someone is walking {PACE[pace]} {heading}"


def _appearance(size: int, shape: int, brightness: int) -> str:
    return f"someone {HEIGHT[size]} and {BUILD[shape]} is in {CLOTHES[brightness]} clothes"


def _nearby(count: int, beside: str) -> str:
    if count > 1:
        return "there are several people near"
    return f"there is someone near {beside}" if count else "there is nobody near"


# -------------------------------------------------------------------------------------- by CLIP

# In the spirit of the Oxford 3000 list, of which the paper uses the verbs, clothes, places, things
WORDS: dict[str, tuple[str, ...]] = {
    "action": ("walking", "standing", "running", "riding", "driving", "sitting", "jumping",
               "falling", "fighting", "carrying", "pushing", "talking"),
    "appearance": ("a coat", "a shirt", "a dress", "a jacket", "a uniform", "a suit", "trousers",
                   "shorts", "a skirt", "a hat", "dark clothes", "white clothes"),
    "place": ("a street", "a park", "a garden", "a path", "a square", "a field", "a station",
              "a building", "the grass", "the shade"),
    "nearby": ("nobody", "a person", "a crowd", "a bicycle", "a car", "a bag", "a tree", "a wall",
               "a bench", "a dog", "a child"),
}  # fmt: skip
FORMS = {
    "action": "a man is {}",
    "appearance": "a man is in {}",
    "place": "a man is in {}",
    "nearby": "there is {}",
}


class ClipCaptioner:
    """The paper's captions: for each template, the word that CLIP finds closest to the crop.

    words    by template, the words to choose from
    model    a model of `open_clip`; weights: the name of its weights, or the path of a file
    """

    def __init__(
        self,
        words: Mapping[str, Sequence[str]] | None = None,
        model: str = "ViT-B-32",
        weights: str = "openai",
        batch: int = 64,
    ):
        self.words, self.model, self.weights, self.batch = words or WORDS, model, weights, batch

    def fit(self, videos: Sequence[Video], boxes: Sequence[Boxes]) -> ClipCaptioner:
        """Nothing to learn: CLIP knows its words."""
        return self

    def captions(self, video: Video, boxes: Boxes) -> np.ndarray:
        """As `AttributeCaptioner.captions`. Raises VadError without open_clip or its weights."""
        net, transform, tokenize = _clip(self.model, self.weights)
        frame, box = rows(video, boxes)
        crops = [_picture(video, t, b) for t, b in zip(frame, box, strict=True)]
        with torch.inference_mode():
            seen = [
                net.encode_image(torch.stack([transform(c) for c in crops[i : i + self.batch]]))
                for i in range(0, len(crops), self.batch)
            ]
            said = {k: self._said(k, net, tokenize) for k in TEMPLATES}
            images = torch.cat(seen) if seen else torch.zeros(0, said["action"].shape[1])
        columns = []
        for name in TEMPLATES:
            best = (images.float() @ said[name].float().T).argmax(1).tolist()
            columns.append([FORMS[name].format(self.words[name][i]) for i in best])
        return np.array(columns, dtype=object).T.reshape(-1, len(TEMPLATES)).astype(str)

    def _said(self, template: str, net: Any, tokenize: Any) -> Tensor:
        """The embeddings of a template's sentences, of length one: (words, D)."""
        found = net.encode_text(tokenize([FORMS[template].format(w) for w in self.words[template]]))
        return torch.nn.functional.normalize(found, dim=1)


@functools.lru_cache(maxsize=2)
def _clip(model: str, weights: str) -> tuple[Any, Any, Any]:
    """CLIP, the transform of its pictures, and its tokenizer."""
    try:
        import open_clip  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise VadError(
            "captions by CLIP need the package open_clip",
            "pip install open_clip_torch, or use AttributeCaptioner.",
        ) from error
    try:
        net, _, transform = open_clip.create_model_and_transforms(model, pretrained=weights)
    except Exception as error:  # what a hub raises without a network has many names
        raise VadError(
            f"the weights {weights!r} of CLIP's {model} cannot be loaded ({error})",
            "Download them where there is a network and give their path as weights=, or use "
            "AttributeCaptioner.",
        ) from error
    return net.eval(), transform, open_clip.get_tokenizer(model)


def _picture(video: Video, t: int, box: np.ndarray) -> Any:
    """The box cut out of its frame as a PIL image."""
    from PIL import Image

    y0, x0, y1, x1 = np.clip(np.round(box), 0, np.tile(video.size, 2)).astype(int)
    crop = video.frames[t, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    return Image.fromarray(np.array(np.broadcast_to(crop, (*crop.shape[:2], 3))))


# ------------------------------------------------------------------------------------ as numbers


class Tokenizer:
    """Sentences as numbers: one for each word, 0 for padding, 1 at every beginning.

    The number at the beginning is where the text encoder gathers the meaning of the sentence.
    """

    PAD, BEGIN = 0, 1

    def __init__(self, sentences: Sequence[str]):
        words = sorted({w for s in sentences for w in s.split()})
        if not words:
            raise VadError("there is no word to number", "Give some sentences.")
        self.words = ("<pad>", "<begin>", *words)
        self.number = {w: i for i, w in enumerate(self.words)}
        self.length = 1 + max(len(s.split()) for s in sentences)

    def __len__(self) -> int:
        return len(self.words)

    def __call__(self, captions: Any) -> tuple[Tensor, Tensor]:
        """Any shape of sentences -> numbers (..., length) int64, and mask, True at real words.

        Raises VadError for a word without a number, and for a sentence that is too long.
        """
        captions = np.asarray(captions)
        tokens = np.full((captions.size, self.length), self.PAD, np.int64)
        said, which = np.unique(captions.ravel(), return_inverse=True)
        coded = [self._encode(str(s)) for s in said]
        for row, i in zip(tokens, which, strict=True):
            row[: len(coded[i])] = coded[i]
        out = torch.from_numpy(tokens).view(*captions.shape, self.length)
        return out, out != self.PAD

    def _encode(self, sentence: str) -> list[int]:
        words = sentence.split()
        unknown = [w for w in words if w not in self.number]
        if unknown:
            raise VadError(
                f"the word {unknown[0]!r} has no number",
                f"Known words: {' '.join(self.words[2:])}.",
            )
        if len(words) >= self.length:
            raise VadError(f"{sentence!r} is too long", f"Use {self.length - 1} words at most.")
        return [self.BEGIN, *(self.number[w] for w in words)]

    def sentence(self, tokens: Tensor) -> str:
        """The sentence that one row of numbers stands for."""
        return " ".join(self.words[i] for i in tokens.tolist() if i > self.BEGIN)


def groups(captions: np.ndarray) -> Tensor:
    """Equal sentences of a column get equal numbers: (n, s) str -> (n, s) int64.

    Two boxes with one sentence are both right answers to it: `itam_loss` needs to know.
    """
    columns = [np.unique(c, return_inverse=True)[1] for c in np.asarray(captions).T]
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.int64))
