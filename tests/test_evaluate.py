"""The named protocols: each row of a record is what its name says, computed here another way."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import average_precision_score, roc_auc_score

from vadlib import measure
from vadlib.data.base import Video
from vadlib.detector import Detector, Scores
from vadlib.measure import evaluate


class Told(Detector):
    """A detector that repeats what it is given."""

    def __init__(self, scores):
        self.scores = scores

    def fit(self, videos, config=None):
        raise AssertionError("evaluation must not train")

    def score(self, video):
        return self.scores[video.name]


@pytest.fixture(scope="module")
def case():
    """Three videos whose scores differ in level; the last is abnormal throughout."""
    rng, videos, scores = np.random.default_rng(0), [], {}
    for number, (a, b) in enumerate([(10, 25), (0, 12), (0, 39)]):
        labels = np.zeros(40, np.uint8)
        labels[a:b] = 1
        labels[:39] |= number == 2
        masks = np.zeros((40, 8, 8), bool)
        masks[labels > 0, 2:5, 2:5] = True
        name = str(number)
        videos.append(Video(name, np.zeros((40, 8, 8, 1), np.uint8), labels, masks))
        frame = rng.normal(3 * number, 1, 39) + labels[:39]
        heat = rng.random((39, 8, 8)).astype(np.float32)
        term, fact = {"half": frame / 2}, {"used": np.full(39, number / 4)}
        scores[name] = Scores(name, frame, np.arange(39), heat, term, fact)
    return videos, scores


@pytest.fixture(scope="module")
def rows(case):
    videos, scores = case
    return {
        (r["protocol"], r["metric"], r["term"]): r["value"]
        for r in evaluate.evaluate(Told(scores), videos)
    }


def pooled(case, change):
    videos, scores = case
    labels = np.concatenate([v.labels[:39] for v in videos])
    return roc_auc_score(labels, np.concatenate([change(scores[v.name].frame) for v in videos]))


@pytest.mark.parametrize(
    "protocol,change",
    [
        ("headline", lambda s: s),
        ("per-video min-max", lambda s: (s - s.min()) / (s.max() - s.min())),
        ("gaussian 5", lambda s: gaussian_filter1d(s, 5, mode="nearest", truncate=4)),
    ],
)
def test_micro_protocols(case, rows, protocol, change):
    assert rows[protocol, "auc", "score"] == pytest.approx(pooled(case, change), abs=1e-9)


def test_the_protocols_differ_on_this_case(rows):
    names = list(evaluate.PROTOCOLS)
    assert len({round(rows[name, "auc", "score"], 6) for name in names}) == len(names)


def test_macro_leaves_the_video_of_one_class_out_and_padding_gives_it_one(case, rows):
    videos, scores = case
    pairs = [(v.labels[:39], scores[v.name].frame) for v in videos]
    skipped = [roc_auc_score(y, s) for y, s in pairs[:2]]
    assert rows["macro", "auc", "score"] == pytest.approx(np.mean(skipped))
    padded = []
    for y, s in pairs:
        s = (s - s.min()) / (s.max() - s.min())
        padded.append(roc_auc_score([0, *y, 1], [0, *s, 1]))
    assert rows["macro padded", "auc", "score"] == pytest.approx(np.mean(padded))


def test_terms_facts_and_places_are_reported(rows):
    assert rows["headline", "auc", "half"] == rows["headline", "auc", "score"]
    assert rows["headline", "used", "score"] == pytest.approx((0 + 0.25 + 0.5) / 3)
    places = {"pixel auc", "pixel auc, 40 % rule", "rbdc", "tbdc"}
    assert places <= {metric for _, metric, _ in rows}


def test_the_error_rate_and_the_places_are_those_of_their_names(case, rows):
    videos, scores = case
    own = [scores[v.name] for v in videos]
    labels = [s.labels(v) for s, v in zip(own, videos, strict=True)]
    heat, masks = [s.heatmap for s in own], [v.masks[:39] for v in videos]
    expected = {
        "eer": measure.eer([s.frame for s in own], labels),
        "pixel auc": measure.pixel_auc(heat, masks),
        "pixel auc, 40 % rule": measure.pixel_auc(heat, masks, "ucsd40"),
        "rbdc": measure.rbdc(heat, masks),
        "tbdc": measure.tbdc(heat, masks),
    }
    assert len(set(expected.values())) == len(expected)
    for metric, value in expected.items():
        assert rows["headline", metric, "score"] == pytest.approx(value)


def test_places_are_measured_only_where_there_are_maps_and_masks(case):
    videos, scores = case
    blind = {name: Scores(name, s.frame, s.index) for name, s in scores.items()}
    bare = [Video(v.name, v.frames, v.labels) for v in videos]
    for told, shown in ((blind, videos), (scores, bare)):
        found = {row["metric"] for row in evaluate.evaluate(Told(told), shown)}
        assert {"auc", "eer"} <= found and not {"rbdc", "pixel auc"} & found


def test_regions_of_tracked_objects_come_from_their_boxes_and_not_from_masks():
    """Two things that touch move in step and leave; the heat lies on one of them all the time."""
    boxes, heat = np.full((7, 2, 4), np.nan), np.zeros((6, 8, 32), np.float32)
    masks = np.zeros((7, 8, 32), bool)
    for t in range(6):
        boxes[t] = [(3 * t, 0, 3 * t + 3, 3), (3 * t, 3, 3 * t + 3, 6)]
        masks[t, 0:6, 3 * t : 3 * t + 3] = True
        if t:
            heat[t - 1, 0:3, 3 * t : 3 * t + 3] = 1
    truth = {"boxes": boxes, "abnormal": np.isfinite(boxes[..., 0])}
    video = Video("a", np.zeros((7, 8, 32, 1), np.uint8), masks.any((1, 2)), masks, truth=truth)
    scores = Scores("a", np.ones(6), np.arange(1, 7), heat)
    found = {r["metric"]: r["value"] for r in evaluate.localisation_rows([scores], [video])}
    assert found["rbdc"] == found["tbdc"] == 0.5


def test_bags_are_measured_by_frames_inside_and_as_wholes():
    labels = [np.array(y) for y in ([0, 1, 1, 0], [0, 0, 0], [1, 0, 0])]
    frames = [np.array(s) for s in ([0.1, 0.9, 0.3, 0.4], [0.5, 0.2, 0.1], [0.35, 0.2, 0.45])]
    bags = [Video(str(i), np.zeros((len(y), 4, 4, 1), np.uint8), y) for i, y in enumerate(labels)]
    told = Told({str(i): Scores(str(i), s, np.arange(len(s))) for i, s in enumerate(frames)})
    found = {r["metric"]: r["value"] for r in evaluate.evaluate_bags(told, bags)}
    y, s = np.concatenate(labels), np.concatenate(frames)
    inside = np.r_[0:4, 7:10]
    assert found == pytest.approx(
        {
            "auc": roc_auc_score(y, s),
            "eer": measure.eer(frames, labels),
            "ap": average_precision_score(y, s),
            "auc, abnormal videos": roc_auc_score(y[inside], s[inside]),
            "auc, whole videos": roc_auc_score([1, 0, 1], [0.9, 0.5, 0.45]),
        }
    )


def test_kinds_are_measured_over_the_videos_that_hold_them(case):
    videos, scores = case
    kinds = ["fast", "odd"]
    for video, kind in zip(videos, kinds, strict=False):
        video.truth["kind"] = np.where(video.labels > 0, kind, "")
    found = evaluate.kind_rows([scores[v.name] for v in videos[:2]], videos[:2])
    for row, video in zip(found, videos, strict=False):
        expected = roc_auc_score(video.labels[:39], scores[video.name].frame)
        assert row["value"] == pytest.approx(expected)
    assert [row["metric"] for row in found] == ["auc, fast", "auc, odd"]
