"""Plaza: the same frames for a seed, a truth that fits, and no cheap way to the label."""

import hashlib

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vadlib.data import plaza
from vadlib.data.plaza.scene import LAYOUT, Camera
from vadlib.errors import VadError

LENGTH, SIZE = 100, (64, 96)
FRAMES_SHA = "16ad0f05fb99e14f"


@pytest.fixture(scope="module")
def test_videos():
    return plaza.videos("test", 36, LENGTH, SIZE, seed=1)


@pytest.fixture(scope="module")
def train_videos():
    return plaza.videos("train", 8, LENGTH, SIZE, seed=1)


def kind_of(video):
    return next(actor["kind"] for actor in video.truth["actors"] if actor["kind"])


# --- the same for a seed -----------------------------------------------------------------------


def frames_hash(videos):
    digest = hashlib.sha256()
    for video in videos:
        digest.update(video.frames.tobytes() + np.packbits(video.masks).tobytes())
    return digest.hexdigest()[:16]


def test_frames_are_the_same_for_a_seed_and_the_recorded_ones():
    first, second = (plaza.videos("test", 6, 60, seed=0) for _ in range(2))
    assert frames_hash(first) == frames_hash(second)
    assert frames_hash(first) == FRAMES_SHA, "the frames changed: raise plaza.VERSION, then this"


def test_a_video_does_not_depend_on_how_many_are_asked_for():
    few, many = plaza.videos("train", 1, 40, SIZE), plaza.videos("train", 2, 40, SIZE)
    assert np.array_equal(few[0].frames, many[0].frames)
    assert few[0].key == many[0].key
    assert not np.array_equal(many[0].frames, many[1].frames)


def test_keys_differ_when_frames_do():
    made = [
        plaza.videos("train", 1, 40, SIZE),
        plaza.videos("train", 1, 41, SIZE),
        plaza.videos("train", 1, 40, (64, 97)),
        plaza.videos("train", 1, 40, SIZE, seed=1),
        plaza.videos("test", 1, 40, SIZE),
        plaza.videos("test", 1, 40, SIZE, kinds=("place",)),
    ]
    assert len({videos[0].key for videos in made}) == len(made)
    assert len({frames_hash(videos) for videos in made}) == len(made)


@pytest.mark.parametrize("size", [(33, 47), (97, 151), (64, 192), (80, 40)])
def test_any_size(size):
    for video in plaza.videos("test", 6, 40, size):
        assert video.frames.shape == (40, *size, 3) and video.frames.dtype == np.uint8
        assert video.masks.shape == (40, *size) and video.size == size
        assert 0 < video.labels.sum() < 40
        assert video.frames.std() > 20


# --- the truth ---------------------------------------------------------------------------------


def test_training_is_normal_and_busy(train_videos):
    assert [v.name for v in train_videos[:2]] == ["plaza-train-00", "plaza-train-01"]
    for video in train_videos:
        assert not video.labels.any() and not video.masks.any()
        assert set(video.truth["kind"]) == {""} and not video.truth["abnormal"].any()
        assert {a["role"] for a in video.truth["actors"]} == {"walker", "cyclist"}
        assert (~np.isnan(video.truth["speed"])).sum(1).min() >= 3


def test_every_kind_appears_in_turn_between_normal_frames(test_videos):
    for i, video in enumerate(test_videos):
        kind = plaza.KINDS[i % len(plaza.KINDS)]
        assert set(video.truth["kind"]) == {"", kind}
        assert 10 <= video.labels.sum() <= LENGTH - 10
        assert (np.diff(video.labels.astype(int)) == 1).sum() <= 5  # intervals, not flicker


def test_labels_kinds_and_masks_agree(test_videos):
    for video in test_videos:
        abnormal = video.masks.any((1, 2))
        assert np.array_equal(video.labels == 1, abnormal)
        assert np.array_equal(video.truth["kind"] != "", abnormal)
        assert np.array_equal(video.truth["abnormal"].any(1), abnormal)


