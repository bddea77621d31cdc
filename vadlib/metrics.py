"""From scores and labels to numbers: frame, pixel and region metrics, and their intervals.

Everywhere a higher score is more anomalous, label 1 is abnormal, and lists hold one array a video
(a lone array is one video). Bad input raises VadError: no function here answers it with a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from sklearn.metrics import auc, average_precision_score

from vadlib.errors import VadError

Pair = tuple[np.ndarray, np.ndarray]
Arrays = Sequence[Any] | np.ndarray
ONE_CLASS = "These metrics compare abnormal with normal: give videos in which both occur."


# Frames -----------------------------------------------------------------------------------------


def frame_auc(
    scores: Arrays, labels: Arrays, average: str = "micro", single_class: str = "skip"
) -> float:
    """Area under the ROC curve: the chance that an abnormal frame outscores a normal one.

    scores, labels  one (T,) array a video; any real numbers, and 0/1
    average         "micro": all frames of all videos in one pool;
                    "macro": the mean of the videos' own AUCs
    single_class    what macro does with a video of one class, whose AUC does not exist:
                    "skip" leaves it out; "pad" gives every video one more normal frame with the
                    lowest score of all and one more abnormal frame with the highest, as several
                    published evaluations do. Padding is inflated: it presents a video of one
                    class with an AUC of about 1, and random scores on Ped2 with 68.6 %.
    Returns a fraction in 0..1; ties count one half. Raises VadError for lengths that differ,
    NaN, other labels, one class only (macro: in every video) and unknown options.
    """
    _one_of("average", average, ("micro", "macro"))
    _one_of("single_class", single_class, ("skip", "pad"))
    series, truth = _frames(scores, labels)
    if average == "micro":
        return _pooled_auc(np.concatenate(series), np.concatenate(truth))
    if single_class == "pad":
        low, high = min(s.min() for s in series), max(s.max() for s in series)
        series = [np.concatenate([[low], s, [high]]) for s in series]
        truth = [np.concatenate([[False], t, [True]]) for t in truth]
    aucs = [_pooled_auc(s, t) for s, t in zip(series, truth, strict=True) if 0 < t.sum() < len(t)]
    if not aucs:
        raise VadError("no video has both normal and abnormal frames", ONE_CLASS)
    return float(np.mean(aucs))


def roc_points(scores: Arrays, labels: Arrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The ROC curve of all frames: false and true positive rates, and the thresholds.

    Returns three (K,) arrays from (0, 0) at threshold infinity to (1, 1), one point for each
    distinct score: a frame is called abnormal when its score reaches the threshold.
    Raises VadError as `frame_auc` does.
    """
    values, truth = _pool(scores, labels)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)  # ends of ties
    hits = np.cumsum(truth)[last]
    false = last + 1 - hits
    fpr, tpr = np.append(0, false) / false[-1], np.append(0, hits) / hits[-1]
    return fpr, tpr, np.append(np.inf, values[last].astype(float))


def eer(scores: Arrays, labels: Arrays) -> float:
    """Equal error rate: where the ROC curve crosses 1 - TPR = FPR, between points linearly.

    Returns a fraction in 0..1, lower is better. Raises VadError as `frame_auc` does.
    """
    fpr, tpr, _ = roc_points(scores, labels)
    return float(np.interp(0.0, fpr + tpr - 1, fpr))


def average_precision(scores: Arrays, labels: Arrays) -> float:
    """Average precision, sum of (R_k - R_{k-1}) P_k over all frames; random gives the base rate.

    This is the step sum; `auc(recall, precision)` by trapezoids, seen in some published code, is
    another number. Returns a fraction in 0..1. Raises VadError as `frame_auc` does.
    """
    values, truth = _pool(scores, labels)
    return float(average_precision_score(truth, values))


# Pixels -----------------------------------------------------------------------------------------


