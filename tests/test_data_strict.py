"""Readers of frames and truth, given what is wrong: a VadError, or exactly the right answer."""

import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from scipy.io import savemat
from test_data_frames import check_truth, frame_folders, mask, save, shanghaitech, ucsd

from vadlib import data
from vadlib.data import bags, frames, strict, video
from vadlib.data.base import Video
from vadlib.errors import VadError

pytestmark = pytest.mark.usefixtures("cache")
often = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def tree(tmp_path):
    return frame_folders(tmp_path / "ucsd_ped2")


def refused(tmp_path, match, name="ped2"):
    with pytest.raises(VadError, match=match):
        data.load(name, "test", root=tmp_path)


# ----------------------------------------------------------------------------------- properties


@often
@given(
    numbers=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    width=st.integers(1, 4),
    stray=st.sampled_from(["", "", "", " (copy)", "x"]),
)
def test_files_are_numbered_on_or_refused(tmp_path, numbers, width, stray):
    names = {f"{n:0{width}d}.png" for n in numbers}
    if stray:
        names.add(f"{numbers[0]:0{width}d}{stray}.png")
    folder = tmp_path / "frames"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    found, start = frames.images(folder), min(numbers)
    right = not stray and start <= 1 and len(names) == max(numbers) - start + 1
    if right:
        assert strict.first_number(found) == start
        assert [int(f.stem) for f in found] == list(range(start, max(numbers) + 1))
    else:
        with pytest.raises(VadError):
            strict.first_number(found)


REAL = st.sampled_from([np.bool_, np.uint8, np.int8, np.int64, np.float16, np.float64, ">i4"])


@often
@given(arrays.arrays(st.one_of(REAL.map(np.dtype), arrays.scalar_dtypes()), st.integers(0, 5)))
def test_truth_is_zero_or_one_or_refused(values):
    try:
        found = strict.binary(values, "labels.npy")
    except VadError:
        assert values.dtype.kind not in "buif" or not all(v in (0, 1) for v in values.tolist())
        return
    assert found.dtype == bool and found.tolist() == [v == 1 for v in values.tolist()]
    assert all(v in (0, 1) for v in values.tolist())


RANGE = st.one_of(
    st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda p: (f"{p[0]}:{p[1]}", p)),
    st.integers(1, 20).map(lambda n: (str(n), (n, n))),
    st.sampled_from(["5.5:9", "-3:9", "1:2:9", "a:9", "", "3:", ":3", "1e1"]).map(
        lambda text: (text, None)
    ),
)


@often
@given(videos=st.lists(st.lists(RANGE, min_size=1, max_size=3), min_size=1, max_size=3))
def test_the_script_of_ucsd_is_read_to_the_letter_or_refused(tmp_path, videos):
    lines = [", ".join(text for text, _ in items) for items in videos]
    path = tmp_path / "UCSDped2.m"
    path.write_text("\n".join(f"TestVideoFile{{end+1}}.gt_frame = [{line}];" for line in lines))
    expected = [[pair for _, pair in items] for items in videos]
    if all(pair is not None for items in expected for pair in items):
        assert frames.read_m(path) == expected
    else:
        with pytest.raises(VadError, match=r"UCSDped2\.m"):
            frames.read_m(path)


NUMBER = st.one_of(st.integers(-3, 30), st.floats(allow_nan=True, allow_infinity=True, width=32))


@often
@given(pairs=st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=3))
def test_intervals_are_whole_numbers_in_the_video_or_refused(tmp_path, pairs):
    gt = np.empty((1, 1), object)
    gt[0, 0] = np.array(pairs, np.float64).T
    savemat(tmp_path / "ped2.mat", {"gt": gt})
    right = all(float(a).is_integer() and float(b).is_integer() for a, b in pairs) and all(
        1 <= a <= b <= 14 for a, b in pairs
    )
    try:
        (spans,) = frames.read_mat(tmp_path / "ped2.mat")
        labels = frames.labels_of(spans, 14, "ped2.mat")
    except VadError:
        assert not right
        return
    assert right
    assert labels.tolist() == [int(any(a <= t <= b for a, b in pairs)) for t in range(1, 15)]


# ---------------------------------------------------------------------------------------- cases


def test_a_copy_beside_a_frame_and_another_missing(tmp_path):
    folder = tree(tmp_path) / "testing" / "frames" / "01"
    shutil.copy(folder / "005.png", folder / "005 (copy).png")
    (folder / "009.png").unlink()
    refused(tmp_path, r"005 \(copy\).png is not numbered as the frames beside it")


def test_a_frame_that_is_missing_or_there_twice(tmp_path):
    folder = tree(tmp_path) / "testing" / "frames" / "01"
    (folder / "006.png").rename(tmp_path / "kept.png")
    refused(tmp_path, "007.png stands where frame 6 should be")
    shutil.copy(folder / "005.png", folder / "5.png")
    refused(tmp_path, "5.png stands where frame 6 should be")