def test_boxes_hold_the_masks_tightly(test_videos):
    for video in test_videos:
        boxes, abnormal = video.truth["boxes"], video.truth["abnormal"]
        for t in np.flatnonzero(video.labels):
            covered = np.zeros(SIZE, bool)
            low, high = np.full(2, np.inf), np.zeros(2)
            for x0, y0, x1, y1 in boxes[t][abnormal[t]].astype(int):
                covered[y0:y1, x0:x1] = True
                low, high = np.minimum(low, (y0, x0)), np.maximum(high, (y1, x1))
            pixels = np.argwhere(video.masks[t])
            assert not (video.masks[t] & ~covered).any()
            assert np.array_equal(pixels.min(0), low) and np.array_equal(pixels.max(0) + 1, high)


def test_masks_lie_on_what_is_drawn():
    """Without the anomaly's pixels, an anomalous frame is nearer to the empty square."""
    video = plaza.videos("test", 1, LENGTH, seed=4)[0]
    empty = np.median(video.frames, 0)
    difference = np.abs(video.frames - empty).mean(-1)
    t = int(video.masks.sum((1, 2)).argmax())
    assert difference[t][video.masks[t]].mean() > 4 * difference[t][~video.masks[t]].mean()


def test_tracks_speeds_and_captions_are_given_where_somebody_is_seen(test_videos):
    for video in test_videos:
        truth, count = video.truth, len(video.truth["actors"])
        seen = ~np.isnan(truth["boxes"][..., 0])
        assert truth["boxes"].shape == (LENGTH, count, 4)
        assert truth["tracks"].shape == (LENGTH, count, 2)
        assert np.array_equal(seen, ~np.isnan(truth["tracks"][..., 0]))
        assert np.array_equal(seen, ~np.isnan(truth["speed"]))
        assert [actor["id"] for actor in truth["actors"]] == list(range(count))
        captions = np.array(truth["captions"])
        assert len(captions) == LENGTH and all(c.endswith(".") and c[0].isupper() or c[0].isdigit()
                                               for c in captions)  # fmt: skip
        assert np.array_equal([";" in c for c in captions], video.labels == 1)


# --- one thing is changed, the rest is as in training --------------------------------------------


def ground_speed(video, n):
    """(k,) metres per second of passer-by n, from its track alone."""
    camera, track = Camera(video.size), video.truth["tracks"][:, n]
    row = track[:, 1] / video.size[0]
    depth = camera.focal * camera.height / (row - camera.horizon)
    x = (track[:, 0] - video.size[1] / 2) / camera.scale(depth)
    step = np.hypot(np.diff(x), np.diff(depth)) * plaza.FPS
    return step[~np.isnan(step)]


def tracks_of(videos, kind):
    """(video, n, role) of every anomalous passer-by of a kind; of every normal one for ""."""
    for video in videos:
        for n, actor in enumerate(video.truth["actors"]):
            if actor["kind"] == kind and (~np.isnan(video.truth["speed"][:, n])).sum() > 5:
                yield video, n, actor["role"]


def test_speeds_from_the_tracks(train_videos, test_videos):
    normal = {"walker": [], "cyclist": []}
    for video, n, role in tracks_of(train_videos, ""):
        speed = np.median(ground_speed(video, n))
        if speed > 0.3:  # those who do not stand
            normal[role].append(speed)
    slowest, fastest = min(normal["walker"]), max(normal["walker"])
    assert fastest < min(normal["cyclist"])
    for kind in ("appearance", "direction", "place", "interaction"):
        for video, n, _ in tracks_of(test_videos, kind):
            assert 0.9 * slowest < np.median(ground_speed(video, n)) < 1.1 * fastest
    for video, n, _ in tracks_of(test_videos, "motion"):
        assert 1.5 * fastest < np.median(ground_speed(video, n)) < max(normal["cyclist"])
    other = {"walker": "cyclist", "cyclist": "walker"}
    for video, n, role in tracks_of(test_videos, "joint"):
        as_fast = normal[other[role]]
        assert 0.9 * min(as_fast) < np.median(ground_speed(video, n)) < 1.1 * max(as_fast)


