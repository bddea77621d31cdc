"""Attributes: what is measured and how unusual it is, by hand; the detector on drawn scenes."""

from dataclasses import asdict, replace

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.stats import multivariate_normal

from vadlib import papers
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.papers.attributes import detector, measured, views
from vadlib.papers.attributes.config import VIEWS, AttributesConfig
from vadlib.papers.layers.boxes import average
from vadlib.see import motion, objects

SMALL = AttributesConfig(neighbours=2, smooth=1, points=200)


def film(name, things, length=16, size=(64, 96)):
    """Blotchy bright rectangles (y, x, height, width, speed) on a textured ground; those that come
    after the first two are abnormal."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 90, (*size, 1), dtype=np.uint8)
    frames, masks = np.stack([ground] * length), np.zeros((length, *size), bool)
    for n, (y, x, h, w, speed) in enumerate(things):
        look = cv2.GaussianBlur(rng.uniform(0, 350, (h, w)), (0, 0), 1.5).clip(120, 230)
        for t in range(length):
            left = x + speed * t
            part = look[:, : max(0, size[1] - left), None]
            frames[t, y : y + h, left : left + w] = part.astype(np.uint8)
            masks[t, y : y + h, left : left + w] |= n > 1
    return Video(name, frames, masks.any((1, 2)).astype(np.uint8), masks, f"{name}-{things}")


USUAL = [(20, 8, 14, 8, 2), (42, 70, 12, 8, -2)]


@pytest.fixture
def videos(cache):
    return [film(f"{n}", [(y + n, *rest) for y, *rest in USUAL]) for n in range(3)]


def fitted(videos, **changes):
    model = papers.detector("attributes", config=replace(SMALL, **changes), device="cpu")
    return model, model.fit(videos)


def test_one_video_is_enough_to_learn_from(videos):
    model, history = fitted(videos[:1])
    assert history.samples and np.isfinite(model.score(videos[1]).frame).all()


# ------------------------------------------------------------------------------- what is measured


def test_a_histogram_of_flow_by_hand():
    """Four bins begin at right, down, left, up; each holds |dx| + |dy| over all pixels."""
    flow = np.array([[2.0, 0.5], [-0.5, 1.5], [-1.0, -3.0], [1.0, -3.0], [1.0, -0.5]])
    np.testing.assert_allclose(measured.histogram(flow, 4) * 5, [2.5, 2.0, 4.0, 5.5])
    np.testing.assert_allclose(measured.histogram(flow, 1), [14 / 5])
    assert measured.histogram(np.zeros((3, 2)), 8).tolist() == [0] * 8
    hardly_up = np.array([[2.0, -1e-17]])  # its angle is a whole turn, once it is rounded
    assert measured.histogram(hardly_up, 4).tolist() == [0, 0, 0, 2]


def test_a_box_without_width_is_the_pixel_in_which_it_lies(cache):
    video = film("still", [])
    boxes = [np.zeros((0, 4), np.float32)] * 16
    boxes[3] = np.array([[10, 20, 10, 20], [63, 95, 64, 96], [64, 96, 70, 99]], np.float32)
    found = measured.measure(video, boxes, 4)
    corner = video.frames[3, 63, 95, 0]
    assert found["colour"][:, 0].tolist() == [video.frames[3, 10, 20, 0], corner, corner]
    assert not found["unrest"].any() and np.isfinite(np.concatenate(list(found.values()), 1)).all()


def test_a_box_is_measured_by_what_is_in_it_and_not_by_the_ground(videos):
    """The box around a thing is twice as large as the thing: its speed is still the thing's."""
    boxes = [np.array([[14, 4 + 2 * t, 40, 20 + 2 * t]], np.float32) for t in range(16)]
    found = measured.measure(videos[0], boxes, 8)
    heading = found["heading"][3:12]
    np.testing.assert_allclose(np.median(heading, 0), [2.0, 0.0], atol=0.3)
    whole = motion.flow(videos[0])[6, 14:40, 18:34].astype(float).mean((0, 1))
    assert whole[0] < 0.6 * found["heading"][7, 0]
    np.testing.assert_allclose(found["foot"][5], [40 / 64, 22 / 96])
    assert found["flow"].shape == (16, 8) and found["colour"].shape == (16, 1)
    assert (np.median(found["colour"]) > 120) and abs(np.exp(found["size"][5, 0]) - 14) <= 2


def test_the_flow_of_a_box_is_the_one_that_leads_to_its_frame(videos):
    v = videos[0]
    boxes = [np.array([[0, 0, *v.size]], np.float32) for _ in range(len(v))]
    frames = v.frames.copy()
    frames[10:] = frames[9:10]  # from frame 9 on nothing moves
    stops = replace(v, frames=frames, key="stops")
    speed = np.abs(measured.measure(stops, boxes, 1)["heading"]).sum(1)
    fast = measured.measure(stops, boxes, 1)["flow"][:, 0]
    assert fast[9] > 0.2 and (fast[10:] < 0.05).all() and speed.shape == (16,)