def pixel_auc(heatmaps: Arrays, masks: Arrays, criterion: str = "pixel") -> float:
    """Two different numbers that both go by the name of pixel-level AUC.

    heatmaps   one (T, h, w) array a video; resized bilinearly to the masks, compared in float32
    masks      one (T, H, W) array of 0/1 a video
    criterion  "pixel": the ROC over all pixels of all frames. Exact: sorted video by video, so
               memory stays at one video's maps at mask size.
               "ucsd40": the criterion of Mahadevan et al. (CVPR 2010) for Ped1 and Ped2. At a
               threshold, an abnormal frame is a true positive when at least 40 % of its abnormal
               pixels reach it; a normal frame is a false positive when any pixel does.
    Returns a fraction in 0..1. Raises VadError as `frame_auc` does, and for shapes that differ.
    """
    _one_of("criterion", criterion, ("pixel", "ucsd40"))
    pairs = _paired(heatmaps, masks, ndim=3, what="heatmaps")
    if criterion == "ucsd40":
        series = [_ucsd_scores(heat, mask) for heat, mask in _resized(pairs)]
        return frame_auc(series, [mask.any((1, 2)) for _, mask in pairs])
    abnormal = np.concatenate([heat[mask] for heat, mask in _resized(pairs)])
    if not 0 < len(abnormal) < sum(mask.size for _, mask in pairs):
        raise VadError("masks: all pixels are of one class", ONE_CLASS)
    return _auc(abnormal, (heat[~mask] for heat, mask in _resized(pairs)))