def test_only_the_kind_appearance_looks_new(train_videos, test_videos):
    roles = {kind: {r for _, _, r in tracks_of(test_videos, kind)} for kind in plaza.KINDS}
    assert roles["appearance"] == {"robot", "cart", "balloons"}
    assert roles["motion"] == {"runner"} and roles["joint"] == {"walker", "cyclist"}
    assert roles["direction"] == roles["place"] == roles["interaction"] == {"walker"}


def out_of_bounds(video, n):
    x, y = video.truth["tracks"][:, n].T
    on_lawn = (y > LAYOUT.lawn[0] * video.size[0]) & (y < LAYOUT.lawn[1] * video.size[0])
    camera = Camera(video.size)
    depth = camera.depth(sum(LAYOUT.lawn) / 2)
    return on_lawn & (x < video.size[1] / 2 + camera.scale(depth) * (LAYOUT.lawn_end - 0.2))


def test_nobody_walks_on_the_lawn_in_training_and_somebody_does_in_place(train_videos, test_videos):
    assert not any(out_of_bounds(v, n).any() for v, n, _ in tracks_of(train_videos, ""))
    assert not any(out_of_bounds(v, n).any() for v, n, _ in tracks_of(test_videos, ""))
    assert any(out_of_bounds(v, n).any() for v, n, _ in tracks_of(test_videos, "place"))


def on_one_way(video, n):
    """Steps to the right, in pixels, of passer-by n while on the one-way walk."""
    x, y = video.truth["tracks"][:, n].T
    low, high = (row * video.size[0] for row in LAYOUT.one_way)
    step = np.diff(x)[(y[1:] > low) & (y[1:] < high)]
    return step[~np.isnan(step)]


def test_the_one_way_walk_is_one_way_but_for_direction(train_videos, test_videos):
    steps = np.concatenate([on_one_way(v, n) for v, n, _ in tracks_of(train_videos, "")])
    assert len(steps) > 200 and (steps > -0.2).all()
    against = [on_one_way(v, n) for v, n, _ in tracks_of(test_videos, "direction")]
    assert all((steps < 0).all() for steps in against) and sum(map(len, against)) > 50


# --- no cheap way to the label -------------------------------------------------------------------


def cheap_scores(video):
    """One dict of scores a frame: the untrained flow baselines, and cues that must tell nothing."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in video.frames]
    for t in range(len(video) - 1):
        motion = flow.calc(grey[t], grey[t + 1], None)  # type: ignore[call-overload]
        patch = cv2.boxFilter(np.abs(motion).mean(-1), -1, (11, 16), normalize=False)
        yield {
            "flow": patch.max(),
            "blurred": cv2.blur(np.hypot(*np.moveaxis(motion, -1, 0)), (15, 15)).max(),
            "light": grey[t].mean(),
            "people": (~np.isnan(video.truth["speed"][t])).sum(),
            "index": t,
        }


@pytest.mark.slow
def test_no_cheap_score_finds_the_anomalies():
    videos = plaza.videos("test", 24, seed=0)
    kinds = np.concatenate([[kind_of(v)] * (len(v) - 1) for v in videos])
    labels = np.concatenate([v.labels[:-1] for v in videos])
    rows = [row for video in videos for row in cheap_scores(video)]
    scores = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    for name in scores:
        assert 0.35 < roc_auc_score(labels, scores[name]) < 0.65, name
    for name in ("flow", "blurred"):
        assert roc_auc_score(labels, scores[name]) < 0.8
        for kind in ("appearance", "joint"):
            of = kinds == kind
            assert 0.4 < roc_auc_score(labels[of], scores[name][of]) < 0.62, (name, kind)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"split": "validation"}, "validation"),
        ({"kinds": ("appearance", "weather")}, "weather"),
        ({"kinds": ()}, "kinds"),
        ({"length": 10}, "length"),
        ({"size": (16, 40)}, "size"),
        ({"size": (64, 200)}, "size"),
        ({"count": 0}, "count"),
    ],
)
def test_bad_arguments_are_named(wrong, says):
    with pytest.raises(VadError, match=says):
        plaza.videos(**{"split": "test", **wrong})
