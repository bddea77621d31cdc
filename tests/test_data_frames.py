"""Benchmarks on disk: tiny trees in the official layouts, whole and damaged."""

import shutil

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from vadlib import data
from vadlib.data import frames, video
from vadlib.errors import VadError

pytestmark = pytest.mark.usefixtures("cache")

HEIGHT, WIDTH = 24, 36
LENGTHS = {"train": [12, 7], "test": [14, 11]}
TRUTH = [[(5, 14)], [(1, 2), (8, 8)]]  # counted from 1, both ends included


def picture(split, number, frame, channels=1):
    rng = np.random.default_rng([split == "test", number, frame])
    return rng.integers(0, 256, (HEIGHT, WIDTH, channels), dtype=np.uint8)


def mask(number, frame):
    """The mask of a test frame; `number` and `frame` from 0."""
    abnormal = any(first <= frame + 1 <= last for first, last in TRUTH[number])
    out = np.zeros((HEIGHT, WIDTH), bool)
    out[frame : frame + 5, 4:9] = abnormal
    return out


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(pixels).save(path)


def cells(items):
    out = np.empty((1, len(items)), object)
    for i, item in enumerate(items):
        out[0, i] = item
    return out


def gt():
    return cells([np.array(spans).T for spans in TRUTH])


def every_frame():
    for split, lengths in LENGTHS.items():
        for number, length in enumerate(lengths):
            for frame in range(length):
                yield split, number, frame


def ucsd(folder, name="ped2"):
    """The official layout, with the stray files that the archive has."""
    for split, number, frame in every_frame():
        kind = split.capitalize()
        clip = folder / kind / f"{kind}{number + 1:03d}"
        save(clip / f"{frame + 1:03d}.tif", picture(split, number, frame))
        (clip / ".DS_Store").write_bytes(b"stray")
        (clip / "._001.tif").write_bytes(b"stray")
        if split == "test":
            truth = (mask(number, frame) * 255).astype(np.uint8)
            save(clip.with_name(f"{clip.name}_gt") / f"{frame + 1:03d}.bmp", truth)
            (clip.with_name(f"{clip.name}_gt") / ".DS_Store").write_bytes(b"stray")
    lines = ["TestVideoFile = {};", "% TestVideoFile{end+1}.gt_frame = [1:3];"]
    for spans in TRUTH:
        inside = ", ".join(f"{a}:{b}" if a < b else f"{a}" for a, b in spans)
        lines.append(f"TestVideoFile{{end+1}}.gt_frame = [{inside}];")
    (folder / "Test" / f"UCSD{name}.m").write_text("\n".join(lines))
    return folder


def frame_folders(folder, name="ped2", first=0, suffix="png", channels=3):
    """`training/frames/01/000.png`, three equal channels unless said otherwise."""
    for split, number, frame in every_frame():
        part, clip = folder / f"{split}ing", f"{number + 1:02d}"
        pixels = np.repeat(picture(split, number, frame), channels, axis=2)
        save(part / "frames" / clip / f"{frame + first:03d}.{suffix}", pixels)
        if split == "test":
            truth = (mask(number, frame) * 255).astype(np.uint8)
            save(part / "pixel_masks" / clip / f"{frame + first:03d}.png", truth)
    savemat(folder / f"{name}.mat", {"gt": gt()})
    return folder


def avenue(folder):
    for split, lengths in LENGTHS.items():
        for number, length in enumerate(lengths):
            path = folder / "Avenue Dataset" / f"{split}ing_videos" / f"{number + 1:02d}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            video.write(path, np.stack([picture(split, number, f, 3) for f in range(length)]))
    labels = folder / "ground_truth_demo" / "testing_label_mask"
    labels.mkdir(parents=True)
    for number, length in enumerate(LENGTHS["test"]):
        masks = cells([mask(number, f).astype(np.uint8) for f in range(length)])
        savemat(labels / f"{number + 1}_label.mat", {"volLabel": masks})
    return folder


