"""Regions and tracks: is it found where it is? RBDC and TBDC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real

import cv2
import numpy as np
from sklearn.metrics import auc

from vadlib.errors import VadError
from vadlib.measure.checks import ONE_CLASS, Arrays, _array, _paired, _resized
from vadlib.see.objects import Boxes, iou


@dataclass(frozen=True, eq=False)
class Detections:
    """Operating points of a localising detector, thresholds falling: four (K,) arrays.

    threshold        of the heat
    false_positives  predicted regions that match no true region, per frame
    regions, tracks  share of the true regions and of the true tracks that are detected, 0..1
    """

    threshold: np.ndarray
    false_positives: np.ndarray
    regions: np.ndarray
    tracks: np.ndarray

    @property
    def rbdc(self) -> float:
        """Area under the rate of detected regions, up to one false positive a frame: 0..1."""
        return self._area(self.regions)

    @property
    def tbdc(self) -> float:
        """Area under the rate of detected tracks, up to one false positive a frame: 0..1."""
        return self._area(self.tracks)

    def _area(self, rate: np.ndarray) -> float:
        """Under the best rate at no more than x false positives per frame, x from 0 to 1."""
        order = np.lexsort((rate, self.false_positives))
        x = np.append(0.0, self.false_positives[order])
        y = np.append(0.0, np.maximum.accumulate(rate[order]))
        # where points lie at exactly one, the best of them; else on the line through its neighbours
        at_one = y[x == 1].max() if (x == 1).any() else np.interp(1.0, x, y)
        inside = x < 1
        return float(auc(np.append(x[inside], 1.0), np.append(y[inside], at_one)))


def detections(
    heatmaps: Arrays,
    masks: Arrays,
    tracks: Sequence[np.ndarray] | None = None,
    alpha: float = 0.1,
    beta: float = 0.1,
    thresholds: int = 100,
    min_area: int = 1,
) -> Detections:
    """The sweep behind RBDC and TBDC of Ramachandra and Jones, Street Scene (WACV 2020).

    heatmaps    one (T, h, w) array a video; resized bilinearly to the masks, in float32
    masks       one (T, H, W) array of 0/1 a video
    tracks      true regions, one (R, 6) integer table a video as `mask_tracks` returns them, which
                makes them from the masks when None
    alpha       a track is detected when at least this share of its regions is
    beta        a region is detected when a predicted region of its frame overlaps it with an IoU
                of bounding boxes of at least beta; a predicted region that so overlaps no true
                region is a false positive
    thresholds  how many. At each, predicted regions are the 8-connected components of the pixels
                that reach it. Thresholds are the values that given shares of all pixels reach,
                the shares spaced evenly in log from 1e-5 to 1 (of a fixed random sample where
                there are more than a million); or every value, where no more are distinct. They
                fall until false positives exceed one per frame.
    min_area    predicted regions whose bounding box has fewer pixels are dropped
    Raises VadError as `pixel_auc` does, and for tables or options out of range.
    """
    numbers = all(isinstance(n, Real) for n in (alpha, beta))
    whole = all(isinstance(n, Integral) for n in (thresholds, min_area))
    if not (numbers and whole and 0 < alpha <= 1 and 0 < beta <= 1 and thresholds > 1):
        raise VadError(
            f"alpha is {alpha}, beta is {beta}, thresholds is {thresholds}, min_area {min_area}",
            "Shares lie in (0, 1], and a sweep takes at least 2 thresholds; both others are whole.",
        )
    pairs = _paired(heatmaps, masks, ndim=3, what="heatmaps")
    tables = [mask_tracks(mask) for _, mask in pairs] if tracks is None else tracks
    if not isinstance(tables, list | tuple) or len(tables) != len(pairs):
        count = len(tables) if isinstance(tables, list | tuple) else "no list of"
        raise VadError(f"{count} tracks for {len(pairs)} videos", "Give one table a video.")
    scenes = [_Scene(*maps, table) for maps, table in zip(_resized(pairs), tables, strict=True)]
    frames, regions, chains = np.sum([(len(s.heat), s.regions, s.tracks) for s in scenes], axis=0)
    if not regions:
        raise VadError("masks: there is no abnormal region", ONE_CLASS)
    levels, points = _levels([s.heat for s in scenes], thresholds), []
    for level in levels:
        points.append(np.sum([s.match(level, alpha, beta, min_area) for s in scenes], axis=0))
        if points[-1][0] > frames:
            break
    false, hits, followed = np.array(points).T
    return Detections(levels[: len(points)], false / frames, hits / regions, followed / chains)


def box_detections(
    boxes: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    tracks: Sequence[np.ndarray],
    frames: Sequence[int],
    alpha: float = 0.1,
    beta: float = 0.1,
) -> Detections:
    """The same sweep for a detector whose answer is boxes with scores, at every score exactly.

    boxes   one (P, 5) table a video: frame, x0, y0, x1, y1 of each box (x1, y1 exclusive)
    scores  one (P,) a video, finite
    tracks  one (R, 6) table a video as `mask_tracks` returns them; alpha, beta as in `detections`
    frames  how many each video has, those without boxes too

    No threshold has to be tried. A region is found from the largest score of the boxes that match
    it down, a box that matches none is a false positive from its own score down, and a track is
    followed from the score down at which enough of its regions are found.
    Raises VadError for tables that do not fit, and where no region is abnormal.
    """
    if not (0 < alpha <= 1 and 0 < beta <= 1):
        raise VadError(f"alpha is {alpha}, beta is {beta}", "Shares lie in (0, 1].")
    if not len(boxes) == len(scores) == len(tracks) == len(frames):
        raise VadError(
            f"boxes of {len(boxes)}, scores of {len(scores)}, tracks of {len(tracks)} and frames "
            f"of {len(frames)} videos",
            "Give one of each for every video.",
        )
    parts = [_found_at(*v, alpha, beta) for v in zip(boxes, scores, tracks, strict=True)]
    false, regions, followed = (np.sort(np.concatenate(p)) for p in zip(*parts, strict=True))
    if not len(regions):
        raise VadError("tracks: there is no abnormal region", ONE_CLASS)
    levels = np.unique(np.concatenate([np.asarray(s, float) for s in scores]))[::-1]
    count = lambda at: len(at) - np.searchsorted(at, levels)  # noqa: E731  # of those >= level
    wrong = count(false) / sum(frames)
    end = int(np.searchsorted(wrong, 1.0, "right")) + 1  # the first beyond one a frame, and no more
    rates = count(regions) / len(regions), count(followed) / len(followed)
    return Detections(levels[:end], wrong[:end], rates[0][:end], rates[1][:end])


def _found_at(
    boxes: np.ndarray, scores: np.ndarray, table: np.ndarray, alpha: float, beta: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The scores at which one video's false positives, regions and tracks appear as a threshold
    falls; -infinity for what never does."""
    boxes, scores, table = np.asarray(boxes), np.asarray(scores, float), np.asarray(table)
    if boxes.shape != (len(scores), 5) or table.ndim != 2 or table.shape[1] != 6:
        raise VadError(
            f"boxes of shape {boxes.shape}, scores of {scores.shape}, tracks of {table.shape}",
            "Give (P, 5) boxes, (P,) scores and (R, 6) tracks for each video.",
        )
    if not (np.isfinite(scores).all() and np.isfinite(boxes).all()):
        raise VadError("boxes or scores are not all finite", "Look for a diverged training run.")
    table = table[np.argsort(table[:, 0], kind="stable")]
    first, last = (np.searchsorted(table[:, 0], boxes[:, 0], side) for side in ("left", "right"))
    pair = np.repeat(np.arange(len(boxes)), last - first)  # each box with each region of its frame
    region = np.arange(len(pair)) - np.repeat(np.cumsum(last - first) - last, last - first)
    mine, theirs = boxes[pair, 1:], table[region, 2:]
    sides = np.minimum(mine, theirs)[:, 2:] - np.maximum(mine, theirs)[:, :2]
    shared = np.clip(sides, 0, None).prod(1)
    both = sum((box[:, 2:] - box[:, :2]).prod(1) for box in (mine, theirs))
    match = shared >= beta * (both - shared)
    best, matched = np.full(len(table), -np.inf), np.zeros(len(boxes), bool)
    np.maximum.at(best, region[match], scores[pair[match]])
    matched[pair[match]] = True
    _, owner, sizes = np.unique(table[:, 1], return_inverse=True, return_counts=True)
    order = np.lexsort((-best, owner))  # a track's regions together, those that are found first
    enough = np.ceil(alpha * sizes).astype(int)
    followed = best[order[np.cumsum(sizes) - sizes + enough - 1]]
    return scores[~matched], best, followed


