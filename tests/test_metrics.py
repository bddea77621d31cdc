"""Metrics against scikit-learn, against hand-worked cases, and against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.ndimage import label as components
from sklearn.metrics import auc, average_precision_score, roc_auc_score, roc_curve

from vadlib import measure
from vadlib.errors import VadError
from vadlib.measure import frame_auc, pixel_auc, rbdc, regions, tbdc

# The test videos of UCSD Ped2: frames in each, and its abnormal interval (first, last), from 1.
LENGTHS = (180, 180, 150, 180, 150, 180, 180, 180, 120, 150, 180, 180)
FIRST = (61, 95, 1, 31, 1, 1, 46, 1, 1, 1, 1, 88)
LAST = (180, 180, 146, 180, 129, 159, 180, 180, 120, 150, 180, 180)


def ped2_labels():
    frames = [np.arange(1, n + 1) for n in LENGTHS]
    return [(t >= a) & (t <= b) for t, a, b in zip(frames, FIRST, LAST, strict=True)]


def minmax(x, of=None):
    low, high = np.min(x if of is None else of), np.max(x if of is None else of)
    return (x - low) / (high - low)


@st.composite
def series(draw, low=-4, high=4):
    """Scores with many ties and labels of both classes."""
    size = draw(st.integers(2, 60))
    scores = draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
    labels = draw(st.lists(st.integers(0, 1), min_size=size, max_size=size))
    labels[:2] = [0, 1]
    return np.array(scores) / 4, np.array(labels, np.uint8)


# Frames


@given(series())
def test_frame_auc_is_scikit_learns(case):
    scores, labels = case
    assert frame_auc([scores], [labels]) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert frame_auc(scores, labels) == frame_auc([scores], [labels])  # a lone array is one video


@given(series(), st.data())
def test_micro_pools_the_videos_and_macro_averages_them(case, data):
    scores, labels = case
    cut = data.draw(st.integers(1, len(scores) - 1))
    parts = [scores[:cut], scores[cut:]], [labels[:cut], labels[cut:]]
    assert frame_auc(*parts) == frame_auc(scores, labels)
    own = [roc_auc_score(y, s) for s, y in zip(*parts, strict=True) if 0 < y.sum() < len(y)]
    if own:
        assert frame_auc(*parts, average="macro") == pytest.approx(np.mean(own), abs=1e-12)
    else:
        with pytest.raises(VadError, match="both normal and abnormal"):
            frame_auc(*parts, average="macro")


@given(series())
def test_roc_eer_and_average_precision_are_scikit_learns(case):
    scores, labels = case
    fpr, tpr, thresholds = measure.roc_points(scores, labels)
    theirs = roc_curve(labels, scores, drop_intermediate=False)
    for ours, other in zip((fpr, tpr, thresholds), theirs, strict=True):
        np.testing.assert_allclose(ours, other)
    assert auc(fpr, tpr) == pytest.approx(frame_auc(scores, labels), abs=1e-12)
    rate = measure.eer(scores, labels)
    assert np.interp(rate, fpr, tpr) >= 1 - rate - 1e-9  # the curve reaches the diagonal there
    theirs = average_precision_score(labels, scores)
    assert measure.average_precision(scores, labels) == pytest.approx(theirs, abs=1e-12)


@given(series())
def test_auc_sees_ranks_only(case):
    scores, labels = case
    assert frame_auc(np.exp(3 * scores) - 7, labels) == frame_auc(scores, labels)
    flipped = frame_auc(-scores, labels)
    assert flipped == pytest.approx(1 - frame_auc(scores, labels), abs=1e-12)


def test_auc_by_hand():
    # normal 1, 2, 3; abnormal 2, 4. Pairs (abnormal, normal):
    # 2>1 one, 2=2 one half, 2<3 none; 4>1, 4>2, 4>3 three. 4.5 of 6 pairs.
    assert frame_auc([1, 2, 3, 2, 4], [0, 0, 0, 1, 1]) == 4.5 / 6
    assert frame_auc([7.0] * 4, [0, 1, 0, 1]) == 0.5  # all tied: every pair counts a half
    # Each video ranks its own frames perfectly; pooled, 5 of the first outscores 4 of the second:
    # pairs 10>5, 10>1, 4<5, 4>1: 3 of 4.
    scores, labels = [[5, 10], [1, 4]], [[0, 1], [0, 1]]
    assert frame_auc(scores, labels, "macro") == 1.0
    assert frame_auc(scores, labels) == 0.75


def test_eer_by_hand():
    # normal .1 .4, abnormal .35 .8. Thresholds .8: FPR 0, TPR 1/2; .4: FPR 1/2, TPR 1/2.
    # There FPR = 1 - TPR = 1/2.
    assert measure.eer([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.5
    # normal 1 2 4 6, abnormal 3 5 7. Points (FPR, TPR): 7 (0, 1/3), 6 (1/4, 1/3), 5 (1/4, 2/3),
    # 4 (1/2, 2/3). FPR + TPR - 1 is -1/12 at the third and 1/6 at the fourth: zero one third of
    # the way along, at FPR 1/4 + 1/4 * 1/3 = 1/3.
    assert measure.eer([1, 2, 4, 6, 3, 5, 7], [0, 0, 0, 0, 1, 1, 1]) == pytest.approx(1 / 3)
    assert measure.eer([1, 2], [0, 1]) == 0 and measure.eer([2, 1], [0, 1]) == 1
    # bytes have no sign to turn, and their order is the same
    assert measure.eer(np.array([0, 1, 2, 3], np.uint8), [0, 0, 1, 1]) == 0


def test_average_precision_by_hand():
    # Ranked 1 0 1: precision 1 at recall 1/2, then 2/3 at recall 1. 1/2 * 1 + 1/2 * 2/3 = 5/6.
    assert measure.average_precision([3, 2, 1], [1, 0, 1]) == pytest.approx(5 / 6)
    assert measure.average_precision([1, 1, 1, 1], [1, 1, 1, 0]) == 0.75  # ties: the base rate


def test_padding_by_hand():
    # Video 1 is all abnormal. Padding adds a normal 1 and an abnormal 4, the lowest and highest
    # of all scores: normal 1, abnormal 3 4 4, AUC 1.
    # Video 2 is normal 2, abnormal 1: AUC 0. Padded: normal 1 2, abnormal 1 4: pairs 1=1 half,
    # 1<2 none, 4>1, 4>2: 2.5 of 4.
    scores, labels = [[3, 4], [2, 1]], [[1, 1], [0, 1]]
    assert frame_auc(scores, labels, "macro", "skip") == 0.0
    assert frame_auc(scores, labels, "macro", "pad") == (1 + 2.5 / 4) / 2


# What is known of Ped2's labels (the intervals above)


def test_labels_of_ped2():
    labels = ped2_labels()
    assert sum(map(len, labels)) == 2010 and sum(y.sum() for y in labels) == 1648
    assert sum(y.all() for y in labels) == 4


def test_random_scores_are_worth_50_and_68_6_once_padded():
    rng, labels = np.random.default_rng(0), ped2_labels()
    draws = [[rng.random(n) for n in LENGTHS] for _ in range(100)]
    micro = [frame_auc(s, labels) for s in draws]
    assert np.mean(micro) == pytest.approx(0.5, abs=0.005)
    assert np.std(micro) == pytest.approx(0.016, abs=0.004)
    skipped = np.mean([frame_auc(s, labels, "macro") for s in draws])
    assert skipped == pytest.approx(0.5, abs=0.02)
    padded = np.mean([frame_auc(s, labels, "macro", "pad") for s in draws])
    assert padded == pytest.approx(0.686, abs=0.01)


def test_scores_that_never_saw_a_pixel():
    labels = ped2_labels()
    assert 0.74 < frame_auc([np.arange(n) for n in LENGTHS], labels) < 0.75
    share = [np.full(n, y.mean()) for n, y in zip(LENGTHS, labels, strict=True)]
    assert frame_auc(share, labels) == pytest.approx(0.840, abs=0.0005)


def test_min_max_per_video_moves_micro_auc_and_a_global_one_does_not():
    labels, gains = ped2_labels(), []
    for seed in range(20):
        # A good detector whose level differs from video to video, as a reconstruction error's does.
        rng = np.random.default_rng(seed)
        scores = [rng.normal(2.0 * y + 4.0 * rng.normal(), 0.3) for y in labels]
        whole, raw = np.concatenate(scores), frame_auc(scores, labels)
        everywhere, own = [minmax(s, whole) for s in scores], [minmax(s) for s in scores]
        assert frame_auc(everywhere, labels) == pytest.approx(raw, abs=1e-9)
        assert frame_auc(own, labels, "macro") == pytest.approx(frame_auc(scores, labels, "macro"))
        gains.append(frame_auc(own, labels) - raw)
    assert np.mean(gains) > 0.2  # the published case: 69.6 raw, 93.4 with per-video min-max


# Pixels


@st.composite
def maps(draw, videos=2, side=6):
    """Heat maps with few levels, so that regions and ties abound, and blocky masks."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = [draw(st.integers(1, 4)) for _ in range(videos)]
    heat = [rng.integers(0, 5, (n, side, side)).astype(np.float32) for n in lengths]
    masks = [rng.random((n, side, side)) < draw(st.sampled_from([0.05, 0.3])) for n in lengths]
    masks[0][0, 0, 0], masks[-1][-1] = True, False  # both classes, among pixels and frames
    return heat, masks


