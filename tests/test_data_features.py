"""Bags of public features: every layout they come in, and every way in which they do not fit."""

from pathlib import Path

import numpy as np
import pytest

from vadlib.data import bags as features
from vadlib.data.bags import Bag, Stored
from vadlib.errors import VadError

D = 6
# name, snippets, and which of its 16-frame snippets are abnormal
UCF = [("Abuse028_x264", 3, [1]), ("Normal_Videos_003_x264", 2, []), ("Arson007_x264", 4, [0, 3])]
XD = [("Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6", 3, [2]), ("v=xY__#1_label_A", 5, [])]


def crops_of(name: str, snippets: int, crops: int) -> np.ndarray:
    """(crops, T, D): each number tells crop, snippet and feature, and no two videos agree."""
    c, t, d = np.ix_(range(crops), range(snippets), range(D))
    return (1000 * len(name) + 100 * c + 10 * t + d).astype(np.float32)


def write_truth(folder: Path, videos, name="gt.npy"):
    """One number a frame of all test videos, as the public files have it: float64."""
    marks = [np.isin(np.arange(t), bad).repeat(16) for _, t, bad in videos]
    np.save(folder / name, np.concatenate(marks).astype(np.float64))


def one_file_a_video(root, folder, crops, videos, order="TCD", prefix="{split}/", suffix=""):
    """NAME.npy with all crops; returns the folder of the data set."""
    home = root / folder
    for split in ("train", "test"):
        (home / split).mkdir(parents=True, exist_ok=True)
        for name, t, _ in videos:
            array = crops_of(name, t, crops)
            array = array.transpose(1, 0, 2) if order == "TCD" else array
            np.save(home / split / f"{name}{suffix}.npy", array)
        lines = [f"{prefix.format(split=split)}{name}{suffix}.npy" for name, _, _ in videos]
        (home / f"{split}.list").write_text("\n".join(lines) + "\n")
    write_truth(home, videos)
    return home


def one_file_a_crop(root, folder, crops, videos, mark="__", first_plain=False):
    """NAME__0.npy ... and lists that name every one of them."""
    home = root / folder
    for split in ("train", "test"):
        (home / split).mkdir(parents=True, exist_ok=True)
        lines = []
        for name, t, _ in videos:
            for c, array in enumerate(crops_of(name, t, crops)):
                file = f"{name}.npy" if first_plain and c == 0 else f"{name}{mark}{c}.npy"
                np.save(home / split / file, array)
                lines.append(f"{split}/{file}")
        (home / f"{split}.list").write_text("\n".join(lines))
    write_truth(home, videos)
    return home


TREES = {
    "ucf, a video, snippets first": ("ucf-crime", 10, UCF, one_file_a_video, {}),
    "ucf, a video, crops first": ("ucf-crime", 10, UCF, one_file_a_video, {"order": "CTD"}),
    "ucf, paths of Windows": (
        "ucf-crime",
        10,
        UCF,
        one_file_a_video,
        {"prefix": "G:\\feat\\{split}\\", "suffix": "_i3d"},
    ),
    "ucf, a crop": ("ucf-crime", 10, UCF, one_file_a_crop, {}),
    "ucf, a crop, one underscore": ("ucf-crime", 10, UCF, one_file_a_crop, {"mark": "_"}),
    "ucf, a crop, first plain": ("ucf-crime", 10, UCF, one_file_a_crop, {"first_plain": True}),
    "xd, a crop": ("xd-violence", 5, XD, one_file_a_crop, {}),
    "xd, a video": ("xd-violence", 5, XD, one_file_a_video, {"order": "CTD"}),
    "xd, paths of Linux": (
        "xd-violence",
        5,
        XD,
        one_file_a_video,
        {"prefix": "/media/someone/i3d-features/{split}/"},
    ),
}


def make(tree: str, root: Path):
    name, crops, videos, write, options = TREES[tree]
    home = write(root, features.SETS[name].folder, crops, videos, **options)
    return name, crops, videos, home


@pytest.fixture
def ucf(tmp_path):
    """A UCF-Crime with one file a crop; the folder of the data set."""
    return one_file_a_crop(tmp_path, "ucf_crime", 10, UCF)


# ------------------------------------------------------------------------------------- layouts


