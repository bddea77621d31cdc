"""Oracles: what could be found on Plaza by somebody who is told part of the truth.

All three compare a thing with the things of the training videos, in a few views, each of a few
numbers, and join its distances in all views. What differs is where the numbers come from:
`TruthOracle` is told who is who, `BoxOracle` is told where everybody is, and `Measured` is told
nothing. Whoever scores below `Measured` has shown less than five nearest neighbours.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors

from vadlib.data.base import Video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.see import motion, objects

ROLES = ("walker", "cyclist", "case", "runner", "robot", "cart", "balloons")
TIGHT = objects.ProposalConfig(square=False, enlarge=1.0)
Views = dict[str, np.ndarray]  # view -> (n, d) numbers of n things


class Things(NamedTuple):
    """What there is in a video: (n,) the frame of each thing, (n,) who it is, and what is known."""

    frame: np.ndarray
    who: np.ndarray
    known: Views


class Neighbours(Detector):
    """Distance to what is near in training, of each thing in each view.

    neighbours  how many: the distance is that to the last of them
    usual       the quantile of the distances in training, between videos, that is one unit
    frames      a thing's distance is the median over its last frames

    A thing's distance is the root of the sum of squares over the views; the score of a frame is
    that of its oddest thing. `terms` holds the views alone.
    Speaks for every frame; one without things has the score 0.
    """

    def __init__(self, neighbours: int = 5, usual: float = 0.99, frames: int = 10):
        self.neighbours, self.usual, self.frames = neighbours, usual, frames
        self.known: dict[str, tuple[NearestNeighbors, np.ndarray, float]] = {}

    @abstractmethod
    def things(self, video: Video) -> Things:
        """The things in a video, and what is known about them in each view."""

    def learn(self, seen: list[Things]) -> None:
        """What is to be known before views can be had."""

    def views(self, things: Things) -> Views:
        """What is known about things in each view."""
        return things.known

    def fit(self, videos: list[Video], config: Any = None) -> History:
        """Keep what is normal. Raises VadError for fewer than two videos: the unit is a distance
        between videos, since a thing is near to itself a frame later."""
        if len(videos) < 2:
            raise VadError(
                f"{self.name} is given {len(videos)} training videos",
                "Give two or more: it measures how far one is from the others.",
            )
        things = [self.things(video) for video in videos]
        self.learn(things)
        seen = [self.views(t) for t in things]
        for view in seen[0]:
            parts = [views[view] for views in seen]
            spread = np.maximum(np.concatenate(parts).std(0), 1e-6)
            parts = [part / spread for part in parts]
            between = [
                self._far(self._near(np.concatenate(parts[:i] + parts[i + 1 :])), part, of)
                for i, (part, of) in enumerate(zip(parts, things, strict=True))
            ]
            unit = float(np.quantile(np.concatenate(between), self.usual))
            self.known[view] = self._near(np.concatenate(parts)), spread, max(unit, 1e-6)
        return History()

    def _near(self, parts: np.ndarray) -> NearestNeighbors:
        if len(parts) < self.neighbours:
            raise VadError(
                f"{self.name} has {len(parts)} things to compare with",
                f"Train on videos with at least {self.neighbours}.",
            )
        return NearestNeighbors(n_neighbors=self.neighbours).fit(parts)

    def _far(self, near: NearestNeighbors, parts: np.ndarray, of: Things) -> np.ndarray:
        if not len(parts):
            return np.zeros(0)
        return lately(near.kneighbors(parts)[0][:, -1], of, self.frames)

    def score(self, video: Video) -> Scores:
        """Raises VadError before `fit`, and for a video without the truth that is asked for."""
        if not self.known:
            raise VadError(f"{self.name} knows nothing normal", "Call `fit` first.")
        things = self.things(video)
        views, terms, joint = self.views(things), {}, np.zeros(len(things.frame))
        for view, (near, spread, unit) in self.known.items():
            terms[view] = np.zeros(len(video))
            far = self._far(near, views[view] / spread, things) / unit
            np.maximum.at(terms[view], things.frame, far)
            joint += np.square(far)
        frame = np.zeros(len(video))
        np.maximum.at(frame, things.frame, np.sqrt(joint))
        terms = {view: _plain(values) for view, values in terms.items()}
        return Scores(video.name, _plain(frame), np.arange(len(video)), terms=terms)


def _plain(distance: np.ndarray) -> np.ndarray:
    """Distances to 32 bits, as scores are kept: things that are alike differ by rounding alone."""
    return distance.astype(np.float32).astype(np.float64)


def lately(far: np.ndarray, of: Things, frames: int) -> np.ndarray:
    """The median of each thing's distances over its last frames, the newest among them."""
    out, past = np.empty(len(far)), {}
    for i, (t, who) in enumerate(zip(of.frame.tolist(), of.who.tolist(), strict=True)):
        past[who] = [(s, d) for s, d in past.get(who, []) if s > t - frames] + [(t, far[i])]
        out[i] = np.median([d for _, d in past[who]])
    return out