def shanghaitech(folder, extracted=False):
    test = folder / "testing"
    for sub in ("test_frame_mask", "test_pixel_mask"):
        (test / sub).mkdir(parents=True)
    for number, length in enumerate(LENGTHS["test"]):
        name = f"01_{number + 14:04d}"
        masks = np.stack([mask(number, f) for f in range(length)])
        np.save(test / "test_frame_mask" / f"{name}.npy", masks.any((1, 2)).astype(np.int8))
        np.save(test / "test_pixel_mask" / f"{name}.npy", masks.astype(np.uint8))
        for f in range(length):
            save(test / "frames" / name / f"{f:03d}.png", picture("test", number, f, 3))
    for number, length in enumerate(LENGTHS["train"]):
        name = f"01_{number + 1:03d}"
        stack = np.stack([picture("train", number, f, 3) for f in range(length)])
        if extracted:
            for f in range(length):
                save(folder / "training" / "frames" / name / f"{f:03d}.png", stack[f])
        else:
            path = folder / "training" / "videos" / f"{name}.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            video.write(path, stack)
    return folder


def check_truth(videos):
    """Labels, masks and numbers of the test split are those the tree was made with."""
    assert [len(v) for v in videos] == LENGTHS["test"]
    for number, v in enumerate(videos):
        expected = np.stack([mask(number, f) for f in range(len(v))])
        assert v.masks is not None and np.array_equal(v.masks, expected)
        assert v.labels is not None and np.array_equal(v.labels, expected.any((1, 2)))
        assert v.labels.dtype == np.uint8 and v.split == "test"


def check_pixels(videos, split, channels=1):
    for number, v in enumerate(videos):
        expected = np.stack([picture(split, number, f, channels) for f in range(len(v))])
        assert np.array_equal(v.frames, expected)


# ------------------------------------------------------------------------------------ layouts


@pytest.mark.parametrize("place", ["UCSD_Anomaly_Dataset.v1p2/UCSDped2", "UCSDped2", "ped2", "."])
def test_ucsd_official(tmp_path, place):
    ucsd(tmp_path / place)
    train, test = (data.load("ped2", split, root=tmp_path) for split in LENGTHS)
    check_truth(test)
    check_pixels(test, "test")
    check_pixels(train, "train")
    assert [v.name for v in train] == ["01", "02"] and train[0].dataset == "ped2"
    assert train[0].masks is None and not np.any(train[0].labels)


def test_ped1_has_its_own_file_of_labels(tmp_path):
    ucsd(tmp_path / "UCSDped1", "ped1")
    check_truth(data.load("ped1", "test", root=tmp_path))


def test_ped1_has_masks_for_some_videos_only(tmp_path):
    folder = ucsd(tmp_path / "UCSDped1", "ped1")
    shutil.rmtree(folder / "Test" / "Test001_gt")
    one, two = data.load("ped1", "test", root=tmp_path)
    assert one.masks is None and one.labels is not None and one.labels.sum() == 10
    assert two.masks is not None


def test_frame_folders(tmp_path):
    frame_folders(tmp_path / "ucsd_ped2")
    check_truth(data.load("ped2", "test", root=tmp_path))
    check_pixels(data.load("ped2", "train", root=tmp_path), "train")


def test_both_ped2_layouts_give_the_same(tmp_path):
    ucsd(tmp_path / "a" / "UCSDped2"), frame_folders(tmp_path / "b" / "ucsd_ped2")
    for split in LENGTHS:
        for size in (None, (12, 18)):
            one, two = (data.load("ped2", split, size, tmp_path / side) for side in "ab")
            assert [v.name for v in one] == [v.name for v in two]
            for a, b in zip(one, two, strict=True):
                assert np.array_equal(a.frames, b.frames) and np.array_equal(a.labels, b.labels)
                assert (a.masks is None) == (b.masks is None)
                assert a.masks is None or np.array_equal(a.masks, b.masks)


