"""UCSD Ped2 as it is: the counts and intervals that every number on it rests on."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vadlib import data
from vadlib.data import frames, video

pytestmark = pytest.mark.skipif(
    not data.available("ped2"), reason="UCSD Ped2 is not on this machine (set VADLIB_DATA)"
)

INTERVALS = [
    *[(61, 180), (95, 180), (1, 146), (31, 180), (1, 129), (1, 159)],
    *[(46, 180), (1, 180), (1, 120), (1, 150), (1, 180), (88, 180)],
]
LENGTHS = [180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180]


@pytest.fixture(scope="module")
def test():
    return data.load("ped2", "test")


@pytest.fixture(scope="module")
def labels(test):
    return [video.labels for video in test]


def test_counts(test):
    train = data.load("ped2", "train")
    assert len(train) == 16 and sum(map(len, train)) == 2550
    assert len(test) == 12 and [len(v) for v in test] == LENGTHS and sum(LENGTHS) == 2010
    assert {v.frames.shape[1:] for v in train + test} == {(240, 360, 1)}
    assert not any(v.labels.any() for v in train)


def test_labels_are_the_published_intervals(labels):
    assert sum(int(one.sum()) for one in labels) == 1648
    assert round(1648 / 2010, 3) == 0.820
    for one, (first, last) in zip(labels, INTERVALS, strict=True):
        assert np.flatnonzero(one).tolist() == list(range(first - 1, last))


def test_four_videos_are_abnormal_throughout(test):
    assert [v.name for v in test if v.labels.all()] == ["08", "09", "10", "11"]


def test_a_frame_is_abnormal_exactly_when_its_mask_is_not_empty(test):
    for size in (None, (128, 192), (32, 48)):
        for v in data.load("ped2", "test", size):
            assert np.array_equal(v.masks.any(axis=(1, 2)), v.labels == 1)


def test_masks_are_0_or_255():
    for source in frames.sources("ped2", "test", data.data_root()):
        assert len(source.masks) == len(source.files)
        values = {value for path in source.masks[::20] for value in np.unique(video.image(path))}
        assert values <= {0, 255}


def test_area_of_the_masks(test):
    area = np.concatenate([v.masks.mean(axis=(1, 2))[v.labels == 1] for v in test]) * 100
    assert len(area) == 1648
    assert round(float(np.median(area)), 1) == 1.2
    assert round(float(area.min()), 3) == 0.025
    assert round(float(area.max()), 1) == 4.9


def test_what_is_left_when_frames_are_dropped(labels):
    without_first_four = np.concatenate([one[4:] for one in labels])
    without_last = np.concatenate([one[:-1] for one in labels])
    assert (len(without_first_four), without_first_four.sum()) == (1962, 1620)
    assert (len(without_last), without_last.sum()) == (1998, 1639)
    assert len(np.concatenate([one[8:-7] for one in labels])) == 1830


def test_scores_that_look_at_no_pixel(labels):
    """Frame index, and an oracle that knows only each video's abnormal fraction."""
    truth = np.concatenate(labels)
    index = np.concatenate([np.arange(len(one)) for one in labels])
    oracle = np.concatenate([np.full(len(one), one.mean()) for one in labels])
    assert 0.74 <= roc_auc_score(truth, index) <= 0.75
    assert roc_auc_score(truth, oracle) == pytest.approx(0.840, abs=0.0005)


def test_official_intervals_in_either_form(tmp_path):
    """The `.m` text with these intervals gives what `ped2.mat` gives."""
    lines = [f"TestVideoFile{{end+1}}.gt_frame = [{a}:{b}];" for a, b in INTERVALS]
    (tmp_path / "UCSDped2.m").write_text("TestVideoFile = {};\n" + "\n".join(lines))
    folder, _ = frames.find("ped2", data.data_root()) or (None, None)
    assert folder is not None
    found = folder / "ped2.mat"
    if not found.is_file():
        pytest.skip("ped2.mat comes with the frame-folder layout, this is the official one")
    assert frames.read_m(tmp_path / "UCSDped2.m") == frames.read_mat(found)