def rbdc(
    heatmaps: Arrays, masks: Arrays, tracks: Sequence[np.ndarray] | None = None, **options
) -> float:
    """Region-based detection criterion: the area, from 0 to 1 false positives per frame, under
    the share of true regions detected. Arguments, options and errors of `detections`."""
    return detections(heatmaps, masks, tracks, **options).rbdc


def tbdc(
    heatmaps: Arrays, masks: Arrays, tracks: Sequence[np.ndarray] | None = None, **options
) -> float:
    """Track-based detection criterion: as `rbdc`, under the share of true tracks detected."""
    return detections(heatmaps, masks, tracks, **options).tbdc


def mask_tracks(mask: np.ndarray) -> np.ndarray:
    """The true regions and tracks of one video, from its masks (T, H, W) of 0/1.

    A region is an 8-connected component. Components of neighbouring frames that share pixels are
    linked, each to one at most, the pairs that share most first; a track is a chain of links.
    Returns (R, 6) int: frame, track, and the bounding box x0, y0, x1, y1 (x1, y1 exclusive).
    """
    tall = _tall(np.asarray(mask, np.uint8))
    count, ids, stats, _ = cv2.connectedComponentsWithStats(tall, connectivity=8)
    ids = ids.reshape(len(mask), -1, tall.shape[1]).astype(np.int64)
    shared = (ids[:-1] > 0) & (ids[1:] > 0)
    codes, sizes = np.unique((ids[:-1] * count + ids[1:])[shared], return_counts=True)
    x, y, width, height, _ = stats.T
    frame, y = divmod(y, ids.shape[1])
    track, used, links = np.arange(count), np.zeros((2, count), bool), []
    for a, b in zip(*divmod(codes[np.argsort(-sizes, kind="stable")], count), strict=True):
        if not (used[0, a] or used[1, b]):
            used[0, a] = used[1, b] = True
            links.append((a, b))
    for a, b in sorted(links, key=lambda link: frame[link[0]]):  # so that a's track is settled
        track[b] = track[a]
    return np.stack([frame, track, x, y, x + width, y + height], axis=1)[1:]  # 0 is background


