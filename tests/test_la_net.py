"""LA-Net: its equations by hand, what padding must not change, and bags in and out."""

import math
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from vadlib import measure
from vadlib.data.bags import Bag
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab import records
from vadlib.lab.experiment import TrainConfig
from vadlib.papers import detector
from vadlib.papers.la_net import evidence, network
from vadlib.papers.la_net.config import LANetConfig
from vadlib.papers.la_net.detector import LANet, Pairs, statistics
from vadlib.papers.la_net.losses import (
    alignment_loss,
    energy,
    feature_dynamics,
    k_of,
    losses,
    mil_loss,
    ranking_loss,
    score_dynamics,
    sultani_loss,
    top_k,
)
from vadlib.papers.la_net.network import LANetModule, Output, attend, location_prior

D = 12
SMALL = {"features": D, "width": 8, "heads": 2, "widths": (16, 6), "causal_kernel": 3}
TOY = TrainConfig(epochs=60, batch_size=2, lr=1e-2, schedule="cosine")
PRIORS = ("paper", "renorm", "logit", "only", "none")
PLAIN = {"attention": False, "da": "none", "causal_kernel": 1}
SULTANI = {"attention": False, "mil": "ranking", "lambda_dr": 0.0, "lambda_da": 0.0}
MODES = [
    {},
    {"prior": "renorm", "da": "kl", "dr_margin": 0.1},
    {"prior": "logit", "scale": True, "detach": "score"},
    {"prior": "none", "mil": "paper", "detach": "feature"},
    {"prior": "only", "sigma": 2.0},
    PLAIN,
    SULTANI,
]