def test_a_frame_is_its_position_not_its_name(tmp_path):
    """Names that begin at 1, or go 9, 10, 11 without zeros, change nothing."""
    folder = frame_folders(tmp_path / "ucsd_ped2")
    for path in sorted((folder / "testing").rglob("*.png")):
        path.rename(path.with_name(f"{int(path.stem) + 1}.png"))
    test = data.load("ped2", "test", root=tmp_path)
    check_truth(test)
    check_pixels(test, "test")


def test_avenue_official(tmp_path):
    avenue(tmp_path / "avenue")
    test = data.load("avenue", "test", root=tmp_path)
    check_truth(test)
    assert [v.name for v in test] == ["01", "02"] and test[0].frames.shape[3] == 3
    assert [len(v) for v in data.load("avenue", "train", root=tmp_path)] == LENGTHS["train"]
    (tmp_path / "avenue" / "ground_truth_demo").rename(tmp_path / "avenue" / "ground_truth")
    check_truth(data.load("avenue", "test", root=tmp_path))


def test_avenue_as_frame_folders(tmp_path):
    frame_folders(tmp_path / "avenue", "avenue", suffix="jpg")
    check_truth(data.load("avenue", "test", root=tmp_path))


@pytest.mark.parametrize("extracted", [False, True])
def test_shanghaitech(tmp_path, extracted):
    shanghaitech(tmp_path / "shanghaitech", extracted)
    test = data.load("shanghaitech", "test", root=tmp_path)
    check_truth(test)
    check_pixels(test, "test", 3)
    assert [v.name for v in test] == ["01_0014", "01_0015"]
    train = data.load("shanghaitech", "train", root=tmp_path)
    assert [v.name for v in train] == ["01_001", "01_002"]
    assert [len(v) for v in train] == LENGTHS["train"]


# -------------------------------------------------------------------------- sizes and colours


def test_masks_follow_the_frames_and_never_vanish(tmp_path):
    ucsd(tmp_path)
    big, small = (data.load("ped2", "test", size, tmp_path) for size in (None, (6, 9)))
    for a, b in zip(big, small, strict=True):
        assert b.masks is not None and a.masks is not None
        assert b.frames.shape[1:3] == b.masks.shape[1:] == (6, 9)
        assert np.array_equal(b.masks.any((1, 2)), b.labels)
        cover = a.masks.reshape(-1, 6, 4, 9, 4).mean((2, 4))
        for half, mine in zip(cover >= 0.5, b.masks, strict=True):
            assert np.array_equal(mine, half) or not half.any()


def test_a_mask_smaller_than_a_pixel_is_kept():
    dot = np.zeros((40, 60), bool)
    dot[17, 33] = True
    small = frames.shrink_mask(dot, (4, 6))
    assert small.sum() == 1 and small[1, 3]
    assert not frames.shrink_mask(np.zeros((40, 60), bool), (4, 6)).any()
    assert frames.shrink_mask(dot, (80, 120)).any()


def test_one_coloured_frame_makes_a_set_coloured(tmp_path):
    folder = frame_folders(tmp_path / "ucsd_ped2")
    save(folder / "training" / "frames" / "01" / "011.png", picture("train", 0, 11, 3))
    train = data.load("ped2", "train", root=tmp_path)
    assert [v.frames.shape[3] for v in train] == [3, 3]
    assert np.array_equal(train[1].frames[..., 0], train[1].frames[..., 2])
    assert data.load("ped2", "test", root=tmp_path)[0].frames.shape[3] == 1


def test_a_changed_frame_is_seen(tmp_path):
    folder = ucsd(tmp_path)
    before = data.load("ped2", "train", root=tmp_path)[0]
    save(folder / "Train" / "Train001" / "004.tif", np.full((HEIGHT, WIDTH), 77, np.uint8))
    after = data.load("ped2", "train", root=tmp_path)[0]
    assert before.key != after.key and (after.frames[3] == 77).all()


