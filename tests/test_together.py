"""Rows made of others' rows: two cameras, ten quiet minutes, unions on a scale of normal videos."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from vadlib import papers
from vadlib.data import grey, plaza, vigil
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab import records, run, union
from vadlib.lab.experiment import Experiment
from vadlib.lab.sets import SETS, load
from vadlib.papers import together
from vadlib.papers.baselines.rules import MeanImage

pytestmark = pytest.mark.usefixtures("cache")
SMALL = {"count": 2, "length": 40, "size": (32, 48), "level": "clear"}
quiet = lambda *_: None  # noqa: E731

# ------------------------------------------------------------------------------------ two cameras


def test_grey_is_the_grey_of_opencv_and_nothing_else_changes():
    (video, _), (found, _) = plaza.videos("test", **SMALL), grey.videos("plaza", "test", **SMALL)
    assert found.frames.shape == (40, 32, 48, 1) and found.frames.dtype == np.uint8
    for t in (0, 39):
        wanted = cv2.cvtColor(np.array(video.frames[t]), cv2.COLOR_RGB2GRAY)
        assert np.array_equal(found.frames[t, ..., 0], wanted)
    assert np.array_equal(found.labels, video.labels) and found.name == video.name
    assert np.array_equal(found.masks, video.masks) and found.truth.keys() == video.truth.keys()
    assert found.key not in ("", video.key), "flow and boxes of grey are cached apart"
    assert grey.grey(found) is found


def test_one_camera_teaches_and_the_other_tests():
    asked = {
        (name, split): SETS[name].settings("standard", split)["name"]
        for name in together.CAMERAS
        for split in ("train", "test")
    }
    assert asked == {
        ("plaza-to-ped2", "train"): "plaza",
        ("plaza-to-ped2", "test"): "ped2",
        ("ped2-to-plaza", "train"): "ped2",
        ("ped2-to-plaza", "test"): "plaza",
        ("plaza-grey", "train"): "plaza",
        ("plaza-grey", "test"): "plaza",
    }
    home, away = (SETS[d].settings("standard", "test") for d in ("plaza-clear", "plaza-grey"))
    assert away == {"name": "plaza"} | home, "the films of Plaza are those of its level clear"
    films = load("ped2-to-plaza", "standard", "test", count=1, length=40, size=(32, 48))
    assert films[0].frames.shape[3] == 1 and films[0].split == "test"


def test_a_row_before_another_camera_is_as_at_home_but_for_the_camera():
    rows = papers.experiments()
    for row in together.crossed(rows):
        home = rows[row.name.replace(f"-{row.data}-", "-ped2-")]
        assert row.data in together.CAMERAS and row.seeds == (0,) and row.committed == ()
        assert row.config_dict == home.config_dict and row.chosen == home.chosen
        assert row.stamp != home.stamp
    assert len(together.crossed(rows)) == len(together.CROSSED) * len(together.CAMERAS)


def test_quiet_minutes_follow_the_test_films_and_nobody_has_seen_them():
    test = vigil.videos("test", quiet=3, minute=40, **SMALL)
    train, plain = vigil.videos("train", quiet=3, **SMALL), plaza.videos("test", **SMALL)
    assert [v.key for v in test[:2]] == [v.key for v in plain]
    assert [v.key for v in train] == [v.key for v in plaza.videos("train", **SMALL)]
    calm = test[2:]
    assert len(calm) == 3 and not any(v.labels.any() for v in calm)
    assert any(v.labels.any() for v in test[:2])
    assert len({v.name for v in test}) == len({v.key for v in (*test, *train)}) - 2 == 5
    assert {row.data for row in together.watching(papers.experiments())} == {"plaza-vigil"}


# ----------------------------------------------------------------------------------------- unions


def film(name, values, first=0):
    return Scores(name, np.array(values, float), np.arange(first, first + len(values)))


USUAL = {"a": np.array([1.0, 3.0]), "b": np.array([0.0, 0.0, 10.0, 10.0])}
KNOWN = {
    "a": [film("x", [2, 4, 0]), film("y", [3])],
    "b": [film("x", [10, -5], first=1), film("y", [15])],
}


def test_parts_are_joined_on_one_scale_by_hand():
    """a has the usual mean 2 and deviation 1, b 5 and 5; of x, frames 1 and 2 have both scores."""
    x, y = union.fuse(KNOWN, USUAL)
    assert x.index.tolist() == [1, 2] and y.index.tolist() == [0]
    assert x.terms["a"].tolist() == [2, -2] and x.terms["b"].tolist() == [1, -2]
    assert x.frame.tolist() == [1.5, -2] and y.frame.tolist() == [1.5]
    x, y = union.fuse(KNOWN, USUAL, join="largest")
    assert x.frame.tolist() == [2, -2] and y.frame.tolist() == [2]
    x, y = union.fuse(KNOWN, USUAL, scale="rank")
    assert x.terms["a"].tolist() == [1, 0] and x.terms["b"].tolist() == [0.75, 0]
    assert y.terms["a"].tolist() == [0.75] and y.terms["b"].tolist() == [1]


def test_what_cannot_be_joined_is_refused():
    with pytest.raises(VadError, match="no scale 'minmax'"):
        union.fuse(KNOWN, USUAL, "minmax")
    with pytest.raises(VadError, match="join 'sum'"):
        union.fuse(KNOWN, USUAL, join="sum")
    with pytest.raises(VadError, match="different videos"):
        union.fuse(KNOWN | {"b": KNOWN["b"][::-1]}, USUAL)
    with pytest.raises(VadError, match="all alike"):
        union.fuse(KNOWN, USUAL | {"a": np.ones(3)})


PARTS = tuple(
    Experiment(f"{rule}-plaza-smoke", papers.method(rule), "plaza", "smoke", (0,))
    for rule in ("copy-last", "mean-image")
)
BOTH = union.Union(
    "union-plaza-smoke", together.JOINED, "plaza", "smoke", (0,), parts=PARTS, scale="z"
)


def test_the_stamp_of_a_union_is_that_of_its_parts_and_how_they_are_joined():
    others = [
        replace(BOTH, parts=PARTS[:1]),
        replace(BOTH, scale="rank"),
        replace(BOTH, join="largest"),
        replace(BOTH, parts=(PARTS[0], replace(PARTS[1], profile="standard"))),
    ]
    assert len({u.stamp for u in (BOTH, *others)}) == 5
    assert replace(BOTH, name="other").stamp == BOTH.stamp


def test_a_union_reads_records_and_takes_its_scale_from_videos_held_out(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    known = {e.name: e for e in (*PARTS, BOTH)}
    monkeypatch.setattr(papers, "experiments", lambda: known)
    with pytest.raises(VadError, match="current record of copy-last-plaza-smoke"):
        run.reproduce(BOTH, [0], "cpu", quiet)
    for part in PARTS:
        run.reproduce(part, [0], "cpu", quiet)
    record = run.reproduce(BOTH, [0], "cpu", quiet)
    assert record["config"]["parts"] == [part.name for part in PARTS]
    assert record["config"]["held"] == 0.25 and record["protocols"]["headline"]["average"]
    train = BOTH.load("train")
    rule = MeanImage()
    rule.fit(train[:3])
    usual = rule.score(train[3]).frame
    found = records.read_scores(BOTH.name, 0)
    own = records.read_scores("mean-image-plaza-smoke", 0)
    for fused, alone in zip(found, own, strict=True):
        wanted = (alone.frame[1:] - usual.mean()) / usual.std()  # frame 0 has no last to copy
        assert np.allclose(fused.terms["mean-image"], wanted, atol=1e-4)
        assert np.allclose(fused.frame, np.mean(list(fused.terms.values()), 0), atol=1e-4)


def test_unions_say_whom_they_join():
    rows = {e.name: e for e in together.unions(papers.experiments())}
    three, all_ = rows["union-ped2-standard"], rows["union-all-ped2-standard"]
    assert [p.method.name for p in three.parts] == ["zero-flow", "median-z", "attributes"]
    assert len({p.method.name for p in all_.parts}) == len(all_.parts) == 12
    assert all(
        p.data == "ped2" and "known before" in e.chosen for e in rows.values() for p in e.parts
    )
    assert {(e.scale, e.join) for e in rows.values()} == {
        ("z", "mean"), ("z", "largest"), ("rank", "mean"),
    }  # fmt: skip
