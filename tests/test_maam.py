"""MAAM-Net: the paper's numbers that can be counted, its equations, and its switches."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.measure.intervals import Interval
from vadlib.measure.score import pool, pscd
from vadlib.papers import detector
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.maam import claims
from vadlib.papers.maam.config import MAAMConfig
from vadlib.papers.maam.detector import MAAM, PAPER_PSI, fuse, loss_psi
from vadlib.papers.maam.network import MAAMNet, Output, latent_loss, losses
from vadlib.see import motion

SMALL = MAAMConfig(
    width=4, items=20, patch=(8, 6), train=TrainConfig(epochs=1, batch_size=4, lr=2e-3)
)


@pytest.fixture(scope="module")
def videos():
    """Two videos of a square that walks over a still texture."""
    rng = np.random.default_rng(0)
    made = []
    for name in ("a", "b"):
        frames = np.repeat(rng.integers(60, 120, (1, 33, 47, 1), dtype=np.uint8), 9, 0)
        for t in range(9):
            frames[t, 10:18, 3 + 3 * t : 11 + 3 * t] = 220
        masks = frames[..., 0] == 220
        labels = (np.arange(9) >= 5).astype(np.uint8)
        masks[labels == 0] = False
        made.append(Video(name, frames, labels, masks, key=f"test-maam-{name}"))
    return made


@pytest.fixture(scope="module")
def trained(videos):
    model = MAAM(SMALL, "cpu")
    return model, model.fit(videos, progress=False)


# counted against the paper


@pytest.mark.parametrize(
    "items,channels,expected",
    [(500, 3, 8_453_061), (2000, 3, 9_221_061), (500, 1, 8_450_755), (2000, 1, 9_218_755)],
)
def test_parameters_are_the_papers(items, channels, expected):
    net = MAAMNet(memory_items=items, in_channels=channels)
    assert sum(p.numel() for p in net.parameters() if p.requires_grad) == expected


def test_parts_have_their_share_of_the_parameters():
    net = MAAMNet()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    assert count == {
        "encoder": 3_913_728,
        "memory": 500 * 512,
        "appearance": 2_141_955,
        "motion": 2_141_378,
    }


@pytest.mark.parametrize("size", [(240, 360), (128, 192), (37, 51), (16, 17), (1, 1)])
def test_any_input_size(size):
    net = MAAMNet(10, width=2).eval()
    out = net(torch.zeros(1, 3, *size))
    assert out.frame.shape == (1, 3, *size) and out.flow.shape == (1, 2, *size)
    assert out.z.shape[2:] == tuple(math.ceil(s / 16) for s in size)


def test_what_the_decoders_see_comes_through_the_memory():
    """Replace the items, and both outputs change; a net without memory has no weights."""
    torch.manual_seed(0)  # with two channels all of a layer may be dead by chance
    net, x = MAAMNet(10, width=8).eval(), torch.rand(1, 3, 32, 32)
    before = net(x)
    with torch.no_grad():
        net.memory.items.zero_()
    after = net(x)
    assert not torch.allclose(before.frame, after.frame)
    assert not torch.allclose(before.flow, after.flow)
    torch.testing.assert_close(after.z_hat, torch.zeros_like(after.z_hat))
    assert MAAMNet(0, width=2)(x).weights is None


@pytest.mark.parametrize("memory", [{}, {"read": "concat"}, {"similarity": "dot"}, None])
def test_gradients_reach_every_parameter(memory):
    torch.manual_seed(0)
    net = MAAMNet(10 if memory is not None else 0, width=8, **(memory or {}))
    x, flow = torch.rand(4, 3, 32, 48) * 2 - 1, torch.rand(4, 2, 32, 48)
    losses(net(x), x, flow, MAAMConfig())["total"].backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
    assert net.encoder.blocks[0][0].weight.grad.abs().sum() > 0


def kinds(block):
    return [type(part).__name__ for part in block]


def test_the_layers_are_those_of_table_1():
    net = MAAMNet(10, width=2, dropout=0.3)
    for block in net.encoder.blocks:
        assert kinds(block) == ["Conv2d", "BatchNorm2d", "ReLU"]
    for decoder in (net.appearance, net.motion):
        assert len(decoder.up) == 4 and kinds(decoder.up) == ["ConvTranspose2d"] * 4
        for block in decoder.after:
            assert kinds(block) == ["BatchNorm2d", "Dropout", "ReLU"] and block[1].p == 0.3


def test_what_reaches_memory_and_output_layers_was_rectified():
    torch.manual_seed(0)
    net, seen = MAAMNet(10, width=4), []
    for decoder in (net.appearance, net.motion):
        decoder.out.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    out = net(torch.randn(2, 3, 32, 48))
    for x in (out.z, *seen):
        assert (x >= 0).all() and (x == 0).float().mean() > 0.2 and x.max() > 0
    assert len(seen) == 2 and (out.frame < 0).any() and (out.flow < 0).any()  # they are not


def test_training_drops_and_testing_does_not():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 32, 48)
    for rate, alike in ((0.3, False), (0.0, True)):
        net = MAAM.build(replace(SMALL, dropout=rate))
        assert torch.equal(net(x).frame, net(x).frame) == alike
        assert torch.equal(net(x).flow, net(x).flow) == alike
        net.eval()
        assert torch.equal(net(x).frame, net(x).frame)


def test_the_defaults_are_those_of_section_4_3():
    config = MAAMConfig()
    assert config.train == TrainConfig(epochs=50, batch_size=15, lr=2e-5, schedule="constant")
    assert (config.items, config.shrink, config.temperature) == (500, 1.0, 1.0)
    assert (config.lambda_m, config.alpha, config.beta, config.zeta) == (2, 3e-4, 1e-3, 0.1)
    assert (config.width, config.dropout, config.similarity) == (64, 0.3, "cosine")


@pytest.mark.parametrize(
    "option,value,found",
    [
        ("shrink", 2.5, lambda net: net.memory.threshold * SMALL.items),
        ("temperature", 0.3, lambda net: net.memory.temperature),
        ("similarity", "dot", lambda net: net.memory.similarity),
        ("empty_row", "error", lambda net: net.memory.empty_row),
        ("read", "concat", lambda net: net.memory.read),
        ("items", 7, lambda net: len(net.memory.items)),
        ("width", 6, lambda net: net.encoder.blocks[0][0].out_channels),
        ("in_channels", 1, lambda net: net.appearance.out.out_channels),
        ("memory", False, lambda net: net.memory is not None),
    ],
)
def test_every_choice_of_a_config_reaches_the_network(option, value, found):
    default = found(MAAM.build(SMALL))
    assert default == (True if option == "memory" else getattr(SMALL, option))
    assert found(MAAM.build(replace(SMALL, **{option: value}))) == value != default


# equations


@pytest.mark.parametrize(
    "config", [MAAMConfig(), MAAMConfig(lambda_m=0.5, alpha=0.7, beta=0.3, zeta=0.2)]
)
def test_losses_by_plain_arithmetic(config):
    torch.manual_seed(0)
    frames, flow = torch.randn(2, 3, 4, 4), torch.randn(2, 2, 4, 4)
    z, z_hat = torch.randn(2, 8, 1, 1), torch.randn(2, 8, 1, 1)
    z_hat[0] = -z[0] + 0.1 * z_hat[0]  # a cosine below zero counts as one above
    w = torch.rand(2, 5).softmax(1)
    out = Output(torch.randn(2, 3, 4, 4), torch.randn(2, 2, 4, 4), z, z_hat, w)
    terms = losses(out, frames, flow, config)
    app = ((out.frame - frames) ** 2).sum() / frames.numel()
    mot = (out.flow - flow).abs().sum() / flow.numel()
    spa = sum(-v * math.log(v) for row in w.tolist() for v in row) / 2
    lat = 0.0
    for a, b in zip(z_hat.flatten(1), z.flatten(1), strict=True):
        cosine = (a @ b / (a.norm() * b.norm())).item()
        lat += max(abs(cosine) - config.zeta, 0) / 2
    expected = {"app": app, "mot": mot, "spa": spa, "lat": lat}
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(float(value), rel=1e-5), name
    total = app + config.lambda_m * mot + config.alpha * spa + config.beta * lat
    assert terms["total"].item() == pytest.approx(total.item(), rel=1e-6)


@pytest.mark.parametrize(
    "mode,expected",
    [("paper", [0.9, 0.4, 0, 0, 0.4, 0.9]), ("pull", [0, 0.4, 0.85, 0.95, 1.4, 1.9])],
)
def test_the_latent_loss_by_hand(mode, expected):
    cosine = torch.tensor([1, 0.5, 0.05, -0.05, -0.5, -1])
    z = torch.tensor([[1.0, 0.0]]).expand(6, 2)[:, :, None, None]
    z_hat = 3 * torch.stack([cosine, (1 - cosine**2).sqrt()], 1)[:, :, None, None]
    found = [latent_loss(a[None], b[None], 0.1, mode).item() for a, b in zip(z_hat, z, strict=True)]
    assert found == pytest.approx(expected, abs=1e-5)
    assert latent_loss(z_hat, z, 0.1, mode).item() == pytest.approx(np.mean(expected), abs=1e-5)


@pytest.mark.parametrize("mode,direction", [("paper", -1), ("pull", 1)])
def test_the_latent_loss_as_printed_pushes_apart_and_its_opposite_pulls(mode, direction):
    torch.manual_seed(0)
    z = torch.randn(4, 16, 2, 2)
    z_hat = (z + torch.randn_like(z)).requires_grad_()
    cosine = torch.cosine_similarity(z_hat, z, dim=1).abs().mean()
    latent_loss(z_hat, z, 0.1, mode).backward()
    moved = z_hat.detach() - 50 * z_hat.grad
    after = torch.cosine_similarity(moved, z, dim=1).abs().mean()
    assert direction * (after - cosine).item() > 0.01


def test_a_margin_of_one_makes_the_printed_loss_vanish():
    z = torch.randn(2, 8, 3, 3)
    assert latent_loss(z, z.clone(), zeta=1.0).item() == pytest.approx(0, abs=1e-6)
    with pytest.raises(VadError, match="unknown latent loss"):
        latent_loss(z, z, mode="push")


def test_switched_off_losses_are_left_out():
    net, x, flow = MAAMNet(10, width=2), torch.rand(1, 3, 32, 32), torch.rand(1, 2, 32, 32)
    config = MAAMConfig(latent="none", sparse="none")
    assert set(losses(net(x), x, flow, config)) == {"total", "app", "mot"}


def test_the_loss_weighs_the_branches_as_psi_does():
    """psi e_app + (1 - psi) e_mot is proportional to the generative loss of the pixel."""
    torch.manual_seed(0)
    frames, flow = torch.randn(1, 3, 6, 6), torch.randn(1, 2, 6, 6)
    out = Output(torch.randn(1, 3, 6, 6), torch.randn(1, 2, 6, 6), *[torch.zeros(1)] * 2, None)
    psi = loss_psi(MAAMConfig())
    assert psi == pytest.approx(0.25)
    app, mot = (out.frame - frames).square().sum(1), (out.flow - flow).abs().sum(1)
    loss = losses(out, frames, flow, MAAMConfig())["total"]
    assert fuse(app, mot, psi).mean().item() == pytest.approx(0.75 * loss.item(), rel=1e-5)


@pytest.mark.parametrize(
    "lambda_m,channels,psi", [(2, 3, 1 / 4), (2, 1, 1 / 2), (1, 3, 0.4), (0, 3, 1)]
)
def test_psi_follows_from_the_loss(lambda_m, channels, psi):
    config = replace(SMALL, lambda_m=float(lambda_m), in_channels=channels)
    assert loss_psi(config) == pytest.approx(psi) == MAAM(config, "cpu").psi
    assert MAAM(replace(config, psi=0.6), "cpu").psi == 0.6
    assert PAPER_PSI == 10 / 11


@pytest.mark.parametrize("psi", [5, -0.1, 1.01, np.nan])
def test_a_psi_that_is_no_weight_is_refused_wherever_it_comes_from(psi, trained):
    for use in (
        lambda: fuse(torch.rand(2, 3, 3), torch.rand(2, 3, 3), psi),
        lambda: MAAM(replace(SMALL, psi=psi), "cpu"),
        lambda: trained[0].with_psi(psi),
    ):
        with pytest.raises(VadError, match=f"psi is {psi}.*from 0, all motion, to 1"):
            use()


def test_psi_of_one_and_zero_are_the_single_branches():
    app, mot = torch.rand(2, 3, 3), torch.rand(2, 3, 3)
    assert torch.equal(fuse(app, mot, 1.0), app) and torch.equal(fuse(app, mot, 0.0), mot)


def test_input_is_between_minus_one_and_one_and_grey_is_repeated():
    x = to_input(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2), 3)
    assert x.shape == (1, 3, 1, 2) and x[0, 2].tolist() == [[-1.0, 1.0]]


# the detector


def test_scores_are_algorithm_1(trained, videos):
    model, _ = trained
    scores = model.score(videos[0])
    assert scores.index.tolist() == list(range(8))  # the last frame has no flow
    frames = to_input(torch.from_numpy(videos[0].frames[:8]).permute(0, 3, 1, 2), 3)
    flow = torch.from_numpy(np.array(motion.flow(videos[0]))).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        out = model.net(frames)
    app = pscd((frames - out.frame).square().sum(1), (8, 6))
    mot = pscd((flow - out.flow).abs().sum(1), (8, 6))
    np.testing.assert_allclose(scores.heatmap, 0.25 * app + 0.75 * mot, rtol=1e-4)
    np.testing.assert_allclose(scores.frame, pool(0.25 * app + 0.75 * mot), rtol=1e-4)
    np.testing.assert_allclose(scores.terms["app"], pool(app), rtol=1e-4)
    np.testing.assert_allclose(scores.terms["mot"], pool(mot), rtol=1e-4)
    for name, psi in (("paper", 10 / 11), ("balanced", model.balanced_psi)):
        np.testing.assert_allclose(scores.terms[name], pool(psi * app + (1 - psi) * mot), rtol=1e-4)
    assert abs(model.balanced_psi - 0.25) > 0.01  # or "balanced" could be the score itself
    means = [
        x.mean((1, 2))
        for x in ((frames - out.frame).square().sum(1), (flow - out.flow).abs().sum(1))
    ]
    np.testing.assert_allclose(scores.terms["app mean"], means[0], rtol=1e-4)
    np.testing.assert_allclose(scores.terms["mot mean"], means[1], rtol=1e-4)
    np.testing.assert_allclose(scores.terms["mean"], 0.25 * means[0] + 0.75 * means[1], rtol=1e-4)
    read = (out.weights > 0).float().view(8, -1, SMALL.items).mean((1, 2))
    np.testing.assert_allclose(scores.facts["memory used"], read, rtol=1e-5)
    assert read.min() > 0 and read.max() < 1
    assert (scores.frame <= 0.25 * scores.terms["app"] + 0.75 * scores.terms["mot"] + 1e-6).all()


def test_patch_stride_and_pooling_are_the_configs(trained, videos):
    model, _ = trained
    other, plain = MAAM(replace(SMALL, patch=(6, 9), stride=(5, 4), pool="mean"), "cpu"), SMALL
    other.load_state(model.state())
    errors, _ = other.errors(videos[0])
    app = pscd(errors.app, (6, 9), (5, 4))
    scores = other.score(videos[0])
    np.testing.assert_allclose(scores.terms["app"], app.mean((1, 2)), rtol=1e-5)
    assert plain.pool == "max" and scores.heatmap.shape == app.shape


def test_every_other_frame_is_what_step_says(trained, videos):
    model, _ = trained
    few, every = model.score(videos[0], step=3), model.score(videos[0])
    assert few.index.tolist() == [0, 3, 6]
    np.testing.assert_allclose(few.frame, every.frame[[0, 3, 6]], rtol=1e-4)


def test_the_balanced_weight_makes_the_branches_alike_on_training_frames(trained, videos):
    model, _ = trained
    parts = [model.score(v, step=10).terms for v in videos]
    app, mot = (np.concatenate([p[k] for p in parts]).mean() for k in ("app", "mot"))
    psi = model.balanced_psi
    assert psi * app == pytest.approx((1 - psi) * mot, rel=1e-5)


def test_training_lowers_the_loss(videos):
    config = MAAMConfig(
        width=4, items=20, patch=(8, 6), train=TrainConfig(epochs=15, batch_size=4, lr=3e-3)
    )
    history = MAAM(config, "cpu").fit(videos, progress=False)
    total = history.terms["total"]
    assert np.mean(total[-5:]) < 0.5 * np.mean(total[:5])
    assert history.samples == 60 * 4 and set(history.terms) == {"total", "app", "mot", "spa", "lat"}


def test_another_psi_leaves_the_weights_alone(trained, videos):
    model, _ = trained
    other = model.with_psi(0.0)
    np.testing.assert_allclose(other.score(videos[0]).frame, model.score(videos[0]).terms["mot"])
    assert other.net is model.net and model.psi == 0.25


def test_a_checkpoint_brings_back_weights_and_balance(trained, videos):
    model, _ = trained
    other = MAAM(SMALL, "cpu")
    assert other.balanced_psi != model.balanced_psi
    other.load_state(model.state())
    for name, term in model.score(videos[0]).terms.items():
        np.testing.assert_allclose(other.score(videos[0]).terms[name], term, rtol=1e-5)


def test_a_detector_by_name_takes_the_same_config(videos):
    model = detector("maam", config=SMALL, device="cpu")
    assert isinstance(model, MAAM) and model.config == SMALL


def test_without_memory_nothing_is_said_about_it(videos):
    config = MAAMConfig(width=2, memory=False, patch=(8, 6), train=TrainConfig(epochs=0.3))
    model = MAAM(config, "cpu")
    history = model.fit(videos, progress=False)
    assert set(history.terms) == {"total", "app", "mot"} and model.score(videos[0]).facts == {}


# what is claimed


class Known:
    """An interval that is known, or None."""

    def __init__(self, low, high=0.9):
        self.found = None if low is None else Interval((low + high) / 2, low, high, np.zeros(1))

    def interval(self):
        return self.found


@pytest.mark.parametrize(
    "evidence,control,verdict",
    [
        (0.1, 0.1, "holds"),
        (-0.1, 0.1, "does not hold here"),
        (0.1, -0.1, "cannot be judged at this scale"),
        (-0.1, -0.1, "cannot be judged at this scale"),
        (0.1, None, "not run yet"),
        (None, 0.1, "not run yet"),
        (None, -0.1, "not run yet"),
    ],
)
def test_a_part_is_judged_only_where_the_whole_beats_its_control(evidence, control, verdict):
    words = ("x", "sentence", "place", "ran", "auto", "2026-11-25")
    claim = claims.Controlled(*words, Known(evidence), control=Known(control))  # pyright: ignore
    assert claim.judged()[0] == verdict


def test_fewer_items_are_what_the_second_reads_minus_the_first(monkeypatch):
    read = {"few": [0.1, 0.2, 0.1], "many": [0.5, 0.4, 0.1], "short": [0.5]}
    monkeypatch.setattr(
        claims.Value,
        "row",
        lambda self: (
            {"values": read[self.record.split("-")[0]]} if "no" not in self.record else None
        ),
    )
    monkeypatch.setattr(claims, "seeds_of", lambda name: list(range(len(read[name.split("-")[0]]))))
    found = claims.Fewer("few", "many").interval()
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0, 0.4))
    assert claims.Fewer("few", "no").interval() is None
    once = claims.Fewer("few", "short").interval()
    assert (once.value, once.low, once.high) == pytest.approx((0.4, 0.4, 0.4)), "the seed of both"