def _ucsd_scores(heat: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The highest threshold at which each frame is detected (T,), so that frame_auc is the AUC."""
    scores = heat.max((1, 2))
    for t in np.flatnonzero(mask.any((1, 2))):
        pixels = heat[t][mask[t]]
        need = -(-2 * len(pixels) // 5)  # 40 %, rounded up
        scores[t] = np.partition(pixels, len(pixels) - need)[len(pixels) - need]
    return scores


# Regions and tracks -----------------------------------------------------------------------------


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
        at_one, inside = np.interp(1.0, x, y), x < 1
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
    if not (0 < alpha <= 1 and 0 < beta <= 1 and thresholds > 1):
        raise VadError(
            f"alpha is {alpha}, beta is {beta}, thresholds is {thresholds}",
            "Shares lie in (0, 1], and a sweep takes at least 2 thresholds.",
        )
    pairs = _paired(heatmaps, masks, ndim=3, what="heatmaps")
    tables = [mask_tracks(mask) for _, mask in pairs] if tracks is None else tracks
    if len(tables) != len(pairs):
        raise VadError(f"{len(tables)} tracks for {len(pairs)} videos", "Give one table a video.")
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
    boxes, abnormal = np.asarray(boxes), np.asarray(abnormal, bool)
    if boxes.shape != (*abnormal.shape, 4):
        raise VadError(
            f"boxes of shape {boxes.shape} for abnormal of shape {abnormal.shape}",
            "Give (T, N, 4) boxes and (T, N) flags.",
        )
    frame, track = np.nonzero(abnormal & np.isfinite(boxes).all(-1))
    return np.column_stack([frame, track, boxes[frame, track].astype(int)])


class _Scene:
    """Heat and true regions of one video, laid out so that matching is array arithmetic."""

    def __init__(self, heat: np.ndarray, mask: np.ndarray, table: np.ndarray):
        table = np.asarray(table)
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


# Uncertainty ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Interval:
    """A value with its bootstrap percentile interval; draws (D,) holds every resampled value."""

    value: float
    low: float
    high: float
    draws: np.ndarray


def bootstrap(
    metric: Callable[[list, list], float],
    scores: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    other: Sequence[np.ndarray] | None = None,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """How far a metric would move with other videos of the same kind: percentile bootstrap.

    Videos, not frames, are drawn with replacement: frames of one video are no independent
    evidence. Draws in which the metric does not exist (one class only) are drawn again.

    metric  (scores, labels) -> float on lists with one array a video, such as `frame_auc`
    other   a second detector's scores on the same videos: the interval is then of the paired
            difference metric(scores) - metric(other), both on the same drawn videos
    Raises VadError for fewer than two videos, videos that differ in number, and as the metric does.
    """
    count = len(labels)
    if count < 2 or len(scores) != count or (other is not None and len(other) != count):
        raise VadError(
            f"bootstrap over {len(scores)} videos with labels of {count}",
            "Give two videos or more, and one array a video everywhere.",
        )
    if draws < 1 or not 0 < level < 1:
        raise VadError(f"draws is {draws}, level is {level}", "Take draws >= 1, level in (0, 1).")

    def value(pick: Iterable[int]) -> float:
        truth = [labels[i] for i in pick]
        one = metric([scores[i] for i in pick], truth)
        return one if other is None else one - metric([other[i] for i in pick], truth)

    whole, rng, values = value(range(count)), np.random.default_rng(seed), []
    for _ in range(100 * draws):
        try:
            values.append(value(rng.integers(count, size=count).tolist()))
        except VadError:  # the whole set passed, so the draw is of one class
            continue
        if len(values) == draws:
            low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
            return Interval(whole, float(low), float(high), np.array(values))
    raise VadError("bootstrap: fewer than 1 draw in 100 has both classes", "Add videos.")


# What the functions above share -----------------------------------------------------------------


def _auc(abnormal: np.ndarray, normal: Iterable[np.ndarray]) -> float:
    """P(abnormal > normal) + P(equal) / 2, counted over all pairs; normal comes in pieces."""
    abnormal, wins, pairs = np.sort(abnormal), 0, 0
    for piece in normal:
        piece = np.sort(piece)
        wins += int(np.searchsorted(piece, abnormal, "left").sum())  # outscored
        wins += int(np.searchsorted(piece, abnormal, "right").sum())  # outscored or equalled
        pairs += 2 * len(piece) * len(abnormal)
    return wins / pairs


def _pooled_auc(values: np.ndarray, truth: np.ndarray) -> float:
    _both_classes(truth)
    return _auc(values[truth], [values[~truth]])


def _pool(scores: Arrays, labels: Arrays) -> tuple[np.ndarray, np.ndarray]:
    series, truth = _frames(scores, labels)
    values, pooled = np.concatenate(series), np.concatenate(truth)
    _both_classes(pooled)
    return values, pooled


def _both_classes(truth: np.ndarray) -> None:
    if not 0 < np.count_nonzero(truth) < len(truth):
        kind = "abnormal" if truth[0] else "normal"
        raise VadError(f"labels: all {len(truth)} frames are {kind}", ONE_CLASS)


def _frames(scores: Arrays, labels: Arrays) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """One finite (T,) array of scores and one of bool labels a video."""
    pairs = _paired(scores, labels, ndim=1, what="scores")
    return [s for s, _ in pairs], [t for _, t in pairs]


def _paired(given: Arrays, true: Arrays, ndim: int, what: str) -> list[Pair]:
    """Predictions and bool truth, video by video; a lone array is one video."""
    if len(given) == 0 or len(true) == 0:
        raise VadError(f"{what}: nothing to measure", "Give at least one video.")
    given = [given] if np.ndim(given[0]) == ndim - 1 else given
    true = [true] if np.ndim(true[0]) == ndim - 1 else true
    if len(given) != len(true):
        raise VadError(
            f"{what}: {len(given)} videos against labels of {len(true)}",
            "Give one array a video on both sides, in the same order.",
        )
    names = (f"{what} of video {i}" for i in range(len(given)))
    return [_checked(g, t, ndim, n) for g, t, n in zip(given, true, names, strict=False)]


def _checked(given: Any, true: Any, ndim: int, name: str) -> Pair:
    given, true = np.asarray(given), np.asarray(true)
    if given.ndim != ndim or true.ndim != ndim or not given.size or not true.size:
        raise VadError(
            f"{name}: shape {given.shape} with labels of shape {true.shape}",
            f"Both must have {ndim} dimensions and not be empty.",
        )
    if len(given) != len(true):
        raise VadError(
            f"{name}: {len(given)} frames with {len(true)} labels",
            "Take the labels of the scored frames only: scores.labels(video), scores.masks(video).",
        )
    if given.dtype.kind not in "fiub" or not np.isfinite(given).all():
        raise VadError(
            f"{name}: not all are finite numbers",
            "Look for a division by zero or a diverged training run.",
        )
    if true.dtype != bool:
        if not ((true == 0) | (true == 1)).all():
            raise VadError(f"{name}: labels other than 0 and 1", "Compare first, as in mask > 0.")
        true = true == 1
    return given, true


def _resized(pairs: list[Pair]) -> Iterator[Pair]:
    """Heat maps in float32 at the size of their masks."""
    for heat, mask in pairs:
        heat = np.ascontiguousarray(heat, np.float32)
        if heat.shape != mask.shape:
            size = mask.shape[2], mask.shape[1]
            heat = np.stack([cv2.resize(h, size, interpolation=cv2.INTER_LINEAR) for h in heat])
        yield heat, mask


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise VadError(f"{name} is {value!r}", f"Choose one of: {', '.join(known)}.")