def box_tracks(boxes: np.ndarray, abnormal: np.ndarray) -> np.ndarray:
    """True regions and tracks of one video from the boxes of its objects, such as Plaza's truth.

    Better than `mask_tracks` where identities are known: an object that a lamp post cuts in two
    stays one region, and one that vanishes behind a tree keeps its track.
    boxes     (T, N, 4) x0, y0, x1, y1 of N objects, NaN where one is not seen
    abnormal  (T, N) bool, when each is abnormal
    Returns (R, 6) int, as `mask_tracks`. Raises VadError for shapes that do not fit.
    """
    boxes, abnormal = _array(boxes, "boxes"), _array(abnormal, "abnormal")
    numbers = boxes.dtype.kind in "fiu" and abnormal.dtype.kind in "biu"
    if not numbers or abnormal.ndim != 2 or boxes.shape != (*abnormal.shape, 4):
        raise VadError(
            f"boxes of shape {boxes.shape} for abnormal of shape {abnormal.shape}",
            "Give (T, N, 4) boxes and (T, N) flags.",
        )
    frame, track = np.nonzero(abnormal.astype(bool) & np.isfinite(boxes).all(-1))
    return np.column_stack([frame, track, boxes[frame, track].astype(int)])


class _Scene:
    """Heat and true regions of one video, laid out so that matching is array arithmetic."""

    def __init__(self, heat: np.ndarray, mask: np.ndarray, table: np.ndarray):
        table = _array(table, "tracks")
        if table.ndim != 2 or table.shape[1] != 6 or table.dtype.kind not in "iu":
            raise VadError(
                f"tracks: a table of shape {table.shape} and type {table.dtype}",
                "Give (R, 6) integers: frame, track, x0, y0, x1, y1.",
            )
        frame, track, x0, y0, x1, y1 = table[np.argsort(table[:, 0], kind="stable")].T
        inside = (np.minimum(x0, y0) >= 0) & (x1 <= mask.shape[2]) & (y1 <= mask.shape[1])
        inside &= (x0 < x1) & (y0 < y1) & (frame >= 0) & (frame < len(mask))
        if not inside.all():
            raise VadError(
                f"tracks: a region outside the masks {mask.shape}, or empty",
                "Boxes are x0, y0, x1, y1 in mask pixels; frames count within the masks given.",
            )
        slot = np.arange(len(frame)) - np.searchsorted(frame, frame)  # 0, 1.. within a frame
        self.box = np.zeros((len(mask), slot.max(initial=0) + 1, 4), int)  # empty: no area
        self.box[frame, slot] = np.stack([x0, y0, x1, y1], axis=1)
        names, owner, self.sizes = np.unique(track, return_inverse=True, return_counts=True)
        self.owner = np.zeros(self.box.shape[:2], int)
        self.owner[frame, slot] = owner
        self.regions, self.tracks = len(frame), len(names)
        self.heat, self.peak = heat, heat.max((1, 2))

    def match(self, level: float, alpha: float, beta: float, min_area: int) -> tuple:
        """False positives, detected regions and detected tracks when the heat reaches level."""
        frame, mine = self._found(level, min_area)
        theirs, mine = self.box[frame], mine[:, None]  # (P, slots, 4), (P, 1, 4)
        sides = np.minimum(mine, theirs)[..., 2:] - np.maximum(mine, theirs)[..., :2]
        shared = np.clip(sides, 0, None).prod(-1)
        both = sum((box[..., 2:] - box[..., :2]).prod(-1) for box in (mine, theirs))
        match = shared >= beta * (both - shared)
        detected = np.zeros(self.owner.shape, bool)
        found, slot = np.nonzero(match)
        detected[frame[found], slot] = True
        hits = np.bincount(self.owner[detected], minlength=len(self.sizes))
        return np.sum(~match.any(1)), detected.sum(), np.sum(hits >= alpha * self.sizes)

    def _found(self, level: float, min_area: int) -> tuple[np.ndarray, np.ndarray]:
        """Frames (P,) and boxes (P, 4) of the regions that reach level."""
        active = np.flatnonzero(self.peak >= level)
        if not len(active):
            return active, np.zeros((0, 4), int)
        tall = _tall((self.heat[active] >= level).view(np.uint8))
        # Contours: several times faster than labelling the pixels, which is not needed here.
        contours, tree = cv2.findContours(tall, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        outer = np.flatnonzero(tree[0, :, 3] < 0).tolist()  # the others are rims of holes
        boxes = np.array([cv2.boundingRect(contours[i]) for i in outer])
        x, y, width, height = boxes[boxes[:, 2] * boxes[:, 3] >= min_area].T
        frame, y = divmod(y, self.heat.shape[1] + 1)
        return active[frame], np.stack([x, y, x + width, y + height], axis=1)


def _tall(frames: np.ndarray) -> np.ndarray:
    """One picture (T*(H+1), W) of frames (T, H, W), an empty row below each keeping them apart."""
    return np.pad(frames, ((0, 0), (0, 1), (0, 0))).reshape(-1, frames.shape[2])


def _levels(heats: list[np.ndarray], count: int) -> np.ndarray:
    """Thresholds, falling, that log-spaced shares of the pixels reach."""
    rng, share = np.random.default_rng(0), 1_000_000 / sum(h.size for h in heats)
    values = [h.ravel() for h in heats]
    if share < 1:
        values = [v[rng.integers(v.size, size=int(share * v.size) + 1)] for v in values]
    values = np.concatenate(values)
    levels = np.unique(values)
    if len(levels) > count:
        levels = np.quantile(values, 1 - np.geomspace(1e-5, 1, count))
        levels = np.unique(levels.astype(np.float32))
    return levels[::-1]


def hit(boxes: Boxes, masks: np.ndarray, least: float = 0.3, window: int = 5) -> tuple[int, int]:
    """How many of the true regions boxes find, and how many there are.

    masks    (T, H, W) bool: a region is an 8-connected component, and regions that overlap from
             frame to frame are one thing (`metrics.mask_tracks`)
    least    IoU with the region's bounding box from which a box has found it
    window   a thing that is there for `window` frames in a row must be found in one of them at
             least; every such run counts once, and a shorter life as a whole; 1 counts regions
    """
    regions = mask_tracks(masks)
    found = np.array(
        [
            len(boxes[f]) > 0 and iou(boxes[f], np.array([[y0, x0, y1, x1]])).max() >= least
            for f, _, x0, y0, x1, y1 in regions
        ],
        bool,
    )
    hits = total = 0
    for thing in np.unique(regions[:, 1]):
        seen = found[regions[:, 1] == thing]
        runs = [seen[i : i + window].any() for i in range(max(1, len(seen) - window + 1))]
        hits, total = hits + sum(runs), total + len(runs)
    return int(hits), total
