"""The untrained baselines: what each means on toy videos, and their known numbers on Ped2."""

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from vadlib import data
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.measure import score
from vadlib.papers import detector, methods
from vadlib.papers.baselines import rules as baselines
from vadlib.papers.baselines.rows import IMAGES, MORE, RULES
from vadlib.see import motion


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path))


def walker(shifts, size=(64, 90), name="a", channels=1):
    """A textured square that moves right by each of `shifts` over still, textured ground."""
    rng = np.random.default_rng(1)
    ground, square = (
        cv2.blur(rng.integers(0, 255, s).astype(np.float32), (3, 3)) for s in (size, (16, 16))
    )
    frames = np.repeat(ground[None].astype(np.uint8), len(shifts) + 1, 0)
    for frame, x in zip(frames, np.cumsum([8, *shifts]), strict=True):
        frame[24:40, x : x + 16] = square
    return Video(name, np.repeat(frames[..., None], channels, -1))


@pytest.mark.parametrize("name", RULES)
def test_every_baseline_scores_a_video_by_name(name, own_cache):
    video = walker([1, 1, 4, 1])
    method = detector(name)
    assert method.name == name
    history = method.fit([video])
    assert not history.steps and not history.terms
    scores = method.score(video)
    assert scores.video == "a" and len(scores.frame) >= 4
    assert np.array_equal(method.score(video).frame, scores.frame)
    assert np.array_equal(detector(name).score(walker([1, 1, 4, 1])).frame, scores.frame)


def test_the_registry_names_what_exists():
    assert set(RULES) | set(MORE) < set(methods())
    with pytest.raises(VadError, match="unknown method 'zero'.*random.*zero-flow"):
        detector("zero")
    with pytest.raises(VadError, match="'random'.*sed.*seed"):
        detector("random", sed=1)


def test_options_reach_the_detector():
    assert detector("random", seed=3).seed == 3  # pyright: ignore
    assert detector("zero-flow", patch=(8, 8)).patch == (8, 8)  # pyright: ignore


def test_random_depends_on_the_seed_and_the_video_and_nothing_else():
    one, two = walker([1, 1], name="one"), walker([1, 1], name="two")
    method = baselines.Random(seed=0)
    first = method.score(one).frame
    method.score(two)
    assert np.array_equal(method.score(one).frame, first)
    assert not np.array_equal(method.score(two).frame, first)
    assert not np.array_equal(baselines.Random(seed=1).score(one).frame, first)
    assert first.min() >= 0 and first.max() <= 1


def test_frame_index_is_the_frame_index():
    scores = baselines.FrameIndex().score(walker([1, 1, 1]))
    assert np.array_equal(scores.frame, [0, 1, 2, 3]) and scores.frame.dtype == np.float64
    assert np.array_equal(scores.index, [0, 1, 2, 3])


def test_copy_last_is_the_mean_squared_difference_of_neighbours():
    frames = np.zeros((3, 20, 30, 3), np.uint8)
    frames[1, :10] = 255  # half of the frame turns white: an error of 1 on half of the pixels
    frames[2, :10, :, 0] = 255  # then two of three channels turn black again
    scores = baselines.CopyLast().score(Video("a", frames))
    assert np.allclose(scores.frame, [1 / 2, 1 / 3])
    assert np.array_equal(scores.index, [1, 2])
    assert scores.heatmap is not None and scores.heatmap.shape == (2, 20, 30)
    assert np.allclose(scores.heatmap[1, :10], 2 / 3) and not scores.heatmap[:, 10:].any()


def test_zero_flow_is_the_largest_patch_of_the_flow(own_cache):
    video = walker([1, 1, 4, 1])
    scores = baselines.ZeroFlow(patch=(8, 6)).score(video)
    error = np.abs(motion.flow(video).astype(np.float64)).sum(-1)
    # stride (2, 1); 64 - 8 and 90 - 6 leave 3 and 2.5 pixels of zeros before the first patch
    padded = np.pad(error, ((0, 0), (3, 3), (2, 3)))
    sums = [
        max(e[y : y + 8, x : x + 6].sum() for y in range(0, 63, 2) for x in range(90))
        for e in padded
    ]
    assert np.allclose(scores.frame, sums, rtol=1e-4)
    assert np.array_equal(scores.index, [0, 1, 2, 3])
    assert scores.frame.argmax() == 2  # the flow from frame 2 to 3 is the fast one


def test_zero_flow_finds_where(own_cache):
    scores = baselines.ZeroFlow().score(walker([4, 4]))
    assert scores.heatmap is not None
    h, w = scores.heatmap.shape[1:]
    row, column = np.unravel_index(scores.heatmap[0].argmax(), (h, w))
    assert 16 <= (row + 0.5) * 64 / h <= 48 and 4 <= (column + 0.5) * 90 / w <= 36