class Measured(Neighbours):
    """Nothing is told: boxes around what moves, and the flow inside them.

    What is far up in the frame is small there: lengths are told in heights of what usually stands
    at that row, a straight line through the boxes of the training videos.
    """

    name = "measured"
    line = np.array([0.0, 1.0])

    def things(self, video: Video) -> Things:
        """Raises VadError as `objects.propose` does."""
        boxes = objects.propose(video, TIGHT)
        return look(video, boxes, objects.track(boxes))

    def learn(self, seen: list[Things]) -> None:
        """The line. Raises VadError for too few boxes."""
        table = np.concatenate([t.known["table"] for t in seen])
        if len(table) < self.neighbours:
            raise VadError(
                f"{self.name} sees {len(table)} things in its training videos",
                f"Train on videos with at least {self.neighbours}.",
            )
        self.line = np.polyfit(table[:, 1], table[:, 2], 1)

    def views(self, things: Things) -> Views:
        """Size; flow against size; and flow against place."""
        x, y, high, wide, dx, _, rough_x, rough_y, full = things.known["table"].T
        unit = np.maximum(np.polyval(self.line, y), 1.0)
        size = np.log([high / unit, wide / unit])
        flow = 5 * np.array([np.abs(dx), rough_x, rough_y]) / unit
        return {
            "size": np.stack([*size, full], 1),
            "flow": np.stack([size[1], *flow], 1),
            "place": np.stack([x, y, dx], 1),
        }


class BoxOracle(Measured):
    """True boxes, and the flow inside them."""

    name = "oracle-boxes"

    def things(self, video: Video) -> Things:
        """Raises VadError for a video without true boxes."""
        boxes = told(video, "boxes")
        seen = [np.flatnonzero(~np.isnan(row[:, 0])) for row in boxes]
        rows = [boxes[t, who][:, [1, 0, 3, 2]] for t, who in enumerate(seen)]
        return look(video, rows, seen)


class TruthOracle(Neighbours):
    """True roles, places, speeds and ways, and the distance to the next person."""

    name = "oracle-truth"

    def things(self, video: Video) -> Things:
        """Raises VadError for a video whose truth is not that of Plaza."""
        spots, speed = told(video, "tracks"), told(video, "speed")
        spots = spots / video.size[0]  # in frame heights, whatever the size
        role = np.array([ROLES.index(a["role"]) for a in video.truth["actors"]], int)
        frame, who = np.nonzero(~np.isnan(speed))
        before, after = np.maximum(frame - WAY, 0), np.minimum(frame + WAY, len(video) - 1)
        step, way = steps(spots), steps(spots, WAY)
        kinds = 10.0 * np.eye(len(ROLES))[role[who]]
        fast = np.log1p(speed)
        straight = np.hypot(*way.transpose(2, 0, 1))[frame, who, None]
        apart = company(spots, role)[frame, who, None]
        change = np.abs(speed[after, who] - speed[before, who])[:, None]
        views = {
            "place": np.concatenate([spots[frame, who], step[frame, who]], 1),
            "role": np.concatenate([kinds, fast[frame, who, None]], 1),
            "company": np.concatenate(
                [kinds, fast[frame, who, None], straight, apart, np.nan_to_num(change)], 1
            ),
        }
        return Things(frame, who, {k: v.astype(np.float64) for k, v in views.items()})