def test_frames_and_masks_that_begin_with_another_number(tmp_path):
    folder = tree(tmp_path) / "testing" / "pixel_masks" / "01"
    for path in sorted(folder.iterdir(), reverse=True):
        path.rename(folder / f"{int(path.stem) + 1:03d}.png")
    refused(tmp_path, "01 begins with 001.png, the frames with 000.png")


def test_a_training_video_that_is_missing(tmp_path):
    shutil.rmtree(tree(tmp_path) / "training" / "frames" / "01")
    with pytest.raises(VadError, match="train, has video 2 where 1 should be"):
        data.load("ped2", "train", root=tmp_path)


@pytest.mark.parametrize("frame,value", [(0, 255), (6, 0)])
def test_labels_and_masks_that_contradict_each_other(tmp_path, frame, value):
    path = tree(tmp_path) / "testing" / "pixel_masks" / "01" / f"{frame:03d}.png"
    save(path, np.full(mask(0, 0).shape, value, np.uint8))
    refused(tmp_path, f"01: labels and masks contradict .* in 1 frames, .* at position {frame}")
    shutil.rmtree(path.parent)
    assert data.load("ped2", "test", root=tmp_path)[0].masks is None  # the remedy helps


def test_a_mask_in_greys(tmp_path):
    path = tree(tmp_path) / "testing" / "pixel_masks" / "01" / "006.png"
    save(path, np.arange(mask(0, 0).size).reshape(mask(0, 0).shape).astype(np.uint8))
    refused(tmp_path, "006.png has 255 greys besides black")


@pytest.mark.parametrize("change", [lambda a: a - 0.5, lambda a: 2 * a - 1, lambda a: a * np.nan])
def test_masks_that_are_neither_0_nor_1(tmp_path, change):
    path = shanghaitech(tmp_path / "shanghaitech") / "testing" / "test_pixel_mask" / "01_0014.npy"
    np.save(path, change(np.load(path).astype(float)))
    refused(tmp_path, "01_0014.npy holds .* Truth must be 0 or 1 or 255", "shanghaitech")


@pytest.mark.parametrize(
    "change,match",
    [
        (lambda a: 2 * a - 1, "holds -1"),
        (lambda a: a + 0.01, "holds 0.01"),
        (lambda a: np.where(a == 0, np.nan, 1), "holds nan"),
        (lambda a: a.astype(str), "holds 0 "),
        (lambda a: np.array([(x,) for x in a], [("y", "i4")]), "holds"),
        (lambda a: a.reshape(2, 7), "has 2x7 labels for 14 frames"),
        (lambda a: np.roll(a, 1), "labels and masks contradict"),
    ],
)
def test_labels_that_are_no_labels(tmp_path, change, match):
    path = shanghaitech(tmp_path / "shanghaitech") / "testing" / "test_frame_mask" / "01_0014.npy"
    np.save(path, change(np.load(path)))
    refused(tmp_path, match, "shanghaitech")


def test_an_archive_in_place_of_an_array(tmp_path):
    path = shanghaitech(tmp_path / "shanghaitech") / "testing" / "test_frame_mask" / "01_0014.npy"
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(14))
    refused(tmp_path, "01_0014.npy is an archive of arrays", "shanghaitech")


def test_a_script_that_is_a_folder(tmp_path):
    path = ucsd(tmp_path / "UCSDped2") / "Test" / "UCSDped2.m"
    path.unlink(), path.mkdir()
    refused(tmp_path, "UCSDped2.m cannot be read")


def test_lines_of_the_script_in_another_form(tmp_path):
    path = ucsd(tmp_path / "UCSDped2") / "Test" / "UCSDped2.m"
    path.write_text(path.read_text().replace("{end+1}", "{2}", 2))
    refused(tmp_path, "has no line with gt_frame = .*, or one that is not so")


def test_pictures_that_are_more_or_less_than_a_frame(tmp_path):
    grey = np.arange(600, dtype=np.uint8).reshape(20, 30)
    one, two = Image.fromarray(grey), Image.fromarray(255 - grey)
    one.save(tmp_path / "pages.tif", save_all=True, append_images=[two])
    with pytest.raises(VadError, match="pages.tif holds several pictures"):
        video.image(tmp_path / "pages.tif")
    colour = np.dstack([grey, grey, 255 - grey, np.full_like(grey, 255)])
    Image.fromarray(colour).save(tmp_path / "opaque.png")
    assert np.array_equal(video.image(tmp_path / "opaque.png"), colour[..., :3])
    colour[3, 4, 3] = 9
    Image.fromarray(colour).save(tmp_path / "holes.png")
    with pytest.raises(VadError, match="holes.png is transparent in places"):
        video.image(tmp_path / "holes.png")
    exif = Image.Exif()
    exif[0x112] = 3  # upside down
    one.save(tmp_path / "turned.tif", exif=exif)
    assert np.array_equal(video.image(tmp_path / "turned.tif")[..., 0], grey[::-1, ::-1])


