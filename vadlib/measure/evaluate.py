"""Protocols: every number that a record holds, and exactly how it is made from scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vadlib.data.base import Video
from vadlib.detector import Detector, Scores
from vadlib.measure import score
from vadlib.measure.frames import average_precision, eer, frame_auc
from vadlib.measure.pixels import pixel_auc
from vadlib.measure.regions import box_tracks, detections

# Each protocol is one choice of normalisation, smoothing and averaging. "headline" comes first in
# every table: nothing in it looks at a test video's future, or at its labels.
PROTOCOLS: dict[str, dict[str, Any]] = {
    "headline": {"average": "micro", "normalise": "none", "smooth": "none"},
    "per-video min-max": {"average": "micro", "normalise": "per_video", "smooth": "none"},
    "gaussian 5": {"average": "micro", "normalise": "none", "smooth": "gaussian, sigma 5"},
    "macro": {"average": "macro", "normalise": "none", "smooth": "none", "single_class": "skip"},
    "macro padded": {
        "average": "macro",
        "normalise": "per_video",
        "smooth": "none",
        "single_class": "pad",
    },
}
Row = dict[str, Any]


def apply(protocol: dict[str, Any], scores: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Scores, one array a video, as a protocol wants them: normalised, then smoothed."""
    out = score.normalise(scores, protocol["normalise"])
    return score.smooth(out, "gaussian", 5) if protocol["smooth"] != "none" else out


def frame_rows(
    scores: Sequence[np.ndarray], labels: Sequence[np.ndarray], term: str, names: Sequence[str]
) -> list[Row]:
    """AUC under each named protocol, and the EER under the headline."""
    rows = []
    for name in names:
        protocol = PROTOCOLS[name]
        value = frame_auc(
            apply(protocol, scores),
            labels,
            average=protocol["average"],
            single_class=protocol.get("single_class", "skip"),
        )
        rows.append({"protocol": name, "metric": "auc", "term": term, "value": value})
    if "headline" in names:
        value = eer(list(scores), list(labels))
        rows.append({"protocol": "headline", "metric": "eer", "term": term, "value": value})
    return rows


def localisation_rows(scores: list[Scores], videos: list[Video]) -> list[Row]:
    """Where, not only when: pixel AUC in both of its meanings, RBDC and TBDC.

    True regions and tracks come from the masks, or from the boxes of tracked objects (Plaza).
    """
    heat = [np.asarray(s.heatmap) for s in scores]
    pairs = list(zip(scores, videos, strict=True))
    masks = [s.masks(v) for s, v in pairs]
    tracks = None
    if all("boxes" in v.truth for v in videos):
        truth = [(v.truth["boxes"], v.truth["abnormal"]) for v in videos]
        tracks = [
            box_tracks(boxes[s.index], abnormal[s.index])
            for s, (boxes, abnormal) in zip(scores, truth, strict=True)
        ]
    found = detections(heat, masks, tracks)
    values = {
        "pixel auc": pixel_auc(heat, masks, "pixel"),
        "pixel auc, 40 % rule": pixel_auc(heat, masks, "ucsd40"),
        "rbdc": found.rbdc,
        "tbdc": found.tbdc,
    }
    return [
        {"protocol": "headline", "metric": metric, "term": "score", "value": value}
        for metric, value in values.items()
    ]


def kind_rows(scores: list[Scores], videos: list[Video], term: str = "score") -> list[Row]:
    """Plaza only: the AUC against each kind of anomaly, over the videos that hold it."""
    kinds = sorted({str(k) for v in videos for k in v.truth.get("kind", []) if k})
    rows = []
    for kind in kinds:
        pairs = [(s, v) for s, v in zip(scores, videos, strict=True) if kind in v.truth["kind"]]
        value = frame_auc([s.frame for s, _ in pairs], [s.labels(v) for s, v in pairs])
        rows.append(
            {"protocol": "headline", "metric": f"auc, {kind}", "term": term, "value": value}
        )
    return rows


def evaluate(detector: Detector, videos: list[Video]) -> list[Row]:
    """Score videos, and return every number about them: protocol, metric, term, value.

    The score itself (term "score") is measured under every protocol, its parts (`Scores.terms`)
    under the headline, its facts as means. Values are fractions in 0..1.
    Raises VadError for videos without labels.
    """
    scores = [detector.score(v) for v in videos]
    labels = [s.labels(v) for s, v in zip(scores, videos, strict=True)]
    rows = frame_rows([s.frame for s in scores], labels, "score", list(PROTOCOLS))
    for term in scores[0].terms:
        rows += frame_rows([s.terms[term] for s in scores], labels, term, ["headline"])
    if all(s.heatmap is not None for s in scores) and all(v.masks is not None for v in videos):
        rows += localisation_rows(scores, videos)
    for fact in scores[0].facts:
        value = float(np.concatenate([s.facts[fact] for s in scores]).mean())
        rows.append({"protocol": "headline", "metric": fact, "term": "score", "value": value})
    return rows + kind_rows(scores, videos)


def evaluate_bags(detector: Detector, bags: list[Any]) -> list[Row]:
    """Score the bags of a weakly labelled data set; rows as `evaluate`'s, all under the headline.

    Next to AUC and EER over all frames: "ap", average precision; "auc, abnormal videos", over the
    frames of the abnormal bags alone, which no detector can raise by telling bags apart; "auc,
    whole videos", of each bag's highest score against its label, which says how well it tells them
    apart; and where kinds are known, one AUC for each. Values are fractions in 0..1.
    Raises VadError for bags without labels of their frames, and when a class is missing.
    """
    scores = [detector.score(bag) for bag in bags]
    frames = [s.frame for s in scores]
    labels = [s.labels(bag) for s, bag in zip(scores, bags, strict=True)]
    inside = [i for i, y in enumerate(labels) if y.any()]
    values = {
        "ap": average_precision(frames, labels),
        "auc, abnormal videos": frame_auc([frames[i] for i in inside], [labels[i] for i in inside]),
        "auc, whole videos": frame_auc(
            np.array([s.max() for s in frames]), np.array([y.max() for y in labels])
        ),
    }
    rows = [
        {"protocol": "headline", "metric": metric, "term": "score", "value": value}
        for metric, value in values.items()
    ]
    return frame_rows(frames, labels, "score", ["headline"]) + rows + kind_rows(scores, bags)