WAY = 5  # frames before and after, over which a way is straight or not


def steps(spots: np.ndarray, reach: int = 1) -> np.ndarray:
    """How far each went per frame, over `reach` frames before and after, or over the one of them
    in which it was seen: (T, N, 2) with NaN -> (T, N, 2), 0 where nothing is known."""
    unseen = np.full_like(spots[:reach], np.nan)
    past = np.concatenate([unseen, spots[:-reach]])
    future = np.concatenate([spots[reach:], unseen])
    known = (~np.isnan(past[..., :1])).astype(int) + ~np.isnan(future[..., :1])
    past, future = (np.where(np.isnan(x), spots, x) for x in (past, future))
    return np.nan_to_num((future - past) / (reach * np.maximum(known, 1)))


def company(spots: np.ndarray, role: np.ndarray, most: float = 0.15) -> np.ndarray:
    """Distance to the nearest person in frame heights, at most `most`: (T, N, 2) -> (T, N)."""
    out = np.full(spots.shape[:2], most)
    people = np.flatnonzero(role != ROLES.index("case"))
    for t, row in enumerate(spots):
        apart = np.linalg.norm(row[:, None] - row[None, people], axis=-1)
        apart[people, np.arange(len(people))] = np.inf
        apart = np.where(np.isnan(apart), np.inf, apart)
        if len(people):
            out[t] = np.minimum(apart.min(1), most)
    return out


def told(video: Video, what: str) -> np.ndarray:
    """Part of a video's truth. Raises VadError where it has none."""
    if what not in video.truth:
        raise VadError(
            f"video {video.dataset}/{video.name} does not tell the {what} of who is in it",
            "An oracle can only score Plaza.",
        )
    return video.truth[what]


def found(video: Video, boxes: objects.Boxes, least: float = 0.3) -> np.ndarray:
    """How many of the abnormal things boxes find, frame by frame, and how many there are: (2,).

    least  IoU with the box around what is seen of it, from which a box has found it
    """
    hits = total = 0
    for t, row in enumerate(told(video, "boxes")):
        for box in row[video.truth["abnormal"][t]]:
            overlap = objects.iou(box[None, [1, 0, 3, 2]], boxes[t])
            hits, total = hits + bool((overlap >= least).any()), total + 1
    return np.array([hits, total])


def look(video: Video, boxes: objects.Boxes, ids: list[np.ndarray]) -> Things:
    """What can be measured of boxes (n, 4) a frame: a table of middle, lower edge, height, width,
    the median and deviation of the flow inside, in pixels of a frame 128 high, and how much of the
    box is filled."""
    flow, scene = motion.flow(video), objects.empty_scene(video)
    unit = video.size[0] / 128
    rows, frame = [], []
    for t, found in enumerate(boxes):
        moves = flow[min(t, len(flow) - 1)].astype(np.float32) / unit
        there = objects.foreground(video.frames[t], scene, TIGHT)
        for box in found:
            y0, x0, y1, x1 = (int(v) for v in np.round(box))
            inside = there[y0:y1, x0:x1]
            inside = moves[y0:y1, x0:x1][inside if inside.any() else ...].reshape(-1, 2)
            place = np.array([(x0 + x1) / 2, y1, max(y1 - y0, 1), max(x1 - x0, 1)]) / unit
            flows = *np.median(inside, 0), *inside.std(0)
            rows.append([*place, *flows, there[y0:y1, x0:x1].mean()])
            frame.append(t)
    table = np.array(rows, np.float64).reshape(-1, 9)
    who = np.concatenate(ids) if frame else np.zeros(0, int)
    return Things(np.array(frame, int), who, {"table": table})
