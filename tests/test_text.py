"""Captions: measured against Plaza's own truth, and as numbers."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import moving_square

from vadlib.data import plaza
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.see import attributes, captions, clip, tokens


@pytest.fixture(scope="module")
def scenes():
    return plaza.videos("train", count=3, length=60)


def true_boxes(video):
    """Plaza's boxes and identities as this library writes them."""
    boxes, ids = [], []
    for frame in video.truth["boxes"]:
        seen = np.flatnonzero(~np.isnan(frame[:, 0]))
        boxes.append(frame[seen][:, [1, 0, 3, 2]].astype(np.float32))
        ids.append(seen)
    return boxes, ids


@pytest.fixture(scope="module")
def measured(scenes):
    return [attributes.attributes(v, *true_boxes(v)) for v in scenes]


@pytest.fixture(scope="module")
def captioner(measured):
    return captions.AttributeCaptioner().fit_attributes(measured)


def whole(video, boxes):
    """Which boxes lie in the frame: one that is cut by its edge does not move as its owner does."""
    y0, x0, y1, x1 = boxes.T
    return (y0 > 1) & (x0 > 1) & (y1 < video.size[0] - 1) & (x1 < video.size[1] - 1)


def true_velocity(video):
    """(n, 2) dy, dx in pixels a frame, from the spots on the ground, five frames either way."""
    tracks, out = video.truth["tracks"], []
    for t, (frame, seen) in enumerate(zip(tracks, video.truth["boxes"], strict=True)):
        early, late = max(t - 5, 0), min(t + 5, len(tracks) - 1)
        for n in np.flatnonzero(~np.isnan(seen[:, 0])):
            step = (tracks[late, n] - tracks[early, n]) / (late - early)
            out.append(step[::-1] if not np.isnan(frame[n, 0]) else [np.nan, np.nan])
    return np.array(out)


# ------------------------------------------------------------------------------------- attributes


def test_velocity_is_that_of_the_true_tracks(scenes, measured):
    for video, found in zip(scenes, measured, strict=True):
        true = true_velocity(video)
        sure = whole(video, found.box) & ~np.isnan(true + found.velocity).any(1)
        assert sure.sum() > 200
        far = np.abs(found.velocity - true)[sure].max(1)
        assert np.median(far) < 0.15 and np.quantile(far, 0.9) < 0.4  # limbs swing, the spot not


def test_heading_and_pace_agree_with_the_truth(scenes, measured, captioner):
    right = total = 0
    for video, found in zip(scenes, measured, strict=True):
        true, said = true_velocity(video), captioner.describe(found)[:, 0]
        speed = np.hypot(*true.T)
        sure = whole(video, found.box) & (np.abs(true[:, 1]) > 2 * np.abs(true[:, 0]))
        sure &= speed > 0.8
        for v, sentence in zip(true[sure], said[sure], strict=True):
            right += ("to the right" if v[1] > 0 else "to the left") in sentence
            total += 1
        stands = said[whole(video, found.box) & (speed < 0.05)]
        assert np.mean(stands == "someone is standing") > 0.95  # save where others walk before them
    assert total > 500 and right / total > 0.98


def test_pace_follows_true_speed(scenes, measured, captioner):
    """Who is said to be fast is faster than who is said to be slow, by the truth."""
    speed = np.concatenate([np.hypot(*true_velocity(v).T) for v in scenes])
    said = np.concatenate([captioner.describe(m)[:, 0] for m in measured])
    medians = [np.nanmedian(speed[[w in s for s in said]]) for w in ("standing", *captions.PACE)]
    assert medians == sorted(medians) and medians[-1] > 1.5 * medians[1]


def test_a_velocity_survives_one_jump():
    frame, middle = np.arange(12), np.stack([np.zeros(12), 2.0 * np.arange(12)], 1)
    middle[6:] += 30  # merged with something on its right
    found = attributes.velocities(frame, middle, np.zeros(12, int))
    assert np.allclose(found, [0, 2])


def test_velocity_of_two_tracks_with_holes_by_hand():
    frame, track_of = np.array([0, 0, 2, 3, 4]), np.array([7, 3, 7, 9, 7])
    middle = np.array([[0, 0], [5, 5], [2, 4], [1, 1], [4, 8.0]])
    found = attributes.velocities(frame, middle, track_of)
    assert np.allclose(found[[0, 2, 4]], [1, 2])
    assert np.isnan(found[[1, 3]]).all()


