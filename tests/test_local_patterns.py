"""The state machine by hand, and the detector on drawn scenes."""

from dataclasses import asdict, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vadlib import papers
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.papers.layers import boxes, normal
from vadlib.papers.layers.legendre import legendre
from vadlib.papers.local_patterns import alignment, detector, dynamics, network, sight, words
from vadlib.papers.local_patterns.config import ITAMConfig, LocalPatternsConfig
from vadlib.see import captions, objects

QUICK = TrainConfig(epochs=2, batch_size=16, lr=1e-3)
TINY = LocalPatternsConfig(
    itam=ITAMConfig(size=16, grid=2, visual=16, queries=2, width=16, embed=8, heads=2, train=QUICK),
    lag=0,
    smooth=1,
    crops=64,
    tubes=60,
    channels=8,
    train=QUICK,
)


def film(name, squares, length=16, size=(64, 96)):
    """Blotchy bright rectangles (y, x, height, width, speed) on a textured ground."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 90, (*size, 1), dtype=np.uint8)
    frames, masks = np.stack([ground] * length), np.zeros((length, *size), bool)
    for y, x, h, w, speed in squares:
        look = cv2.GaussianBlur(rng.uniform(0, 350, (h, w)), (0, 0), 1.5).clip(120, 230)
        for t in range(length):
            left = x + speed * t
            part = look[:, : max(0, size[1] - left), None]
            frames[t, y : y + h, left : left + w] = part.astype(np.uint8)
            masks[t, y : y + h, left : left + w] = True
    return Video(name, frames, masks.any((1, 2)).astype(np.uint8), masks, f"{name}-{squares}")


@pytest.fixture
def videos(cache):
    return [film(f"{n}", [(20 + n, 8, 14, 8, 2), (42, 70, 12, 8, -2)]) for n in range(2)]


# ------------------------------------------------------------------------------ the state machine


def by_hand(smm, v):
    """Equations 2-6 in float64, one moment after the other."""
    smm = smm.double()
    u = v @ smm.encode.weight.T + smm.encode.bias
    u = u.sum(2, keepdim=True) if smm.summed else u
    c = torch.zeros(len(v), u.shape[2], len(smm.memory.B), dtype=torch.float64)
    for t in range(v.shape[1]):
        c = torch.einsum("ok,bdk->bdo", smm.memory.A, c) + u[:, t, :, None] * smm.memory.B  # eq. 3
    x = torch.einsum("ok,bdk->bdo", smm.C, c)  # eq. 4
    hat = x * smm.ahead  # eq. 6 at tau = t
    return hat.flatten(1) @ smm.decode.weight.T + smm.decode.bias


@pytest.mark.parametrize("channels", [3, None])
def test_the_state_machine_is_its_equations(channels):
    torch.manual_seed(0)
    smm = dynamics.SMM(6, length=5, order=4, channels=channels)
    smm.C.data += 0.1 * torch.randn(4, 4)
    v = torch.randn(7, 5, 6)
    assert smm(v).shape == (7, 6)
    torch.testing.assert_close(smm(v), by_hand(smm, v.double()).float(), rtol=1e-4, atol=1e-5)


def test_what_is_ahead_is_one_step_outside_the_window():
    smm = dynamics.SMM(6, length=5, order=4)
    expected = legendre(4, torch.tensor(1.2, dtype=torch.float64)).float()
    torch.testing.assert_close(smm.ahead, expected)


def test_the_printed_state_machine_has_as_many_parameters_as_its_sizes_say():
    smm = dynamics.SMM(8192, length=5, order=64, channels=None)
    assert sum(p.numel() for p in smm.parameters()) == 8192 * 64 + 64 + 64 * 8192 + 8192 + 64 * 64
    assert sum(p.numel() for p in smm.parameters()) == 1_060_928


def test_the_printed_sum_leaves_one_number_of_all_features():
    """Two inputs whose encodings have the same sum are the same to it, and not to the default."""
    torch.manual_seed(0)
    paper, ours = dynamics.SMM(6, channels=None), dynamics.SMM(6, channels=5)
    weights = paper.encode.weight.detach().sum(0)
    blind = torch.randn(1, 5, 6)
    blind -= (blind @ weights)[..., None] * weights / weights.square().sum()
    v = torch.randn(1, 5, 6)
    torch.testing.assert_close(paper(v), paper(v + blind), rtol=1e-4, atol=1e-5)
    assert (ours(v) - ours(v + blind)).abs().max() > 1e-2


def test_simple_predictors_by_hand():
    v = torch.tensor([[[1.0], [2.0], [4.0], [7.0], [11.0]]])
    assert dynamics.Last()(v).tolist() == [[11.0]]
    assert dynamics.Linear()(v).tolist() == [[15.0]]


def test_a_state_machine_learns_what_a_line_does():
    """Features that grow steadily: the last value is wrong by a step, the state machine is not."""
    torch.manual_seed(0)
    start, step = torch.randn(256, 1, 6), torch.randn(256, 1, 6)
    v = start + step * torch.arange(6.0)[None, :, None]
    smm = dynamics.SMM(6, channels=12)
    optimizer = torch.optim.Adam(smm.parameters(), lr=0.02)
    for _ in range(400):
        loss = (smm(v[:, :-1]) - v[:, -1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * (dynamics.Last()(v[:, :-1]) - v[:, -1]).square().mean()


# ------------------------------------------------------------------------ how far features are


def test_the_nearest_normal_features_by_hand():
    """From (0, 0), (0, 2), (3, 0), (10, 10): two of them are nearest to (0, 1), one each."""
    points = torch.tensor([[0.0, 0.0], [0.0, 2.0], [3.0, 0.0], [10.0, 10.0]])
    far = normal.Space(points, "knn", 2, 0.1).distance(torch.tensor([[0.0, 1.0], [3.0, 4.0]]))
    torch.testing.assert_close(far, torch.tensor([1.0, (4 + 13**0.5) / 2]))
    assert normal.Space(points[:1], "knn", 5, 0.1).distance(points[2:3]).tolist() == [3.0]


def test_the_distance_from_a_gaussian_by_hand():
    """Variances 1 and 4 about (5, 0), and a part of their mean added."""
    points = torch.tensor([[6.0, 2.0], [4.0, 2.0], [6.0, -2.0], [4.0, -2.0]])
    odd = torch.tensor([[5.0, 0.0], [7.0, 0.0], [5.0, 4.0]])
    plain = normal.Space(points, "gaussian", 5, 0.0).distance(odd)
    torch.testing.assert_close(plain, torch.tensor([0.0, 2.0, 2.0]))
    shrunk = normal.Space(points, "gaussian", 5, 0.4).distance(odd)  # variances 2 and 5
    torch.testing.assert_close(shrunk, torch.tensor([0.0, 2 / 2**0.5, 4 / 5**0.5]))


def test_a_video_is_far_from_the_others_and_not_from_itself():
    points, owner = torch.tensor([[0.0], [0.5], [4.0], [6.0]]), torch.tensor([0, 0, 1, 1])
    held = normal.Space(points, "knn", 2, 0.1, owner).held_out()
    assert held.tolist() == [5.0, 4.5, 3.75, 5.75]
    alone = normal.Space(points, "knn", 1, 0.1, torch.zeros(4, dtype=int)).held_out()
    assert alone.tolist() == [0.5, 0.5, 2.0, 2.0]


def test_a_union_is_the_larger_in_units_of_training():
    far, error = np.array([1.0, 8.0, 2.0]), np.array([3.0, 3.0, 30.0])
    assert normal.larger(far, error, (4.0, 6.0)).tolist() == [0.5, 2.0, 5.0]
    assert normal.unit(np.arange(101.0), 0.9) == 90.0
    assert normal.unit(np.zeros(3), 0.9) == normal.unit(np.zeros(0), 0.9) == 1.0


# ---------------------------------------------------------------------------------------- pieces


def test_a_box_s_error_is_the_mean_square_of_the_last_moment():
    net = network.LocalPatternsNet(replace(TINY, predictor="last", error="mse"))
    v = torch.zeros(2, 6, 4)
    v[1, 4], v[1, 5] = 1.0, torch.tensor([1.0, 2.0, 3.0, 1.0])
    assert net.error(v).tolist() == [0.0, pytest.approx(5 / 4)]


def test_each_predictor_is_the_one_that_was_asked_for():
    v = torch.zeros(1, 6, TINY.width)
    v[0, :, 0] = torch.tensor([0.0, 1.0, 2.0, 4.0, 7.0, 11.0])
    net = {p: network.LocalPatternsNet(replace(TINY, predictor=p)) for p in ("last", "linear")}
    assert net["last"].residue(v)[0, 0] == 7 - 11 and net["linear"].residue(v)[0, 0] == 10 - 11
    assert isinstance(network.LocalPatternsNet(TINY).predict, dynamics.SMM)


def test_whitened_residues_are_alike_in_all_directions():
    torch.manual_seed(0)
    mix = torch.tensor([[3.0, 0.0], [2.0, 0.1]])
    r = torch.randn(20_000, 2) @ mix
    white = normal.whitening(r, 0.0)
    torch.testing.assert_close(white, white.T)
    second = (r @ white).T @ (r @ white) / len(r)
    torch.testing.assert_close(second, torch.eye(2), rtol=0, atol=1e-3)
    unit = normal.whitening(torch.eye(2) * 2**0.5, 0.5)  # variances 1, 1, and half their mean
    torch.testing.assert_close(unit, torch.eye(2) / 1.5**0.5)


def test_a_direction_that_never_varied_counts_more_than_one_that_always_does(videos):
    net = network.LocalPatternsNet(replace(TINY, predictor="last"))
    r = torch.zeros(100, TINY.width)
    r[:, 0] = torch.linspace(-1, 1, 100)
    net.whiten.copy_(normal.whitening(r, 0.1))
    v = torch.zeros(2, 6, TINY.width)
    v[0, 5, 0], v[1, 5, 1] = 0.5, 0.5
    usual, unheard_of = net.error(v)
    assert unheard_of > 20 * usual


def test_a_residual_state_machine_begins_as_the_last_value():
    torch.manual_seed(0)
    v = torch.randn(7, 5, 6)
    smm = dynamics.SMM(6, channels=3, residual=True)
    torch.testing.assert_close(smm(v), v[:, -1], rtol=0, atol=0.02)
    plain = dynamics.SMM(6, channels=3)
    plain.load_state_dict(smm.state_dict())
    torch.testing.assert_close(plain(v) + v[:, -1], smm(v))


def test_pixels_take_the_largest_value_over_them():
    found = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [-2, 3, 1, 9]], np.float32)
    heat = boxes.paint(found, np.array([2.0, 1.0, 3.0]), (3, 4))
    np.testing.assert_array_equal(heat, [[2, 2, 0, 3], [2, 2, 1, 0], [0, 1, 1, 0]])


def test_spread_is_even_and_ends_at_both_ends():
    assert boxes.spread(11, 3).tolist() == [0, 5, 10]
    assert boxes.spread(3, 10).tolist() == [0, 1, 2]
    assert boxes.spread(0, 10).tolist() == []


def test_a_window_that_tubes_share_is_looked_at_once_and_every_tube_sees_its_own(cache, videos):
    model = papers.detector("local-patterns", config=replace(TINY, features="random"), device="cpu")
    tubes = model.tubes(videos[0])
    look = sight.Sight(tubes)
    assert len(look.windows) < 6 * len(tubes)
    seen = model.seen(look).float()
    crops = torch.from_numpy(tubes.crops(np.arange(len(tubes)), 16))
    eyes = model.net.extractors[0].eval()
    with torch.no_grad():
        direct = eyes(words.to_input(crops.flatten(0, 1), TINY.branch)).unflatten(
            0, crops.shape[:2]
        )
    torch.testing.assert_close(seen, direct, rtol=0, atol=2e-3)  # kept in 16 bits


def test_a_branch_is_shown_what_its_config_says_and_captions_stay_with_their_boxes(cache, videos):
    """With a lag, a box of frame t is its window in t - lag and in t; the first boxes have none."""
    config = replace(TINY, features="random", lag=3, crops=10_000)
    model = papers.detector("local-patterns", config=config, device="cpu")
    boxes = [model.windows(v) for v in videos]
    crops, which = model.crops(videos, boxes)
    made, rows = alignment.gather(videos, boxes, 16, lag=3)
    np.testing.assert_array_equal(crops, made)
    np.testing.assert_array_equal(which, rows)
    assert crops.shape[1] == 2 and len(which) < sum(len(b) for v in boxes for b in v)
    tubes = model.tubes(videos[0])
    assert tubes.length == 6 and tubes.frame.min() == 5 + 3
    seen, eyes = model.seen(sight.Sight(tubes)).float(), model.net.extractors[0].eval()
    for moment in range(6):  # each of a tube's moments is two images of the tube's window
        frame = tubes.frame - 5 + moment
        pair = [objects.Tubes(videos[0], frame - b, tubes.box, 1) for b in (3, 0)]
        pair = np.concatenate([p.crops(np.arange(len(p)), 16)[:, 0] for p in pair], 1)
        with torch.no_grad():
            direct = eyes(words.to_input(torch.from_numpy(pair), config.branch))
        torch.testing.assert_close(seen[:, moment], direct, rtol=0, atol=2e-3)


def test_features_are_kept_by_film_and_size_and_weights(cache):
    """A film is known by its key, and where it has none by its frames."""
    torch.manual_seed(0)
    films = [film("x", [(20, 8 + 20 * n, 14, 8, 2)]) for n in range(2)]
    boxes = [np.array([[16, 10, 40, 34]], np.float32)] * 16
    eyes = [words.ITAM(TINY.branch) for _ in range(2)]
    eyes = [torch.nn.Sequential(e.backbone, torch.nn.Flatten()) for e in eyes]

    def seen(key, number=0, config=TINY.branch, eye=0):
        looked = sight.Sight(objects.tubes(replace(films[number], key=key), boxes, 2))
        return looked.features(eyes[eye], config, "cpu").astype(np.float32)

    for one, other in (("k", "l"), ("", "")):
        assert np.abs(seen(one) - seen(other, 1)).max() > 1e-3
    assert np.array_equal(seen("k"), seen("k", 1))  # read, and not looked at again
    assert np.array_equal(seen(""), seen(""))
    assert not np.array_equal(seen("k"), seen("k", eye=1))
    assert not np.array_equal(seen("k"), seen("k", config=replace(TINY.branch, size=24)))


def test_features_of_other_weights_are_other_features(cache, videos):
    seeds = [replace(TINY, features="random", train=replace(QUICK, seed=s)) for s in (0, 1)]
    models = [papers.detector("local-patterns", config=c, device="cpu") for c in seeds]
    a, b = (m.seen(sight.Sight(m.tubes(videos[0]))) for m in models)
    assert (a - b).abs().max() > 0.05


# ---------------------------------------------------------------------------------- the detector


def fitted(videos, **changes):
    model = papers.detector("local-patterns", config=replace(TINY, **changes), device="cpu")
    return model, model.fit(videos, progress=False)


def test_scores_speak_for_every_frame_that_has_five_before_it(videos):
    model, history = fitted(videos)
    steps = -(-len(model.moments(videos)) // 16)
    assert len(history.terms["total"]) == 2 * steps and history.samples > 2 * 16 * steps
    scores = model.score(videos[0])
    np.testing.assert_array_equal(scores.index, np.arange(5, 16))
    assert scores.heatmap.shape == (11, 64, 96)
    np.testing.assert_allclose(scores.heatmap.max((1, 2)), scores.frame, rtol=1e-5)
    assert (scores.terms["mean"] <= scores.frame + 1e-9).all()
    np.testing.assert_array_equal(
        scores.facts["boxes"], [len(b) for b in model.tight(videos[0])[5:]]
    )


def test_frames_whose_boxes_have_no_past_have_no_score(videos):
    model, _ = fitted(videos, lag=4)
    scores = model.score(videos[0])
    np.testing.assert_array_equal(scores.index, np.arange(9, 16))
    assert scores.heatmap.shape == (7, 64, 96)
    np.testing.assert_allclose(scores.heatmap.max((1, 2)), scores.frame, rtol=1e-5)
    assert model.cost_inputs((64, 96))[0].shape[1:] == (6, 6, 16, 16)
    speed, _ = fitted(videos, lag=4, predictor="velocity")
    np.testing.assert_array_equal(speed.score(videos[0]).index, scores.index)


def test_errors_are_averaged_over_a_thing_s_own_past():
    """By hand: thing 7 is there in frames 3, 4, 6; thing 8 in 4 and 5; three frames count."""
    frame, thing = np.array([3, 4, 4, 5, 6]), np.array([7, 7, 8, 8, 7])
    error = np.array([1.0, 3.0, 10.0, 20.0, 8.0])
    np.testing.assert_array_equal(boxes.average(error, frame, thing, 1), error)
    np.testing.assert_array_equal(boxes.average(error, frame, thing, 3), [1, 2, 10, 15, 5.5])
    np.testing.assert_array_equal(boxes.average(error, frame, thing, 4), [1, 2, 10, 15, 4])
    assert boxes.average(error[:0], frame[:0], thing[:0], 3).shape == (0,)


def test_the_detector_averages_along_its_tracks(videos):
    model, _ = fitted(videos, predictor="last", features="random", smooth=1)
    tubes, raw = model.box_errors(videos[0])
    model.config = replace(model.config, smooth=4)
    _, smooth = model.box_errors(videos[0])
    tracks = objects.track(model.windows(videos[0]))
    for i, t in enumerate(tubes.frame):
        row = int((tubes.frame[:i] == t).sum())
        who = tracks[t][row]
        own = [
            raw[np.flatnonzero(tubes.frame == s)[list(tracks[s]).index(who)]]
            for s in range(max(5, t - 3), t + 1)
            if who in tracks[s]
        ]
        assert smooth[i] == pytest.approx(np.mean(own))
    assert np.abs(smooth - raw).max() > 0


def test_training_lowers_the_error_of_the_state_machine(videos):
    _, history = fitted(videos, train=replace(QUICK, epochs=30))
    total = history.terms["total"]
    assert np.mean(total[-4:]) < 0.9 * np.mean(total[:2])


def test_a_frame_without_boxes_scores_what_was_lowest_in_every_eighth_training_video(cache):
    many = [film(f"f{n}", [(20 + n, 8, 14, 8, 3 - n // 8)]) for n in range(9)]
    model, _ = fitted(many, predictor="last", features="random")
    empty = film("empty", [])
    scores = model.score(empty)
    assert model.floor > 0
    assert (scores.frame == model.floor).all() and not scores.heatmap.any()
    first, last = (model.score(many[n]).frame.min() for n in (0, 8))
    assert abs(first - last) > 1e-6 and model.floor == pytest.approx(min(first, last))


def test_a_training_video_in_which_nothing_moves_is_no_obstacle(videos):
    model, _ = fitted([*videos, film("still", [])], features="branch1", predictor="last", lag=2)
    assert np.isfinite(model.score(videos[0]).frame).all()
    with pytest.raises(VadError, match="nothing moves in the 1 training videos"):
        fitted([film("still", [])], features="random")


def given_to(monkeypatch, name):
    """What the detector hands to a function of its module, which is called all the same."""
    calls, real = [], getattr(detector, name)
    monkeypatch.setattr(detector, name, lambda *a, **k: calls.append((a, k)) or real(*a, **k))
    return calls


def test_each_branch_learns_its_own_captions_of_its_own_crops(videos, monkeypatch):
    """Words are measured on tight boxes, crops are cut from windows, row by row the same box."""
    calls = given_to(monkeypatch, "fit_branch")
    model, _ = fitted(videos, predictor="last", lag=2, boxes=objects.ProposalConfig(grid=8.0))
    tight, windows = ([f(v) for v in videos] for f in (model.tight, model.windows))
    captioner = captions.AttributeCaptioner().fit(videos, tight)
    said = np.concatenate([captioner.captions(*p) for p in zip(videos, tight, strict=True)])
    loose = captions.AttributeCaptioner().fit(videos, windows)
    loose = np.concatenate([loose.captions(*p) for p in zip(videos, windows, strict=True)])
    every = [(v, t, b) for v, w in zip(videos, windows, strict=True) for t, b in enumerate(w)]
    every = [(v, t, b) for v, t, boxes in every for b in boxes]
    kept = boxes.spread(len(every), TINY.crops)
    kept = [i for i in kept if every[i][1] >= 2]
    assert (said[kept] != loose[kept]).any() and (said[kept][1:] != said[kept][:-1]).any()
    for columns, (given, _) in zip(([0], [1, 2, 3]), calls, strict=True):
        np.testing.assert_array_equal(given[2], said[kept][:, columns])
        for crop, i in list(zip(given[1], kept, strict=True))[::7]:
            video, t, box = every[i]
            same = alignment.look(video, np.array([t]), box[None], 16, 2)[0]
            np.testing.assert_array_equal(crop, same)


def test_shuffled_captions_are_the_same_ones_of_other_crops(videos, monkeypatch):
    calls = given_to(monkeypatch, "fit_branch")
    fitted(videos, features="branch2", predictor="last")
    fitted(videos, features="branch2", predictor="last", words="shuffled")
    (right, _), (dealt, _) = calls
    np.testing.assert_array_equal(right[1], dealt[1])
    assert sorted(map(tuple, right[2])) == sorted(map(tuple, dealt[2]))
    assert (right[2] != dealt[2]).any(1).mean() > 0.3


def test_the_state_machine_learns_the_frame_that_it_has_not_seen(videos, monkeypatch):
    calls = given_to(monkeypatch, "train")
    model, _ = fitted(videos, features="random")
    (learner, clips, loss, _), _ = calls[-1]
    assert learner is model.net.predict
    v = clips[np.arange(3)]["v"]
    assert v.shape == (3, 6, model.config.width)
    expected = (model.net.predict(v[:, :5]) - v[:, 5]).square().mean()
    torch.testing.assert_close(loss(learner, {"v": v})["total"], expected)
    assert (v[:, 5] - v[:, 4]).abs().max() > 1e-3


def test_the_whitening_is_that_of_training(videos):
    model, _ = fitted(videos, features="random", error="whitened", shrink=0.3)
    with torch.no_grad():
        residues = model.net.residue(model.moments(videos).features.float())
    expected = normal.whitening(residues, 0.3).half().float()
    torch.testing.assert_close(model.net.whiten, expected)
    assert (expected - torch.eye(len(expected))).abs().max() > 0.1


def test_a_score_of_features_is_how_far_they_are_from_training_s(videos):
    model, history = fitted(videos, features="random", score="space", neighbours=3)
    assert history.samples == 0 and model.config.learns is False
    normal = model.moments(videos).features[:, -1].float()
    new = film("new", [(8, 8, 30, 20, 2)])
    tubes, far = model.box_errors(new)
    v = model.seen(sight.Sight(tubes))[:, -1].float()
    expected = torch.cdist(v, normal).sort(1).values[:, :3].mean(1)
    np.testing.assert_allclose(far, expected, rtol=1e-4)
    np.testing.assert_allclose(
        model.score(new).frame,
        [
            far[tubes.frame == t].max() if (tubes.frame == t).any() else model.floor
            for t in range(5, 16)
        ],
    )
    fresh = papers.detector("local-patterns", config=model.config, device="cpu")
    with pytest.raises(VadError, match="Call fit first"):
        fresh.score(new)


@pytest.mark.parametrize("predictor", ["smm", "velocity"])
def test_a_union_takes_what_is_odder(videos, predictor):
    model, _ = fitted(videos, features="random", predictor=predictor, score="union", unit=0.9)
    moments = model.moments(videos)
    with torch.no_grad():
        errors = model.net.error(moments.features.float()).sqrt().numpy()
    if predictor == "velocity":
        errors = np.concatenate([model.velocities(v) for v in videos])
    held = model.space.held_out().numpy()
    assert model.units == pytest.approx((np.quantile(held, 0.9), np.quantile(errors, 0.9)))
    odd = film("odd", [(8, 8, 30, 20, 3)])
    tubes, score = model.box_errors(odd)
    moves = predictor == "velocity"
    dynamic = model.velocities(odd) if moves else np.sqrt(model.errors(tubes))
    far = model.distances(tubes)
    np.testing.assert_allclose(
        score, np.maximum(far / model.units[0], dynamic / model.units[1]), rtol=1e-6
    )
    assert moments.owner.tolist() == sorted(moments.owner.tolist())
    assert set(moments.owner.tolist()) == {0, 1}


def test_scores_of_features_change_nothing_of_the_usual_score(videos):
    """The switch is off by default, draws nothing and keeps nothing."""
    usual, _ = fitted(videos, features="random")
    union, _ = fitted(videos, features="random", score="union")
    assert usual.config.score == "dynamics" and "space" not in usual.state()
    tubes = usual.tubes(videos[0])
    np.testing.assert_array_equal(usual.errors(tubes), union.errors(tubes))
    np.testing.assert_array_equal(usual.box_errors(videos[0])[1], usual.errors(tubes))
    assert usual.net.state_dict().keys() == union.net.state_dict().keys()


def test_branches_merge_by_a_cross_attention_that_learns_with_the_state_machine(videos):
    begun = network.LocalPatternsNet(replace(TINY, features="merge"))
    model, _ = fitted(videos, features="merge", error="mse")
    assert model.config.width == 16 and len(model.net.extractors) == 2
    moved = [
        (a - b).abs().max() > 0
        for a, b in zip(begun.merge.parameters(), model.net.merge.parameters(), strict=True)
    ]
    assert all(moved[i] for i in (0, 2))  # projections; their key's bias changes no attention
    v = model.moments(videos).features.float()[:4]
    one, other = v[:, -1].unflatten(1, (2, 2, 8)).unbind(1)
    with torch.no_grad():
        torch.testing.assert_close(
            model.net.merged(v)[:, -1], model.net.merge(one, other).flatten(1)
        )
        expected = model.net.predict(model.net.merged(v)[:, :-1]) - model.net.merged(v)[:, -1]
        torch.testing.assert_close(model.net.residue(v), expected)


def test_velocity_is_that_of_the_step_into_a_frame(cache):
    """A square takes steps of one pixel, and one of four into frame 10."""
    video = film("step", [(20, 8, 14, 14, 1)])
    ground, moved = film("none", []).frames[0], video.frames.copy()
    for t in range(10, 16):
        moved[t] = ground
        left = 8 + t + 3
        moved[t, 20:34, left : left + 14] = video.frames[t, 20:34, 8 + t : 22 + t]
    model, _ = fitted([video], predictor="velocity")
    scores = model.score(replace(video, frames=moved, key="a step into frame 10"))
    fast = dict(zip(scores.index.tolist(), scores.frame, strict=True))
    assert fast[10] > 2 and max(fast[t] for t in (8, 9, 11, 12)) < 2


def test_velocity_is_the_speed_of_the_fastest_box(videos):
    model, history = fitted(videos, predictor="velocity")
    assert history.samples == 0
    slow, fast = (film("v", [(20, 8, 20, 16, s)]) for s in (1, 3))
    moving = fast
    slow, fast = model.score(slow).frame, model.score(fast).frame
    assert np.median(slow) == pytest.approx(1, abs=0.5)
    assert np.median(fast) == pytest.approx(3, abs=1)
    tubes, single = model.box_errors(moving)
    model.config = replace(model.config, smooth=3)
    things = np.concatenate(objects.track(model.windows(moving))[5:])
    expected = boxes.average(single, tubes.frame, things, 3)
    assert np.abs(expected - single).max() > 0  # speeds are averaged along tracks as errors are
    np.testing.assert_array_equal(model.box_errors(moving)[1], expected)


@pytest.mark.parametrize(
    "switch",
    [
        {"features": "both"},
        {"features": "branch1"},
        {"features": "branch2", "score": "space"},
        {"features": "random", "score": "union"},
        {"features": "random", "score": "space", "space": "gaussian"},
        {"features": "merge", "score": "space"},
    ],
)
def test_a_checkpoint_gives_the_same_scores(videos, switch):
    model, _ = fitted(videos, **switch)
    other = papers.detector("local-patterns", config=replace(TINY, **switch), device="cpu")
    other.load_state(model.state())
    a, b = model.score(videos[0]).frame, other.score(videos[0]).frame
    np.testing.assert_array_equal(a, b)
    assert other.config == LocalPatternsConfig(
        **(model.state()["config"] | {"train": TrainConfig(**model.state()["config"]["train"])})
    )


def test_branches_are_trained_once_for_all_rows_and_alone_for_each_seed(videos, monkeypatch):
    trained, fit = [], detector.fit_branch
    monkeypatch.setattr(detector, "fit_branch", lambda *a, **k: trained.append(1) or fit(*a, **k))
    _, first = fitted(videos, features="branch1", predictor="last")
    assert len(trained) == 1
    _, again = fitted(videos, features="both", predictor="linear")
    assert len(trained) == 2  # branch 2 is new
    assert again.seconds > first.seconds > 0  # and branch 1's time counts
    fitted(videos, features="branch1", train=replace(QUICK, seed=1))
    assert len(trained) == 3


def test_training_that_was_cut_short_goes_on_to_the_same_end(videos, tmp_path, monkeypatch):
    whole, _ = fitted(videos, features="branch1")
    monkeypatch.setenv("VADLIB_CACHE", str(tmp_path / "other"))
    model = papers.detector(
        "local-patterns", config=replace(TINY, features="branch1"), device="cpu"
    )
    model.fit(videos, folder=tmp_path / "run", stop_after=2, progress=False)
    assert (tmp_path / "run" / "branch1" / "last.ckpt").exists()
    again = papers.detector(
        "local-patterns", config=replace(TINY, features="branch1"), device="cpu"
    )
    (tmp_path / "run" / "last.ckpt").unlink()  # what the cut branch led to is no state machine
    again.fit(videos, folder=tmp_path / "run", progress=False)
    for a, b in zip(whole.net.parameters(), again.net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


def test_cost_counts_the_tubes_of_a_usual_frame(videos):
    model, _ = fitted(videos, predictor="last")
    (crops,) = model.cost_inputs((64, 96))
    counts = [len(b) for v in videos for b in model.tight(v)]
    assert crops.shape == (round(np.mean(counts)), 6, 3, 16, 16)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        assert model.net(crops).shape == (len(crops),)
    assert counter.get_total_flops() > 1e6
    assert sum(p.numel() for p in model.net.extractors[0].parameters()) > 680_000  # two stages


def test_efficientnet_takes_itam_s_place_and_stays_out_of_the_checkpoint(videos):
    pytest.importorskip("efficientnet_lite_pytorch")
    model, _ = fitted(videos[:1], features="effnet", tubes=8)
    assert model.config.width == 1280
    crops = torch.rand(1, 6, 16, 16)
    with torch.no_grad():
        eyes = model.net.extractors[0]
        torch.testing.assert_close(eyes(crops), eyes(crops[:, 3:]))  # the newer image alone
    assert not any(k.startswith("extractors.") for k in model.state()["net"])
    other = papers.detector("local-patterns", config=model.config, device="cpu")
    other.load_state(model.state())
    np.testing.assert_array_equal(model.score(videos[0]).frame, other.score(videos[0]).frame)


def test_boxes_are_looked_at_larger_than_they_are_painted(videos):
    model = papers.detector("local-patterns", config=TINY, device="cpu")
    for tight, seen in zip(model.tight(videos[0]), model.windows(videos[0]), strict=True):
        assert len(tight) == len(seen)
        inside = np.minimum(tight[:, 2:], seen[:, 2:]) - np.maximum(tight[:, :2], seen[:, :2])
        assert (inside > 0).all()
        assert (
            np.prod(seen[:, 2:] - seen[:, :2], 1) > np.prod(tight[:, 2:] - tight[:, :2], 1)
        ).all()
    assert isinstance(model.tubes(videos[0]), objects.Tubes)


def test_senseless_configs_are_refused():
    with pytest.raises(VadError, match="unknown features 'smell'.*branch1"):
        LocalPatternsConfig(features="smell")
    with pytest.raises(VadError, match="unknown predictor"):
        LocalPatternsConfig(predictor="oracle")
    with pytest.raises(VadError, match="unknown score 'sum'.*union"):
        LocalPatternsConfig(score="sum")
    with pytest.raises(VadError, match="unknown space"):
        LocalPatternsConfig(space="cube")
    with pytest.raises(VadError, match="no features to be far"):
        LocalPatternsConfig(predictor="velocity", score="space")
    with pytest.raises(VadError, match="unknown rule"):
        network.LocalPatternsNet(replace(TINY, rule="rk4"))
    assert LocalPatternsConfig(**asdict(TINY) | {"train": QUICK}) == TINY


@pytest.mark.parametrize("hole", [False, True])
@pytest.mark.parametrize("per_frame, usual", [(0, 1), (2, 2), (3, 3)])
def test_what_an_empty_frame_is_worth(hole, per_frame, usual):
    """The lowest frame in the first and the ninth of the training videos; of an empty one, 0."""
    model = papers.detector("local-patterns", config=TINY, device="cpu")
    assert (model.floor, model.boxes_a_frame) == (0.0, 1)  # nothing is known yet
    frames = np.arange(TINY.first, 16)

    def errors(video):
        low = {"0": 7.0, "8": 5.0}.get(video.name, 1.0)  # those of 1 are not looked at
        frame = frames[1:] if hole and video.name == "8" else frames
        return SimpleNamespace(frame=frame), low + frame - frame[0]

    model.box_errors = errors
    model.tight = lambda video: [np.zeros((per_frame, 4))] * 16
    model.floor = 3.0  # of an earlier fit
    model.calibrate([film(str(n), []) for n in range(9)])
    assert model.floor == (0.0 if hole else 5.0) and model.boxes_a_frame == usual