def test_a_video_without_boxes_has_measurements_of_nothing(videos):
    found = measured.measure(videos[0], [np.zeros((0, 4), np.float32)] * 16, 8)
    assert {k: len(x) for k, x in found.items()} == dict.fromkeys(found, 0)
    assert found["flow"].shape == (0, 8) and found["colour"].shape == (0, 1)


# ---------------------------------------------------------------------------- how unusual it is


def test_a_mixture_is_its_densities_by_scipy():
    torch.manual_seed(0)
    points = torch.cat([torch.randn(80, 2), torch.randn(80, 2) * 0.5 + 6])
    mixture = views.Mixture.of(points, 2, seed=0)
    odd = torch.tensor([[0.0, 0.0], [3.0, 3.0], [6.0, 5.0]])
    parts = zip(mixture.weights, mixture.means, mixture.covariances, strict=True)
    p = sum(float(w) * multivariate_normal(m.numpy(), c.numpy()).pdf(odd) for w, m, c in parts)
    np.testing.assert_allclose(mixture.distance(odd), -np.log(p))
    assert sorted(mixture.means[:, 0].round().tolist()) == [0, 6]
    assert float(mixture.distance(odd)[1]) > float(mixture.held_out().max())


def test_a_spread_is_the_same_far_from_zero():
    """Of values in 32 bits, whose sum has no bit left for what differs."""
    near = np.arange(3003).reshape(-1, 3) % 2
    far = (near + np.array([0, 1e6, 4e6])).astype(np.float32)
    assert views.spread_of(far) == pytest.approx(np.sqrt(3) / 2, rel=1e-6)
    assert views.spread_of(far[:1]) == 1.0


def made(quantile=0.5, **attributes):
    owner = torch.tensor([0, 0, 1, 1])
    return views.View.of(tuple(attributes), attributes, owner, quantile, 1)


def test_a_view_s_zero_and_one_by_hand():
    """Two videos at 0, 1 and 4, 7: from the other video they are 4, 3, 3, 6 away."""
    x = np.array([[0.0], [1.0], [4.0], [7.0]])
    view = made(a=x)
    scale = np.sqrt(7.5)  # the variance of 0, 1, 4, 7
    assert view.low == pytest.approx(3 / scale, abs=2e-3)  # points are kept in 16 bits
    assert view.high == pytest.approx(3.5 / scale, abs=2e-3)
    scores = view.score({"a": np.array([[4.0], [10.5], [-4.0]])})
    np.testing.assert_allclose(scores, [-6, 1, 2], atol=0.02)


def test_each_attribute_of_a_view_counts_alike():
    """Copies of a column, or another unit, change nothing."""
    x = np.array([[0.0], [1.0], [4.0], [7.0]])
    y = np.array([[3.0], [1.0], [0.0], [4.0]])
    odd = {"a": np.array([[2.0], [9.0]]), "b": np.array([[2.0], [1.0]])}
    one = made(a=x, b=y).score(odd)
    more = {"a": np.repeat(odd["a"], 3, 1), "b": 100 * odd["b"]}
    np.testing.assert_allclose(made(a=np.repeat(x, 3, 1), b=100 * y).score(more), one, atol=0.02)
    assert views.spread_of(np.full((4, 2), 3.0)) == 1.0, "what never varies is not divided by 0"


# ---------------------------------------------------------------------------------- the detector


def test_every_frame_has_a_score_that_is_its_largest_view(videos):
    model, history = fitted(videos)
    scores = model.score(videos[0])
    assert scores.index.tolist() == list(range(16)) and tuple(scores.terms) == SMALL.views
    np.testing.assert_array_equal(scores.frame, np.max(list(scores.terms.values()), 0))
    assert history.samples == min(200, sum(len(b) for v in videos for b in model.boxes(v)))
    boxes = model.boxes(videos[0])
    np.testing.assert_array_equal(scores.facts["boxes"], [len(b) for b in boxes])
    both, _ = fitted(videos, combine="sum")
    total = np.sum(list(scores.terms.values()), 0)
    np.testing.assert_allclose(both.score(videos[0]).frame, total)


def test_the_views_that_fire_say_why(videos):
    """A third thing that is fast, and one that stands where nobody stood: each by its own view."""
    model, _ = fitted(videos, views=("velocity", "place"))
    fast = model.score(film("fast", [*USUAL, (22, 4, 14, 8, 5)]))
    early = {v: fast.facts[f"fired: {v}"][:8].mean() for v in ("velocity", "place")}
    assert early["velocity"] > 0.5 > early["place"]
    assert fast.frame.max() > 1.5
    away = model.score(film("away", [(2, 8, 14, 8, 2)]))
    assert away.facts["fired: place"].mean() > 0.5 > away.facts["fired: velocity"].mean()
    calm = model.score(videos[1])
    assert calm.frame.mean() < 1
    terms = {"a": np.array([0.2, 1.4, 3.0]), "b": np.array([0.9, 1.2, 4.0])}
    assert detector.why(terms).tolist() == ["", "a", "b"]