@given(maps())
def test_pixel_auc_is_the_roc_over_all_pixels(case):
    heat, masks = case
    flat = [np.concatenate([m.ravel() for m in part]) for part in (masks, heat)]
    assert pixel_auc(heat, masks) == pytest.approx(roc_auc_score(*flat), abs=1e-12)


@given(maps())
def test_ucsd40_is_the_sweep_that_it_is_defined_by(case):
    heat, masks = case
    frames = [
        (h, m) for hs, ms in zip(heat, masks, strict=True) for h, m in zip(hs, ms, strict=True)
    ]
    fpr, tpr = [0.0], [0.0]
    for threshold in sorted({float(v) for h, _ in frames for v in h.ravel()}, reverse=True):
        abnormal = [(h[m] >= threshold).mean() >= 0.4 for h, m in frames if m.any()]
        normal = [(h >= threshold).any() for h, m in frames if not m.any()]
        fpr, tpr = [*fpr, np.mean(normal)], [*tpr, np.mean(abnormal)]
    assert pixel_auc(heat, masks, "ucsd40") == pytest.approx(auc(fpr, tpr), abs=1e-12)


def test_ucsd40_by_hand():
    # One abnormal frame of five abnormal pixels: two of five are 40 %, so it is detected as long
    # as the second highest, 3, reaches the threshold. Normal frames peak at 2 and at 4: 1 of 2.
    mask, heat = np.zeros((3, 1, 6), bool), np.zeros((3, 1, 6))
    mask[0, 0, :5], heat[0, 0] = True, [5, 3, 0, 0, 0, 9]  # the 9 lies outside and is forgiven
    heat[1, 0, 0], heat[2, 0, 0] = 2, 4
    assert pixel_auc([heat], [mask], "ucsd40") == 0.5