@pytest.mark.parametrize("tree", TREES)
def test_every_layout_gives_the_same_bags(tree, tmp_path):
    name, crops, videos, _ = make(tree, tmp_path)
    bags = features.load(name, "test", tmp_path)
    assert [bag.name.removesuffix("_i3d") for bag in bags] == [video for video, _, _ in videos]
    for bag, (video, t, bad) in zip(bags, videos, strict=True):
        expected = crops_of(video, t, crops)
        assert bag.features.shape == expected.shape
        assert (np.asarray(bag.features) == expected).all()
        assert (bag.features[crops - 1] == expected[-1]).all()
        assert (len(bag), bag.span, bag.snippets) == (16 * t, 16, t)
        assert bag.label == int(bool(bad))
        assert (bag.labels == np.isin(np.arange(16 * t) // 16, bad)).all()


@pytest.mark.parametrize("tree", TREES)
def test_training_bags_know_their_label_alone(tree, tmp_path):
    name, _, videos, home = make(tree, tmp_path)
    (home / "gt.npy").unlink()
    bags = features.load(name, "train", tmp_path)
    assert [bag.label for bag in bags] == [int(bool(bad)) for _, _, bad in videos]
    assert all(bag.labels is None for bag in bags)


def test_features_are_read_through_the_environment(ucf, tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path))
    assert features.available("ucf-crime") and not features.available("xd-violence")
    assert len(features.load("ucf-crime", "train")) == 3


def test_names_of_known_releases_and_the_folder_list_will_do(tmp_path):
    home = one_file_a_video(tmp_path, "ucf_crime", 10, UCF)
    (home / "list").mkdir()
    (home / "train.list").rename(home / "list" / "ucf-i3d.list")
    (home / "test.list").rename(home / "list" / "ucf-i3d-test.list")
    (home / "gt.npy").rename(home / "list" / "gt-ucf.npy")
    assert [len(features.load("ucf-crime", s, tmp_path)) for s in ("train", "test")] == [3, 3]


def test_a_video_as_long_as_it_has_crops_follows_the_others(tmp_path):
    """(10, 10, D) alone could be read both ways; the other videos of the list settle it."""
    videos = [("Abuse001_x264", 10, [4]), *UCF]
    for order in ("TCD", "CTD"):
        one_file_a_video(tmp_path / order, "ucf_crime", 10, videos, order)
        bag = features.load("ucf-crime", "train", tmp_path / order)[0]
        assert (np.asarray(bag.features) == crops_of("Abuse001_x264", 10, 10)).all()


def test_a_list_may_name_files_elsewhere(ucf, tmp_path):
    lines = (ucf / "test.list").read_text().splitlines()
    (ucf / "test").rename(tmp_path / "elsewhere")
    (ucf / "test.list").write_text("\n".join(f"{tmp_path}/elsewhere/{x[5:]}" for x in lines))
    assert len(features.load("ucf-crime", "test", tmp_path)) == 3


def test_files_may_lie_right_in_the_folder(ucf, tmp_path):
    for path in (ucf / "test").iterdir():
        path.rename(ucf / path.name)
    assert len(features.load("ucf-crime", "test", tmp_path)) == 3


def test_crops_are_in_order_whatever_the_list(ucf, tmp_path):
    lines = (ucf / "test.list").read_text().splitlines()
    (ucf / "test.list").write_text("\n".join([*lines[9::-1], *lines[10:]]))
    bag = features.load("ucf-crime", "test", tmp_path)[0]
    assert (np.asarray(bag.features) == crops_of("Abuse028_x264", 3, 10)).all()


def test_a_key_changes_with_the_files(ucf, tmp_path):
    before = [bag.key for bag in features.load("ucf-crime", "train", tmp_path)]
    assert len(set(before)) == 3
    for c in range(10):
        np.save(ucf / "train" / f"Abuse028_x264__{c}.npy", np.zeros((9, D), np.float32))
    after = [bag.key for bag in features.load("ucf-crime", "train", tmp_path)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, True, True]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux shows a process's maps")
@pytest.mark.parametrize("tree", ["ucf, a video, snippets first", "ucf, a crop"])
def test_no_file_stays_open(tree, tmp_path):
    """Memory and open files do not grow with the number of videos."""

    def held() -> int:
        return sum(str(tmp_path) in line for line in Path("/proc/self/maps").open())

    make(tree, tmp_path)
    bags = features.load("ucf-crime", "test", tmp_path)
    assert held() == 0
    rows = [bag.features[:, 1:] for bag in bags]
    assert held() == 0 and all(type(row) is np.ndarray for row in rows)
    view = bags[0].features._crop(0)
    assert held() > 0 and view is not None, "the test can see a map when there is one"


# ---------------------------------------------------------------------------------- what is wrong


def complaint(root, split="test", name="ucf-crime") -> str:
    with pytest.raises(VadError) as caught:
        features.load(name, split, root)
    return str(caught.value)


def test_a_missing_data_set_says_where_it_belongs(tmp_path):
    text = complaint(tmp_path, name="xd-violence")
    assert "xd_violence/" in text and str(tmp_path) in text and "VADLIB_DATA" in text


def test_unknown_names_and_splits(tmp_path):
    with pytest.raises(VadError, match="ucf-crime, xd-violence"):
        features.load("ucf", "test", tmp_path)
    with pytest.raises(VadError, match='"train" and "test"'):
        features.load("ucf-crime", "val", tmp_path)


@pytest.mark.parametrize("file", ["test.list", "gt.npy"])
def test_a_missing_list_or_truth_is_named(ucf, tmp_path, file):
    (ucf / file).unlink()
    assert f"{ucf / file} is missing" in complaint(tmp_path)


def test_an_empty_list(ucf, tmp_path):
    (ucf / "test.list").write_text("\n\n")
    assert "test.list names no files" in complaint(tmp_path)


def test_a_missing_file_is_named_with_the_line_that_asks_for_it(ucf, tmp_path):
    (ucf / "test" / "Abuse028_x264__3.npy").unlink()
    text = complaint(tmp_path)
    assert "test.list, line 4" in text and str(ucf / "test" / "Abuse028_x264__3.npy") in text


def test_a_file_named_twice(ucf, tmp_path):
    (ucf / "test.list").write_text("test/Abuse028_x264__0.npy\n" * 2)
    assert "line 2" in complaint(tmp_path)


def test_crops_of_different_shapes(ucf, tmp_path):
    np.save(ucf / "test" / "Abuse028_x264__3.npy", np.zeros((2, D), np.float32))
    text = complaint(tmp_path)
    assert "Abuse028_x264__3.npy has the shape (2, 6)" in text and "(3, 6)" in text


def test_a_video_that_lacks_a_crop(ucf, tmp_path):
    lines = (ucf / "test.list").read_text().splitlines()
    (ucf / "test.list").write_text("\n".join(lines[:-1]))
    assert "names 9 crops of Arson007_x264, 10 of others" in complaint(tmp_path)


def test_a_damaged_file(ucf, tmp_path):
    path = ucf / "test" / "Abuse028_x264__3.npy"
    path.write_bytes(path.read_bytes()[:-4])
    assert str(path) in complaint(tmp_path)


def test_features_of_a_single_axis(ucf, tmp_path):
    np.save(ucf / "test" / "Abuse028_x264__0.npy", np.zeros(5, np.float32))
    assert "Abuse028_x264__0.npy has the shape (5,)" in complaint(tmp_path)


def test_files_of_all_crops_beside_files_of_one(tmp_path):
    home = one_file_a_video(tmp_path, "ucf_crime", 10, [("Abuse_0", 3, []), ("Abuse_1", 3, [])])
    assert f"{home / 'test' / 'Abuse_0.npy'} holds several crops" in complaint(tmp_path)


def test_the_wrong_number_of_crops(tmp_path):
    one_file_a_video(tmp_path, "ucf_crime", 5, UCF)
    text = complaint(tmp_path)
    assert "Abuse028_x264.npy has the shape (3, 5, 6)" in text and "(10, T, D)" in text


def test_axes_that_nothing_tells_apart(tmp_path):
    one_file_a_video(tmp_path, "ucf_crime", 10, [("Abuse001_x264", 10, [1])])
    assert "either axis may be the crops" in complaint(tmp_path)


def test_axes_that_differ_from_video_to_video(tmp_path):
    home = one_file_a_video(tmp_path, "ucf_crime", 10, UCF)
    array = crops_of("Arson007_x264", 4, 10)
    np.save(home / "test" / "Arson007_x264.npy", array)
    assert "some are (T, crops, D)" in complaint(tmp_path)


@pytest.mark.parametrize("frames", [143, 145])
def test_truth_of_another_length(ucf, tmp_path, frames):
    np.save(ucf / "gt.npy", np.zeros(frames))
    text = complaint(tmp_path)
    assert str(ucf / "gt.npy") in text and f"{frames} frames" in text and "16 x 9 = 144" in text


def test_truth_in_another_order(ucf, tmp_path):
    write_truth(ucf, [UCF[1], UCF[0], UCF[2]])
    assert "the normal video Normal_Videos_003_x264" in complaint(tmp_path)


# ----------------------------------------------------------------------------------------- bags


@pytest.mark.parametrize("split", [False, True], ids=["one file", "a file a crop"])
@pytest.mark.parametrize(
    "key", [0, -1, slice(1, 3), (slice(None), 2), (1, slice(0, 2)), (slice(None), [0, 0, 3])]
)
def test_stored_features_are_indexed_like_an_array(tmp_path, split, key):
    array = crops_of("x", 4, 3)
    files = [tmp_path / f"{c}.npy" for c in range(3 if split else 1)]
    for file, part in zip(files, array if split else [array.transpose(1, 0, 2)], strict=True):
        np.save(file, part.astype(np.float16))
    stored = Stored(files, array.shape, crops_first=False)
    found, expected = stored[key], array[key].astype(np.float16)
    assert found.dtype == np.float32 and found.shape == expected.shape and (found == expected).all()


def bag(length=20, t=2, **kw):
    return Bag("a", np.zeros((1, t, D), np.float32), length, **kw)


def test_the_last_snippet_may_be_short():
    assert (len(bag(17)), bag(17).snippets, len(bag(32))) == (17, 2, 32)


@pytest.mark.parametrize(
    "wrong, what",
    [
        (lambda: bag(16), "2 snippets of 16 frames for 16"),
        (lambda: bag(33), "2 snippets of 16 frames for 33"),
        (lambda: bag(span=0), "0 frames"),
        (lambda: bag(label=2), "label 2"),
        (lambda: bag(labels=np.zeros(19)), r"labels of shape \(19,\) for 20"),
        (lambda: Bag("a", np.zeros((2, D)), 20), r"shape \(2, 6\)"),
        (lambda: bag(0, 0), "shape"),
    ],
)
def test_a_bag_whose_parts_do_not_fit_is_refused(wrong, what):
    with pytest.raises(VadError, match=what):
        wrong()