def test_a_picture_that_says_it_is_huge(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    save(tmp_path / "huge.png", np.zeros((30, 40), np.uint8))
    with pytest.raises(VadError, match="huge.png says that it is huge"):
        video.image(tmp_path / "huge.png")


FRAMES, MASKS = np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 4, 4), bool)
SECOND = np.arange(2)[:, None, None] * np.ones((2, 4, 4)) == 1  # abnormal in the second frame


@pytest.mark.parametrize("labels", [[0, 2], [-1, 1], [0, np.nan], [0.01, 1], ["0", "1"], [0, 1j]])
def test_labels_of_frames_are_0_and_1(labels):
    with pytest.raises(VadError, match="video x/a has labels that are not 0 or 1"):
        Video("a", FRAMES, np.array(labels), dataset="x")
    with pytest.raises(VadError, match="bag x/a has labels that are not 0 or 1"):
        bags.Bag("a", np.zeros((1, 2, 3)), 2, labels=np.array(labels), span=1, dataset="x")
    with pytest.raises(VadError, match="Give an array of 0 and 1"):
        Video("a", FRAMES, [0, 1])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "masks", "says"),
    [
        ([0, 1], MASKS, "labels and masks contradict each other in 1 frames, .* at position 1"),
        ([0, 0], SECOND, "labels and masks contradict .* at position 1"),
        ([1, 0], SECOND, "labels and masks contradict .* in 2 frames, .* at position 0"),
        ([[0], [1]], SECOND, r"labels of shape \(2, 1\) for 2 frames"),
        ([0, 1, 0], SECOND, r"labels of shape \(3,\) for 2 frames"),
        ([0, 1], SECOND[:1], "masks of shape"),
        ([0, 1], SECOND[:, :, :3], "masks of shape"),
        (None, SECOND * np.nan, "masks of float64"),
        (None, SECOND.astype(np.uint8), "masks of uint8. Compare first, as mask > 0"),
    ],
)
def test_truth_that_contradicts_itself_makes_no_video(labels, masks, says):
    labels = None if labels is None else np.array(labels)
    with pytest.raises(VadError, match=f"video x/a.*{says}"):
        Video("a", FRAMES, labels, masks, dataset="x")


@often
@given(
    labels=arrays.arrays(np.uint8, 2, elements=st.integers(0, 1)),
    masks=arrays.arrays(bool, (2, 4, 4)),
)
def test_a_video_with_both_truths_has_one(labels, masks):
    same = masks.any((1, 2)).tolist() == labels.tolist()
    if same:
        assert Video("a", FRAMES, labels, masks).labels is labels
    else:
        with pytest.raises(VadError, match="contradict"):
            Video("a", FRAMES, labels, masks)


def test_frames_are_bytes():
    """Of others it is not known what is white, and a score would depend on it."""
    for kind in (FRAMES / 255, FRAMES.astype(np.uint16), FRAMES > 0, FRAMES.tolist()):
        with pytest.raises(VadError, match="has frames of .* must be uint8"):
            Video("a", kind)
    with pytest.raises(VadError, match=r"has frames of shape \(2, 0, 4, 1\)"):
        Video("a", FRAMES[:, :0])
    for fps in (0, -25, np.inf, np.nan):
        with pytest.raises(VadError, match="frames a second"):
            Video("a", FRAMES, fps=fps)


def test_each_frame_has_one_time():
    with pytest.raises(VadError, match=r"video /a has times of shape \(3,\) for 2 frames"):
        Video("a", FRAMES, times=np.arange(3.0))


def test_features_that_are_no_real_numbers(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((3, 4), complex))
    with pytest.raises(VadError, match="a.npy holds .*not an array of real numbers"):
        bags._open(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.full((3, 4), np.nan))
    with pytest.raises(VadError, match="a.npy.* holds NaN or infinity"):
        bags.Stored([tmp_path / "a.npy"], (1, 3, 4))[0]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_list_in_another_encoding(tmp_path, encoding):
    (tmp_path / "train.list").write_text("Löwe.npy", encoding=encoding)
    with pytest.raises(VadError, match="train.list cannot be read .*UTF-8"):
        bags._listed(tmp_path / "train.list", tmp_path)


def test_a_list_with_a_name_too_long(tmp_path):
    (tmp_path / "train.list").write_text("x" * 5000 + ".npy")
    with pytest.raises(VadError, match="train.list, line 1"):
        bags._listed(tmp_path / "train.list", tmp_path)


def test_what_is_right_is_read(tmp_path):
    tree(tmp_path)
    check_truth(data.load("ped2", "test", root=tmp_path))