def test_heat_of_another_size_is_resized_bilinearly():
    heat = np.array([[[0.0, 1.0]]])  # two columns become four: 0, 1/4, 3/4, 1
    mask = np.array([[[False, True, False, True]] * 2])
    # abnormal 1/4 and 1 against normal 0 and 3/4, twice over: 3 of 4 pairs
    assert pixel_auc([heat], [mask]) == 0.75


# Regions and tracks


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    both = max(width, 0) * max(height, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def boxes_of(picture):
    ids, count = components(picture, np.ones((3, 3)))
    spots = [np.nonzero(ids == i + 1) for i in range(count)]
    return [(x.min(), y.min(), x.max() + 1, y.max() + 1) for y, x in spots]


def brute_force(heat, tables, alpha, beta):
    """RBDC and TBDC by loops over thresholds, frames, regions."""
    points, frames = [], sum(map(len, heat))
    for threshold in sorted({float(v) for h in heat for v in h.ravel()}, reverse=True):
        false, hits = 0, {}
        for v, (video, table) in enumerate(zip(heat, tables, strict=True)):
            for t, picture in enumerate(video):
                found = boxes_of(picture >= threshold)
                truth = [row for row in table if row[0] == t]
                false += sum(all(iou(f, r[2:]) < beta for r in truth) for f in found)
                for row in truth:
                    seen = any(iou(f, row[2:]) >= beta for f in found)
                    hits.setdefault((v, row[1]), []).append(seen)
        regions = np.mean([h for seen in hits.values() for h in seen])
        followed = np.mean([np.mean(seen) >= alpha for seen in hits.values()])
        points.append((false / frames, regions, followed))
        if false > frames:
            break
    areas = []
    for column in (1, 2):
        curve = [(0.0, 0.0)]
        for p in sorted((p[0], p[column]) for p in points):
            curve.append((p[0], max(p[1], curve[-1][1])))
        area = 0.0
        for (x0, y0), (x1, y1) in zip(curve, [*curve[1:], (2.0, curve[-1][1])], strict=True):
            if x0 < 1 and x1 > x0:
                stop = min(x1, 1.0)
                area += (stop - x0) * (y0 + (y0 + (y1 - y0) * (stop - x0) / (x1 - x0))) / 2
        areas.append(area)
    return areas


@settings(deadline=None, max_examples=60)
@given(maps(), st.sampled_from([0.1, 0.4]), st.sampled_from([0.1, 0.5]))
def test_rbdc_and_tbdc_are_the_brute_force(case, alpha, beta):
    heat, masks = case
    tables = [measure.mask_tracks(m) for m in masks]
    found = measure.detections(heat, masks, alpha=alpha, beta=beta)
    assert (found.rbdc, found.tbdc) == pytest.approx(brute_force(heat, tables, alpha, beta))
    assert rbdc(heat, masks, tables, beta=beta) == found.rbdc
    assert tbdc(heat, masks, alpha=alpha, beta=beta) == found.tbdc


def slow_box_detections(boxes, scores, tables, frames, alpha, beta):
    """As the definition says it: every threshold, every frame, every box against every region."""
    points = []
    for level in sorted({float(s) for part in scores for s in part}, reverse=True):
        false = regions = followed = 0
        for video, own, table in zip(boxes, scores, tables, strict=True):
            hits = {track: [] for track in table[:, 1].tolist()}
            found = [
                (f, box) for (f, *box), s in zip(video.tolist(), own, strict=True) if s >= level
            ]
            for frame, track, *true in table.tolist():
                hits[track].append(any(f == frame and iou(b, true) >= beta for f, b in found))
            for frame, box in found:
                truths = [true for f, _, *true in table.tolist() if f == frame]
                false += not any(iou(box, true) >= beta for true in truths)
            regions += sum(map(sum, hits.values()))
            followed += sum(sum(h) >= alpha * len(h) for h in hits.values())
        total, chains = sum(map(len, tables)), sum(len(np.unique(t[:, 1])) for t in tables)
        points.append((false / sum(frames), regions / total, followed / chains))
        if points[-1][0] > 1:
            break
    return np.array(points).T


def scored_boxes(seed, videos=2, frames=12, most=4, ties=True):
    """Random boxes with scores, and regions of a few tracks."""
    rng = np.random.default_rng(seed)

    def some(count):
        corner = rng.integers(0, 20, (count, 2))
        frame = np.sort(rng.integers(0, frames, count))
        return np.column_stack([frame, corner, corner + rng.integers(1, 12, (count, 2))])

    tables, boxes, scores = [], [], []
    for _ in range(videos):
        true = some(most * 4)
        tables.append(np.insert(true, 1, rng.integers(0, 3, len(true)), axis=1))
        boxes.append(some(int(rng.integers(0, most * frames))))
        own = rng.random(len(boxes[-1]))
        scores.append(np.round(own, 1) if ties else own)
    return boxes, scores, tables, [frames] * videos


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("alpha,beta", [(0.1, 0.1), (0.5, 0.3), (1.0, 1.0)])
def test_boxes_with_scores_are_the_definition_at_every_threshold(seed, alpha, beta):
    case = scored_boxes(seed, ties=seed % 2 == 0)
    found = measure.box_detections(*case, alpha=alpha, beta=beta)
    false, regions, followed = slow_box_detections(*case, alpha, beta)
    np.testing.assert_allclose(found.false_positives, false, atol=1e-12)
    np.testing.assert_allclose(found.regions, regions, atol=1e-12)
    np.testing.assert_allclose(found.tracks, followed, atol=1e-12)
    slow = measure.Detections(found.threshold, false, regions, followed)
    assert abs(found.rbdc - slow.rbdc) < 1e-6 and abs(found.tbdc - slow.tbdc) < 1e-6


def test_boxes_with_scores_by_hand():
    # Frame 0 has a region; its box scores 2, one elsewhere 3; frame 1 has the track's other region,
    # found from 1 down, and frame 2 nothing but a wrong box of score 1.
    table = np.array([[0, 7, 0, 0, 4, 4], [1, 7, 0, 0, 4, 4]])
    boxes = np.array([[0, 0, 0, 4, 4], [0, 9, 9, 12, 12], [1, 1, 0, 5, 4], [2, 0, 0, 4, 4]])
    found = measure.box_detections([boxes], [[2, 3, 1, 1]], [table], [4], alpha=1.0)
    np.testing.assert_allclose(found.threshold, [3, 2, 1])
    np.testing.assert_allclose(found.false_positives, [0.25, 0.25, 0.5])
    np.testing.assert_allclose(found.regions, [0, 0.5, 1])
    np.testing.assert_allclose(found.tracks, [0, 0, 1])  # alpha 1: both regions are needed


def test_bad_boxes():
    boxes, scores, tables, frames = scored_boxes(0)
    nan = [np.full(len(s), np.nan) for s in scores]
    for case, says in (
        ((boxes[:1], scores, tables, frames), "videos"),
        (([b[:, :4] for b in boxes], scores, tables, frames), "shape"),
        ((boxes, [s[1:] for s in scores], tables, frames), "shape"),
        ((boxes, nan, tables, frames), "finite"),
        ((boxes, scores, [t[:0] for t in tables], frames), "no abnormal region"),
    ):
        with pytest.raises(VadError, match=says):
            measure.box_detections(*case)
    with pytest.raises(VadError, match="alpha is 0"):
        measure.box_detections(boxes, scores, tables, frames, alpha=0)


def test_an_island_in_a_hole_is_a_region_and_the_hole_is_not():
    heat = np.zeros((1, 9, 9))
    heat[0, 1:8, 1:8], heat[0, 2:7, 2:7], heat[0, 4, 4] = 1, 0, 1
    mask = np.zeros((1, 9, 9), bool)
    mask[0, 4, 4] = True
    # At threshold 1 the ring (box of 49 pixels) is a false positive and the island a hit; the ring
    # overlaps the one true pixel with IoU 1/49. Rate 1 at one false positive per frame: the curve
    # goes from (0, 0) to (1, 1), area 1/2. Without small regions nothing is found.
    assert rbdc([heat], [mask]) == 0.5
    assert measure.detections([heat], [mask], min_area=2).regions[0] == 0


def test_region_and_track_rates_by_hand():
    # One track of four frames, a box of 2x2 that the heat finds in frame 0 alone; 4 frames.
    mask, heat = np.zeros((4, 8, 8), bool), np.zeros((4, 8, 8))
    mask[:, 2:4, 2:4] = True
    heat[0, 2:4, 2:4] = 3  # threshold 3: 1 of 4 regions; 1/4 >= alpha 0.1, so the track; FP 0
    heat[1, 6, 6] = 2  # threshold 2: one false positive in 4 frames
    heat[2:, 2:4, 2:4] = 1  # threshold 1: 3 of 4 regions
    # Threshold 0: every frame is one region of 64 pixels, IoU 4/64 < 0.1: 4 false positives in 4
    # frames, no more than one a frame.
    found = measure.detections([heat], [mask])
    np.testing.assert_allclose(found.threshold, [3, 2, 1, 0])
    np.testing.assert_allclose(found.false_positives, [0, 0.25, 0.25, 1])
    np.testing.assert_allclose(found.regions, [0.25, 0.25, 0.75, 0])
    np.testing.assert_allclose(found.tracks, [1, 1, 1, 0])
    # The best rate is 1/4 up to 0.25 false positives per frame and 3/4 from there on.
    assert found.rbdc == pytest.approx(0.25 * 0.25 + 0.75 * 0.75)
    assert found.tbdc == pytest.approx(1.0)
    assert tbdc([heat], [mask], alpha=0.3) == pytest.approx(0.75)  # followed from threshold 1 on


@pytest.mark.parametrize("size", [4, 10, 20])
@pytest.mark.parametrize("found", [1, 2])
def test_a_share_that_is_just_met_is_enough(size, found):
    """Of a track's regions, and of a region's union with what is predicted; in both sweeps."""
    mask, heat = np.zeros((size, 8, 8), bool), np.zeros((size, 8, 8))
    mask[:, 2:4, 2:6] = True
    heat[:found, 2:4, 2:4] = 1  # the left half
    tables = [measure.mask_tracks(mask)]
    boxes = [np.array([[t, 2, 2, 4, 4] for t in range(found)])]
    for alpha, beta, followed, hit in (
        (found / size, 0.5, 1, found / size),
        (found / size + 0.01, 0.5, 0, found / size),
        (found / size, 0.51, 0, 0),
    ):
        swept = measure.detections([heat], [mask], alpha=alpha, beta=beta)
        exact = measure.box_detections(boxes, [[1] * found], tables, [size], alpha, beta)
        for sweep in (swept, exact):
            assert sweep.tracks[0] == followed and sweep.regions[0] == pytest.approx(hit)
            assert sweep.false_positives[0] == (0 if hit else found / size)


def test_mask_tracks_follow_what_overlaps():
    mask = np.zeros((4, 6, 10), bool)
    mask[0, 1:3, 1:3] = mask[1, 1:3, 2:4] = mask[2, 2:4, 3:5] = True  # walks on by overlapping
    mask[3, 4:6, 0:2] = True  # elsewhere: another track
    mask[1, 5, 9] = mask[2, 5, 8] = True  # diagonal steps share no pixel: two tracks
    table = measure.mask_tracks(mask)
    assert [tuple(r) for r in table if r[1] == table[0, 1]] == [
        (0, table[0, 1], 1, 1, 3, 3),
        (1, table[0, 1], 2, 1, 4, 3),
        (2, table[0, 1], 3, 2, 5, 4),
    ]
    assert len(table) == 6 and len(np.unique(table[:, 1])) == 4


def test_box_tracks_keep_identities():
    boxes = np.full((3, 2, 4), np.nan, np.float32)
    boxes[0, 0], boxes[2, 0], boxes[1, 1] = (0, 0, 2, 2), (4, 0, 6, 2), (1, 1, 3, 4)
    abnormal = np.array([[True, False], [True, True], [True, False]])
    # Object 0 is abnormal throughout and out of sight in frame 1; object 1 in frame 1 alone.
    assert measure.box_tracks(boxes, abnormal).tolist() == [
        [0, 0, 0, 0, 2, 2],
        [1, 1, 1, 1, 3, 4],
        [2, 0, 4, 0, 6, 2],
    ]
    with pytest.raises(VadError, match="shape"):
        measure.box_tracks(boxes, abnormal.T)


def test_a_region_that_splits_hands_its_track_to_the_larger_part():
    mask = np.zeros((2, 3, 9), bool)
    mask[0, 1, :] = True
    mask[1, 1, :2], mask[1, 1, 4:] = True, True
    frame, track, x0 = measure.mask_tracks(mask).T[:3]
    owner = dict(zip(zip(frame, x0, strict=True), track, strict=True))
    assert owner[1, 4] == owner[0, 0] != owner[1, 0]


def test_a_perfect_map_scores_one_and_its_resolution_may_differ():
    mask = np.zeros((6, 16, 24), bool)
    for t in range(2, 6):
        mask[t, 4:12, 2 * t : 2 * t + 8] = True
    assert rbdc([mask.astype(float)], [mask]) == tbdc([mask.astype(float)], [mask]) == 1.0
    small = mask.reshape(6, 8, 2, 12, 2).mean((2, 4))
    assert rbdc([small], [mask]) == 1.0


def test_thresholds_are_enough_on_smooth_maps():
    rng = np.random.default_rng(0)
    heat = gaussian_filter(rng.random((60, 64, 96)), (0, 3, 3)) * 20
    mask = np.zeros(heat.shape, bool)
    mask[20:, 20:40, 30:50] = True
    heat[mask] += 0.5
    few, many = (measure.detections([heat], [mask], thresholds=n) for n in (100, 1000))
    assert len(few.threshold) < len(many.threshold)
    assert few.rbdc == pytest.approx(many.rbdc, abs=0.02)


def test_thresholds_are_spaced_evenly_in_the_logarithm_of_the_share_that_reaches_them():
    heat = np.random.default_rng(0).permutation(200_000).reshape(1, 400, 500).astype(np.float32)
    levels = regions._levels([heat], 100)
    assert len(levels) == 100 and (np.diff(levels) < 0).all()
    share = [np.mean(heat >= level) for level in levels]
    np.testing.assert_allclose(share, np.geomspace(1e-5, 1, 100), rtol=0.05, atol=1e-5)
    parts = np.concatenate([heat, heat + 200_000, heat + 400_000, heat + 600_000] * 2)  # a sample
    levels = regions._levels([parts, parts], 50)
    share = np.array([np.mean(parts >= level) for level in levels])
    np.testing.assert_allclose(share[20:], np.geomspace(1e-5, 1, 50)[20:], rtol=0.1)


def test_the_sweep_ends_with_the_first_threshold_of_more_than_one_false_alarm_a_frame():
    rng = np.random.default_rng(0)
    heat, mask = rng.random((10, 32, 32)), np.zeros((10, 32, 32), bool)
    mask[:5, 4:9, 4:9] = True
    found = measure.detections([heat], [mask]).false_positives
    assert (found[:-1] <= 1).all() and found[-1] > 1


def test_pixels_that_touch_at_a_corner_are_one_region():
    mask = np.zeros((1, 5, 5), bool)
    mask[0, 1, 1] = mask[0, 2, 2] = True
    assert measure.mask_tracks(mask)[:, 2:].tolist() == [[1, 1, 3, 3]]


# Intervals


def test_a_single_draw_or_frame_is_told_as_what_it_is():
    assert len(measure.bootstrap(lambda s, _: 0.0, [[0], [1]], [[0], [1]], draws=1).draws) == 1
    with pytest.raises(VadError, match="all 1 frames are abnormal"):
        frame_auc([[0.5]], [[1]])


def test_an_interval_is_cut_at_both_ends():
    numbers, labels = [[float(i)] for i in range(9)], [[0]] * 9
    for options, ends in (({}, (2.5, 97.5)), ({"level": 0.5}, (25, 75))):
        found = measure.bootstrap(lambda s, _: np.mean(s), numbers, labels, **options)
        assert len(found.draws) == 1000 and found.value == 4
        assert [found.low, found.high] == np.percentile(found.draws, ends).tolist()


def test_bootstrap_draws_videos_with_replacement():
    # Two videos whose means are 0 and 1: a draw of two gives 0, 1/2, 1 with chances 1/4, 1/2, 1/4.
    found = measure.bootstrap(lambda s, _: np.mean(s), [[0.0], [1.0]], [[0], [1]], draws=4000)
    assert found.value == 0.5 and (found.low, found.high) == (0, 1)
    shares = [np.mean(found.draws == v) for v in (0, 0.5, 1)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.03)


def test_bootstrap_is_deterministic_and_draws_again_where_one_class_is_missing():
    rng, labels = np.random.default_rng(1), [[0, 0], [1, 1], [0, 1]]
    scores = [rng.random(2) for _ in labels]
    first, second = (measure.bootstrap(frame_auc, scores, labels, draws=50) for _ in range(2))
    assert len(first.draws) == 50 and np.isfinite(first.draws).all()
    np.testing.assert_array_equal(first.draws, second.draws)
    other = measure.bootstrap(frame_auc, scores, labels, draws=50, seed=1)
    assert not np.array_equal(first.draws, other.draws)


def test_paired_bootstrap_sees_a_small_steady_gain_that_the_unpaired_one_cannot():
    rng, labels = np.random.default_rng(0), ped2_labels()
    scores = [rng.normal(y + 0.8 * rng.normal(), 1.0) for y in labels]
    better = [s + 0.4 * y for s, y in zip(scores, labels, strict=True)]
    gain = measure.bootstrap(frame_auc, better, labels, other=scores, draws=300)
    assert gain.value == pytest.approx(frame_auc(better, labels) - frame_auc(scores, labels))
    assert 0 < gain.low < gain.value < gain.high
    one, two = (measure.bootstrap(frame_auc, s, labels, draws=300) for s in (scores, better))
    assert two.low < one.high  # their own intervals overlap
    same = measure.bootstrap(frame_auc, scores, labels, other=scores, draws=20)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_videos_make_wider_intervals_than_frames_where_frames_are_correlated():
    rng, labels = np.random.default_rng(0), ped2_labels()
    scores = [rng.normal(y + rng.normal(), 0.3) for y in labels]
    videos = measure.bootstrap(frame_auc, scores, labels, draws=200)
    frames = measure.bootstrap(
        lambda s, y: frame_auc(np.ravel(s), np.ravel(y)),
        np.concatenate(scores)[:, None],
        np.concatenate(labels)[:, None],
        draws=200,
    )
    assert videos.high - videos.low > 3 * (frames.high - frames.low)


# Bad input is an error that says what to do, never a number

GOOD = [0.1, 0.9, 0.4], [0, 1, 0]
BAD_FRAMES = {
    "lengths": ([[0.1, 0.9]], [[0, 1, 0]], "2 frames with 3 labels"),
    "nan": ([[0.1, np.nan, 0.4]], [[0, 1, 0]], "finite"),
    "infinity": ([[0.1, np.inf, 0.4]], [[0, 1, 0]], "finite"),
    "all normal": ([[0.1, 0.9]], [[0, 0]], "all 2 frames are normal"),
    "all abnormal": ([[0.1, 0.9]], [[1, 1]], "all 2 frames are abnormal"),
    "no video": ([], [], "nothing"),
    "empty video": ([[], [0.1, 0.2]], [[], [0, 1]], "video 0"),
    "label 2": ([[0.1, 0.9]], [[0, 2]], "other than 0 and 1"),
    "label 255": ([[0.1, 0.9]], [[0, 255]], "other than 0 and 1"),
    "videos": ([[0.1, 0.9]], [[0, 1], [0, 1]], "1 videos"),
    "words": ([["a", "b"]], [[0, 1]], "finite"),
    "dimensions": ([[[0.1, 0.9]]], [[0, 1]], "dimensions"),
}


@pytest.mark.parametrize("case", BAD_FRAMES)
@pytest.mark.parametrize(
    "metric", [frame_auc, measure.eer, measure.average_precision, measure.roc_points]
)
def test_bad_frames(metric, case):
    scores, labels, said = BAD_FRAMES[case]
    with pytest.raises(VadError, match=said) as caught:
        metric(scores, labels)
    assert caught.value.remedy


@pytest.mark.parametrize("options", [{"average": "mean"}, {"single_class": "drop"}])
def test_unknown_options(options):
    with pytest.raises(VadError, match="Choose one of"):
        frame_auc(*GOOD, **options)


HEAT, MASK = np.random.default_rng(0).random((2, 3, 4, 5)), np.zeros((2, 3, 4, 5), bool)
MASK[:, 1:, :2, :2] = True
BAD_MAPS = {
    "lengths": (HEAT[:, :2], MASK, "2 frames with 3 labels"),
    "nan": (np.where(HEAT > 0.9, np.nan, HEAT), MASK, "finite"),
    "none": ([None, None], MASK, "shape"),
    "all normal": (HEAT, MASK & False, None),
    "mask 255": (HEAT, MASK * 255, "other than 0 and 1"),
    "videos": (HEAT[:1], MASK, "1 videos"),
    "no video": ([], [], "nothing"),
}


@pytest.mark.parametrize("case", BAD_MAPS)
@pytest.mark.parametrize("metric", [pixel_auc, rbdc, tbdc])
def test_bad_maps(metric, case):
    heat, masks, said = BAD_MAPS[case]
    with pytest.raises(VadError, match=said):
        metric(list(heat), list(masks))


def test_pixel_metrics_need_both_classes():
    whole = np.ones((2, 4, 5), bool)
    with pytest.raises(VadError, match="one class"):
        pixel_auc([HEAT[0][:2]], [whole])
    with pytest.raises(VadError, match="abnormal"):  # no normal frame
        pixel_auc([HEAT[0][:2]], [whole], "ucsd40")
    with pytest.raises(VadError, match="Choose one of"):
        pixel_auc(list(HEAT), list(MASK), "ucsd")


BOX = [1, 0, 0, 0, 2, 2]
BAD_TRACKS = {
    "shape": ([np.zeros((2, 5), int)] * 2, "shape"),
    "floats": ([np.array([BOX], float)] * 2, "type"),
    "frame": ([np.array([[3, *BOX[1:]]])] * 2, "outside"),
    "box": ([np.array([[1, 0, 0, 0, 6, 2]])] * 2, "outside"),
    "empty box": ([np.array([[1, 0, 2, 0, 2, 2]])] * 2, "empty"),
    "videos": ([np.array([BOX])], "1 tracks"),
    "no region": ([np.zeros((0, 6), int)] * 2, "no abnormal region"),
}


@pytest.mark.parametrize("case", BAD_TRACKS)
def test_bad_tracks(case):
    tracks, said = BAD_TRACKS[case]
    assert 0 <= rbdc(list(HEAT), list(MASK), [np.array([BOX])] * 2) <= 1
    with pytest.raises(VadError, match=said):
        rbdc(list(HEAT), list(MASK), tracks)


@pytest.mark.parametrize(
    "options", [{"alpha": 0}, {"beta": 0}, {"beta": 1.5}, {"alpha": 2}, {"thresholds": 1}]
)
def test_bad_detection_options(options):
    with pytest.raises(VadError):
        tbdc(list(HEAT), list(MASK), **options)


def test_bad_bootstrap():
    scores, labels = [[0.1, 0.9], [0.2, 0.3]], [[0, 1], [1, 0]]
    for arguments in (
        {"scores": scores[:1]},
        {"labels": labels[:1], "scores": scores[:1]},
        {"other": scores[:1]},
        {"draws": 0},
        {"level": 95},
        {"scores": [[0.1, 0.9], [0.2]]},
    ):
        with pytest.raises(VadError):
            measure.bootstrap(
                **{"metric": frame_auc, "scores": scores, "labels": labels, **arguments}
            )
    with pytest.raises(VadError, match="both classes"):  # 12 videos, and all must be drawn
        rows = [np.array([i]) for i in range(12)]

        def all_twelve(s, y):
            if len(np.unique(np.concatenate(s))) < 12:
                raise VadError("not all", "")
            return 0.5

        measure.bootstrap(all_twelve, rows, rows, draws=2)
