"""Boxes on a fixed camera: drawn scenes with known answers, Plaza's own boxes, Ped2's masks."""

import cv2
import numpy as np
import pytest
import torch
from torchvision.models import detection

from vadlib import data, measure
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import detect, motion, objects
from vadlib.see.objects import ProposalConfig

TIGHT = ProposalConfig(square=False, enlarge=1.0)


def scene(length=20, squares=((40, 10, 14, 8, 2),), size=(96, 128), channels=1, light=0):
    """Blotchy bright rectangles (y, x, height, width, speed to the right) on a textured ground."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 90, (*size, 1), dtype=np.uint8).repeat(channels, 2)
    frames, masks = np.stack([ground] * length), np.zeros((length, *size), bool)
    for y, x, h, w, speed in squares:
        look = cv2.GaussianBlur(rng.uniform(0, 350, (h, w)), (0, 0), 1.5).clip(120, 230)
        look = look[..., None].astype(np.uint8)
        for t in range(length):
            left = x + speed * t
            frames[t, y : y + h, left : left + w] = look[:, : max(0, size[1] - left)]
            masks[t, y : y + h, left : left + w] = True
    frames += (light * np.arange(length, dtype=np.uint8))[:, None, None, None]
    return Video(
        "drawn",
        frames,
        masks.any((1, 2)).astype(np.uint8),
        masks,
        f"{length}{squares}{size}{channels}{light}",
    )


def test_a_mover_gets_a_box_that_fits_it_in_every_frame(cache):
    video = scene()
    for t, boxes in enumerate(objects.propose(video, TIGHT)):
        truth = np.array([[40, 10 + 2 * t, 54, 18 + 2 * t]])
        assert objects.iou(boxes, truth).max() > 0.6
        assert boxes.dtype == np.float32 and boxes.shape[1] == 4


def test_the_empty_scene_has_no_boxes_even_when_the_light_drifts(cache):
    assert all(b.shape == (0, 4) for b in objects.propose(scene(squares=(), light=2)))


def test_colour_and_light_change_nothing(cache):
    grey, colour = (objects.propose(scene(channels=c, light=3), TIGHT) for c in (1, 3))
    for a, b in zip(grey, colour, strict=True):
        np.testing.assert_array_equal(a, b)
        assert len(a)


def test_what_is_fast_comes_apart_from_the_slow_thing_it_touches(cache):
    video = scene(40, squares=((30, 40, 40, 16, 1), (45, 10, 10, 10, 3)))
    t, truth = 16, np.array([[45, 58, 55, 68]])  # the fast square lies inside the slow one
    assert objects.iou(objects.propose(video, TIGHT)[t], truth).max() > 0.4
    one_map = ProposalConfig(speeds=(), square=False, enlarge=1.0)
    assert objects.iou(objects.propose(video, one_map)[t], truth).max() < 0.3


def test_the_last_frame_has_the_flow_that_leads_to_it(cache, monkeypatch):
    video = scene(40, squares=((30, 40, 40, 16, 1),))
    fields = np.zeros((len(video) - 1, *video.size, 2), np.float32)
    fields[-1, 45:57, 81:93] = 3.0  # only in the last step a part of the thing is fast
    monkeypatch.setattr(objects.motion, "flow", lambda _: fields)
    part = np.array([[45, 81, 57, 93]])
    best = [objects.iou(b, part).max(initial=0) for b in objects.propose(video, TIGHT)]
    assert best[-1] > 0.8 and best[-2] > 0.8 > best[-3]


def test_a_camera_that_drifts_changes_no_box(cache, monkeypatch):
    """What is fast is so against the scene: the same flow everywhere moves nothing."""
    video = scene(40, squares=((30, 40, 40, 16, 1), (45, 10, 10, 10, 3)))
    still, own = objects.propose(video, TIGHT), motion.flow(video).astype(np.float32)
    for drift in ((1.5, 0.0), (0.0, -3.0)):
        monkeypatch.setattr(motion, "flow", lambda _, drift=drift: own + np.float32(drift))
        for a, b in zip(still, objects.propose(video, TIGHT), strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(np.concatenate(still)) > 40  # boxes of what is fast among them


def test_squared_and_enlarged_boxes_belong_to_the_tight_ones_row_by_row(cache):
    video = scene(squares=((40, 10, 14, 8, 2), (10, 60, 8, 20, 1)))
    tight, square = objects.propose(video, TIGHT), objects.propose(video, ProposalConfig(grid=0))
    for a, b in zip(tight, square, strict=True):
        side = (a[:, 2:] - a[:, :2]).max(1)
        np.testing.assert_allclose(b[:, 2:] - b[:, :2], 1.25 * side[:, None].repeat(2, 1))
        np.testing.assert_allclose(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:], rtol=1e-6)


def test_squares_lie_on_a_grid_that_grows_with_the_frame():
    tight = np.array([[10, 20, 31, 28]], np.float32)  # 21 high: 26.25 enlarged, 28 on the grid
    box = objects.frame_boxes(tight, ProposalConfig(grid=4))
    np.testing.assert_array_equal(box, [[8, 8, 36, 36]])
    double = objects.frame_boxes(2 * tight, ProposalConfig(grid=4), scale=2)
    np.testing.assert_array_equal(double, 2 * box)
    np.testing.assert_array_equal(objects.frame_boxes(tight, TIGHT), tight)


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
@pytest.mark.parametrize("config", [TIGHT, ProposalConfig(), ProposalConfig(grid=0)])
def test_boxes_are_single_precision_whatever_they_were(kind, config):
    boxes = objects.frame_boxes(np.array([[3, 5, 13, 29]], kind), config)
    assert boxes.dtype == np.float32 and boxes.shape == (1, 4)


def test_lengths_grow_with_the_frame(cache):
    """The same scene at twice the size: the same boxes, twice as large."""
    small, large = scene(), scene(squares=((80, 20, 28, 16, 4),), size=(192, 256))
    for a, b in zip(objects.propose(small), objects.propose(large), strict=True):
        assert len(a) == len(b) and np.abs(2 * a - b).max() <= 8


def test_iou_by_hand():
    a = np.array([[0, 0, 2, 2]], float)
    b = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [2, 2, 3, 3], [0, 0, 1, 1]], float)
    np.testing.assert_allclose(objects.iou(a, b), [[1, 1 / 7, 0, 1 / 4]])
    assert objects.iou(np.zeros((0, 4)), b).shape == (0, 4)


def test_merging_chains_and_stops():
    boxes = np.array([[0, 0, 4, 4], [0, 3, 4, 7], [0, 6, 4, 10], [20, 20, 22, 22]], float)
    merged = objects.merge(boxes)
    assert sorted(map(tuple, merged)) == [(0, 0, 4, 10), (20, 20, 22, 22)]
    assert len(objects.merge(boxes, share=0.5)) == 4  # a quarter is shared, not half
    touching = np.array([[0, 0, 4, 4], [0, 4, 4, 8]], float)
    assert len(objects.merge(touching)) == 2  # half-open: a common edge is no overlap
    assert objects.merge(np.zeros((0, 4))).shape == (0, 4)


def test_of_two_boxes_for_one_thing_the_larger_stays():
    boxes = np.array([[0, 0, 10, 9], [0, 0, 10, 10], [0, 0, 3, 3]], float)
    kept = objects.distinct(boxes, 0.6)
    np.testing.assert_array_equal(kept, [[0, 0, 10, 10], [0, 0, 3, 3]])
    for first, second in (((1, 2, 15, 12), (1, 2, 13, 13)), ((2, 1, 12, 15), (2, 1, 13, 13))):
        pair = np.array([second, first], float)  # 140 and 132: larger by area, not by a side
        np.testing.assert_array_equal(objects.distinct(pair, 0.6), [first])
        assert len(objects.distinct(pair, 0.9)) == 2


def test_tubes_end_at_their_frame_and_stand_still():
    frames = np.zeros((6, 20, 30, 1), np.uint8)
    frames[:] = (10 * np.arange(6))[:, None, None, None]
    frames[:, 5:15, 5:15] += 5
    video = Video("ramp", frames)
    boxes = [np.array([[5, 5, 15, 15]], np.float32)] * 5 + [np.zeros((0, 4), np.float32)]
    tubes = objects.tubes(video, boxes, 3)
    np.testing.assert_array_equal(tubes.frame, [2, 3, 4])  # not 0, 1: no past; not 5: no box
    crops = tubes.crops(np.array([0, 2]), size=8)
    assert crops.shape == (2, 3, 1, 8, 8) and crops.dtype == np.uint8
    assert (crops[0, :, 0] == np.array([5, 15, 25])[:, None, None]).all()
    assert (crops[1, :, 0] == np.array([25, 35, 45])[:, None, None]).all()
    np.testing.assert_array_equal(objects.tubes(video, boxes, 2, before=2).frame, [3, 4])
    apart = objects.Tubes(video, tubes.frame[2:], tubes.box[2:], 2, step=3).crops(np.arange(1), 8)
    assert (apart[0, :, 0] == np.array([15, 45])[:, None, None]).all()


def test_crops_show_what_the_box_holds_and_are_clipped_to_the_frame():
    frames = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), dtype=np.uint8)
    video = Video("noise", frames)
    inside = np.array([[2, 3, 10, 11]], np.float32)
    tubes = objects.tubes(video, [inside, inside], 2)
    np.testing.assert_array_equal(
        tubes.crops(np.arange(1), 8)[0], np.moveaxis(frames[:, 2:10, 3:11], -1, 1)
    )
    over = np.array([[-4, -4, 4, 4]], np.float32)
    corner = objects.tubes(video, [over, over], 2).crops(np.arange(1), 4)[0]
    np.testing.assert_array_equal(corner, np.moveaxis(frames[:, :4, :4], -1, 1))
    outside = np.array([[40, 40, 48, 48]], np.float32)  # nothing of it is left: the last pixel
    last = objects.tubes(video, [outside, outside], 2).crops(np.arange(1), 2)[0]
    assert (last == frames[:, 15, 15][:, :, None, None]).all()


def test_tubes_refuse_what_does_not_fit():
    video = Video("short", np.zeros((3, 16, 16, 1), np.uint8))
    none = [np.zeros((0, 4), np.float32)] * 3
    with pytest.raises(VadError, match="boxes of 2 frames"):
        objects.tubes(video, none[:2], 2)
    with pytest.raises(VadError, match="tubes that reach over 4 frames"):
        objects.tubes(video, none, 4)
    with pytest.raises(VadError, match="tubes that reach over 4 frames"):
        objects.tubes(video, none, 2, before=2)
    assert len(objects.tubes(video, none, 2)) == len(objects.tubes(video, none, 2, before=1)) == 0


def test_a_track_follows_and_ends():
    def at(*xs):
        return np.array([[0, x, 4, x + 4] for x in xs], np.float32).reshape(-1, 4)

    ids = objects.track([at(0, 20), at(21, 1), at(2), at(), at(2)])
    assert [list(i) for i in ids] == [[0, 1], [1, 0], [0], [], [2]]


def test_one_box_continues_one_track():
    a = np.array([[0, 0, 4, 4]], np.float32)
    split = np.array([[0, 0, 4, 4], [0, 1, 4, 5]], np.float32)
    first, then = objects.track([a, split])
    assert list(first) == [0] and list(then) == [0, 1]


def test_hits_are_counted_by_runs():
    masks = np.zeros((7, 10, 10), bool)
    masks[:, 2:6, 2:6] = True
    good, bad = np.array([[2, 2, 6, 6]], np.float32), np.zeros((0, 4), np.float32)
    boxes = [bad, bad, good, bad, bad, bad, bad]
    assert measure.hit(boxes, masks, window=1) == (1, 7)
    assert measure.hit(boxes, masks, window=5) == (3, 3)  # frames 0-4, 1-5, 2-6 hold frame 2
    assert measure.hit(boxes, masks, window=3) == (3, 5)
    assert measure.hit([bad] * 7, masks, window=9) == (0, 1)  # a short life counts as a whole
    assert measure.hit(boxes, masks, least=1.0, window=7) == (1, 1)


class Detector(torch.nn.Module):
    """Sees two things in every image: x0, y0, x1, y1, as torchvision writes them."""

    def forward(self, images):
        assert images[0].shape == (3, 64, 96) and images[0].max() <= 1
        boxes = torch.tensor([[10.0, 20, 30, 60], [50, 5, 90, 15]])
        return [{"boxes": boxes, "scores": torch.tensor([0.9, 0.1])}]


def test_detections_of_a_network_take_the_same_form(monkeypatch):
    video = Video("noise", np.random.default_rng(0).integers(0, 255, (2, 64, 96, 1), np.uint8))
    monkeypatch.setattr(detect, "_faster_rcnn", lambda weights: Detector())
    for boxes in detect.detect(video, "x", TIGHT):
        np.testing.assert_array_equal(boxes, [[20, 10, 60, 30]])
        assert boxes.dtype == np.float32
    assert [len(b) for b in detect.detect(video, "x", TIGHT, score=0.0)] == [2, 2]
    assert [b.shape for b in detect.detect(video, "x", score=0.95)] == [(0, 4)] * 2
    expected = objects.frame_boxes(np.array([[20, 10, 60, 30]]), ProposalConfig(), scale=0.5)
    np.testing.assert_array_equal(detect.detect(video, "x")[1], expected)


def test_detector_weights_are_read_from_a_file(tmp_path):
    torch.manual_seed(0)
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), tmp_path / "rcnn.pt")
    loaded = detect._faster_rcnn(tmp_path / "rcnn.pt").state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in model.state_dict().items())
    video = Video("noise", np.random.default_rng(0).integers(0, 255, (1, 64, 96, 1), np.uint8))
    assert detect.detect(video, tmp_path / "rcnn.pt")[0].shape[1] == 4  # the real one runs


def test_missing_detector_weights_are_named(tmp_path):
    video = Video("empty", np.zeros((2, 32, 32, 1), np.uint8))
    with pytest.raises(VadError, match="rcnn.pt.*propose"):
        detect.detect(video, tmp_path / "rcnn.pt")


def test_most_of_plazas_cyclists_are_found():
    video = data.load("plaza", "train", count=1, length=60)[0]
    boxes, truth = objects.propose(video, TIGHT), video.truth["boxes"]
    found = [
        objects.iou(boxes[t], truth[t, n, [1, 0, 3, 2]][None]).max() >= 0.3
        for t in range(0, 60, 5)
        for n, actor in enumerate(video.truth["actors"])
        if actor["role"] == "cyclist" and np.isfinite(truth[t, n]).all()
    ]
    assert len(found) > 5 and np.mean(found) > 0.7


def test_most_anomalies_of_ped2_lie_in_boxes():
    if not data.available("ped2"):
        pytest.skip("UCSD Ped2 is not on this machine")
    videos = data.load("ped2", "test", size=(128, 192))[:2]
    found = [measure.hit(objects.propose(v, TIGHT), v.masks) for v in videos]
    hits, total = np.sum(found, axis=0)
    assert total > 150 and hits / total > 0.9