def bag(name, label=0, snippets=20, crops=1, seed=None, event=6):
    """Noise; in an abnormal bag `event` snippets from the fifth on have a raised first half."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed)
    x = rng.normal(size=(crops, snippets, D)).astype(np.float32)
    labels = np.zeros(snippets * 16 - 3, np.uint8)  # the last snippet is three frames short
    if label:
        x[:, 5 : 5 + event, : D // 2] += 2.5
        labels[5 * 16 : (5 + event) * 16] = 1
    return Bag(name, x, len(labels), label, labels, key=f"key-{name}")


def some_bags(count=8, **kw):
    return [bag(f"b{i}", i % 2, snippets=14 + i, seed=i, **kw) for i in range(count)]


def ones(*shape):
    return torch.ones(*shape, dtype=torch.bool)


def batch(p=2, t=20, seed=0):
    """Features (2P, T, D) and a mask that pads every second bag by four."""
    x = torch.randn(2 * p, t, D, generator=torch.Generator().manual_seed(seed))
    mask = ones(2 * p, t)
    mask[1::2, t - 4 :] = False
    return x * mask[..., None], mask


def small(**kw):
    torch.manual_seed(0)
    return LANetModule(LANetConfig(**(SMALL | kw))).eval()


# counted


@pytest.mark.parametrize(
    "width,kernel,rounded", [(512, 10, 2.69), (128, 5, 1.12)], ids=["UCF-Crime", "XD-Violence"]
)
def test_parameters_by_arithmetic(width, kernel, rounded):
    count = sum(
        p.numel() for p in LANetModule(LANetConfig(width=width, causal_kernel=kernel)).parameters()
    )
    attention = 3 * 1024 * width + width * 1024  # phi, psi, all W_k; W_h
    mlp = (1024 * 512 + 512) + (512 * 128 + 128)
    assert count == attention + 2 * 1024 + mlp + (128 * kernel + 1)
    assert round(count / 1e6, 2) == rounded


def test_statistics_by_hand():
    """Features 1, 3, 5, 7 and a constant: mean 4 and 2, standard deviations root 5 and 0."""
    x = np.array([[[1.0, 2], [3, 2]], [[9, 9], [9, 9]]]), np.array([[[5.0, 2], [7, 2]]])
    mean, spread = statistics([Bag(str(i), part, 32) for i, part in enumerate(x)])
    root = math.sqrt(5)
    torch.testing.assert_close(mean, torch.tensor([4.0, 2.0]))
    torch.testing.assert_close(spread, torch.tensor([root + root / 2, root / 2]))


def test_a_standardised_network_is_blind_to_units_and_remembers_them():
    bags = some_bags(6)
    shift = np.arange(D, dtype=np.float32)
    other = [replace(b, features=b.features * 3 + shift) for b in bags]
    config = LANetConfig(**SMALL, standardise=True, train=TrainConfig(epochs=2, lr=1e-2))
    models = [LANet(config, "cpu") for _ in range(2)]
    for model, part in zip(models, (bags, other), strict=True):
        model.fit(part, progress=False)
    a, b = (m.score(part[0]).frame for m, part in zip(models, (bags, other), strict=True))
    np.testing.assert_allclose(a, b, rtol=1e-3)
    again = LANet(config, "cpu")
    again.load_state(models[1].state())
    np.testing.assert_array_equal(again.score(other[0]).frame, b)
    assert not np.allclose(models[0].score(other[0]).frame, a, rtol=1e-3)


def test_widths_that_do_not_divide_are_refused():
    with pytest.raises(VadError, match="7 does not divide into 2 heads"):
        small(width=7)


# equations 1-4: attention


@pytest.mark.parametrize("sigma,total", [(16, 10.03), (6, 6.14)])
def test_the_prior_is_a_band_that_outweighs_a_softmax(sigma, total):
    at = torch.arange(200)
    g = location_prior(at, at, sigma)
    assert torch.equal(g, g.T) and (g.diag() == 1).all()
    assert torch.equal(g[:-1, :-1], g[1:, 1:])  # Toeplitz
    assert g[100].sum().item() == pytest.approx(total, abs=0.01)
    assert g[100].sum().item() == pytest.approx(math.sqrt(2 * math.pi * sigma), rel=1e-4)
    assert g[50, 54].item() == pytest.approx(math.exp(-16 / (2 * sigma)))  # sigma, not its square


def test_attention_by_hand():
    """Logits 0 and log 3 make 1/4 and 3/4; the prior of a neighbour is 1/2."""
    logits, g = torch.tensor([[0.0, math.log(3)]]).expand(2, 2)[None, None], torch.eye(2)
    g = g + 0.5 * (1 - g)
    expected = {
        "none": [[0.25, 0.75], [0.25, 0.75]],
        "paper": [[1.25, 1.25], [0.75, 1.75]],
        "renorm": [[0.5, 0.5], [0.3, 0.7]],
        "logit": [[0.4, 0.6], [1 / 7, 6 / 7]],  # proportional to 1 x 1 : 3 x 1/2, and 1/2 : 3
        "only": [[2 / 3, 1 / 3], [1 / 3, 2 / 3]],  # whatever the logits
    }
    for mode, rows in expected.items():
        torch.testing.assert_close(attend(logits, g, ones(1, 2), mode)[0, 0], torch.tensor(rows))
    with pytest.raises(VadError, match="unknown prior 'after'"):
        attend(logits, g, ones(1, 2), "after")


@pytest.mark.parametrize("mode", PRIORS)
def test_rows_of_attention(mode):
    x, mask = batch()
    net = small(prior=mode, sigma=4)
    rows = net.attention.rows(x, mask)
    assert rows.shape == (4, 2, 20, 20)
    assert (rows.masked_select(~mask[:, None, None].expand_as(rows)) == 0).all()
    at = torch.arange(20)
    extra = (location_prior(at, at, 4) * mask[:, None]).sum(-1)[:, None] * (mode == "paper")
    torch.testing.assert_close(rows.sum(-1), (1 + extra).expand(4, 2, 20))


@pytest.mark.parametrize("scale", [False, True])
def test_equation_4_with_loops(scale):
    """Head by head, with the softmax and the sum written out."""
    net, (x, mask) = small(scale=scale, sigma=2), batch()
    a, got = net.attention, net.attention(x, mask)
    factor = 1 / math.sqrt(4) if scale else 1
    for b in (0, 1):
        valid = int(mask[b].sum())
        heads = []
        for h in range(2):
            part = slice(4 * h, 4 * h + 4)
            q, k, v = (x[b] @ m.weight[part].T.detach() for m in (a.phi, a.psi, a.value))
            rows = []
            for i in range(20):
                e = [math.exp(factor * float(q[i] @ k[j])) for j in range(valid)]
                w = [
                    e[j] / sum(e) + math.exp(-((i - j) ** 2) / 4)  # sigma = 2
                    for j in range(valid)
                ]
                rows.append(sum(w[j] * v[j] for j in range(valid)))
            heads.append(torch.stack(rows))
        expected = torch.cat(heads, 1) @ a.out.weight.T
        torch.testing.assert_close(got[b], expected, rtol=1e-4, atol=1e-5)


def test_the_blur_is_fixed_and_normalised_and_learns_no_logits():
    """With prior "only", each snippet takes a weighted mean of its neighbours' values: no more."""
    blur, other = small(prior="only", sigma=2), small(prior="logit", sigma=2)
    x, mask = batch()
    assert {n for n, _ in other.named_parameters()} - {n for n, _ in blur.named_parameters()} == {
        "attention.phi.weight",
        "attention.psi.weight",
    }
    for name, p in blur.named_parameters():  # it starts where the others do: seeds are paired
        assert torch.equal(p, dict(other.named_parameters())[name]), name
    rows = blur.attention.rows(x, mask)
    assert torch.equal(rows, blur.attention.rows(torch.rand_like(x), mask))
    w = [math.exp(-((7 - j) ** 2) / 4) for j in range(16)]  # the second bag has 16 snippets
    expected = torch.tensor([v / sum(w) for v in w] + [0.0] * 4)
    torch.testing.assert_close(rows[1, :, 7], expected.expand(2, 20))
    value = x @ blur.attention.value.weight.T
    got = torch.einsum("bij,bjd->bid", rows[:, 0], value) @ blur.attention.out.weight.T
    torch.testing.assert_close(blur.attention(x, mask), got)