def test_two_boxes_have_a_velocity_and_one_has_none():
    frame, middle = np.array([0, 1, 5, 9]), np.array([[0, 0], [1, 2], [7, 7], [15, 3.0]])
    found = attributes.velocities(frame, middle, np.array([4, 4, 6, 8]))
    assert found[:2].tolist() == [[1, 2], [1, 2]] and np.isnan(found[2:]).all()
    apart = attributes.velocities(frame, middle, np.array([0, 1, 2, 2]))  # four frames apart
    assert apart[2:].tolist() == [[2, -1], [2, -1]] and np.isnan(apart[:2]).all()


def test_place_names_the_third_of_the_frame(scenes, measured, captioner):
    (left, right), (row,) = captioner.edges["column"], captioner.edges["row"]
    for video, found in zip(scenes, measured, strict=True):
        truth = video.truth["boxes"][~np.isnan(video.truth["boxes"][..., 0])]
        x, y = (truth[:, :2] + truth[:, 2:]).T / 2 / [[192], [128]]
        for s, c, r in zip(captioner.describe(found)[:, 2], x, y, strict=True):
            if min(abs(c - left), abs(c - right), abs(r - row)) < 1e-6:
                continue  # on the edge itself, rounding decides
            column = "on the left" if c < left else "on the right" if c > right else "the middle"
            assert column in s and ("near the camera" if r > row else "far away") in s


def test_looks_of_drawn_things_by_hand():
    frames = np.full((9, 64, 96, 1), 100, np.uint8)
    frames[4, 10:34, 20:28] = 30  # upright, dark: 24 high, 8 wide
    frames[4, 40:48, 60:84] = 220  # lying, bright: 8 high, 24 wide
    video = Video("x", frames)
    boxes = [np.zeros((0, 4))] * 9
    boxes[4] = np.array([[8, 10, 36, 38], [30, 58, 58, 86.0]])
    found = attributes.attributes(video, boxes)
    assert found.brightness.tolist() == [30, 220]
    assert np.abs(found.size - [24, 8]).max() <= 3
    assert found.shape[0] < 0.5 and found.shape[1] > 2
    assert np.isnan(found.speed).all()
    assert np.allclose(found.place, [[22 / 64, 24 / 96], [44 / 64, 72 / 96]])


def test_a_box_thinner_than_a_pixel_or_over_the_border_is_measured_inside_the_frame():
    frames = np.full((9, 64, 96, 1), 100, np.uint8)
    frames[:, 63], frames[:, :, 95] = 30, 220
    boxes = [np.zeros((0, 4))] * 9
    over = [[62.6, 10, 62.9, 20], [5, 94.7, 9, 95.1], [70, 40, 80, 44.0]]
    boxes[4] = np.array([*over, [10.2, 30, 10.3, 40], [20, 50.1, 24, 50.4]])
    found = attributes.attributes(Video("x", frames), boxes)
    assert found.brightness.tolist() == [30, 220, 30, 100, 100]  # the last row, the last column
    assert found.size.tolist() == [1, 4, 1, 1, 4]
    assert found.shape.tolist() == [10, 1 / 4, 4, 10, 1 / 4]


def test_neighbours_by_hand():
    boxes = [np.array([[0, 0, 10, 10], [0, 12, 10, 22], [1, 1, 9, 9], [40, 80, 50, 90.0]])]
    found = attributes.attributes(Video("x", np.zeros((1, 64, 96, 1), np.uint8)), boxes)
    # the third lies in the first, and is the same thing; both have the second on their right
    assert found.neighbours.tolist() == [1, 1, 1, 0]
    assert found.nearest[0].tolist() == [0, 12] and found.nearest[1].tolist() == [0, -12]
    assert np.isnan(found.nearest[3]).all()