def test_a_warm_load_decodes_nothing(tmp_path, monkeypatch):
    ucsd(tmp_path)
    cold = data.load("ped2", "test", (12, 18), tmp_path)

    def forbidden(*args):
        raise AssertionError("a warm load must not decode")

    monkeypatch.setattr(video, "image", forbidden)
    warm = data.load("ped2", "test", (12, 18), tmp_path)
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(cold, warm, strict=True))
    assert isinstance(warm[0].frames, np.memmap)


# ---------------------------------------------------------------------------------- bad input


def test_unknown_names():
    with pytest.raises(VadError, match="no data set 'ped3'.*plaza, ped1, ped2"):
        data.load("ped3")
    with pytest.raises(VadError, match="no data set 'ped3'"):
        data.available("ped3")
    with pytest.raises(VadError, match="no split 'val'"):
        data.load("ped2", "val")
    with pytest.raises(VadError, match="kinds: unknown for ped2"):
        data.load("ped2", "test", kinds=())


def test_plaza_goes_through_the_same_door():
    (one,) = data.load("plaza", "test", (32, 48), count=1, length=40)
    assert one.frames.shape == (40, 32, 48, 3) and one.dataset == "plaza"


def test_a_missing_data_set(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_DATA", str(tmp_path))
    assert not data.available("ped2") and data.available("plaza")
    with pytest.raises(VadError, match="ped2 is not in .*ucsd_ped2 or .*VADLIB_DATA"):
        data.load("ped2")
    ucsd(tmp_path / "UCSDped2")
    assert data.available("ped2")


def test_a_missing_split(tmp_path):
    shutil.rmtree(ucsd(tmp_path) / "Train")
    with pytest.raises(VadError, match="has no train videos of ped2"):
        data.load("ped2", "train", root=tmp_path)


def test_an_empty_video(tmp_path):
    for path in (ucsd(tmp_path) / "Test" / "Test002").glob("[0-9]*"):
        path.unlink()
    with pytest.raises(VadError, match="Test002 holds no frames"):
        data.load("ped2", "test", root=tmp_path)


def test_a_truncated_jpeg(tmp_path):
    folder = frame_folders(tmp_path / "ucsd_ped2", suffix="jpg")
    path = folder / "testing" / "frames" / "01" / "007.jpg"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VadError, match="007.jpg is damaged or cut short"):
        data.load("ped2", "test", root=tmp_path)
    path.write_bytes(b"")
    with pytest.raises(VadError, match="007.jpg is damaged or cut short"):
        data.load("ped2", "test", root=tmp_path)


def test_a_frame_of_another_size(tmp_path):
    save(ucsd(tmp_path) / "Train" / "Train001" / "005.tif", np.zeros((9, 9), np.uint8))
    with pytest.raises(VadError, match="005.tif is 9x9, the frames before it 24x36"):
        data.load("ped2", "train", root=tmp_path)


def test_a_frame_of_16_bits(tmp_path):
    path = ucsd(tmp_path) / "Train" / "Train001" / "005.tif"
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint16)).save(path)
    with pytest.raises(VadError, match="005.tif has pixels of kind I;16"):
        data.load("ped2", "train", root=tmp_path)


def test_a_mask_of_another_size(tmp_path):
    save(ucsd(tmp_path) / "Test" / "Test001_gt" / "003.bmp", np.zeros((9, 9), np.uint8))
    with pytest.raises(VadError, match="mask 3 in .*Test001_gt is 9x9, not 24x36"):
        data.load("ped2", "test", root=tmp_path)
    with pytest.raises(VadError, match="mask 3 in"):  # nothing half-written was kept
        data.load("ped2", "test", root=tmp_path)


def test_a_mask_too_few_or_too_many(tmp_path):
    folder = ucsd(tmp_path) / "Test" / "Test001_gt"
    shutil.copy(folder / "014.bmp", folder / "015.bmp")
    with pytest.raises(VadError, match="Test001_gt has 15 masks for 14 frames"):
        data.load("ped2", "test", root=tmp_path)
    (folder / "015.bmp").unlink(), (folder / "014.bmp").unlink()
    with pytest.raises(VadError, match="Test001_gt has 13 masks for 14 frames"):
        data.load("ped2", "test", root=tmp_path)


