"""Every method keeps what the interface promises; and what breaks a promise is found."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from test_cuda import CASES, made
from test_local_patterns import TINY as LOCAL

from vadlib import papers
from vadlib.data.bags import Bag
from vadlib.data.base import Video
from vadlib.detector import Scores
from vadlib.errors import VadError
from vadlib.lab.check_detector import check_detector
from vadlib.lab.experiment import TrainConfig
from vadlib.lab.states import different
from vadlib.papers.baselines.rules import FrameIndex, MedianImage

QUICK = TrainConfig(epochs=0.2, batch_size=4)
TRAINED = {
    "maam": {"in_channels": 1, "width": 2, "items": 5, "patch": (6, 6), "train": QUICK},
    "msti": {"in_channels": 1, "width": 2, "items": 3, "patch": (6, 6), "train": QUICK},
    "mdsf": {
        "in_channels": 1, "widths": (4, 4), "crop": (16, 16), "patch": (6, 6), "reduction": 4,
        "student_epochs": 0.2, "gate_epochs": 0.2, "train": QUICK,
    },
    "mdsf-imagenet": {
        "crop": (32, 32), "student_epochs": 0.2, "gate_epochs": 0.2, "train": QUICK,
    },
    "la-net": {"features": 144, "width": 8, "heads": 2, "widths": (4, 3), "train": QUICK},
    "local-patterns": {"train": LOCAL.train, **{
        k: getattr(LOCAL, k) for k in ("itam", "lag", "smooth", "crops", "tubes", "channels")
    }},
}  # fmt: skip
OF_BAGS = {"la-net", "flow-bag"}
TOLD = {"oracle-truth", "oracle-boxes"}  # they ask the scene, which only Plaza answers


def films():
    """Three of 24 frames: a bright square that walks over noise."""
    made = []
    for number in range(3):
        rng = np.random.default_rng(number)
        frames = rng.integers(0, 60, (24, 40, 48, 1), dtype=np.uint8)
        for t in range(24):
            frames[t, 8 + number : 24, 2 + t : 12 + t] = 200 - 30 * number
        made.append(Video(f"film-{number}", frames))
    return made


def bags():
    rng = np.random.default_rng(0)
    features = [rng.random((2, 6, 144), dtype=np.float32) for _ in range(3)]
    return [Bag(f"bag-{i}", x, 96, i % 2) for i, x in enumerate(features)]


def maker(name):
    method = papers.method(name)
    if not method.trained:
        return method.make
    config = replace(method.config_of("smoke"), **TRAINED.get(name, {"train": QUICK}))
    return lambda: method.make(config=config, device="cpu")


@pytest.mark.parametrize("name", sorted(set(papers.methods()) - TOLD))
def test_every_method_keeps_its_promises(name):
    tried = check_detector(maker(name), bags() if name in OF_BAGS else films())
    assert len(tried) >= 7 and all(tried)


BLIND = {"frame-index", "random"}  # they look at no frame


@pytest.mark.parametrize(
    "name", [n for n, m in papers.methods().items() if n not in TOLD | OF_BAGS | BLIND]
)
def test_a_context_is_no_wider_than_what_a_score_looks_at(name):
    model, (film, *_), at = maker(name)(), films(), 12
    if model.context is None:
        pytest.skip("it looks at the film as a whole")
    model.fit(films())
    frames = film.frames.copy()
    frames[at] = 255 - frames[at]
    before, after = model.score(film), model.score(Video("spoilt", frames))
    moved = before.index[before.frame != after.frame]
    assert (moved.max() - at, at - moved.min()) == model.context


def test_charts_are_of_methods_that_score_films():
    assert set(papers.methods()) - set(papers._able()) == OF_BAGS


class Forgetful(FrameIndex):
    def score(self, video):
        found = super().score(video)
        self.calls = getattr(self, "calls", 0) + 1
        return replace(found, frame=found.frame + self.calls)


class Misnamed(FrameIndex):
    def score(self, video):
        return replace(super().score(video), video="somebody")


class Shifted(FrameIndex):
    def score(self, video):
        return replace(super().score(video), index=np.arange(1, len(video) + 1))


class Clairvoyant(FrameIndex):
    context = (0, 0)

    def score(self, video):
        level = video.frames.astype(float).mean((1, 2, 3))
        return Scores(video.name, level - level.mean(), np.arange(len(video)))


class Fragile(FrameIndex):
    def score(self, video):
        video.frames[1]  # a film of one frame has none
        return super().score(video)


class Gambler(FrameIndex):
    def fit(self, videos, config=None):
        np.random.seed(0)
        return super().fit(videos)


class Dicer(FrameIndex):
    def score(self, video):
        torch.rand(1)
        return super().score(video)


class Homeless(FrameIndex):
    def __init__(self):
        torch.manual_seed(0)
        self.net, self.device = torch.nn.Linear(1, 1).eval(), "cpu"


class Vandal(FrameIndex):
    def score(self, video):
        video.frames[0] = 0
        return super().score(video)


class Litterer(FrameIndex):
    def fit(self, videos, config=None):
        open("notes.txt", "w").close()
        return super().fit(videos)


class Amnesiac(MedianImage):
    def state(self):
        return {}

    def load_state(self, state):
        self.image = np.zeros((40, 48, 1), np.float32)


class Deaf(FrameIndex):
    def __init__(self):
        torch.manual_seed(0)
        self.net = torch.nn.Linear(1, 1).eval()

    def score(self, video):
        found, weight = super().score(video), self.net.weight.item()
        return replace(found, frame=found.frame + np.nan_to_num(weight, nan=9.0))


@pytest.mark.parametrize(
    "cls,promise",
    [
        (Forgetful, "do not depend on those before"),
        (Misnamed, "of the video that they name"),
        (Shifted, "of the video that they name"),
        (Clairvoyant, "its context is"),
        (Fragile, "scores a video or refuses it"),
        (Gambler, "random numbers"),
        (Dicer, "random numbers alone"),
        (Homeless, "brings its network home"),
        (Vandal, "a video stays as it is"),
        (Litterer, "outside the cache: it left notes.txt"),
        (Amnesiac, "its state is all"),
        (Deaf, "NaN is refused"),
    ],
)
def test_a_broken_promise_is_found(cls, promise):
    np.random.seed(0)  # as an earlier test may have left them: the Gambler seeds with 0 too
    torch.manual_seed(0)
    with pytest.raises(VadError, match=promise):
        check_detector(cls, films())
    drawn = np.random.random(), torch.rand(1).item()
    np.random.seed(0)
    torch.manual_seed(0)
    assert drawn == (np.random.random(), torch.rand(1).item())  # the check itself moves neither


@pytest.mark.parametrize("name", sorted(set(CASES) - {"mdsf-imagenet"}))  # which fits as MDSF does
def test_a_config_that_is_given_to_fit_is_the_one_that_counts(name, cache):
    """As if the detector had been made with it: the network is drawn anew, from its seed."""
    (late, data), (other, _) = made(name, 0), made(name, 0)
    config = replace(late.config, train=replace(late.config.train, seed=5))
    soon = papers.method(name).make(config=config, device="cpu")
    late.fit(data, config, progress=False)
    for model in (soon, other):
        model.fit(data, progress=False)
    assert late.config == config and not list(different(late.state(), soon.state()))
    assert list(different(late.state()["net"], other.state()["net"]))


@pytest.mark.parametrize("name", ["autoencoder", "predictor", "la-net", "maam", "msti"])
def test_training_is_told_the_device_and_what_is_to_be_kept_where(name, cache, monkeypatch):
    class Told(Exception):
        pass

    def tell(net, clips, loss, config, **options):
        raise Told(options | {"epochs": config.epochs, "clips": len(clips)})

    model, data = made(name, 0)
    module = inspect.getmodule(type(model).fit)
    monkeypatch.setattr(module, "train", tell)
    model.device = "cuda:7"
    with pytest.raises(Told) as told:
        model.fit(data, folder=cache / "here", progress=False)
    (options,) = told.value.args
    assert options["device"] == "cuda:7" and options["progress"] is False
    assert cache / "here" in (options["folder"], options["folder"].parent)
    assert options["epochs"] == model.config.train.epochs and options["clips"] > 0