def test_zero_flow_pools_what_pscd_sums(own_cache):
    scores = baselines.ZeroFlow().score(walker([2, 3]))
    assert scores.heatmap is not None
    assert np.allclose(scores.heatmap.max((1, 2)), scores.frame)


def test_flow_magnitude_is_a_speed(own_cache):
    """A large square that moves by 3 pixels: the fastest patch moves by about 3 pixels a frame."""
    frames = np.random.default_rng(0).integers(0, 255, (2, 96, 144, 1), dtype=np.uint8)
    frames[1] = frames[0]
    frames[1, 20:76, 33:113] = frames[0, 20:76, 30:110]
    scores = baselines.FlowMagnitude().score(Video("a", frames))
    assert 2.5 < scores.frame[0] < 3.5


@pytest.mark.parametrize("size, patch", [((240, 360), (30, 20)), ((128, 192), (16, 11))])
def test_the_patch_is_that_of_maam_net_at_any_size(size, patch):
    assert baselines.patch_of(size) == patch


def still(*values, name="a", size=(16, 18)):
    """A video whose frames are each of one grey value."""
    return Video(
        name, np.repeat(np.array(values, np.uint8), size[0] * size[1]).reshape(-1, *size, 1)
    )


TRAIN = [still(0, 51), still(0, 0, 204, name="b")]  # mean 51 = 0.2 of 255, median 0


@pytest.mark.parametrize("name,image", [("mean-image", 0.2), ("median-image", 0.0)])
def test_an_image_of_the_scene_is_learned_and_subtracted(name, image):
    method = detector(name)
    history = method.fit(TRAIN)
    assert not history.steps and not history.terms
    video = still(0, 255)
    video.frames[1, :8] = 51  # the upper half
    scores = method.score(video)
    halves = np.square([0.2 - image, 1 - image])
    assert np.allclose(scores.frame, [image**2, halves.mean()], atol=1e-7)
    assert np.array_equal(scores.index, [0, 1]) and scores.video == "a"
    assert scores.heatmap is not None and scores.heatmap.shape == (2, 16, 18)
    assert np.allclose(scores.heatmap[1, [0, -1], 5], halves, atol=1e-7)
    patch = 2 * 1  # an eighth of the height, an eighteenth of the width
    assert np.allclose(scores.terms["patch"], [patch * image**2, patch * halves[1]], atol=1e-6)


def test_the_image_is_of_pixels_and_channels_and_counts_frames_not_videos():
    frames = np.zeros((3, 16, 18, 3), np.uint8)
    frames[:2, 3, 4, 1] = 90
    method = baselines.MeanImage()
    method.fit([Video("a", frames[:1]), Video("b", frames[1:])])
    expected = np.zeros((16, 18, 3))
    expected[3, 4, 1] = 60
    assert np.allclose(method.image, expected)
    median = baselines.MedianImage()
    median.fit([Video("a", frames[:1]), Video("b", frames[1:])])
    assert np.allclose(median.image, 1.5 * expected)
    heat = method.score(Video("c", frames[2:])).heatmap
    assert heat is not None and np.isclose(heat[0, 3, 4], (60 / 255) ** 2 / 3)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_wanted_first_and_of_one_shape(name):
    with pytest.raises(VadError, match="no image"):
        detector(name).score(still(0))
    with pytest.raises(VadError, match="2 shapes"):
        detector(name).fit([still(0), still(0, size=(18, 16))])
    with pytest.raises(VadError, match="2 shapes"):
        detector(name).fit([still(0), still(0, size=(20, 18))])  # as wide, and higher
    with pytest.raises(VadError, match="0 videos"):
        detector(name).fit([])
    method = detector(name)
    method.fit([still(0)])
    with pytest.raises(VadError, match=r"an image of \(16, 18, 1\)"):
        method.score(still(0, size=(18, 16)))


def test_median_z_counts_in_deviations_of_each_place():
    left, right = np.array([0, 0, 60]), np.array([9, 9, 9])  # the right half never changes
    frames = np.repeat(np.stack([left, right], 1), 9, 1)[:, None, :, None].repeat(16, 1)
    method = baselines.MedianZ()
    method.fit([Video("a", frames[:1].astype(np.uint8)), Video("b", frames[1:].astype(np.uint8))])
    assert np.allclose(method.deviation[:, :9], np.sqrt(800), rtol=1e-5)
    assert np.allclose(method.deviation[:, 9:], 1)  # one grey level at least
    scores = method.score(still(30))
    expected = (30 / np.sqrt(800), 21.0)
    assert scores.heatmap is not None
    assert np.allclose(scores.heatmap[0, 5, [0, -1]], expected, rtol=1e-5)
    assert np.allclose(scores.frame, np.mean(expected), rtol=1e-5)
    assert np.allclose(scores.terms["patch"], 2 * 21, rtol=1e-5)