def test_a_normalised_sum_goes_into_the_perceptron():
    net, (x, mask) = small(), batch()
    y = net.attention(x, mask) + x
    y = (y - y.mean(-1, keepdim=True)) / (y.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(net(x, mask).features, net.mlp(y))
    plain = small(attention=False)
    torch.testing.assert_close(plain(x, mask).features, plain.mlp(plain.norm(x)))


def test_long_bags_are_attended_to_in_blocks(monkeypatch):
    net, (x, mask) = small(), batch()
    whole = net.attention(x, mask)
    monkeypatch.setattr(network, "BLOCK", 7)
    torch.testing.assert_close(net.attention(x, mask), whole)


# equation 5: the causal convolution


def test_the_convolution_by_hand():
    """Weights 1, 2, 4 from oldest to newest."""
    net = small(widths=(16, 1))
    with torch.no_grad():
        net.conv.weight.copy_(torch.tensor([[[1.0, 2.0, 4.0]]]))
        net.conv.bias.fill_(-3.0)
    got = net.causal(torch.tensor([1.0, 0, 0, 2, 0]).view(1, 5, 1))
    expected = torch.tensor([[4.0, 2, 1, 8, 4]]) - 3
    torch.testing.assert_close(got, 1 / (1 + (-expected).exp()))


def test_the_convolution_is_causal_and_the_attention_is_not():
    net, plain, (x, mask) = small(), small(attention=False), batch()
    later = x.clone()
    later[:, 10:] += 1
    f, g = net(x, mask).features, net(later, mask).features
    mixed = torch.cat([f[:, :10], g[:, 10:]], 1)
    assert torch.equal(net.causal(mixed)[:, :10], net.causal(f)[:, :10])
    assert torch.equal(plain(later, mask).scores[:, :10], plain(x, mask).scores[:, :10])
    assert not torch.allclose(net(later, mask).scores[:, :10], net(x, mask).scores[:, :10])


def test_the_convolution_reaches_back_as_far_as_its_kernel():
    net = small(attention=False, causal_kernel=3)
    x, mask = batch()
    other = x.clone()
    other[0, 6, 0] += 1
    changed = (net(x, mask).scores[0] != net(other, mask).scores[0]).nonzero().flatten()
    assert changed.tolist() == [6, 7, 8]


# equation 6: multiple instances


def test_k_of_abnormal_bags_grows_with_their_length():
    lengths = torch.tensor([200, 15, 16, 1, 200])
    assert k_of(lengths, torch.tensor([1, 1, 1, 1, 0])).tolist() == [13, 1, 2, 1, 1]


def test_top_k_by_hand():
    values = torch.tensor([[0.1, 0.9, 0.5, 0.7], [0.2, 0.4, 0.99, 0.99], [9.0, 9, 9, 9]])
    mask = torch.tensor([[True] * 4, [True, True, False, False], [False] * 4])
    got = top_k(values, mask, torch.tensor([2, 3, 1]))  # the second has only two to give
    torch.testing.assert_close(got, torch.tensor([0.8, 0.3, 0.0]))


def test_mil_loss_by_hand():
    scores = torch.zeros(2, 16)
    scores[0, :3] = torch.tensor([0.4, 0.8, 0.6])  # abnormal, T = 16: k = 2, p = 0.7
    scores[1, :2] = torch.tensor([0.3, 0.2])  # normal: k = 1, p = 0.3
    labels, mask = torch.tensor([1, 0]), ones(2, 16)
    bce = -(math.log(0.7) + math.log(1 - 0.3)) / 2
    assert mil_loss(scores, mask, labels).item() == pytest.approx(bce, rel=1e-6)
    printed = -math.log(0.7) / 2
    assert mil_loss(scores, mask, labels, "paper").item() == pytest.approx(printed, rel=1e-6)
    with pytest.raises(VadError, match="unknown MIL loss"):
        mil_loss(scores, mask, labels, "hinge")


@pytest.mark.parametrize("mode,learns", [("bce", True), ("paper", False)])
def test_as_printed_a_normal_bag_teaches_nothing(mode, learns):
    scores = torch.full((2, 8), 0.5, requires_grad=True)
    mil_loss(scores, ones(2, 8), torch.tensor([1, 0]), mode).backward()
    assert bool(scores.grad[1].any()) is learns and scores.grad[0].any()


def test_certain_scores_have_finite_losses_and_gradients():
    scores = torch.tensor([[1.0, 1.0], [0.0, 0.0]], requires_grad=True)
    loss = mil_loss(scores, ones(2, 2), torch.tensor([0, 1]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(scores.grad).all()


def test_sultanis_loss_by_hand():
    normal, abnormal = torch.tensor([[0.1, 0.3, 0.9]]), torch.tensor([[0.2, 0.6, 0.5]])
    cut = torch.tensor([[True, True, False]])
    rank = 1 - 0.6 + 0.3
    got = sultani_loss(normal, abnormal, (cut, ones(1, 3))).item()
    assert got == pytest.approx(rank + 8e-5 * (0.16 + 0.01) + 8e-5 * 1.3, rel=1e-6)
    got = sultani_loss(normal, abnormal, (cut, cut)).item()
    assert got == pytest.approx(rank + 8e-5 * 0.16 + 8e-5 * 0.8, rel=1e-6)
    beyond = sultani_loss(torch.zeros(1, 1), torch.ones(1, 1), (ones(1, 1), ones(1, 1)))
    assert beyond.item() == pytest.approx(8e-5, rel=1e-6)  # the hinge is at rest


# equations 7-8: the dynamics of scores, ranked


def test_energy_by_hand():
    scores = torch.tensor([[0.1, 0.5, 0.4, 0.9, 0.9]])
    ds, mask = score_dynamics(scores), torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(ds, torch.tensor([[0.4, 0.1, 0.5, 0.0]]))
    for k, expected in {1: 0.25, 2: (0.25 + 0.16) / 2, 3: (0.25 + 0.16 + 0.01) / 3}.items():
        assert energy(ds, mask, torch.tensor([k])).item() == pytest.approx(expected, rel=1e-5)


def test_ranking_by_hand():
    normal, abnormal = torch.tensor([0.1, 0.3, 0.2]), torch.tensor([0.3, 0.1, 0.2])
    torch.testing.assert_close(ranking_loss(normal, abnormal), torch.tensor([0, 0.2, 0]))
    torch.testing.assert_close(ranking_loss(normal, abnormal, 0.1), torch.tensor([0, 0.3, 0.1]))


def test_without_margin_equal_constants_satisfy_the_ranking():
    """All scores 0.5: no loss, and no gradient either."""
    scores, config = torch.full((4, 9), 0.5, requires_grad=True), LANetConfig(lambda_da=0)
    terms = losses(Output(scores, torch.randn(4, 9, 3)), ones(4, 9), config)
    assert terms["dr"].item() == 0 and terms["active"].item() == 0
    terms["dr"].backward()
    assert not scores.grad.any()


# equations 9-10: the dynamics of features, aligned


def test_feature_dynamics_by_hand():
    x = torch.tensor([[[1.0, 0], [2, 0], [0, 3], [0, -1], [1, -1]]])
    expected = torch.tensor([[0, 1, 2, 1 - math.sqrt(0.5)]])
    torch.testing.assert_close(feature_dynamics(x), expected)


def test_feature_dynamics_of_equals_are_never_negative():
    """Rounding takes some of these cosines above 1; the logarithm of eq. 10 must not see it."""
    x = torch.randn(1, 500, 7, generator=torch.Generator().manual_seed(0))
    x = x.repeat_interleave(2, dim=1)
    cosine = torch.cosine_similarity(x[:, :-1], x[:, 1:], dim=2)
    assert (cosine > 1).any() and (feature_dynamics(x) >= 0).all()


@pytest.mark.parametrize(
    "df,expected", [(0.05, 0.1 * math.log(20)), (1.0, 0), (1.8, -0.1 * math.log(1.8))]
)
def test_equation_10_as_printed_falls_below_zero(df, expected):
    ds = torch.full((1, 5), 0.1)
    got = alignment_loss(ds, torch.full((1, 5), df), ones(1, 5), "paper")
    assert got.item() == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_equation_10_is_a_mean_over_what_is_no_padding():
    ds, df = torch.tensor([[0.2, 0.4, 9.0]]), torch.tensor([[math.exp(-1), math.exp(-2), 1e-3]])
    mask = torch.tensor([[True, True, False]])
    assert alignment_loss(ds, df, mask).item() == pytest.approx((0.2 + 0.8) / 2, rel=1e-5)
    assert alignment_loss(ds, df, ones(1, 3)[:, :0].new_zeros(1, 3)).item() == 0


def test_kl_by_hand():
    ds, df = torch.tensor([[0.1, 0.3, 7.0]]), torch.tensor([[0.8, 0.8, 2.0]])
    mask = torch.tensor([[True, True, False]])
    expected = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)
    assert alignment_loss(ds, df, mask, "kl").item() == pytest.approx(expected, rel=1e-4)


def test_kl_is_a_divergence_and_blind_to_scale():
    g = torch.Generator().manual_seed(0)
    ds, df = torch.rand(50, 9, generator=g), torch.rand(50, 9, generator=g)
    kl = alignment_loss(ds, df, ones(50, 9), "kl")
    assert (kl > 1e-3).all()
    torch.testing.assert_close(
        alignment_loss(0.1 * ds, 2 * df, ones(50, 9), "kl"), kl, rtol=1e-4, atol=0
    )
    same = alignment_loss(ds, 1.7 * ds, ones(50, 9), "kl")
    torch.testing.assert_close(same, torch.zeros(50), atol=1e-5, rtol=0)
    constant = alignment_loss(torch.zeros(1, 4), torch.ones(1, 4), ones(1, 4), "kl")
    assert constant.item() == pytest.approx(0, abs=1e-6)  # no change at all is spread evenly
    with pytest.raises(VadError, match="unknown alignment loss"):
        alignment_loss(ds, df, ones(50, 9), "mse")


# equation 11


def test_the_total_by_plain_arithmetic():
    torch.manual_seed(0)
    out, mask = Output(torch.rand(4, 18), torch.randn(4, 18, 3)), ones(4, 18)
    config = LANetConfig(lambda_dr=2.0, dr_margin=0.7, lambda_da=0.5)
    terms = losses(out, mask, config)
    mil = dr = da = active = 0.0
    energies = []
    s, x = out.scores.tolist(), out.features
    for b in range(4):
        k = 2 if b % 2 else 1  # normal, abnormal, normal, abnormal; T = 18
        p = sum(sorted(s[b])[-k:]) / k
        mil += -math.log(p if b % 2 else 1 - p) / 4
        ds = [abs(s[b][t] - s[b][t + 1]) for t in range(17)]
        df = [
            1 - float(x[b, t] @ x[b, t + 1] / x[b, t].norm() / x[b, t + 1].norm())
            for t in range(17)
        ]
        da += sum(-u * math.log(v + 1e-7) for u, v in zip(ds, df, strict=True)) / 17 / 4
        e = sum(d * d for d in sorted(ds)[-k:]) / k
        energies.append(e)
        if b % 2:
            hinge = 0.7 - e + energies[-2]
            dr, active = dr + max(0, hinge) / 2, active + (hinge > 0) / 2
    for name, value in {"mil": mil, "dr": dr, "da": da, "active": active}.items():
        assert terms[name].item() == pytest.approx(value, rel=1e-5), name
    assert terms["total"].item() == pytest.approx(mil + 2 * dr + 0.5 * da, rel=1e-5)


def test_what_is_switched_off_is_left_out():
    out, mask = Output(torch.rand(2, 9), torch.randn(2, 9, 3)), ones(2, 9)
    names = {
        (1.0, 1.0, "paper"): {"total", "mil", "dr", "active", "da"},
        (0.0, 1.0, "kl"): {"total", "mil", "da"},
        (1.0, 0.0, "paper"): {"total", "mil", "dr", "active"},
        (0.0, 1.0, "none"): {"total", "mil"},
    }
    for (dr, weight, da), expected in names.items():
        config = LANetConfig(lambda_dr=dr, lambda_da=weight, da=da)
        assert set(losses(out, mask, config)) == expected


@pytest.mark.parametrize("detach,still", [("none", (1, 1)), ("score", (0, 1)), ("feature", (1, 0))])
def test_either_side_of_the_alignment_can_be_held(detach, still):
    scores, x = torch.rand(2, 9, requires_grad=True), torch.randn(2, 9, 3, requires_grad=True)
    config = LANetConfig(lambda_dr=0, detach=detach)
    losses(Output(scores, x), ones(2, 9), config)["da"].backward()
    moved = tuple(int(p.grad is not None and bool(p.grad.any())) for p in (scores, x))
    assert moved == still


# padding


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_padding_changes_neither_scores_nor_losses(mode):
    """More of it, and filled with large numbers instead of zeros."""
    config = LANetConfig(**(SMALL | mode))
    net, (x, mask) = small(**mode), batch()
    junk = torch.cat([x, torch.zeros(4, 20, D)], 1)
    wide = torch.cat([mask, torch.zeros(4, 20, dtype=torch.bool)], 1)  # k would grow
    junk = torch.where(wide[..., None], junk, 50.0)
    a, b = net(x, mask), net(junk, wide)
    torch.testing.assert_close(b.scores[:, :20][mask], a.scores[mask])
    one, two = losses(a, mask, config), losses(b, wide, config)
    for name in one:
        torch.testing.assert_close(two[name], one[name], msg=name)


def test_a_bag_of_one_snippet_has_no_dynamics_and_finite_losses():
    net, config = small(), LANetConfig(**SMALL)
    x, mask = torch.randn(2, 3, D), torch.tensor([[True, False, False]] * 2)
    for da in ("paper", "kl"):
        terms = losses(net(x, mask), mask, LANetConfig(**(SMALL | {"da": da})))
        assert terms["dr"].item() == 0 and terms["da"].item() == pytest.approx(0, abs=1e-6)
        assert all(torch.isfinite(t) for t in terms.values())
    assert torch.isfinite(losses(net(x[:, :1], mask[:, :1]), mask[:, :1], config)["total"])


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_gradients_reach_every_parameter(mode):
    net, (x, mask) = small(**mode), batch()
    losses(net(x, mask), mask, LANetConfig(**(SMALL | mode)))["total"].backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all() and p.grad.any(), name


# bags in


def test_pairs_hold_a_normal_bag_before_an_abnormal_one():
    bags = [bag("n", 0, 6), bag("a", 1, 30, event=3)]
    got = Pairs(bags, 20)[np.array([0])]
    assert got["features"].shape == (1, 2, 20, D) and got["mask"].sum((0, 2)).tolist() == [6, 20]
    np.testing.assert_array_equal(got["features"][0, 0, :6], bags[0].features[0])
    assert not got["features"][0, 0, 6:].any()
    rows = np.linspace(0, 29, 20).round().astype(int)
    assert rows[0] == 0 and rows[-1] == 29 and set(np.diff(rows)) == {1, 2}
    np.testing.assert_array_equal(got["features"][0, 1], bags[1].features[0, rows])


def test_each_partner_comes_once_before_any_comes_again():
    bags = [bag(f"n{i}", 0, 5) for i in range(3)] + [bag(f"a{i}", 1, 8, event=2) for i in range(7)]
    pairs = Pairs(bags, 20)
    assert len(pairs) == 7
    torch.manual_seed(0)
    got = pairs[np.array([6, 0, 1, 2, 3, 5])]["features"]
    abnormal = [bags[3 + i].features[0, 0, 0] for i in (6, 0, 1, 2, 3, 5)]
    np.testing.assert_array_equal(got[:, 1, 0, 0], abnormal)
    firsts = [b.features[0, 0, 0] for b in bags[:3]]
    for part in (got[:3, 0, 0, 0].tolist(), got[3:, 0, 0, 0].tolist()):
        assert sorted(part) == sorted(firsts)
    torch.manual_seed(1)
    assert not torch.equal(pairs[np.arange(6)]["features"][:, 0], got[:, 0])
    other = Pairs([bag(f"n{i}", 0, 5) for i in range(7)] + [bag("a", 1, 8, event=2)], 20)
    assert len(other) == 7 and other[np.arange(7)]["features"].shape == (7, 2, 8, D)


def test_a_batch_reads_its_own_bags_only():
    class Lazy:
        def __init__(self, name):
            self.name, self.shape = name, (2, 8, D)

        def __getitem__(self, crop):
            read.append((self.name, crop))
            return np.zeros((8, D), np.float16)

    read = []
    bags = [Bag(str(i), Lazy(str(i)), 128, i % 2) for i in range(40)]
    got = Pairs(bags, 200)[np.array([4, 11])]
    assert got["features"].dtype == torch.float32 and len(read) == 4
    assert [name for name, _ in read][1::2] == ["9", "23"]  # the abnormal ones at 4 and 11


def test_a_crop_is_drawn_in_training():
    bags = [bag("n", 0, 5, crops=5), bag("a", 1, 8, crops=5, event=2)]
    torch.manual_seed(0)
    firsts = {Pairs(bags, 20)[np.array([0])]["features"][0, 0, 0, 0].item() for _ in range(60)}
    assert firsts == set(bags[0].features[:, 0, 0].tolist())


def test_training_hands_on_what_the_config_and_the_bags_say(monkeypatch):
    """Length, losses' config, and the mask, which both the network and the losses are given."""
    seen, given = [], []

    def spy(out, mask, config):
        seen.append((mask, config))
        return losses(out, mask, config)

    monkeypatch.setattr("vadlib.papers.la_net.detector.losses", spy)
    config = LANetConfig(**SMALL, length=10, mil="paper", train=TrainConfig(epochs=1, batch_size=2))
    model = LANet(config, "cpu")
    model.net.register_forward_pre_hook(lambda net, args: given.append(args[1]))
    model.fit([bag("n", 0, 6), bag("a", 1, 30)], progress=False)
    assert seen[0][1] == config and torch.equal(seen[0][0], given[0])
    assert given[0].sum(1).tolist() == [6, 10]  # the normal one first


def test_bags_that_cannot_be_trained_on():
    with pytest.raises(VadError, match="bag x has no label"):
        Pairs([bag("n"), Bag("x", np.zeros((1, 2, D)), 32)], 20)
    for label, lacks in ((1, "normal"), (0, "abnormal")):
        with pytest.raises(VadError, match=f"none of 2 bags is {lacks}"):
            LANet(LANetConfig(**SMALL), "cpu").fit([bag("a", label), bag("b", label)])
    other = Bag("wide", np.zeros((1, 2, D + 1)), 32, 1)
    model = LANet(LANetConfig(**SMALL), "cpu")
    with pytest.raises(VadError, match=f"bag wide has {D + 1} features a snippet.*takes {D}"):
        model.fit([bag("n"), other])
    with pytest.raises(VadError, match="Set features=13"):
        model.score(other)


# the detector


@pytest.fixture(scope="module")
def trained():
    """Plain MIL and LA-Net, both on eight bags whose event is easy to tell."""
    models = {}
    for name, mode in {"la-net": {}, "plain": PLAIN, "sultani": SULTANI}.items():
        model = LANet(LANetConfig(**(SMALL | mode), sigma=1, train=TOY), "cpu")
        models[name] = model, model.fit(some_bags(), progress=False)
    return models


@pytest.mark.parametrize("name", ["la-net", "plain", "sultani"])
def test_a_toy_is_learned_down_to_the_snippet(trained, name):
    """From labels of bags alone: frames inside the event score above the others of its bag."""
    model, history = trained[name]
    assert np.mean(history.terms["total"][-5:]) < 0.6 * np.mean(history.terms["total"][:5])
    tests = [bag("new", 1, 24, seed=99), *some_bags()[1::2]]
    aucs = [measure.frame_auc(model.score(b).frame, b.labels) for b in tests]
    assert min(aucs) > 0.8 and np.mean(aucs) > 0.9
    calm = [model.score(bag(f"calm {i}", 0, 24, seed=90 + i)).frame.mean() for i in range(4)]
    assert np.mean(calm) < 0.3 * np.mean([model.score(b).frame.max() for b in tests])


def test_scores_repeat_over_the_frames_of_a_snippet(trained):
    model, _ = trained["la-net"]
    b = bag("x", 1, 9)  # 9 snippets, the last of 13 frames
    scores = model.score(b)
    snippets = model.output(b).scores[0].numpy()
    np.testing.assert_array_equal(scores.index, np.arange(141))
    np.testing.assert_allclose(scores.frame, np.repeat(snippets, 16)[:141])
    np.testing.assert_array_equal(scores.labels(b), b.labels)


def test_feature_dynamics_are_kept_beside_the_scores(trained):
    """Term "dynamics": 1 - cosine of a snippet's X^F and that of the one before, mean of crops."""
    model, _ = trained["la-net"]
    b = bag("x", 1, 9, crops=2)
    got, x = model.score(b).terms["dynamics"], [model.output(b, c).features[0] for c in (0, 1)]
    assert not got[:16].any() and len(got) == 141
    expected = [1 - torch.cosine_similarity(f[3], f[4], dim=0).item() for f in x]
    np.testing.assert_allclose(got[64:80], np.mean(expected), rtol=1e-4)


def test_crops_are_averaged(trained):
    model, _ = trained["la-net"]
    b = bag("x", 1, 9, crops=3)
    one = [Bag("x", b.features[i : i + 1], b.length) for i in range(3)]
    expected = np.mean([model.score(part).frame for part in one], 0)
    np.testing.assert_allclose(model.score(b).frame, expected, rtol=1e-6)


def test_a_bag_is_scored_at_its_true_length(trained):
    """Training saw at most 10 snippets a bag; 300 are scored one by one."""
    config = LANetConfig(**SMALL, length=10, train=TrainConfig(epochs=1))
    model = LANet(config, "cpu")
    model.fit(some_bags(4), progress=False)
    assert len(np.unique(model.score(bag("x", 1, 300)).frame)) > 250


def test_the_same_seed_trains_the_same_network():
    def weights(seed):
        config = LANetConfig(**SMALL, train=TrainConfig(epochs=3, batch_size=2, lr=1e-2, seed=seed))
        model = LANet(config, "cpu")
        model.fit(some_bags(6, crops=2), progress=False)
        return torch.cat([p.detach().flatten() for p in model.net.parameters()])

    assert torch.equal(weights(1), weights(1)) and not torch.equal(weights(1), weights(2))


def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    config = LANetConfig(**SMALL, train=TrainConfig(epochs=3, batch_size=2, lr=1e-2))
    whole, halves = LANet(config, "cpu"), LANet(config, "cpu")
    whole.fit(some_bags(), progress=False)
    halves.fit(some_bags(), progress=False, folder=tmp_path, stop_after=3)
    halves.net = LANet.build(config)
    halves.fit(some_bags(), progress=False, folder=tmp_path)
    for a, b in zip(whole.net.parameters(), halves.net.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_network_can_read_what_its_cost_is_measured_on():
    model = LANet(LANetConfig(**SMALL), "cpu")
    assert model.net(*model.cost_inputs((24, 32))).scores.shape == (1, 1)


def test_a_checkpoint_brings_the_scores_back(trained):
    model, _ = trained["la-net"]
    other = detector("la-net", config=model.config, device="cpu")
    other.load_state(model.state())
    b = bag("x", 1, 9)
    np.testing.assert_array_equal(other.score(b).frame, model.score(b).frame)
    with pytest.raises(RuntimeError):
        LANet(LANetConfig(features=D), "cpu").load_state(model.state())


@pytest.mark.parametrize("features", [1, 2, 3])
def test_two_features_have_a_direction_and_one_has_none(features):
    net = small(features=features, attention=False)  # seeds what comes next
    x = torch.randn(2, 5, features)
    found = net.norm(3 * x + 1)
    if features == 1:
        assert torch.equal(found, 3 * x + 1)
    else:
        plain = (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True, correction=0)
        torch.testing.assert_close(found, plain, atol=2e-2, rtol=2e-2)


def test_a_single_feature_can_be_learned_from():
    """The control of chapter 12 sees one number a snippet; normalised, it would be a constant."""
    bags = [replace(b, features=b.features[:, :, :1] + 3 * b.label) for b in some_bags()]
    config = LANetConfig(features=1, attention=False, widths=(8, 8), standardise=True, train=TOY)
    model = LANet(replace(config, train=replace(TOY, epochs=15)), "cpu")
    model.fit(bags, progress=False)
    means = [model.score(b).frame.mean() for b in bags]
    assert min(means[1::2]) > max(means[::2])


# what its claims are judged by


def left(home, name, seeds):
    """A record with kept scores, as `lab.run` leaves it: seed -> [(video, score, dynamics, y)]."""
    runs = []
    for seed, videos in seeds.items():
        scores = [
            Scores(v, np.array(s, float), np.arange(len(s)), terms={"dynamics": np.array(d, float)})
            for v, s, d, _ in videos
        ]
        truth = [records.Truth(v, np.array(y, np.uint8), {}) for v, _, _, y in videos]
        records.write_scores(name, seed, scores)
        sha = records.write_truth(truth).stem.removeprefix("labels-")
        row = {"protocol": "headline", "metric": "auc", "term": "score", "value": 0.5}
        run = dict.fromkeys(("stamp", "data_sha"), "x") | {"seed": seed, "label_sha": sha}
        run |= {"rows": [row], "train_s": 0.0, "wall_s": 0.0, "peak_mb": 0, "cost": {}}
        runs.append(run)
    text = ("method", "data", "profile", "command", "data_sha", "label_sha", "device", "created")
    record = dict.fromkeys(text, "x") | {"name": name, "seeds": list(seeds), "runs": runs}
    record |= {"note": "", "config": {}, "protocols": {}, "commit": "", "versions": {}, "cost": {}}
    record |= {"stamp": "x", "confirmed": [], "results": [records.summary([row] * len(runs))]}
    records.write_record(record)
    return scores, truth


def noisy(seed, names, lift):
    """Videos of ten frames; every second one holds an anomaly, raised by `lift`."""
    rng, found = np.random.default_rng(seed), []
    for name in names:
        y = np.zeros(10)
        y[3:7] = name % 2
        s = np.repeat(rng.normal(size=5), 2) + lift * y
        found.append((f"v{name}", s.astype(np.float32), np.repeat(rng.random(5), 2), y))
    return found


def test_weighted_measures_are_those_of_repeated_videos():
    videos = noisy(0, range(8), 1.0)
    s, y = [v[1] for v in videos], [v[3] for v in videos]
    w = np.array([2, 0, 1, 3, 0, 1, 1, 0])
    many = np.repeat(np.arange(8), w)
    expected = measure.frame_auc([s[i] for i in many], [y[i] for i in many])
    got = evidence.auc(s, y)(np.array([w, np.ones(8), 0 * w, [1, 0, 1, 0, 1, 0, 1, 0]], float))
    assert got[0] == pytest.approx(expected)
    assert got[1] == pytest.approx(measure.frame_auc(s, y)) and np.isnan(got[2:]).all()
    one = evidence.auc([np.array([1.0, 1, 2])], [np.array([0, 1, 1])])(np.ones((1, 1)))
    assert one == 0.75  # a tie counts half
    means = evidence.mean([np.array([1.0, 2]), np.zeros(0), np.array([6.0])])
    assert means(np.array([[1.0, 5, 2]])) == pytest.approx([(1 + 2 + 6 + 6) / 4])


def test_measures_by_hand():
    """Two snippets of two frames a video would be too few: here four, the third abnormal."""
    y = np.array([0, 0, 0, 0, 1, 0, 0, 0])  # a snippet is abnormal where any frame is
    s, d = np.repeat([0.1, 0.2, 0.9, 0.3], 2), np.repeat([0.0, 0.1, 0.6, 0.2], 2)
    odd = Scores("odd", s, np.arange(8), terms={"dynamics": d}), records.Truth("odd", y, {})
    calm = (
        Scores("calm", s[::-1] / 2, np.arange(8), terms={"dynamics": d}),
        records.Truth("calm", 0 * y, {}),
    )
    got = evidence.moves(*odd)
    np.testing.assert_allclose(got, [[0.1, 0.6, 0.2], [0.1, 0.7, 0.6], [0, 1, 1]])
    assert evidence.moves(*calm).shape == (3, 0)
    w, both = np.ones((1, 2)), [odd, calm]
    value = {name: float(m(both)(w)[0]) for name, m in evidence.MEASURES.items()}
    assert value["edges"] == 1.0 and value["whole"] == 1.0
    assert value["inside"] == pytest.approx(6.5 / 7)  # ties with its neighbour in the snippet
    assert value["frames"] == pytest.approx(14.5 / 15)
    assert value["outside"] == pytest.approx((s.sum() - 0.9) / 7)
    assert value["agreement"] == pytest.approx(np.corrcoef(got[0], got[1])[0, 1])


def test_two_records_are_compared_video_by_video_and_seed_by_seed(tmp_path, monkeypatch):
    """Seeds test other videos: a draw is one of all videos, of which each seed takes its own."""
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    drawn = {0: [0, 1, 2, 3, 4, 5], 1: [4, 5, 6, 7, 8, 9], 2: [0, 1, 8, 9]}
    kept = {
        name: {seed: noisy(10 * seed, names, lift) for seed, names in drawn.items()}
        for name, lift in (("good", 2.0), ("bad", 0.3))
    }
    for name, seeds in kept.items():
        left(tmp_path, name, {s: v for s, v in seeds.items() if (name, s) != ("bad", 2)})
    found = evidence.compared("frames", "good", "bad")
    each = {
        name: [measure.frame_auc(*([v[i] for v in kept[name][s]] for i in (1, 3))) for s in (0, 1)]
        for name in kept
    }
    assert found.value == pytest.approx(np.mean(each["good"]) - np.mean(each["bad"]))
    assert 0 < found.low < found.value < found.high and len(found.draws) > 900
    turned = evidence.compared("frames", "good", "bad", sign=-1.0)
    assert (turned.value, turned.low) == pytest.approx((-found.value, -found.high))
    same = evidence.compared("inside", "good", "good")
    assert (same.value, same.low, same.high) == (0, 0, 0)
    alone = evidence.compared("frames", "good", 0.5)
    three = [measure.frame_auc(*([v[i] for v in kept["good"][s]] for i in (1, 3))) for s in drawn]
    assert alone.value == pytest.approx(np.mean(three) - 0.5)
    # what a draw means: counts of all ten videos, the same for both records and all seeds
    w = np.random.default_rng(0).integers(10, size=(1000, 10))
    counts = [np.bincount(p, minlength=10) for p in w]
    by_hand = []
    for c in counts[:20]:
        diff = []
        for s in (0, 1):
            many = [i for i, v in enumerate(drawn[s]) for _ in range(c[v])]
            y = [kept["good"][s][i][3] for i in many]
            one, two = ([kept[k][s][i][1] for i in many] for k in ("good", "bad"))
            diff.append(measure.frame_auc(one, y) - measure.frame_auc(two, y))
        by_hand.append(np.mean(diff))
    np.testing.assert_allclose(found.draws[:20], by_hand)


def test_without_records_nothing_is_compared(tmp_path, monkeypatch):
    monkeypatch.setenv("VADLIB_HOME", str(tmp_path))
    monkeypatch.setattr(records, "INSTALLED", tmp_path / "none")
    assert evidence.compared("frames", "a", "b") is None
    left(tmp_path, "a", {0: noisy(0, range(4), 1.0)})
    assert evidence.compared("frames", "a", "b") is None
    assert evidence.compared("frames", "a", 0.5) is not None
    (tmp_path / "data/scores/a-s0.npz").unlink()
    assert evidence.compared("frames", "a", 0.5) is None


def test_claims_and_tables_are_what_the_paper_prints():
    from vadlib.papers.la_net import claims

    assert len({c.id for c in claims.CLAIMS}) == len(claims.CLAIMS) == 25
    for c in claims.CLAIMS:  # what a record can decide is left to it
        assert (c.verdict == "auto") is not isinstance(c.evidence, str), c.id
    rows = {name: table.rows for name, table in claims.TABLES.items()}
    ucf = {name: float(row[1]) for name, row in rows["Table 1"].items()}
    xd = {name: float(row[1]) for name, row in rows["Table 2"].items()}
    gains = [(ucf, "Zhong et al. [11]", 3.0), (ucf, "Wu et al. [13]", 2.68)]
    gains += [(ucf, "RTFM [20]", 0.82), (xd, "Wu et al. [13]", 5.31), (xd, "RTFM [20]", 2.91)]
    for table, name, gain in gains:  # as its text says
        assert table["DDL (Ours)"] - table[name] == pytest.approx(gain), name
    assert ucf["DDL (Ours)"] - ucf["Sultani et al. [9]"] == pytest.approx(9.71)  # it says 7.2
    for column, gain in ((0, 0.61), (1, 0.77)):
        without, with_ = (float(row[column]) for row in rows["Table 3"].values())
        assert with_ - without == pytest.approx(gain)
    assert rows["Table 4"]["MIL"] == rows["Table 3"]["LA-Net w/ prior G"]
    best = ("DDL (Ours)", ucf, 0), ("DDL (Ours)", xd, 1)
    for name, table, column in best:
        assert float(rows["Table 4"]["MIL, DR, DA"][column]) == table[name]
    for table in claims.TABLES.values():
        for row in [*table.rows.values(), *table.ours.values()]:
            assert len(row) == len(table.columns)


def test_claims_compare_what_they_say():
    """First minus second, on both data sets; where less is better, turned."""
    from vadlib.papers.la_net import claims

    pairs = {
        "prior": ("la-net-mil", "la-net-noprior"),
        "range": ("la-net-mil", "la-net-blur"),
        "dr": ("la-net-dr", "la-net-mil"),
        "da": ("la-net-da", "la-net-mil"),
        "better": ("la-net-da", "la-net-dr"),
        "both": ("la-net", "la-net-da"),
        "consistent": ("la-net-da", "la-net-mil"),
        "suppressed": ("la-net-mil", "la-net"),
        "locates": ("la-net", "la-net-mil"),
    }
    found = {c.id: c.evidence for c in claims.CLAIMS if c.verdict == "auto"}
    for name, pair in pairs.items():
        for short, data in (("plaza", "plaza-bags"), ("ped2", "ped2-weak-flow")):
            e = found.pop(f"la-net-{name}-{short}")
            both = [e.first, e.second][:: -1 if getattr(e, "sign", 1) < 0 else 1]
            assert both == [f"{row}-{data}-standard" for row in pair]
    assert {e.second for e in found.values()} == {0.5}  # the edges, against a coin