def test_the_worst_box_is_where_the_heat_is(videos):
    model, _ = fitted(videos)
    odd = film("odd", [*USUAL, (22, 4, 14, 8, 5)])
    scores = model.score(odd)
    t = 8
    y, x = np.unravel_index(scores.heatmap[t].argmax(), (64, 96))
    assert odd.masks[t, y, x] or odd.masks[t - 1, y, x]
    assert scores.heatmap[t].max() == pytest.approx(scores.frame[t], rel=1e-5)


def test_a_box_s_score_is_its_mean_over_its_own_past(videos):
    one, _ = fitted(videos, views=("velocity",), smooth=1)
    long, _ = fitted(videos, views=("velocity",), smooth=4)
    frame, raw = one.box_scores(videos[0])
    things = np.concatenate(objects.track(one.boxes(videos[0])))
    expected = average(raw["velocity"], frame, things, 4)
    np.testing.assert_allclose(long.box_scores(videos[0])[1]["velocity"], expected)
    assert np.abs(expected - raw["velocity"]).max() > 0


def test_the_paper_s_protocol_smooths_frames_of_the_past_and_the_future(videos):
    raw, _ = fitted(videos, combine="sum")
    smoothed, _ = fitted(videos, combine="sum", sigma=3.0)
    before, after = (m.score(videos[0]).frame for m in (raw, smoothed))
    np.testing.assert_allclose(after, gaussian_filter1d(before, 3.0, mode="nearest"))


def test_a_frame_without_boxes_is_as_usual_as_the_most_usual_box(videos):
    model, _ = fitted(videos)
    scores = model.score(film("empty", []))
    assert not scores.frame.any() and not scores.heatmap.any()
    assert not any(scores.facts[f"fired: {v}"].any() for v in SMALL.views)


def test_deep_features_are_the_package_s_own_of_each_box(videos):
    """Looked at once, kept in 16 bits, in the order of the boxes."""
    model, _ = fitted(videos, views=("deep",), points=8, size=32)
    assert not any(part.training for part in model.net.modules())
    assert not any(p.requires_grad for p in model.net.parameters())
    boxes = model.boxes(videos[0])
    rows = np.array([0, 3, 9])
    seen = model.measured(videos[0], rows)["deep"]
    crops = objects.tubes(videos[0], boxes, 1).crops(rows, 32)[:, 0]
    x = (torch.from_numpy(crops).float().expand(-1, 3, -1, -1) - 127) / 128
    with torch.no_grad():
        direct = model.net.body.extract_features(x).mean((2, 3))
    np.testing.assert_allclose(seen, direct, atol=2e-3)
    assert model.cost_inputs((64, 96))[0].shape[1:] == (3, 32, 32)


def test_a_checkpoint_brings_the_scores_back(videos):
    for changes in ({}, {"components": 2, "bins": 1, "views": ("velocity", "place")}):
        one, _ = fitted(videos, **changes)
        other = papers.detector("attributes", config=one.config, device="cpu")
        with pytest.raises(VadError, match="fit"):
            other.score(videos[0])
        other.load_state(one.state())
        wanted = one.score(videos[0]).frame
        np.testing.assert_allclose(other.score(videos[0]).frame, wanted)
        assert AttributesConfig(**(asdict(one.config) | {"train": SMALL.train})) == one.config


def test_bad_input_is_told_in_a_line(videos):
    with pytest.raises(VadError, match="unknown view 'speed'"):
        AttributesConfig(views=("speed",))
    with pytest.raises(VadError, match="no view is given"):
        AttributesConfig(views=())
    with pytest.raises(VadError, match="unknown combine 'mean'"):
        AttributesConfig(combine="mean")
    new = papers.detector("attributes", device="cpu")
    assert new.state()["channels"] == 0 and new.state()["views"] == {}  # no film has been seen
    with pytest.raises(VadError, match="no normal boxes are known yet"):
        new.score(videos[0])
    with pytest.raises(VadError, match="neighbours is 0"):
        AttributesConfig(neighbours=0)
    with pytest.raises(VadError, match="nothing moves in the 1 training videos"):
        fitted([film("still", [])])


def test_every_view_looks_at_attributes_that_are_measured(videos):
    boxes = [np.array([[10, 10, 30, 30]], np.float32)] * 16
    known = {*measured.measure(videos[0], boxes, 8), "deep"}
    assert {name for names in VIEWS.values() for name in names} == known
