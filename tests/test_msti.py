"""MSTI-Net: its equations by hand, what its network may not see, and its switches."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import odd_squares

from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab import compare
from vadlib.lab.experiment import TrainConfig
from vadlib.lab.records import Truth
from vadlib.measure import frame_auc, score
from vadlib.measure.intervals import Interval
from vadlib.measure.score import regularity_to_score
from vadlib.papers import detector, experiments
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.layers.memory import PrototypeMemory
from vadlib.papers.msti import detector as msti_detector
from vadlib.papers.msti import evidence
from vadlib.papers.msti.config import MSTIConfig
from vadlib.papers.msti.detector import MSTI, distance, regularity, share_used
from vadlib.papers.msti.network import ASTFM, ChannelAttention, MSTINet, Output, conv, losses
from vadlib.see import motion

SMALL = MSTIConfig(
    width=2, items=4, patch=(8, 6), train=TrainConfig(epochs=1, batch_size=4, lr=2e-3)
)


@pytest.fixture(scope="module")
def videos():
    return odd_squares("msti")


@pytest.fixture(scope="module")
def trained(videos):
    model = MSTI(SMALL, "cpu")
    return model, model.fit(videos, progress=False)


def clip(seed=0, batch=2, size=(24, 32)):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 4, 3, *size, generator=g) * 2 - 1, torch.rand(
        batch, 3, 2, *size, generator=g
    )


# ------------------------------------------------------------------------------------ equations


def plain_conv(x, weight, bias):
    """A 3x3 convolution with zeros around, as four loops; x (C, H, W), weight (O, C, 3, 3)."""
    c, h, w = x.shape
    padded = np.zeros((c, h + 2, w + 2))
    padded[:, 1:-1, 1:-1] = x
    out = np.zeros((len(weight), h, w))
    for o in range(len(weight)):
        for i in range(h):
            for j in range(w):
                out[o, i, j] = (padded[:, i : i + 3, j : j + 3] * weight[o]).sum() + bias[o]
    return out


def numpy_of(module):
    return module.weight.detach().double().numpy(), module.bias.detach().double().numpy()


def test_equations_1_and_2_by_loops():
    torch.manual_seed(3)
    block, x = ChannelAttention(3, reduction=1).double(), torch.randn(1, 3, 4, 5).double()
    j1, j2 = (numpy_of(block.body[i]) for i in (0, 2))
    body = plain_conv(np.maximum(plain_conv(x[0].numpy(), *j1), 0), *j2)
    (a, a0), (b, b0) = (numpy_of(block.gate[i]) for i in (0, 2))
    pooled = x[0].numpy().mean((1, 2))
    gate = b[:, :, 0, 0] @ np.maximum(a[:, :, 0, 0] @ pooled + a0, 0) + b0
    expected = x[0].numpy() + body / (1 + np.exp(-gate))[:, None, None]
    assert np.allclose(block(x)[0].detach(), expected)


def test_equation_3_by_hand():
    torch.manual_seed(0)
    module = ASTFM(2).double()
    x_a, x_m = torch.randn(1, 2, 3, 3).double(), torch.randn(1, 2, 3, 3).double()
    (w1, b1), (w2, b2) = (numpy_of(module.weigh[i]) for i in (0, 2))
    out, seen = module(x_a, x_m).detach(), module.channel(x_m).detach()
    for i, j in [(0, 0), (1, 2), (2, 1)]:
        both = np.concatenate([x_a[0, :, i, j], seen[0, :, i, j]])
        hidden = np.maximum(w1[:, :, 0, 0] @ both + b1, 0)
        weight = 1 / (1 + np.exp(-(w2[:, :, 0, 0] @ hidden + b2)))
        assert np.allclose(out[0, :, i, j], x_a[0, :, i, j].numpy() * weight)


def test_fusion_only_turns_appearance_down():
    torch.manual_seed(1)
    module, x_a, x_m = ASTFM(16), 5 * torch.randn(2, 16, 7, 9), torch.randn(2, 16, 7, 9)
    weights = module.attention(x_a, x_m)
    assert ((weights > 0) & (weights < 1)).all()
    assert (module(x_a, x_m).abs() <= x_a.abs()).all()
    assert weights[0, 0].std() > 0  # it differs from place to place
    assert not torch.equal(weights, module.attention(x_a, x_m + 1))  # motion has a say
    module.weigh[2].bias.data.fill_(50.0)  # F -> 1
    assert torch.allclose(module(x_a, x_m), x_a)


def test_equation_4_by_hand():
    memory = PrototypeMemory(2, 2)
    memory.items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    y = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)  # of length 5: cosines 0.6 and 0.8
    read = memory(y)
    w = np.exp(0.6) / (np.exp(0.6) + np.exp(0.8))
    assert read.weights.tolist()[0] == pytest.approx([w, 1 - w])
    assert read.z.flatten().tolist() == pytest.approx([0.6, 0.8, w, 1 - w])
    memory.read = "replace"
    assert memory(y).z.flatten().tolist() == pytest.approx([w, 1 - w])


def test_items_begin_with_length_one():
    assert torch.allclose(PrototypeMemory(6, 5).items.norm(dim=1), torch.ones(6))


def test_the_read_does_not_depend_on_order_or_length():
    torch.manual_seed(0)
    memory, y = PrototypeMemory(6, 5), torch.randn(2, 5, 3, 4)
    read = memory(y)
    assert torch.allclose(read.weights.sum(1), torch.ones(24))
    assert torch.allclose(memory(7 * y).z, read.z, atol=1e-6)
    memory.items = memory.items.flip(0)
    assert torch.allclose(memory(y).z, read.z, atol=1e-6)


def test_equation_5_by_hand():
    """Queries at 0, 30 and 90 degrees; items at 0 and 90, and one that is nearest to none."""
    at = lambda *degrees: torch.tensor(  # noqa: E731
        [[np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees], dtype=torch.float32
    )
    queries, items = at(0, 30, 90), at(0, 90, 200)
    cos = queries.numpy() @ items.numpy().T
    v = np.exp(cos) / np.exp(cos).sum(0)
    expected = items.numpy().copy()
    expected[0] += v[0, 0] / v[:, 0].max() * queries[0].numpy()
    expected[0] += v[1, 0] / v[:, 0].max() * queries[1].numpy()
    expected[1] += v[2, 1] / v[:, 1].max() * queries[2].numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    memory = PrototypeMemory(3, 2)
    memory.items = items
    memory.update(5 * queries.T.reshape(1, 2, 3, 1))
    assert np.allclose(memory.items, expected, atol=1e-6)
    assert torch.allclose(memory.items[2], items[2], atol=1e-6)  # asked by nobody

    printed = items.numpy() + v.T @ queries.numpy()
    printed /= np.linalg.norm(printed, axis=1, keepdims=True)
    memory = PrototypeMemory(3, 2, rule="paper")
    memory.items = items
    memory.update(queries.T.reshape(1, 2, 3, 1))
    assert np.allclose(memory.items, printed, atol=1e-6)


def test_the_update_leaves_no_graph_and_keeps_lengths():
    memory, y = PrototypeMemory(4, 3), torch.randn(2, 3, 4, 4, requires_grad=True)
    for _ in range(5):
        memory.update(y)
    assert not memory.items.requires_grad and memory.items.grad_fn is None
    assert torch.allclose(memory.items.norm(dim=1), torch.ones(4))
    assert list(memory.parameters()) == []  # buffers: the optimiser never sees them


def test_the_printed_update_makes_all_items_alike():
    torch.manual_seed(0)
    y = torch.randn(1, 8, 20, 20) + 0.5  # queries with something in common
    alike = {}
    for rule in ("paper", "mnad"):
        memory = PrototypeMemory(6, 8, rule=rule)
        for _ in range(30):
            memory.update(y)
        alike[rule] = (memory.items @ memory.items.T).min().item()
    assert alike["paper"] > 0.98 and alike["mnad"] < 0.5


def hand_output(weights, y, items):
    """An Output with queries y (Q, C) in one row of positions."""
    q, c = y.shape
    frame = torch.zeros(1, 1, 2, 2)
    return Output(frame, y.T.reshape(1, c, q, 1), weights, items)


def test_equations_6_to_9_by_hand():
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    weights = torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    y = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    out = hand_output(weights, y, items)
    terms = losses(out, torch.tensor([[[[1.0, 2.0], [3.0, 0.0]]]]), SMALL)
    assert terms["int"].item() == pytest.approx((1 + 4 + 9) / 4)
    entropies = [-0.25 * np.log(0.25) - 0.75 * np.log(0.75), np.log(2)]
    assert terms["sep"].item() == pytest.approx(np.mean(entropies))
    cosines = [0.25 / np.hypot(0.25, 0.75), np.sqrt(0.5)]
    assert terms["com"].item() == pytest.approx(np.mean(cosines) - 0.1)
    total = 0.8 * terms["int"] + 3e-4 * terms["sep"] + 1e-3 * terms["com"]
    assert terms["total"].item() == pytest.approx(total.item())


def test_every_weight_of_the_loss_is_the_configs():
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    weights, y = torch.tensor([[0.25, 0.75]]), torch.tensor([[2.0, 0.0]])
    out, target = hand_output(weights, y, items), torch.full((1, 1, 2, 2), 2.0)
    own = {"lambda_i": 0.5, "lambda_s": 7.0, "lambda_c": 11.0, "delta": 0.03}
    terms = losses(out, target, replace(SMALL, **own))
    entropy = -0.25 * np.log(0.25) - 0.75 * np.log(0.75)
    compact = 0.25 / np.hypot(0.25, 0.75) - 0.03
    assert terms["com"].item() == pytest.approx(compact)
    assert terms["total"].item() == pytest.approx(0.5 * 4 + 7 * entropy + 11 * compact)
    opposite = losses(hand_output(weights, -y, items), target, replace(SMALL, delta=0.03))
    assert opposite["com"].item() == pytest.approx(compact)  # the absolute value of the cosine
    strict = losses(out, target, replace(SMALL, delta=0.9))
    assert strict["com"].item() == 0
    mnad = losses(out, target, replace(SMALL, memory_loss="mnad", margin=2.5))
    assert mnad["sep"].item() == pytest.approx(0 - np.sqrt(2) + 2.5, abs=1e-5)


def test_the_losses_of_mnad_by_hand():
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    y = torch.tensor([[3.0, 4.0]])  # (0.6, 0.8): nearest is the second
    config = replace(SMALL, memory_loss="mnad", lambda_s=0.1, lambda_c=0.1)
    terms = losses(hand_output(torch.ones(1, 2) / 2, y, items), torch.zeros(1, 1, 2, 2), config)
    near, far = np.hypot(0.6, 0.2), np.hypot(0.4, 0.8)
    assert terms["sep"].item() == pytest.approx(max(0, near - far + 1), abs=1e-5)
    assert terms["com"].item() == pytest.approx((0.36 + 0.04) / 2)  # a mean over components
    assert terms["total"].item() == pytest.approx(0.1 * (terms["sep"] + terms["com"]).item())


def test_printed_compactness_pushes_apart_and_mnads_pulls():
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])

    def cosine_after_a_step(mode):
        y = torch.tensor([[0.9, 0.5]], requires_grad=True)
        weights = (F.normalize(y, dim=1) @ items.T).softmax(1)
        config = replace(SMALL, memory_loss=mode, lambda_i=0.0, lambda_s=0.0, lambda_c=1.0)
        losses(hand_output(weights, y, items), torch.zeros(1, 1, 2, 2), config)["total"].backward()
        before, after = y.detach(), (y - 0.1 * y.grad).detach()
        target = weights.detach() @ items if mode == "paper" else items[:1]
        return [F.cosine_similarity(v, target).item() for v in (before, after)]

    before, after = cosine_after_a_step("paper")
    assert after < before
    before, after = cosine_after_a_step("mnad")
    assert after > before


def test_equation_10_is_a_mean_of_two_regularities():
    rng = np.random.default_rng(0)
    p, d = rng.random(50), rng.random(50)
    r = regularity(p, d, 0.7)
    assert np.allclose(r, 0.7 * p + 0.3 * (1 - d)) and r.min() >= 0 and r.max() <= 1
    assert regularity(1.0, 0.0, 0.7) == 1 and regularity(0.0, 1.0, 0.7) == pytest.approx(0)
    worse = regularity_to_score(regularity(np.array([0.2, 0.9]), np.array([0.5, 0.5]), 0.7))
    assert worse[0] > worse[1]  # badly predicted: anomalous


def test_distance_and_share_used_by_hand():
    y = torch.tensor([[0.0, 2.0], [3.0, 4.0]]).T.reshape(1, 2, 2, 1)
    items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    far = distance(y, items)
    assert far.shape == (1, 2, 1)
    assert far.flatten().tolist() == pytest.approx([0.0, np.hypot(0.6, 0.2)])
    assert share_used(y, items).tolist() == [0.5]  # both are nearest to the second
    assert share_used(torch.eye(2).reshape(1, 2, 2, 1), items).tolist() == [1.0]


# ---------------------------------------------------------------------------------- the network


def conv_count(c_in, c_out, k=3):
    return c_in * c_out * k * k + c_out


def test_parameters_by_arithmetic():
    """Counted from the description, not from the code: width 64, three levels, bottleneck 512."""
    block = lambda a, b: conv_count(a, b) + 2 * b  # noqa: E731  # with batch normalisation
    total = 0
    for a, m, c in [(12, 6, 64), (64, 64, 128), (128, 128, 256)]:
        total += block(a, c) + block(c, c) + block(m, c) + block(c, c)  # the two streams
        total += 2 * conv_count(c, c) + conv_count(c, c // 16, 1) + conv_count(c // 16, c, 1)
        total += conv_count(2 * c, c, 1) + conv_count(c, c, 1)
    total += block(256, 512) + conv_count(512, 512)  # the latent map
    total += block(1024, 512)  # the decoder reads [y, y_hat]
    for a, b in [(512, 256), (256, 128), (128, 64)]:
        total += conv_count(a, b) + block(2 * b, b)
    total += conv_count(64, 3)
    assert sum(p.numel() for p in MSTINet(MSTIConfig()).parameters()) == total


def described(e, x, m, config):
    """Both streams as the text has them: fuse between two convolutions, then halve."""
    levels = []
    for i in range(3):
        x = e.before[i](x)
        if config.motion:
            m = e.motion[i](m)
            if config.fusion == "astfm":
                x = x * e.fuse[i].weigh(torch.cat([x, e.fuse[i].channel(m)], 1))
            if config.fusion == "concat":
                x = e.fuse[i].mix(torch.cat([x, m], 1))
            m = F.max_pool2d(m, 2, ceil_mode=True)
        levels.append(e.after[i](x))
        x = F.max_pool2d(levels[-1], 2, ceil_mode=True)
    meets = config.motion and config.fusion == "none"
    return e.latent(torch.cat([x, m], 1) if meets else x), levels


STREAMS = [{}, {"fusion": "concat"}, {"fusion": "none"}, {"motion": False}]


@pytest.mark.parametrize("switches", STREAMS, ids=str)
def test_the_encoder_is_as_described(switches):
    config, (frames, flow) = replace(SMALL, **switches), clip(size=(23, 37))
    torch.manual_seed(0)
    encoder = MSTINet(config).eval().encoder
    x, m = frames.flatten(1, 2), 100 * (flow - 0.5).flatten(1, 2)  # large enough for a clip to show
    with torch.no_grad():
        (y, levels), (y2, levels2) = encoder(x, m), described(encoder, x, m, config)
    assert torch.allclose(y, y2, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(levels, levels2, strict=True))


@pytest.mark.parametrize("skip", [True, False])
def test_the_decoder_draws_from_each_level_unless_skips_are_off(skip):
    torch.manual_seed(0)
    decoder = MSTINet(replace(SMALL, skip=skip)).eval().decoder
    z, levels = (
        torch.randn(1, 32, 3, 4),
        [torch.randn(1, 2 << i, 24 >> i, 32 >> i) for i in (0, 1, 2)],
    )
    with torch.no_grad():
        out, x = decoder(z, levels), decoder.first(z)
        for up, mix, level in zip(decoder.up, decoder.mix, levels[::-1], strict=True):
            x = up(x, output_size=level.shape[2:])
            x = mix(torch.cat([x, level], 1) if skip else x)
        assert torch.allclose(out, decoder.out(x), atol=1e-6)
        assert not torch.allclose(out, decoder(0 * z, levels))
        for i in range(3):
            less = [0 * level if i == j else level for j, level in enumerate(levels)]
            assert torch.equal(out, decoder(z, less)) != skip


@pytest.mark.parametrize("read", ["concat", "replace"])
def test_the_decoder_gets_what_was_read(read):
    config, (frames, flow) = replace(SMALL, read=read, items=7, update="paper"), clip()
    torch.manual_seed(0)
    net = MSTINet(config).eval()
    assert net.memory.items.shape == (7, 16) and net.memory.rule == "paper"
    with torch.no_grad():
        out = net(frames, flow)
        y, levels = net.encoder(frames.flatten(1, 2), flow.flatten(1, 2))
        unit = F.normalize(y, dim=1)
        weights = torch.einsum("bchw,nc->bnhw", unit, net.memory.items).softmax(1)
        y_hat = torch.einsum("bnhw,nc->bchw", weights, net.memory.items)
        z = torch.cat([unit, y_hat], 1) if read == "concat" else y_hat
        assert torch.allclose(out.frame, net.decoder(z, levels), atol=1e-5)
        if read == "concat":  # both halves can act
            for half in (slice(0, 16), slice(16, 32)):
                less = z.clone()
                less[:, half] = 0
                assert not torch.equal(net.decoder(z, levels), net.decoder(less, levels))


def test_small_parts_of_the_network():
    assert conv(3, 4)(torch.randn(2, 3, 5, 5)).min() == 0  # a ReLU at the end
    hidden = [ChannelAttention(c).gate[0].out_channels for c in (8, 128)]
    assert hidden == [4, 8]  # a sixteenth, but never fewer than four
    config = replace(SMALL, train=replace(SMALL.train, seed=3))
    one, same, other = (MSTI.build(c).decoder.out.weight for c in (config, config, SMALL))
    assert torch.equal(one, same) and not torch.equal(one, other)


@pytest.mark.parametrize("size", [(24, 32), (23, 37), (16, 17)])
def test_any_size_comes_back(size):
    net = MSTINet(SMALL).eval()
    with torch.no_grad():
        out = net(*clip(size=size))
    assert out.frame.shape == (2, 3, *size)
    assert out.y.shape == (2, 16, -(-size[0] // 8), -(-size[1] // 8))
    assert out.weights.shape == (2 * out.y.shape[2] * out.y.shape[3], 4)


SWITCHES = [
    {},
    {"fusion": "concat"},
    {"fusion": "none"},
    {"motion": False},
    {"memory": False},
    {"skip": False},
    {"read": "replace", "skip": False},
    {"memory_loss": "mnad"},
    {"memory_loss": "none"},
    {"update": "paper"},
    {"fusion": "none", "skip": False, "read": "replace"},
]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_gradients_reach_every_weight_of_both_encoders(switches):
    config = replace(SMALL, **switches)
    torch.manual_seed(0)
    net = MSTINet(config).train()
    frames, flow = clip()
    losses(net(frames, flow), frames[:, 0], config)["total"].backward()
    still = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # a convolution's bias before a batch normalisation is subtracted again: no gradient but noise
    assert not [n for n in still if not n.endswith("0.bias")]
    assert hasattr(net.encoder, "motion") == config.motion


def test_only_fusion_carries_motion_into_appearance():
    frames, flow = clip()
    for switches, hears in [({}, True), ({"fusion": "none"}, False)]:
        torch.manual_seed(0)
        encoder = MSTINet(replace(SMALL, **switches)).eval().encoder
        with torch.no_grad():
            x, m = frames.flatten(1, 2), flow.flatten(1, 2)
            (y, levels), (y2, levels2) = encoder(x, m), encoder(x, m + 3)
        assert not torch.equal(y, y2)  # at the latest, the streams meet after the third level
        assert all(torch.equal(a, b) for a, b in zip(levels, levels2, strict=True)) != hears


def test_without_motion_the_flow_does_not_matter():
    net, (frames, flow) = MSTINet(replace(SMALL, motion=False)).eval(), clip()
    with torch.no_grad():
        assert torch.equal(net(frames, flow).frame, net(frames, 5 * flow).frame)


def test_each_pass_of_training_moves_the_items_and_testing_does_not():
    net, (frames, flow) = MSTINet(SMALL), clip()
    items = net.memory.items.clone()
    net.eval()(frames, flow)
    assert torch.equal(net.memory.items, items)
    out = net.train()(frames, flow)
    assert not torch.equal(net.memory.items, items)
    assert torch.equal(out.items, items)  # what was read is what was there before


def test_unknown_switches_are_refused():
    with pytest.raises(VadError, match="unknown fusion 'sum'"):
        MSTINet(replace(SMALL, fusion="sum"))
    with pytest.raises(VadError, match="unknown update rule"):
        MSTINet(replace(SMALL, update="gradient"))
    with pytest.raises(VadError, match="unknown read"):
        MSTINet(replace(SMALL, read="add"))
    frames, flow = clip()
    with pytest.raises(VadError, match="unknown memory loss"):
        config = replace(SMALL, memory_loss="pull")
        losses(MSTINet(config)(frames, flow), frames[:, 0], config)


# --------------------------------------------------------------------------------- the detector


def predictions(model, video):
    return torch.cat([p.frame for p in model.predict(video)])


def changed(video, frame):
    frames = video.frames.copy()
    frames[frame] = 255 - frames[frame]
    return replace(video, frames=frames, key=f"{video.key}-changed-{frame}")


def test_a_prediction_does_not_see_its_target_or_the_flow_to_it(videos, trained):
    model, video = trained[0], videos[0]
    before = predictions(model, video)
    after = predictions(model, changed(video, 9))
    same = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    # predictions speak for frames 4, 5, ...: frame 9 is the target of the sixth, and an input of
    # the four after it
    assert same == [True] * 6 + [False] * 4
    clips = model.clips([video])
    assert clips[5]["index"].item() == 9 and clips[5]["flow"].shape[1] == 3
    last = clips[5]["flow"][0, -1].permute(1, 2, 0).numpy()
    assert np.array_equal(last, np.asarray(motion.flow(video)[7], np.float32))  # frame 7 to 8


def test_scores_speak_for_the_predicted_frames(videos, trained):
    scores = trained[0].score(videos[0])
    assert scores.index.tolist() == list(range(4, 14))
    assert set(scores.terms) == {"psnr", "memory", "paper", "patch"}
    assert scores.heatmap.shape == (10, 12, 32)  # a quarter of a patch of 8x6 apart
    assert np.allclose(scores.heatmap.max((1, 2)), scores.terms["patch"])
    assert ((scores.facts["memory used"] > 0) & (scores.facts["memory used"] <= 1)).all()


def test_the_score_is_equation_10_in_units_of_training(videos, trained):
    model = trained[0]
    m, s = model.measure(videos[1]), model.score(videos[1])
    mse = m["error"].reshape(10, -1).mean(1)
    assert np.allclose(m["psnr"], 10 * np.log10(4 / mse), atol=1e-4)  # peak 2: from -1 to 1
    (p0, p1), (d0, d1) = model.scale["psnr"], model.scale["distance"]
    z_p, z_d = (m["psnr"] - p0) / p1, (m["distance"] - d0) / d1
    expected = -(0.7 * z_p + 0.3 * (1 - z_d))
    assert np.allclose(s.frame, expected)
    f = lambda x: (x - x.min()) / np.ptp(x)  # noqa: E731
    paper = 0.7 * f(m["psnr"]) + 0.3 * (1 - f(m["distance"]))
    assert np.allclose(s.terms["paper"], -paper) and np.all(paper >= 0) and np.all(paper <= 1)


def test_before_it_has_seen_anything_nothing_is_scaled():
    assert MSTI(SMALL, "cpu").scale == {"psnr": (0.0, 1.0), "distance": (0.0, 1.0)}


def test_usual_is_measured_on_training_videos(videos, trained):
    model = trained[0]
    parts = [model.measure(v, 10) for v in videos]
    assert set(model.scale) == {"psnr", "distance"}
    for name, found in model.scale.items():
        values = np.concatenate([p[name] for p in parts])
        assert found == (pytest.approx(values.mean()), pytest.approx(values.std())), name
    bare = MSTI(replace(SMALL, memory=False), "cpu")
    bare.calibrate(videos)
    assert bare.scale["distance"] == (0.0, 1.0)  # nothing varies: no division by zero


def test_what_is_measured_by_hand(videos, trained):
    model, video = trained[0], videos[1]
    parts = list(model.net.train() and model.predict(video, step=3))
    assert not model.net.training  # batch statistics would make a score depend on its neighbours
    index = np.concatenate([p.index for p in parts])
    assert index.tolist() == [4, 7, 10, 13] == model.score(video, step=3).index.tolist()
    frames = torch.as_tensor(np.asarray(video.frames)[index]).float() / 127.5 - 1
    frames = frames.reshape(4, 24, 32, -1).permute(0, 3, 1, 2)
    predicted = torch.cat([p.frame for p in parts])
    expected = (predicted - frames).square().mean(1)
    m = model.measure(video, step=3)
    assert np.allclose(m["error"], expected, atol=1e-5)
    assert np.allclose(m["distance"], torch.cat([p.distance for p in parts]).mean((1, 2)))
    s = model.score(video)
    assert np.array_equal(s.terms["memory"], model.measure(video)["distance"])


def test_a_score_follows_its_config(videos, trained):
    model, video = trained[0], videos[1]
    own = MSTI(replace(SMALL, tau=0.2, patch=(4, 12)), "cpu")
    own.load_state(model.state())
    m, s = own.measure(video), own.score(video)
    patches = score.pscd(torch.from_numpy(m["error"]), (4, 12))
    assert np.allclose(s.heatmap, patches)
    assert np.allclose(s.terms["patch"], patches.amax((1, 2)))
    (p0, p1), (d0, d1) = own.scale["psnr"], own.scale["distance"]
    z = (m["psnr"] - p0) / p1, (m["distance"] - d0) / d1
    assert np.allclose(s.frame, -(0.2 * z[0] + 0.8 * (1 - z[1])))
    f = [(m[k] - m[k].min()) / np.ptp(m[k]) for k in ("psnr", "distance")]
    assert np.allclose(s.terms["paper"], -(0.2 * f[0] + 0.8 * (1 - f[1])))


def test_fit_shows_the_loss_four_frames_and_the_fifth(videos, monkeypatch):
    seen = {}

    def train(net, clips, loss, config, device, **options):
        batch = clips[np.arange(3)]
        seen.update(loss=loss(net.eval(), batch), batch=batch, net=net, config=config)
        seen.update(options, clips=len(clips))

    monkeypatch.setattr(msti_detector, "train", train)
    asked = []
    monkeypatch.setattr(motion, "flow", lambda v, kind: asked.append(kind) or np.zeros(
        (len(v) - 1, *v.size, 2), np.float16))  # fmt: skip
    config = replace(SMALL, in_channels=1, flow="raft", train=replace(SMALL.train, epochs=9))
    model = MSTI(config, "cpu")
    model.fit(videos, stop_after=2)
    assert seen["clips"] == 20 and seen["config"].epochs == 9 and seen["stop_after"] == 2
    assert set(asked) == {"raft"}
    frames = to_input(seen["batch"]["frames"], 1)
    assert frames.shape[1:3] == (5, 1)
    with torch.no_grad():
        out = seen["net"](frames[:, :4], seen["batch"]["flow"])
        expected = losses(out, frames[:, 4], config)
    assert seen["loss"]["total"].item() == pytest.approx(expected["total"].item())
    assert model.scale["psnr"] != (0.0, 1.0)  # and then finds out what is usual
    assert next(iter(model.predict(videos[0]))).frame.shape[1] == 1


def test_the_worst_patch_by_brute_force(videos, trained):
    model = trained[0]
    error = model.measure(videos[0])["error"][3]
    padded = np.pad(error, ((4, 4), (3, 3)))  # more than PSCD's own padding
    sums = [
        padded[i : i + 8, j : j + 6].sum()
        for i in range(padded.shape[0] - 7)
        for j in range(padded.shape[1] - 5)
    ]
    found = model.score(videos[0]).terms["patch"][3]
    assert max(sums) >= found >= 0.8 * max(sums)  # a quarter of a patch apart: near the best one


def test_without_memory_the_score_is_the_psnr(videos):
    model = MSTI(replace(SMALL, memory=False), "cpu")
    scores = model.score(videos[0])
    assert "memory" not in scores.terms and not scores.facts
    assert np.allclose(scores.frame, scores.terms["psnr"])  # in units that nobody has measured


def test_no_state_is_carried_from_one_test_video_to_the_next_unless_asked_for(videos, trained):
    model, (a, b) = trained[0], videos

    def after_a(test_update, threshold=4.0):
        config = replace(model.config, test_update=test_update, test_threshold=threshold)
        other = MSTI(config, "cpu")
        other.load_state(model.state())
        fresh = other.score(b).frame
        other.load_state(model.state())
        other.score(a)
        return fresh, other.score(b).frame

    alone, later = after_a("off")
    assert np.array_equal(alone, later)
    fresh, later = after_a("video")
    assert np.array_equal(fresh, later) and not np.allclose(fresh, alone, atol=0.1)  # adapts in b
    fresh, later = after_a("carry")
    assert not np.allclose(fresh, later, atol=0.1)
    fresh, later = after_a("carry", threshold=0.0)  # nothing is predicted that well
    assert np.allclose(fresh, later) and np.allclose(fresh, alone, atol=0.01)


def test_training_learns_to_predict(videos):
    config = replace(SMALL, width=4, train=TrainConfig(epochs=15, batch_size=4, lr=1e-2))
    model = MSTI(config, "cpu")
    first = model.measure(videos[0])["error"].mean()
    history = model.fit(videos, progress=False)
    assert model.measure(videos[0])["error"].mean() < 0.3 * first
    assert set(history.terms) == {"total", "int", "sep", "com"}


def test_a_run_that_was_cut_goes_on_with_its_memory(videos, tmp_path):
    whole, cut = MSTI(SMALL, "cpu"), MSTI(SMALL, "cpu")
    whole.fit(videos, progress=False)
    cut.fit(videos, progress=False, folder=tmp_path, stop_after=2)
    cut = MSTI(SMALL, "cpu")
    cut.fit(videos, progress=False, folder=tmp_path)
    assert torch.equal(whole.net.memory.items, cut.net.memory.items)
    assert np.array_equal(whole.score(videos[0]).frame, cut.score(videos[0]).frame)


def test_a_checkpoint_brings_the_same_scores(videos, trained, tmp_path):
    model = trained[0]
    torch.save(model.state(), tmp_path / "x.pt")
    other = detector("msti", config=SMALL, device="cpu")
    other.load_state(torch.load(tmp_path / "x.pt", weights_only=True))
    # training left the weights in another memory format, whose sums round differently
    assert np.allclose(other.score(videos[1]).frame, model.score(videos[1]).frame, atol=0.01)
    assert isinstance(other.score(videos[1]), Scores)
    assert model.state()["config"]["train"]["batch_size"] == 4


def test_its_cost_is_that_of_one_predicted_frame(trained):
    model = trained[0]
    frames, flow = model.cost_inputs((24, 32))
    with torch.no_grad():
        out = model.net.eval()(frames, flow)
    assert frames.shape == (1, 4, 3, 24, 32) and out.frame.shape == (1, 3, 24, 32)


def test_input_is_scaled_and_grey_is_repeated():
    frames = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 1, 2)
    x = to_input(frames, 3)
    assert x.shape == (1, 1, 3, 1, 2) and x[0, 0, 2, 0].tolist() == [-1, 1]


# ----------------------------------------------------------------------------- rows and evidence


@pytest.mark.parametrize("bare", [False, True])
def test_each_rung_of_the_ladders_is_a_row_with_its_own_switches(bare):
    rows = experiments()
    configs = {r: rows[evidence.record(r, bare=bare)].config for r in evidence.RUNGS}
    switches = {
        "A": {"motion": False},
        "B": {"fusion": "none"},
        "C": {"fusion": "concat"},
        "D": {"memory": False},
        "E": {},
    }
    around = {"skip": False, "read": "replace"} if bare else {}
    for rung, config in configs.items():
        made = MSTIConfig(**{k: v for k, v in config.items() if k in MSTIConfig.__annotations__})
        off = replace(MSTIConfig(), **switches[rung], **around)
        assert all(
            getattr(made, k) == getattr(off, k)
            for k in ("motion", "fusion", "memory", "skip", "read", "update", "memory_loss")
        ), rung
    assert evidence.record("B", "plaza-joint", True) == "msti-bare-apart-plaza-joint-standard"


def scored(frame, psnr, paper, labels, name="v", kind="joint", first=0):
    parts = {"psnr": -np.array(psnr, float), "paper": np.array(paper, float)}
    s = Scores(name, np.array(frame, float), np.arange(first, first + len(frame)), terms=parts)
    truth = {"kind": np.array([kind] * (first + len(frame)))}
    return s, Truth(name, np.array([0] * first + labels, np.uint8), truth)


@pytest.fixture
def kept(monkeypatch):
    """Two records of one seed, two videos each; frames that speak for frames 2, 3, ..."""
    tested = {
        "one": [
            scored([0, 2, 1], [30, 20, 26], [1, 6, 3], [0, 1, 0], "v", "joint", 2),
            scored([5, 3, 9, 4], [31, 29, 11, 10], [2, 7, 5, 6], [0, 0, 1, 1], "w", "shape", 2),
        ],
        "two": [
            scored([1, 0, 2], [40, 41, 42], [0, 1, 2], [0, 1, 0], "v", "joint", 2),
            scored([1, 2, 3, 4], [25, 15, 25, 15], [1, 1, 2, 2], [0, 0, 1, 1], "w", "shape", 2),
        ],
    }
    monkeypatch.setattr(compare, "seeds_of", lambda name: [0] if name in tested else [])
    monkeypatch.setattr(compare, "_kept", lambda name, *_: tested[name])
    return tested


def auc_of(pairs, values):
    return frame_auc(values, [t.labels[s.index] for s, t in pairs])


def test_how_far_abnormal_frames_stand_out(kept):
    every = compare.compared(evidence.standout(), "one", 0.0).value
    assert every == pytest.approx((30 + 26 + 31 + 29) / 4 - (20 + 11 + 10) / 3)
    found = evidence.Measured("standout", "one", "two", "joint").interval()
    assert found.value == pytest.approx((28 - 20) - (21 - 21))
    assert evidence.Measured("standout", "none").interval() is None


def test_a_step_measures_what_it_is_asked_for(kept, monkeypatch):
    one, two = kept["one"], kept["two"]
    monkeypatch.setattr(evidence, "record", lambda rung, data, bare: {"E": "one", "B": "two"}[rung])
    step = lambda *how, **kw: evidence.step("E", "B", *how, **kw).interval().value  # noqa: E731
    raw = [auc_of(p, [s.frame for s, _ in p]) for p in (one, two)]
    paper = [auc_of(p, [s.terms["paper"] for s, _ in p]) for p in (one, two)]
    psnr = [auc_of(p, [s.terms["psnr"] for s, _ in p]) for p in (one, two)]
    f = lambda x: (x - x.min()) / np.ptp(x)  # noqa: E731
    own = [auc_of(p, [f(s.terms["psnr"]) for s, _ in p]) for p in (one, two)]
    joint = [auc_of(p[:1], [p[0][0].frame]) for p in (one, two)]
    for found, (a, b) in [
        (step(), raw),
        (step("paper's protocol"), paper),
        (step("raw PSNR"), psnr),
        (step("min-max PSNR"), own),
        (step(kind="joint"), joint),
    ]:
        assert found == pytest.approx(a - b)
    differences = [round(a - b, 9) for a, b in (raw, paper, psnr, own, joint)]
    assert len(set(differences)) == 5, differences
    assert evidence.at("one").value == pytest.approx(raw[0])
    assert evidence.AboveChance("one", "paper").interval().value == pytest.approx(paper[0] - 0.5)


def test_an_untrained_rule_is_compared_on_the_same_frames(kept, monkeypatch):
    """A rule that also speaks for frames 0 and 1, where it errs, in other units in each video."""
    rule = [
        Scores("w", np.array([90.0, -90, 50, 40, 70, 60]), np.arange(6)),
        Scores("v", np.array([9.0, -9, 0, 1, 2]), np.arange(5)),
    ]
    monkeypatch.setattr(evidence, "read_scores", lambda name, seed: rule)
    one = kept["one"]
    f = lambda x: (x - x.min()) / np.ptp(x)  # noqa: E731
    theirs = auc_of(one, [f(rule[1].frame[2:]), f(rule[0].frame[2:])])
    ours = auc_of(one, [s.terms["paper"] for s, _ in one])
    found = evidence.OverUntrained("one", "rule").interval()
    assert found.value == pytest.approx(ours - theirs)

    def nothing(name, seed):
        raise VadError("no scores", "Run it.")

    monkeypatch.setattr(evidence, "read_scores", nothing)
    assert evidence.OverUntrained("one", "rule").interval() is None


def test_words_follow_intervals():
    at = lambda low, high: Interval((low + high) / 2, low, high, np.zeros(1))  # noqa: E731
    up, down, open_ = at(0.01, 0.03), at(-0.03, -0.01), at(-0.01, 0.03)
    assert [evidence.told(g) for g in (up, down, open_, None)] == [
        "ahead", "behind", "not told apart", "not run",
    ]  # fmt: skip
    assert evidence.sides({"x": up, "y": down, "z": up}) == "ahead in x and z, behind in y"
    assert evidence.listed("abc") == "a, b and c" and evidence.listed([]) == "none"
    said = [evidence.effect(dict(enumerate(g))) for g in ((up, open_), (open_, down), (open_,))]
    assert said[:2] == ["helps in some measure", "harms in some measure"] and "luck" in said[2]
    assert evidence.effect({"x": up, "y": down}) == "helps in some measures and harms in others"
    assert evidence.effect({"x": up, "y": None}) == "has not been run yet"