def test_motion_gradient_is_the_largest_patch_of_the_difference_to_the_next_frame():
    frames = np.zeros((3, 16, 18, 3), np.uint8)
    frames[1, 8:10, 5] = 51  # a patch of 2x1 pixels, changed by 0.2 in each channel
    frames[2, :, :, 0] = 255
    scores = baselines.MotionGradient().score(Video("a", frames))
    assert np.array_equal(scores.index, [0, 1]) and scores.heatmap is not None
    assert np.isclose(scores.heatmap[0, 9, 5], 0.2) and np.isclose(scores.heatmap[1, 0, 0], 1 / 3)
    changed = (0.8 + 0.2 + 0.2) / 3  # there two channels fall back and one rises
    assert np.allclose(scores.frame, [0.4, 2 * changed])
    means = [2 * 0.2 / 288, (286 / 3 + 2 * changed) / 288]
    assert np.allclose(scores.terms["mean"], means)


def test_copy_last_also_has_its_largest_patch():
    frames = np.zeros((2, 16, 18, 1), np.uint8)
    frames[1, 8:10, 5] = 51
    assert np.allclose(baselines.CopyLast().score(Video("a", frames)).terms["patch"], 2 * 0.04)


@pytest.mark.parametrize("name", ["copy-last", "zero-flow", "flow-magnitude", "motion-gradient"])
def test_one_frame_is_too_few(name):
    with pytest.raises(VadError, match="one frame"):
        detector(name).score(walker([]))


def test_a_patch_larger_than_the_frame_is_refused(own_cache):
    with pytest.raises(VadError, match="patch"):
        baselines.ZeroFlow(patch=(100, 10)).score(walker([1]))


# The known numbers. They hold on the real data only; the rest of this file holds anywhere.

real = pytest.mark.skipif(
    not data.available("ped2"), reason="UCSD Ped2 is not here: run `make data` or set VADLIB_DATA"
)


@pytest.fixture(scope="module")
def ped2():
    return data.load("ped2", "test", size=(128, 192))


def auc(videos, name, scope="none", sigma=0.0):
    scores = [detector(name).score(video) for video in videos]
    labels = [s.labels(video) for s, video in zip(scores, videos, strict=True)]
    frame = score.normalise([s.frame for s in scores], scope)
    if sigma:
        frame = score.smooth(frame, "gaussian", sigma)
    return 100 * roc_auc_score(np.concatenate(labels), np.concatenate(frame)), len(
        np.concatenate(frame)
    )


@real
@pytest.mark.parametrize(
    "name, options, expected, tolerance, frames",
    [
        ("zero-flow", {}, 96.1, 0.3, 1998),
        ("zero-flow", {"sigma": 5.0}, 96.9, 0.3, 1998),
        ("copy-last", {}, 79.9, 0.5, 1998),
        ("copy-last", {"scope": "per_video"}, 90.6, 0.5, 1998),
        ("frame-index", {}, 74.5, 0.6, 2010),
        ("random", {}, 50.0, 5.0, 2010),
    ],
)
def test_known_numbers_on_ped2(ped2, name, options, expected, tolerance, frames):
    measured, count = auc(ped2, name, **options)
    assert measured == pytest.approx(expected, abs=tolerance)
    assert count == frames


@real
def test_the_frame_mean_of_zero_flow_is_far_below_its_patch_maximum(ped2):
    labels = [video.labels[:-1] for video in ped2]
    means = [np.abs(motion.flow(v).astype(np.float32)).sum(-1).mean((1, 2)) for v in ped2]
    mean = 100 * roc_auc_score(np.concatenate(labels), np.concatenate(means))
    assert mean == pytest.approx(80.6, abs=0.5)


@real
@pytest.mark.slow
def test_what_counts_is_the_resolution_of_the_flow_not_the_preset(ped2):
    """DIS's own preset on 240x360, its flow shrunk to 128x192, against ours; on four videos."""
    few, dis = ped2[:4], cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    scores = []
    for video in data.load("ped2", "test")[:4]:
        grey = [frame[..., 0].copy() for frame in video.frames]
        flow = np.stack([dis.calc(a, b, None) for a, b in zip(grey[:-1], grey[1:], strict=True)])
        error = torch.from_numpy(np.abs(motion.resize_flow(flow, (128, 192))).sum(-1))
        scores.append(score.pool(score.pscd(error, (16, 11))).numpy())
    labels = np.concatenate([video.labels[:-1] for video in few])
    native = 100 * roc_auc_score(labels, np.concatenate(scores))
    assert native == pytest.approx(auc(few, "zero-flow")[0], abs=1.0)
