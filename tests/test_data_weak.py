"""Weakly labelled Plaza and Ped2: what a label says, what it must not give away, and the split."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from vadlib import data
from vadlib.data import frames, plaza
from vadlib.data.bags import Bag
from vadlib.data.base import Video
from vadlib.detector import Detector, Scores
from vadlib.errors import VadError
from vadlib.lab.records import is_headline, read_scores, read_truth
from vadlib.lab.run import reproduce
from vadlib.lab.sets import PLAZA_BAGS, SETS
from vadlib.measure.evaluate import evaluate_bags
from vadlib.papers import detector, experiment, experiments, method
from vadlib.papers.la_net.rows import LADDER
from vadlib.see import weak
from vadlib.see.extract import EXTRACTORS, Extractor, bag, brightness
from vadlib.see.weak import BAG_KINDS, ped2_bags, ped2_draw, plaza_bags

SMALL = {"length": 48, "size": (32, 48), "extractor": "brightness"}


@pytest.fixture
def alone(monkeypatch):
    """No second process: faster for a handful of tiny videos."""
    monkeypatch.setattr(weak, "_made", lambda recipe: True)


# --------------------------------------------------------------------------------------- plaza


@pytest.mark.usefixtures("cache", "alone")
def test_a_bag_of_plaza_is_the_film_and_its_features():
    bags = plaza_bags("test", 6, **SMALL)
    assert [b.label for b in bags] == [0] * 3 + [1] * 3
    assert len({b.name for b in bags}) == len({b.key for b in bags}) == 6
    for i, found in enumerate(bags):
        split, first = ("train", "test")[i // 3], weak.TEST_FROM + i % 3
        (film,) = plaza.videos(split, 1, 48, (32, 48), kinds=BAG_KINDS, first=first)
        assert (found.features == bag(film, "brightness").features).all()
        assert (found.labels == film.labels).all() and found.label == film.labels.max()
        assert found.truth["kind"].tolist() == film.truth["kind"].tolist()
        assert (len(found), found.span, found.split) == (48, 16, "test")
    kinds = {str(k) for b in bags[3:] for k in b.truth["kind"] if k}
    assert kinds == set(BAG_KINDS)


@pytest.mark.usefixtures("cache", "alone")
def test_training_bags_hide_their_frames_and_are_other_videos():
    train, test = plaza_bags("train", 4, **SMALL), plaza_bags("test", 4, **SMALL)
    assert [b.label for b in train] == [0, 0, 1, 1]
    assert all(b.labels is None and not b.truth and b.split == "train" for b in train)
    assert not {b.key for b in train} & {b.key for b in test}
    rows = [b.features.tobytes() for b in train + test]
    assert len(set(rows)) == 8


@pytest.mark.usefixtures("cache", "alone")
def test_bags_depend_on_their_seed_and_not_on_their_number():
    few, many = plaza_bags("train", 2, **SMALL), plaza_bags("train", 4, **SMALL)
    assert [few[0].key, few[1].key] == [many[0].key, many[2].key]
    assert few[0].key != plaza_bags("train", 2, seed=1, **SMALL)[0].key


def test_the_helper_begins_with_the_last_bag_that_is_missing(monkeypatch):
    started, ended, threads = [], [], torch.get_num_threads()
    helper = SimpleNamespace(terminate=lambda: ended.append(1), wait=lambda: None)
    monkeypatch.setattr(weak.subprocess, "Popen", lambda how, **_: started.append(how[2]) or helper)
    for made, todo in ((set(), [(3,), (2,), (1,)]), ({2}, [(3,), (1,)]), ({3}, [(2,), (1,)])):
        monkeypatch.setattr(weak, "_made", lambda recipe, made=made: recipe[0] in made)
        with weak._helped([(1,), (2,), (3,)]):  # pyright: ignore
            assert torch.get_num_threads() == 1 and len(ended) == len(started) - 1
        assert started[-1].endswith(f"make_all({todo})") and torch.get_num_threads() == threads
    monkeypatch.setattr(weak, "_made", lambda recipe: recipe[0] != 2)
    with weak._helped([(1,), (2,), (3,)]):  # pyright: ignore
        pass  # of one that is missing there is nothing to share
    assert len(started) == len(ended) == 3


def test_the_helper_makes_the_same_bags(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path / "helped"))
    helped = plaza_bags("test", 4, **SMALL)
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path / "alone"))
    monkeypatch.setattr(weak, "_made", lambda recipe: True)
    alone = plaza_bags("test", 4, **SMALL)
    for one, other in zip(helped, alone, strict=True):
        assert (one.features == other.features).all() and (one.labels == other.labels).all()
        assert (one.name, one.key) == (other.name, other.key)


@pytest.fixture
def helper(monkeypatch):
    """A helper that runs to its end before the block begins; returns what it was told."""
    told = []

    class Helper:
        def __init__(self, command, **options):
            told.append(command)
            subprocess.run(command, check=True, **options)

        terminate = lambda self: told.append("terminated")  # noqa: E731
        wait = lambda self: told.append("waited for")  # noqa: E731

    monkeypatch.setattr(weak, "subprocess", SimpleNamespace(Popen=Helper, DEVNULL=-3))
    return told


@pytest.mark.usefixtures("cache")
def test_what_the_helper_is_told_fills_the_store(helper, monkeypatch):
    """Afterwards nothing is filmed here, and next time nobody needs help."""

    def filmed(*_, **__):
        raise AssertionError("the helper should have filmed this")

    monkeypatch.setattr(plaza, "videos", filmed)
    assert len(plaza_bags("train", 4, **SMALL)) == 4
    assert helper[0][0] == sys.executable and helper[1:] == ["terminated", "waited for"]
    assert len(plaza_bags("train", 4, **SMALL)) == 4
    assert len(helper) == 3


@pytest.mark.usefixtures("cache")
def test_a_helper_that_fails_is_not_missed(monkeypatch):
    def popen(command, **options):
        return subprocess.Popen([sys.executable, "-c", "1/0"], **options)

    monkeypatch.setattr(weak, "subprocess", SimpleNamespace(Popen=popen, DEVNULL=-3))
    assert len(plaza_bags("train", 4, **SMALL)) == 4


@pytest.mark.usefixtures("cache", "alone")
def test_what_is_finished_survives_a_stop(monkeypatch):
    seen, stop = [], [7]  # the second of three snippets of the third video

    def snippet(frames):
        if len(seen) == stop[0]:
            raise KeyboardInterrupt
        seen.append(len(seen))
        return np.array(seen[-1:], np.float32)

    monkeypatch.setitem(EXTRACTORS, "stops", Extractor(1, lambda: snippet))
    with pytest.raises(KeyboardInterrupt):
        plaza_bags("train", 4, **SMALL | {"extractor": "stops"})
    stop[0] = -1
    rows = [
        b.features.ravel().tolist()
        for b in plaza_bags("train", 4, **SMALL | {"extractor": "stops"})
    ]
    assert rows == [[0, 1, 2], [3, 4, 5], [7, 8, 9], [10, 11, 12]]


@pytest.mark.usefixtures("cache")
def test_brightness_does_not_know_the_label():
    """The mean brightness of a bag tells normal and abnormal videos apart no better than chance:
    they come from one distribution. With 20 of each, chance has a deviation of 0.09."""
    bags = plaza_bags("test", 40, length=40, size=(32, 48), extractor="brightness")
    means = [b.features.mean() for b in bags]
    assert abs(roc_auc_score([b.label for b in bags], means) - 0.5) < 0.2
    assert np.std(means) > 0.005, "and brightness does vary"


@pytest.mark.parametrize(
    "wrong, what",
    [
        (lambda: plaza_bags("val"), "no split 'val'"),
        (lambda: plaza_bags("train", 3), "even number"),
        (lambda: plaza_bags("train", 0), "even number"),
        (lambda: plaza_bags("train", 2, extractor="i3d"), "no extractor 'i3d'"),
        (lambda: ped2_bags("val"), "no split 'val'"),
    ],
)
def test_what_cannot_be_had_is_refused(cache, wrong, what):
    with pytest.raises(VadError, match=what):
        wrong()


# ---------------------------------------------------------------------------------------- ped2


@pytest.fixture
def ped2(cache, monkeypatch):
    """A Ped2 in miniature: 16 normal and 12 abnormal videos, whose brightness is their number."""

    def load(name, split, size):
        assert (name, size) == ("ped2", (128, 192))
        videos = []
        for i in range(16 if split == "train" else 12):
            frames = np.full((20, 4, 4, 1), 10 * i + (split == "test"), np.uint8)
            labels = np.zeros(20, np.uint8)
            labels[5 + i :] = split == "test"
            videos.append(Video(f"{i + 1:02d}", frames, labels, dataset=name, split=split))
        return videos

    monkeypatch.setattr(frames, "videos", load)


def test_a_seed_draws_six_abnormal_and_four_normal_videos(ped2):
    train, test = (ped2_bags(split, 3, "brightness") for split in ("train", "test"))
    assert sorted(b.label for b in train) == [0] * 4 + [1] * 6
    assert sorted(b.label for b in test) == [0] * 12 + [1] * 6
    names = {b.name for b in train} | {b.name for b in test}
    assert len(names) == 28, "each video once"
    assert all(b.labels is None for b in train) and all(b.labels is not None for b in test)
    for b in train + test:
        folder, number = b.name.split("-")
        assert b.label == (folder == "test") and b.span == 8
        assert b.features[0, 0, 0] * 255 == pytest.approx(10 * (int(number) - 1) + b.label)


def test_every_seed_draws_its_own_split(ped2):
    drawn = [frozenset(b.name for b in ped2_bags("train", s, "brightness")) for s in range(10)]
    assert len(set(drawn)) == 10
    assert drawn[0] == {b.name for b in ped2_bags("train", 0, "brightness")}
    assert len(frozenset.union(*drawn)) > 24, "and over the seeds, nearly all videos train"


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_videos_of_a_draw_are_those_of_its_bags(ped2, split):
    bags, videos = ped2_bags(split, 3, "brightness"), ped2_draw(split, 3)
    assert [(b.name, len(b), b.label) for b in bags] == [
        (v.name, len(v), int(v.labels.any())) for v in videos
    ]


@pytest.mark.skipif(not data.available("ped2"), reason="UCSD Ped2 is not under VADLIB_DATA")
def test_real_ped2():
    """Frames align with snippets of 8, and the folders differ in more than anomalies."""
    train, test = (ped2_bags(split, 0, "brightness") for split in ("train", "test"))
    assert sum(map(len, train + test)) == 2550 + 2010
    assert all(b.snippets == -(-len(b) // 8) for b in train + test)
    for b in test:
        assert b.labels.any() == b.label
    abnormal = {b.name: int(b.labels.sum()) for b in test if b.label}
    official = (120, 86, 146, 150, 129, 159, 135, 180, 120, 150, 180, 93)
    assert abnormal == {name: official[int(name[-2:]) - 1] for name in abnormal}


def test_brightness_is_the_mean_of_a_snippet():
    frames = np.zeros((4, 5, 6, 3), np.uint8)
    frames[0] = 255
    assert brightness()(frames) == pytest.approx([0.25])


# ---------------------------------------------------------------------------- rows and measures


class Told(Detector):
    """Repeats what it is given."""

    def __init__(self, frames):
        self.frames = frames

    def fit(self, videos, config=None):
        raise AssertionError("evaluation must not train")

    def score(self, video):
        return Scores(video.name, self.frames[video.name], np.arange(len(video)))


@pytest.fixture
def told():
    """Four bags, of 32 frames but for the last; in one nearly everything is abnormal."""
    rng, bags, frames = np.random.default_rng(0), [], {}
    for number, (length, bad, kind) in enumerate(
        [
            (32, slice(0), ""),
            (32, slice(5, 20), "fast"),
            (32, slice(1, 32), "odd"),
            (20, slice(0), ""),
        ]
    ):
        labels = np.zeros(length, np.uint8)
        labels[bad] = 1
        features, name = np.zeros((1, 2, 3), np.float32), str(number)
        truth = {"kind": np.where(labels > 0, kind, "")}
        bags.append(Bag(name, features, length, int(labels.max()), labels, truth=truth))
        frames[name] = rng.normal(0, 1, length) + labels + (number == 3)
    frames["0"][3] = 9  # a normal bag with one high score
    return bags, frames


def test_bags_are_measured_as_is_said(told):
    bags, frames = told
    rows = evaluate_bags(Told(frames), bags)
    found = {row["metric"]: row["value"] for row in rows}
    y, s = (np.concatenate(list(x)) for x in ((b.labels for b in bags), frames.values()))
    inside = np.isin(np.repeat(range(4), [len(b) for b in bags]), (1, 2))
    fpr, tpr, _ = roc_curve(y, s)
    crossing = np.argmin(np.abs(fpr - (1 - tpr)))
    assert found.pop("eer") == pytest.approx((fpr + 1 - tpr)[crossing] / 2, abs=0.02)
    assert found == pytest.approx(
        {
            "auc": roc_auc_score(y, s),
            "ap": average_precision_score(y, s),
            "auc, abnormal videos": roc_auc_score(y[inside], s[inside]),
            "auc, whole videos": roc_auc_score([0, 1, 1, 0], [x.max() for x in frames.values()]),
            "auc, fast": roc_auc_score(bags[1].labels, frames["1"]),
            "auc, odd": roc_auc_score(bags[2].labels, frames["2"]),
        }
    )
    assert all((row["protocol"], row["term"]) == ("headline", "score") for row in rows)
    assert is_headline(rows[0])


def test_a_level_of_its_own_for_each_bag_changes_only_what_compares_bags(told):
    """Normal bags far below: perfect over whole videos, and nothing gained inside abnormal ones."""
    bags, frames = told
    before, after = (
        {r["metric"]: r["value"] for r in evaluate_bags(Told(x), bags)}
        for x in (frames, {b.name: frames[b.name] - 9 * (b.label == 0) for b in bags})
    )
    assert after["auc, whole videos"] == 1 and after["auc"] > before["auc"]
    assert after["auc, abnormal videos"] == before["auc, abnormal videos"]


def test_bags_without_labels_of_frames_are_refused(told):
    bags, frames = told
    with pytest.raises(VadError, match="no frame labels"):
        evaluate_bags(Told(frames), [replace(b, labels=None) for b in bags])


def test_the_untrained_rule_is_the_strip_with_most_flow():
    features = np.zeros((2, 3, 144), np.float32)
    features[0, 0, 12:24] = 1  # all of the second strip: 12
    features[0, 0, 130] = 9  # one number of another strip, alone
    features[0, 1, [0, 11]] = 2  # first and last number of the first strip: 4
    features[1, 2, 143] = 6  # only in the second crop: half of it
    scores = detector("flow-bag").score(Bag("a", features, 7, span=3))
    assert np.array_equal(scores.index, np.arange(7))
    assert np.allclose(scores.frame, [6, 6, 6, 2, 2, 2, 3])


def test_the_untrained_rule_says_what_it_cannot_read():
    with pytest.raises(VadError, match='bag x/a has 1424 numbers.*extractor "flow"'):
        detector("flow-bag").score(Bag("a", np.zeros((1, 2, 1424)), 7, span=4, dataset="x"))


def test_what_learns_from_bags_refuses_frames():
    reads = method("la-net")
    model = reads.make(config=reads.config_of("smoke"))
    with pytest.raises(VadError, match="la-net reads bags of features, not the frames of video a"):
        model.score(Video("a", np.zeros((4, 16, 16, 1), np.uint8)))


def test_the_untrained_rule_takes_the_flow_of_frames_by_itself(cache):
    frames = np.random.default_rng(0).integers(0, 255, (37, 48, 48, 1), dtype=np.uint8)
    film, rule = Video("a", frames), detector("flow-bag")
    one, two = rule.score(film), rule.score(bag(film, "flow"))
    assert np.array_equal(one.frame, two.frame) and one.index.tolist() == list(range(37))
    assert len(set(one.frame)) == 3 and one.frame.min() > 0


WEAK = {name: e for name, e in experiments().items() if e.method.name == "la-net"}


def test_how_a_row_is_measured_depends_on_its_data():
    for e in experiments().values():
        bags = "bags" in e.data or "weak" in e.data or e.data in ("ucf-crime", "xd-violence")
        assert e.protocol == ("evaluate_bags" if bags else "evaluate"), e.name
    untrained = {
        e.name for e in experiments().values() if e.protocol != "evaluate" and not e.trained
    }
    assert untrained == {
        "flow-bag-plaza-bags-standard",
        "flow-bag-ped2-weak-flow-standard",
        "zero-flow-ped2-weak-videos-standard",
    }


def test_the_ladders_are_there():
    config = {name.removesuffix("-plaza-bags-standard"): e.config_dict for name, e in WEAK.items()}
    full = config["la-net"]
    changed = {row: {k: v for k, v in config[row].items() if v != full[k]} for row in LADDER}
    off = {"lambda_dr": 0.0, "lambda_da": 0.0}
    assert changed == {
        "la-net": {},
        "la-net-kl": {"da": "kl"},
        "la-net-mil": off,
        "la-net-dr": {"lambda_da": 0.0},
        "la-net-da": {"lambda_dr": 0.0},
        "la-net-da-kl": {"lambda_dr": 0.0, "da": "kl"},
        "la-net-noprior": off | {"prior": "none"},
        "la-net-logit": off | {"prior": "logit"},
        "la-net-renorm": off | {"prior": "renorm"},
        "la-net-blur": off | {"prior": "only"},
        "la-net-wide": {"sigma": 16.0, "causal_kernel": 10},
        "mil": off | {"attention": False},
        "sultani": off | {"attention": False, "mil": "ranking", "causal_kernel": 1},
    }
    assert (full["prior"], full["mil"], full["da"]) == ("paper", "bce", "paper")
    assert (full["lambda_dr"], full["lambda_da"], full["dr_margin"]) == (1.0, 1.0, 0.0)


def test_every_rung_is_tried_on_ped2_as_on_plaza():
    """With as many steps: six pairs of bags, where Plaza has fifty."""
    for row in LADDER:
        plaza, ped2 = (WEAK[f"{row}-{d}-standard"] for d in ("plaza-bags", "ped2-weak-flow"))
        one, two = plaza.config_dict, ped2.config_dict
        assert (one["train"].pop("epochs"), two["train"].pop("epochs")) == (60, 240)
        assert one == two and (len(plaza.seeds), len(ped2.seeds)) == (5, 10)


@pytest.mark.parametrize("name", WEAK)
def test_every_row_has_a_detector_for_its_data(name):
    exp = WEAK[name]
    assert exp.data in SETS and exp.trained and exp.protocol == "evaluate_bags"
    assert exp.detector(1).config.train.seed == 1
    width = {"plaza-bags": 144, "ped2-weak-flow": 144, "ped2-weak-brightness": 1}
    assert exp.detector(0).config.features == width.get(
        exp.data, 1024 if exp.profile == "full" else 1424
    )


@pytest.mark.parametrize("name", ["la-net-ucf-crime-full", "la-net-xd-violence-full"])
def test_rows_of_the_papers_data_say_what_they_need(name, tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path))
    with pytest.raises(VadError, match="VADLIB_DATA") as caught:
        reproduce(experiment(name), [0], "cpu", say=lambda text: None)
    assert "test.list" in str(caught.value)
    assert "the paper has A" in WEAK[name].note


def test_a_row_runs_from_features_on_disk_to_a_record(tmp_path, monkeypatch):
    """The row of XD-Violence on a tree of it in miniature: what is needed is there."""
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path))
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path / "home"))
    rng, home = np.random.default_rng(0), tmp_path / "xd_violence"
    home.mkdir()
    names = [f"v{i}_label_{'A' if i < 2 else 'B1-0-0'}" for i in range(4)]
    for name in names:
        for crop in range(5):
            np.save(home / f"{name}__{crop}.npy", rng.normal(size=(6, 1024)).astype(np.float32))
    lines = "\n".join(f"{name}__{crop}.npy" for name in names for crop in range(5))
    for split in ("train", "test"):
        (home / f"{split}.list").write_text(lines)
    np.save(home / "gt.npy", np.repeat([0, 0, 0, 0, 0, 1, 0, 1], 48))
    record = reproduce(experiment("la-net-xd-violence-full"), [0], "cpu", say=lambda text: None)
    assert record["label_sha"] and record["stamp"] == WEAK[record["name"]].stamp
    metrics = [row["metric"] for row in record["results"]]
    assert metrics == ["auc", "eer", "ap", "auc, abnormal videos", "auc, whole videos"]
    scores, truth = read_scores(record["name"], 0), read_truth(record["name"], 0)
    assert [s.video for s in scores] == [t.name for t in truth] == names
    labels = [s.labels(t) for s, t in zip(scores, truth, strict=True)]
    auc = roc_auc_score(np.concatenate(labels), np.concatenate([s.frame for s in scores]))
    assert auc == pytest.approx(record["results"][0]["mean"])


@pytest.mark.usefixtures("alone")
def test_bags_leave_their_labels_and_kinds_beside_their_scores(ped2, tmp_path, monkeypatch):
    """And where each seed draws its own test bags, each has its own."""
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path / "home"))
    for split in ("train", "test"):
        monkeypatch.setitem(PLAZA_BAGS["standard"], split, {"count": 6} | SMALL)
    plaza, weak = (experiment(f"flow-bag-{d}-standard") for d in ("plaza-bags", "ped2-weak-flow"))
    told = lambda self, b: Scores(b.name, b.labels + 0.0, np.arange(len(b)))  # noqa: E731
    monkeypatch.setattr("vadlib.papers.baselines.bags.FlowBag.score", told)
    monkeypatch.setitem(EXTRACTORS, "flow", replace(EXTRACTORS["brightness"], version=9))
    for exp, seeds in ((plaza, [0]), (weak, [0, 1])):
        reproduce(exp, seeds, "cpu", say=lambda text: None)
        for seed in seeds:
            truth, bags = read_truth(exp.name, seed), exp.load("test", seed)
            assert [t.name for t in truth] == [b.name for b in bags]
            for t, b in zip(truth, bags, strict=True):
                np.testing.assert_array_equal(t.labels, b.labels)
                assert t.truth.keys() == b.truth.keys()
                assert all((t.truth[k] == b.truth[k]).all() for k in t.truth)
        assert bool(truth[-1].truth) == (exp is plaza)
    assert {t.name for t in read_truth(weak.name, 0)} != {t.name for t in read_truth(weak.name, 1)}
