"""Flow: its units, its signs, and that what comes from the cache is what was computed."""

import cv2
import numpy as np
import pytest
import torch
import torchvision

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import motion, raft


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path))


def texture(size, seed=0):
    """A smooth random grey texture, which flow can follow."""
    noise = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.5)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def pair(size=(96, 128), shift=(2, -3), channels=None):
    """Two views of a texture: everything moves by shift = (dx, dy) from the first to the second."""
    dx, dy = shift
    big = texture((size[0] + 40, size[1] + 40))
    a, b = big[20 : 20 + size[0], 20 : 20 + size[1]], big[20 - dy :, 20 - dx :]
    frames = np.stack([a, b[: size[0], : size[1]]])
    return frames if channels is None else np.repeat(frames[..., None], channels, -1)


def inner(flow, margin=16):
    return flow[margin:-margin, margin:-margin]


@pytest.mark.parametrize("shift", [(3, 0), (0, 3), (-2, 0), (2, -3), (-4, 5)])
def test_a_translated_texture_moves_by_that_translation(shift):
    flow = motion.compute(*pair(shift=shift))
    assert flow.shape == (96, 128, 2) and flow.dtype == np.float32
    assert np.abs(inner(flow) - shift).max() < 0.3
    assert np.abs(np.median(inner(flow), axis=(0, 1)) - shift).max() < 0.05


@pytest.mark.parametrize("size", [(97, 131), (65, 48), (48, 201)])
def test_odd_sizes(size):
    flow = motion.compute(*pair(size, (2, 1)))
    assert flow.shape == (*size, 2)
    assert np.abs(np.median(inner(flow), axis=(0, 1)) - (2, 1)).max() < 0.1


@pytest.mark.parametrize("size", [(192, 256), (48, 64), (128, 128), (50, 201)])
def test_a_resized_translation_is_the_translation_at_the_new_size(size):
    flow = motion.resize_flow(motion.compute(*pair(shift=(2, -3))), size)
    expected = 2 * size[1] / 128, -3 * size[0] / 96
    assert flow.shape == (*size, 2)
    margin = min(size) // 4
    assert np.abs(np.median(inner(flow, margin), axis=(0, 1)) - expected).max() < 0.1


def test_resizing_a_stack_is_resizing_each():
    stack = np.random.default_rng(0).normal(size=(3, 20, 30, 2)).astype(np.float16)
    resized = motion.resize_flow(stack, (40, 45))
    assert resized.shape == (3, 40, 45, 2) and resized.dtype == np.float32
    assert np.array_equal(resized[1], motion.resize_flow(stack[1], (40, 45)))


def test_resizing_there_and_back_keeps_a_constant_flow():
    flow = np.full((12, 18, 2), (1.5, -0.5), np.float32)
    assert np.allclose(motion.resize_flow(motion.resize_flow(flow, (36, 9)), (12, 18)), flow)


def test_magnitude():
    flow = np.array([[[3, 4], [0, 0]], [[-5, 12], [1, 0]]], dtype=np.float16)
    assert np.array_equal(motion.magnitude(flow), [[5, 0], [13, 1]])


def test_colour_is_read_as_its_grey_value():
    grey, colour = pair(channels=1), pair(channels=3)
    assert np.array_equal(motion.compute(*grey), motion.compute(*colour))
    tinted = colour.copy()
    tinted[..., 2] = 0  # blue weighs least in a grey value, so the flow hardly changes
    assert np.abs(np.median(inner(motion.compute(*tinted)), axis=(0, 1)) - (2, -3)).max() < 0.1


