"""A dress rehearsal for a GPU: every method takes a step and scores, on one that is not there."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from pretend_cuda import DEVICE, pretend_cuda
from test_la_net import SMALL as LA_NET
from test_la_net import bag
from test_local_patterns import TINY, film

from vadlib import papers
from vadlib.lab.experiment import TrainConfig

STEP = TrainConfig(epochs=0.01, batch_size=2)  # one step
MAAM = {"width": 2, "items": 6, "patch": (8, 6)}
MSTI = {"width": 2, "items": 4, "patch": (8, 6)}
PASSES = {"student_epochs": 0.01, "gate_epochs": 0.01}
MDSF = {"widths": (4, 6, 8), "crop": (32, 48), "patch": (8, 6)} | PASSES
LARGE = replace(TINY.itam, size=64)
PAINTER = {"width": 2, "code": 2, "patch": (8, 6)}
CASES = {
    "autoencoder": [PAINTER],
    "predictor": [PAINTER | {"past": 2, "skip": True}],
    "maam": [MAAM, MAAM | {"memory": False}, MAAM | {"read": "concat", "latent": "pull"}],
    "msti": [
        MSTI,
        MSTI | {"memory": False, "fusion": "concat"},
        MSTI | {"memory_loss": "mnad", "update": "paper", "skip": False, "read": "replace"},
        MSTI | {"fusion": "none", "test_update": "video", "test_threshold": 1e9},
        MSTI | {"motion": False},
    ],
    "mdsf": [
        MDSF,
        MDSF | {"frames": 3, "gap": 1, "gate": "one_plus_sigmoid"},
        MDSF | {"teacher": "random", "gate": "random", "distil": 0.0},
        MDSF | {"gate": "fixed", "scales": "single"},
        MDSF | {"amplify": False, "scales": "unguided"},
    ],
    "mdsf-imagenet": [MDSF | {"widths": (24, 40, 112), "teacher": "random"}],
    "local-patterns": [
        {"lag": 2},
        {"features": "merge", "score": "union"},
        {"features": "random", "score": "space", "space": "gaussian"},
        {"features": "effnet", "itam": LARGE, "predictor": "linear"},
        {"predictor": "smm-paper", "residual": False, "error": "mse", "words": "shuffled"},
        {"itam": replace(TINY.itam, targets="classes"), "predictor": "last"},
        {"predictor": "velocity", "score": "union", "features": "branch1"},
    ],
    "la-net": [
        LA_NET | {"standardise": True},
        LA_NET | {"prior": "logit", "da": "kl"},
        LA_NET | {"prior": "only", "lambda_da": 0.0},
        LA_NET | {"attention": False, "mil": "ranking", "lambda_dr": 0.0, "lambda_da": 0.0},
    ],
}
RUNS = [(name, number) for name, cases in CASES.items() for number in range(len(cases))]


def made(name, number, device="cpu"):
    """A detector of one of the cases above, and what it is to be trained on."""
    method, fields = papers.method(name), CASES[name][number]
    if name == "local-patterns":
        itam = replace(fields.get("itam", TINY.itam), train=STEP)
        config = replace(TINY, **(fields | {"itam": itam, "train": STEP}))
    else:
        config = method.config(**fields, train=STEP)
    videos = [film(f"{n}", [(20 + n, 8, 14, 8, 2), (42, 70, 12, 8, -2)]) for n in range(2)]
    data = [bag("n", 0), bag("a", 1)] if name == "la-net" else videos
    return method.make(config=config, device=device), data


def test_every_trained_method_is_rehearsed():
    # Attributes keeps boxes and trains no network: its one network looks at crops under no gradient
    trained = {m.name for m in papers.methods().values() if m.trained} - {"attributes"}
    assert set(CASES) == trained


@pytest.mark.parametrize("name,number", RUNS)
def test_a_method_trains_and_scores_on_a_gpu_that_is_not_there(name, number, cache, monkeypatch):
    model, data = made(name, number)
    model.device = DEVICE
    with pretend_cuda(monkeypatch):
        model.fit(data, progress=False)
        net = [p.device.type for p in model.net.parameters()]
        found = model.score(data[0])
    assert set(net) <= {"cuda"} or name == "local-patterns"
    assert len(found.frame) > 0 and found.frame.dtype == np.float64
    assert all(type(x) is np.ndarray for x in (found.frame, *found.terms.values()))


def test_what_would_fail_on_a_gpu_fails_here(monkeypatch):
    net = torch.nn.Conv2d(3, 4, 3)
    with pretend_cuda(monkeypatch):
        x = torch.zeros(2, 3, 8, 8).to(DEVICE)
        for wrong in (
            lambda: x + torch.zeros(2, 3, 8, 8),  # two devices
            lambda: net(x),
            lambda: x @ x.double(),  # two types
            lambda: x.view(2, -1) @ torch.zeros(5, 1).to(DEVICE),  # shapes
            lambda: x.numpy(),  # not copied back
            lambda: torch.cat([x, torch.zeros(2, 3, 8, 8)]),
        ):
            with pytest.raises((RuntimeError, TypeError)):
                wrong()
        net.to(DEVICE)
        with torch.autocast("cuda", torch.bfloat16):
            assert net(x).dtype == torch.bfloat16  # as it would be
        assert x.cpu().numpy().shape == (2, 3, 8, 8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
@pytest.mark.parametrize("name,number", RUNS)
def test_a_method_trains_and_scores_on_a_gpu(name, number, cache):
    model, data = made(name, number, "cuda")
    history = model.fit(data, progress=False)
    assert not history.steps or np.isfinite(list(history.terms.values())[0]).all()
    found = model.score(data[0])
    assert np.isfinite(found.frame).all()
