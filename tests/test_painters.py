"""Autoencoder and predictor: shapes, what is shown, and scores against arithmetic of their own."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from vadlib import papers
from vadlib.data.base import Video
from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.papers.baselines.config import PainterConfig
from vadlib.papers.baselines.detector import Autoencoder, Predictor
from vadlib.papers.baselines.network import Painter


def video(count=8, size=(24, 32), channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return Video("a", rng.integers(0, 256, (count, *size, channels), np.uint8))


@pytest.mark.parametrize("size", [(24, 32), (23, 31), (17, 30)])
@pytest.mark.parametrize("past, skip", [(0, False), (4, True), (2, False)])
def test_a_frame_of_any_size_is_painted(size, past, skip):
    net = Painter(PainterConfig(past=past, skip=skip, width=4, code=3))
    shown = torch.rand(2, max(1, past), 3, *size)
    assert net(shown).shape == (2, 3, *size)
    code = net.encode(shown)
    assert code.shape == (2, 3, -(-size[0] // 8), -(-size[1] // 8))


def test_weights_are_those_that_one_counts_by_hand():
    net = Painter(PainterConfig(width=8, code=5))

    def conv(a, b, k=3):
        return k * k * a * b + b

    expected = conv(3, 8) + conv(8, 16) + conv(16, 32) + conv(32, 5, 1) + conv(5, 32, 1)
    expected += conv(32, 16) + conv(16, 8) + conv(8, 12)
    assert sum(p.numel() for p in net.parameters()) == expected


def test_without_a_skip_all_passes_the_narrow_place():
    for skip in (False, True):
        torch.manual_seed(0)
        net = Painter(PainterConfig(width=4, code=2, skip=skip))
        with torch.no_grad():
            net.narrow.weight.zero_()
            net.narrow.bias.zero_()
        one, two = net(torch.rand(1, 1, 3, 24, 32)), net(torch.rand(1, 1, 3, 24, 32))
        assert torch.equal(one, two) is not skip


@torch.no_grad()
def test_a_skip_adds_what_the_way_down_saw():
    """With nothing from below, what is painted is made of the first layer alone."""
    net = Painter(PainterConfig(width=2, code=3, skip=True)).eval()
    x = torch.randn(1, 1, 3, 16, 24)
    for up in net.up:
        up.weight.zero_(), up.bias.zero_()
    first = net.down[0](x[:, 0]).relu()
    expected = torch.nn.functional.pixel_shuffle(net.out(first), 2)
    assert expected.std() > 0.01 and torch.allclose(net(x), expected)


@pytest.mark.parametrize("layer", ["down.0", "down.1", "down.2", "widen", "up.0", "up.1"])
def test_every_layer_is_rectified_but_the_code_and_the_answer(layer):
    """What is pushed far below zero says nothing about the frames any more."""
    torch.manual_seed(0)
    net = Painter(PainterConfig(width=4, code=3))
    one, two = torch.rand(2, 1, 1, 3, 24, 32) * 2 - 1
    assert not torch.equal(net(one), net(two))
    with torch.no_grad():
        net.narrow.bias.fill_(-9)
        net.out.bias.fill_(-9)
        assert net.encode(one).max() < 0 and net(one).max() < 0
        net.get_submodule(layer).bias.fill_(-1000)
    assert torch.equal(net(one), net(two))
    assert torch.equal(net.encode(one), net.encode(two)) is layer.startswith("down")


def test_the_predictor_is_not_shown_the_answer():
    method = Predictor(PainterConfig(past=3, width=4))
    frames = torch.arange(2 * 4 * 3 * 2 * 2).reshape(2, 4, 3, 2, 2).to(torch.uint8)
    shown, target = method.split(frames)
    assert torch.equal(shown, frames[:, :3].float() / 127.5 - 1)
    assert torch.equal(target, frames[:, 3].float() / 127.5 - 1)
    one, two = Autoencoder(PainterConfig(width=4)).split(frames[:, :1])
    assert torch.equal(one[:, 0], two) and torch.equal(two, frames[:, 0].float() / 127.5 - 1)


def constant(method, value):
    """Let a network paint one grey value, in 0..255, whatever it is shown."""
    with torch.no_grad():
        for p in method.net.parameters():
            p.zero_()
        method.net.out.bias.fill_(value / 127.5 - 1)
    return method


def test_scores_are_the_arithmetic_of_a_network_that_paints_one_grey():
    film = video()
    scores = constant(Autoencoder(PainterConfig(width=4, patch=(6, 4))), 51).score(film)
    error = ((film.frames.astype(float) - 51) / 255) ** 2
    mse = error.mean((1, 2, 3))
    assert np.allclose(scores.frame, 10 * np.log10(mse), atol=1e-4)
    assert np.allclose(scores.facts["psnr"], -scores.frame)
    assert np.array_equal(scores.index, np.arange(8))
    # strides of a patch are a quarter of it: here 1, so a brute-force maximum over all windows
    inner = max(error[2].mean(-1)[y : y + 6, x : x + 4].sum() for y in range(19) for x in range(29))
    assert np.isclose(scores.terms["patch"][2], inner, rtol=1e-4)
    assert scores.frame.dtype == scores.terms["patch"].dtype == np.float64
    assert np.isclose(scores.heatmap[2].max(), inner, rtol=1e-4)


def test_a_predictor_speaks_for_the_frame_that_it_paints():
    film = video(7)
    film.frames[5] = 51
    scores = constant(Predictor(PainterConfig(past=4, width=4, patch=(6, 4))), 60).score(film)
    assert np.array_equal(scores.index, [4, 5, 6])
    assert scores.frame.argmin() == 1  # frame 5 is nearly the grey that is painted
    assert np.isclose(scores.frame[1], 20 * np.log10(9 / 255), atol=1e-3)


def test_a_shown_past_decides_what_is_painted_and_the_target_does_not():
    method = Predictor(PainterConfig(past=2, width=4))
    one, other = video(3), video(3)
    other.frames[2] = 255 - other.frames[2]
    first, second = (next(method.paint(v))[0] for v in (one, other))
    assert torch.equal(first, second)
    other.frames[0] = 0
    assert not torch.equal(next(method.paint(other))[0], first)


@pytest.mark.parametrize("method", ["autoencoder", "predictor"])
def test_training_lowers_the_loss_from_the_seed_alone(method):
    film = video(40)
    film.frames[:] = film.frames[:1] // 2  # something that can be learned
    make = papers.method(method).make
    past = 0 if method == "autoencoder" else 2
    config = PainterConfig(past=past, width=4, patch=(6, 4), train=TrainConfig(8, 4, 5e-3))
    one, two = make(config=config, device="cpu"), make(config=config, device="cpu")
    history = one.fit([film], progress=False)
    assert history.terms["total"][-1] < 0.8 * history.terms["total"][0]
    two.fit([film], progress=False)
    assert np.array_equal(one.score(film).frame, two.score(film).frame)
    third = make(config=config, device="cpu")
    assert not np.allclose(one.score(film).frame, third.score(film).frame)
    assert one.state()["config"] == asdict(config)  # of plain things, which a file can hold
    third.load_state(one.state())
    assert np.allclose(one.score(film).frame, third.score(film).frame)
    assert one.cost_inputs((24, 32))[0].shape == (1, max(1, past), 3, 24, 32)


def test_a_predictor_without_a_past_is_refused():
    with pytest.raises(VadError, match="no past frame"):
        Predictor(PainterConfig(past=0))
    assert papers.detector("predictor").config.past == 4
    assert papers.detector("autoencoder").config.past == 0