def test_labels_of_another_length(tmp_path):
    folder = ucsd(tmp_path)
    (folder / "Test" / "Test001" / "014.tif").unlink()
    (folder / "Test" / "Test001_gt" / "014.bmp").unlink()
    with pytest.raises(VadError, match="UCSDped2.m, video 01: interval 5-14 in .* 13 frames"):
        data.load("ped2", "test", root=tmp_path)
    shutil.rmtree(folder / "Test" / "Test001")
    with pytest.raises(VadError, match="UCSDped2.m labels 2 videos, 1 are there"):
        data.load("ped2", "test", root=tmp_path)


def test_labels_of_another_length_in_shanghaitech(tmp_path):
    folder = shanghaitech(tmp_path / "shanghaitech") / "testing"
    np.save(folder / "test_frame_mask" / "01_0014.npy", np.zeros(13))
    with pytest.raises(VadError, match="01_0014.npy has 13 labels for 14 frames"):
        data.load("shanghaitech", "test", root=tmp_path)
    (folder / "test_frame_mask" / "01_0014.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(VadError, match="01_0014.npy cannot be read"):
        data.load("shanghaitech", "test", root=tmp_path)


def test_missing_ground_truth(tmp_path):
    (ucsd(tmp_path / "ped2") / "Test" / "UCSDped2.m").unlink()
    with pytest.raises(VadError, match="UCSDped2.m is missing"):
        data.load("ped2", "test", root=tmp_path)
    shutil.rmtree(avenue(tmp_path / "avenue") / "ground_truth_demo")
    with pytest.raises(VadError, match="testing_label_mask is missing"):
        data.load("avenue", "test", root=tmp_path)


def test_unreadable_ground_truth(tmp_path):
    path = frame_folders(tmp_path / "ucsd_ped2") / "ped2.mat"
    whole = path.read_bytes()
    path.write_bytes(b"not a mat file at all, but long enough to be looked at" * 9)
    with pytest.raises(VadError, match="ped2.mat cannot be read as a .mat file"):
        data.load("ped2", "test", root=tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VadError, match="ped2.mat"):
        data.load("ped2", "test", root=tmp_path)
    savemat(path, {"labels": np.zeros(3)})
    with pytest.raises(VadError, match="ped2.mat has no variable gt"):
        data.load("ped2", "test", root=tmp_path)
    savemat(path, {"gt": cells([np.zeros((3, 2)), np.zeros((2, 1))])})
    with pytest.raises(VadError, match=r"gt\{1\} is not a \(2, K\) list"):
        data.load("ped2", "test", root=tmp_path)
    (ucsd(tmp_path / "b") / "Test" / "UCSDped2.m").write_text("nothing")
    with pytest.raises(VadError, match="UCSDped2.m has no line with gt_frame"):
        data.load("ped2", "test", root=tmp_path / "b")


@pytest.mark.parametrize("interval", [(0, 5), (6, 5), (3, 15)])
def test_an_interval_outside_its_video(interval):
    with pytest.raises(VadError, match="in a video of 14 frames"):
        frames.labels_of([interval], 14, "ped2.mat, video 01")


def test_intervals_are_counted_from_one_and_include_both_ends():
    assert frames.labels_of([(2, 3), (5, 5)], 5, "").tolist() == [0, 1, 1, 0, 1]
    assert frames.labels_of([], 3, "").tolist() == [0, 0, 0]


def test_numbers_order_as_numbers(tmp_path):
    for name in ("10.png", "2.png", "b.png", "1.png", "02.png", "frame10.png", "frame9.png"):
        save(tmp_path / name, np.zeros((2, 2), np.uint8))
    for name in (".DS_Store", "._1.png", "Thumbs.db"):
        (tmp_path / name).touch()
    found = [path.name for path in frames.images(tmp_path)]
    assert found == ["1.png", "02.png", "2.png", "10.png", "b.png", "frame9.png", "frame10.png"]