def test_neighbours_know_no_place_and_no_axis():
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 90, (40, 2)), rng.uniform(4, 30, (40, 2))
    box, frame = np.hstack([corner, corner + side]), np.repeat([0, 1], 20)
    count, nearest = attributes._neighbours(frame, box)
    assert np.isfinite(nearest).all(1).sum() > 0 and count.max() > 1
    for move in ([500, 0, 500, 0], [0, 300, 0, 300]):
        moved = attributes._neighbours(frame, box + move)
        np.testing.assert_array_equal(moved[0], count)
        np.testing.assert_allclose(moved[1], nearest, atol=1e-9)
    turned = attributes._neighbours(frame, box[:, [1, 0, 3, 2]])
    np.testing.assert_array_equal(turned[0], count)
    np.testing.assert_array_equal(turned[1], nearest[:, ::-1])
    ways = (corner + side / 2)[None] - (corner + side / 2)[:, None]
    for way, all_ways in zip(nearest, ways, strict=True):
        assert np.isnan(way).all() or np.isclose(all_ways, way).all(1).any()


def test_ways_have_their_names_by_hand():
    """Rows grow downwards, towards the camera; what is as wide as high goes across."""
    way = np.array([[-2, 1], [2, -1], [1, -2], [-1, 2], [1, 1], [1, -1.0]])
    assert captions.sides(way, captions.HEADING) == [
        "away",
        "towards the camera",
        "to the left",
        "to the right",
        "to the right",
        "to the left",
    ]
    assert captions.sides(way[:4], captions.BESIDE) == [
        "behind",
        "in front",
        "on the left",
        "on the right",
    ]


def test_words_of_a_pair_and_of_one_alone(captioner):
    boxes = [np.array([[0, 0, 10, 10], [0, 12, 10, 22], [40, 80, 50, 90.0]])]
    video = Video("x", np.zeros((1, 64, 96, 1), np.uint8))
    said = captioner.captions(video, boxes)
    assert said[:, 3].tolist() == [
        "there is someone near on the right",
        "there is someone near on the left",
        "there is nobody near",
    ]
    assert (said[:, 0] == "someone is there").all()  # seen once: nobody knows how it moves


# ------------------------------------------------------------------------------------------- bins


def test_edges_are_quantiles_of_the_training_boxes(measured, captioner):
    size = np.concatenate([m.size for m in measured])
    assert captioner.edges["size"] == np.quantile(size, 0.5)
    speed = np.concatenate([m.speed for m in measured])
    still = captions.STILL * np.nanmedian(speed)
    walking = speed[speed >= still]
    assert np.allclose(captioner.edges["speed"], np.quantile(walking, [1 / 3, 2 / 3]))


def test_describing_a_test_video_moves_no_edge(measured, captioner):
    before = {k: v.copy() for k, v in captioner.edges.items()}
    video = plaza.videos("test", count=1, length=60)[0]
    said = captioner.captions(video, true_boxes(video)[0])
    assert len(said) > 100
    assert all((captioner.edges[k] == v).all() for k, v in before.items())
    other = captions.AttributeCaptioner().fit_attributes(measured[:1])
    assert any((other.edges[k] != v).any() for k, v in before.items())


def test_captions_are_deterministic_and_all_foreseen(scenes, measured, captioner):
    boxes = true_boxes(scenes[0])[0]
    one, two = (captioner.captions(scenes[0], boxes) for _ in range(2))
    assert (one == two).all() and one.shape == (sum(map(len, boxes)), 4)
    foreseen = captioner.sentences()
    said = np.concatenate([captioner.describe(m) for m in measured])
    for column, name in zip(said.T, captions.TEMPLATES, strict=True):
        assert set(column) <= set(foreseen[name])
    again = captions.AttributeCaptioner().fit([scenes[0]], [boxes])
    other = captions.AttributeCaptioner().fit_attributes([attributes.attributes(scenes[0], boxes)])
    assert again.edges.keys() == other.edges.keys() == {*captions.QUANTILES, "still"}
    assert all((again.edges[k] == v).all() for k, v in other.edges.items())


def test_frames_without_boxes_have_no_captions(captioner):
    video = Video("x", np.zeros((3, 64, 96, 1), np.uint8))
    assert captioner.captions(video, [np.zeros((0, 4))] * 3).shape == (0, 4)


def test_mistakes_are_explained(captioner, scenes):
    with pytest.raises(VadError, match="Call fit first"):
        captions.AttributeCaptioner().describe(
            attributes.attributes(scenes[0], *true_boxes(scenes[0]))
        )
    with pytest.raises(VadError, match="no box"):
        captions.AttributeCaptioner().fit([scenes[0]], [[np.zeros((0, 4))] * len(scenes[0])])
    with pytest.raises(VadError, match="one .n, 4. array"):
        captioner.captions(scenes[0], [np.zeros((0, 4))] * 3)
    boxes, ids = true_boxes(scenes[0])
    with pytest.raises(VadError, match="track numbers"):
        attributes.attributes(scenes[0], boxes, [i[1:] for i in ids])