def test_red_green_and_blue_weigh_as_in_a_grey_value():
    pure = 200 * np.eye(3, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    grey = [motion._grey(frame).mean() / 200 for frame in pure]
    assert grey == pytest.approx([0.299, 0.587, 0.114], abs=0.005)


def test_flow_is_computed_at_full_resolution():
    motion._dis.cache_clear()  # so that it is made here, whatever ran before
    assert motion._dis().getFinestScale() == 0


def test_shrinking_averages_over_areas():
    flow = np.random.default_rng(0).normal(size=(8, 12, 2)).astype(np.float32)
    expected = flow.reshape(4, 2, 6, 2, 2).mean((1, 3)) / 2
    np.testing.assert_allclose(motion.resize_flow(flow, (4, 6)), expected, atol=1e-6)


def test_the_result_does_not_depend_on_what_was_computed_before():
    first = motion.compute(*pair())
    motion.compute(*pair(shift=(-4, 5)))
    assert np.array_equal(motion.compute(*pair()), first)


def test_cached_flow_equals_computed_flow(monkeypatch):
    frames = np.concatenate([pair(channels=1), pair(channels=1, shift=(1, 1))])
    video = Video("a", frames, key="k")
    flow = motion.flow(video)
    expected = [motion.compute(a, b) for a, b in zip(frames[:-1], frames[1:], strict=True)]
    assert flow.shape == (3, 96, 128, 2) and flow.dtype == np.float16
    assert np.array_equal(flow, np.stack(expected).astype(np.float16))
    monkeypatch.setattr(motion, "compute", None)  # the second time nothing is computed
    assert np.array_equal(motion.flow(video), flow)


def test_the_cache_tells_videos_apart_with_and_without_a_key():
    for key in (("k", "l"), ("", "")):
        one = motion.flow(Video("a", pair(channels=1), key=key[0]))
        two = motion.flow(Video("a", pair(channels=1, shift=(-3, 0)), key=key[1]))
        assert np.median(one[..., 0]) > 0 > np.median(two[..., 0])


def test_the_cache_tells_methods_and_sizes_apart(cache, monkeypatch):
    said = {"dis": 1.0, "raft_small": 2.0}
    constant = lambda a, b, method: np.full((*a.shape[:2], 2), said[method])  # noqa: E731
    monkeypatch.setattr(motion, "compute", constant)
    monkeypatch.setattr(raft, "weights_of", lambda method: "some")
    video = Video("a", pair(channels=1), key="alike")
    assert [motion.flow(video, method).mean() for method in said] == [1.0, 2.0]
    assert motion.flow(Video("a", pair((48, 64), channels=1), key="alike")).shape == (1, 48, 64, 2)


def test_a_video_of_one_frame_is_refused():
    with pytest.raises(VadError, match="video ped2/07 has one frame"):
        motion.flow(Video("07", pair(channels=1)[:1], dataset="ped2"))


@pytest.mark.parametrize(
    "frames", [pair((12, 40)), pair().astype(np.float32), [pair()[0], pair((96, 130))[1]]]
)
def test_frames_that_have_no_flow_are_refused(frames):
    with pytest.raises(VadError):
        motion.compute(*frames)


@pytest.mark.parametrize("call", [motion.compute, lambda a, b, m: motion.flow(Video("a", a), m)])
def test_an_unknown_method_is_refused_with_the_known_ones(call):
    a, b = pair(channels=1)
    with pytest.raises(VadError, match="unknown flow method 'farneback'.*dis, raft_small"):
        call(a[None], b, "farneback")


@pytest.mark.parametrize("method", ["raft_small", "raft_large"])
def test_raft_without_weights_says_how_to_get_them(method, monkeypatch, tmp_path):
    def offline(*_, **__):
        raise OSError("network is unreachable")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    raft._raft_model.cache_clear()
    with pytest.raises(VadError, match=f"weights of {method} .*unreachable.*{tmp_path}.*'dis'"):
        motion.compute(*pair(), method)


def test_raft_is_called_in_its_own_units(monkeypatch):
    """The published network on random weights: shapes, padding, colour; not its accuracy."""
    seen = []

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.raft = torchvision.models.optical_flow.raft_small(weights=None)

        def forward(self, a, b):
            seen.append((a, b))
            return self.raft(a, b, num_flow_updates=2)

    model = Network().eval()
    monkeypatch.setattr(raft, "_raft_model", lambda method: model)
    frames = pair((50, 131), channels=3)
    flow = motion.compute(*frames, "raft_small")
    assert flow.shape == (50, 131, 2) and flow.dtype == np.float32
    assert np.allclose(flow, motion.compute(*frames[..., :1], "raft_small"))
    assert np.allclose(flow, motion.compute(*frames[..., 0], "raft_small"))
    for x, frame in zip(seen[0], frames, strict=True):
        assert x.shape == (1, 3, 128, 136)
        restored = (x[0, :, :50, :131].permute(1, 2, 0) + 1) * 127.5
        assert np.allclose(restored, frame, atol=1e-3)
