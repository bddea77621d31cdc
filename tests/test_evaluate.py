"""The named protocols: each row of a record is what its name says, computed here another way."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from sklearn.metrics import roc_auc_score

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