# ------------------------------------------------------------------------------------------- CLIP


def test_clip_without_its_package_says_what_to_install(monkeypatch, scenes):
    clip._clip.cache_clear()
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(VadError, match="pip install open_clip_torch"):
        clip.ClipCaptioner().captions(scenes[0], true_boxes(scenes[0])[0])


def fake_clip(monkeypatch, fails=False):
    """An `open_clip` that sees how bright a crop is, and knows two words: dark and light."""

    class Net:
        def eval(self):
            return self

        def encode_image(self, x):
            return torch.stack([1 - x.mean((1, 2, 3)), x.mean((1, 2, 3))], 1)

        def encode_text(self, tokens):
            return tokens

    def create(model, pretrained):
        if fails:
            raise OSError("no network")
        return Net(), None, lambda image: torch.from_numpy(np.array(image) / 255).permute(2, 0, 1)

    def tokenizer(model):
        return lambda said: torch.tensor([[9.0, 0] if "dark" in s else [0, 1.0] for s in said])

    made = SimpleNamespace(create_model_and_transforms=create, get_tokenizer=tokenizer)
    clip._clip.cache_clear()
    monkeypatch.setitem(sys.modules, "open_clip", made)


def test_clip_chooses_the_closest_word(monkeypatch):
    fake_clip(monkeypatch)
    frames, _ = moving_square(2, abnormal=range(2))
    frames = np.where(frames == 255, 255, 0).astype(np.uint8)
    boxes = [np.array([[4, 3 + t, 10, 9 + t], [16, 20, 22, 26.0]]) for t in range(2)]
    captioner = clip.ClipCaptioner({k: ("dark", "light") for k in captions.TEMPLATES})
    said = captioner.fit([], []).captions(Video("x", frames), boxes)
    assert said[:, 0].tolist() == ["a man is light", "a man is dark"] * 2
    assert said[0, 3] == "there is light" and said.shape == (4, 4)
    nobody = captioner.captions(Video("x", frames), [np.zeros((0, 4))] * 2)
    assert nobody.shape == (0, 4), "where nobody is, nothing is said"
    clip._clip.cache_clear()


def test_clip_without_weights_says_what_to_do(monkeypatch, scenes):
    fake_clip(monkeypatch, fails=True)
    with pytest.raises(VadError, match="'openai' of CLIP's ViT-B-32 cannot be loaded.*no network"):
        clip.ClipCaptioner().captions(scenes[0], true_boxes(scenes[0])[0])


# --------------------------------------------------------------------------------------- numbers


def test_tokenizer_by_hand():
    tokenizer = tokens.Tokenizer(["b a", "a c a"])
    assert tokenizer.words == ("<pad>", "<begin>", "a", "b", "c")
    numbers, mask = tokenizer([["b a"], ["a c a"]])
    assert numbers.tolist() == [[[1, 3, 2, 0]], [[1, 2, 4, 2]]]
    assert mask.tolist() == [[[True, True, True, False]], [[True] * 4]]
    assert tokenizer.sentence(numbers[1, 0]) == "a c a"
    with pytest.raises(VadError, match="'d' has no number.*a b c"):
        tokenizer("a d")
    with pytest.raises(VadError, match="too long"):
        tokenizer("a a a a")
    with pytest.raises(VadError, match="no word"):
        tokens.Tokenizer([])


def test_every_sentence_survives_the_tokenizer():
    said = [s for group in captions.AttributeCaptioner.sentences().values() for s in group]
    tokenizer = tokens.Tokenizer(said)
    numbers, _ = tokenizer(said)
    assert [tokenizer.sentence(t) for t in numbers] == said
    assert len(set(map(tuple, numbers.tolist()))) == len(said)


def test_groups_are_equal_where_sentences_are():
    found = tokens.groups(np.array([["a", "x"], ["b", "x"], ["a", "y"]]))
    assert found.tolist() == [[0, 0], [1, 0], [0, 1]]
