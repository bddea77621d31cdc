"""Rows of the tables: every experiment as a config, and how each profile trains and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vadlib import data as datasets
from vadlib.data import plaza
from vadlib.data.base import Video
from vadlib.detector import Detector
from vadlib.errors import VadError
from vadlib.models import BASELINES, DETECTORS, detector
from vadlib.models.maam import MAAMConfig
from vadlib.models.msti import MSTIConfig
from vadlib.stamp import stamp
from vadlib.train import TrainConfig

PROFILES = ("smoke", "standard", "full")
# profile -> height and width of a frame, and videos and frames a video of Plaza in each split
SIZES = {"smoke": (128, 192), "standard": (128, 192), "full": (240, 360)}
PLAZA = {
    "smoke": {"train": (4, 120), "test": (6, 100)},
    "standard": {"train": (8, 200), "test": (12, 150)},
    "full": {"train": (16, 200), "test": (24, 200)},
}

# A data set that `vadlib.data` does not read: its items by profile, split and seed.
READERS: dict[str, Callable[[str, str, int], list[Any]]] = {}


@dataclass(frozen=True)
class Experiment:
    """One row: a method with a config, on a data set, at a profile.

    seeds      each trains and tests once; the row is their mean
    config     fields of the method's config that differ from its profile
    note       what the row is for
    committed  its checkpoints are part of the repository: chapters load them
    """

    name: str
    method: str
    data: str
    profile: str
    seeds: tuple[int, ...] = (0, 1, 2)
    config: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    committed: bool = False

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.method in TRAINED

    def load(self, split: str, seed: int = 0) -> list[Any]:
        """What it trains or tests on; `seed` draws the split where a data set has none of its own.

        Each item has `name`, `key`, `labels` and a length in frames, as a `Video` has.
        """
        if self.data in READERS:
            return READERS[self.data](self.profile, split, seed)
        return load(self.data, self.profile, split)

    def detector(self, seed: int, device: str = "auto") -> Detector:
        """Its detector, untrained."""
        if self.method == "random":
            return detector("random", seed=seed)
        if not self.trained:
            return detector(self.method)
        config = config_of(self.method, self.profile, self.config)
        config = replace(config, train=replace(config.train, seed=seed))
        return detector(self.method, config=config, device=device)

    @property
    def config_dict(self) -> dict[str, Any]:
        """Its config in full; a baseline has none."""
        return asdict(config_of(self.method, self.profile, self.config)) if self.trained else {}

    @property
    def stamp(self) -> str:
        """Hash of the code and the config that decide its numbers."""
        module = DETECTORS[self.method].split(":")[0]
        return stamp([module, "vadlib.evaluate:evaluate"], self.config_dict)


def load(data: str, profile: str, split: str, **kw: Any) -> list[Video]:
    """The videos of a data set as a profile wants them; kw as for `vadlib.data.load`."""
    if data == "plaza":
        count, length = PLAZA[profile][split]
        kw = {"count": count, "length": length} | kw
    size = kw.pop("size", SIZES[profile])
    return datasets.load(data, split, size=size, **kw)


def _plaza_joint(profile: str, split: str, seed: int) -> list[Video]:
    """Plaza, trained on as ever; of 20 test videos every second one is of the joint kind.

    The standard test set has two videos of each kind: too few to ask whether one kind is seen.
    """
    if split == "train":
        return load("plaza", profile, "train")
    others = [kind for kind in plaza.KINDS if kind != "joint"]
    kinds = [kind for other in others for kind in (other, "joint")]
    return load("plaza", profile, "test", count=20, length=120, kinds=kinds)


READERS["plaza-joint"] = _plaza_joint


# How MAAM-Net is trained at each profile. Width, steps and learning rate of smoke and standard were
# chosen by what two cores can do and by the loss on two *training* videos held out; "full" is the
# paper's section 4.3.
MAAM_PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "width": 8,
        "items": 100,
        "patch": (16, 11),
        "train": TrainConfig(epochs=2, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "width": 8,
        "patch": (16, 11),
        "train": TrainConfig(epochs=4, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "full": {},
}


# MSTI-Net likewise. "full" is the paper's section III-A on frames of Ped2's native size; what it
# does not state (width, items, batch, epochs) is MNAD's, whose architecture it extends.
MSTI_PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "width": 4,
        "patch": (16, 11),
        "train": TrainConfig(epochs=2, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "width": 8,
        "patch": (16, 11),
        "train": TrainConfig(epochs=3, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "full": {},
}


# A trained method: the dataclass of its config, with a field `train`, and its settings by profile.
# Its detector has `net`, `state()` and `load_state(state)` besides `fit` and `score`.
TRAINED: dict[str, tuple[Any, dict[str, dict[str, Any]]]] = {
    "maam": (MAAMConfig, MAAM_PROFILES),
    "msti": (MSTIConfig, MSTI_PROFILES),
}


def config_of(method: str, profile: str, overrides: dict[str, Any] | None = None) -> Any:
    """A trained method's config at a profile, with some fields replaced.

    Raises VadError for an unknown or untrained method, and for an unknown profile.
    """
    if method not in TRAINED:
        known = ", ".join(TRAINED)
        raise VadError(f"{method!r} is not a method that is trained", f"Use one of: {known}.")
    if profile not in PROFILES:
        raise VadError(f"unknown profile {profile!r}", f"Use one of: {', '.join(PROFILES)}.")
    config, profiles = TRAINED[method]
    return config(**(profiles[profile] | (overrides or {})))


def _everywhere(
    method: str, suffix: str = "", note: str = "", committed: bool = False, **config: Any
) -> list[Experiment]:
    """A method with some fields of its config, on every data set and profile that fits."""
    places = [(d, p) for d in ("ped2", "plaza") for p in PROFILES if (d, p) != ("ped2", "smoke")]
    places += [("plaza-joint", "standard")]
    return [
        Experiment(
            name=f"{method}{suffix}-{data}-{profile}",
            method=method,
            data=data,
            profile=profile,
            config=config,
            note=note,
            committed=committed and (data, profile) == ("ped2", "standard"),
        )
        for data, profile in places
    ]


def _msti() -> list[Experiment]:
    """Table II from the bottom up, A last; then what the paper leaves open."""
    mnad = {"memory_loss": "mnad", "lambda_s": 0.1, "lambda_c": 0.1}
    rows = [
        *_everywhere("msti", note="E: both streams, ASTFM, memory", committed=True),
        *_everywhere("msti", "-nomemory", "D: E without memory", memory=False),
        *_everywhere("msti", "-concat", "C: direct fusion instead of ASTFM", fusion="concat"),
        *_everywhere("msti", "-apart", "B: two streams that meet at the end", fusion="none"),
        *_everywhere("msti", "-appearance", "A: no motion", motion=False),
        *_everywhere("msti", "-mnad", "memory losses and weights of MNAD", **mnad),
        *_everywhere("msti", "-noskip", "no connections around the memory", skip=False),
    ]
    # of Plaza's 15 runs each has a quarter of the time that Ped2's have
    narrow = {"width": 4}
    return [replace(e, config=e.config | narrow) if e.data == "plaza-joint" else e for e in rows]


def _maam_long() -> Experiment:
    """Does three times the training change what the motion branch can do?"""
    return Experiment(
        "maam-long-ped2-standard",
        "maam",
        "ped2",
        "standard",
        config={"train": replace(MAAM_PROFILES["standard"]["train"], epochs=12)},
        note="three times the training",
        committed=True,
    )


def _baselines() -> list[Experiment]:
    return [
        Experiment(f"{b}-{d}-standard", b, d, "standard", (0, 1, 2) if b == "random" else (0,))
        for d in ("ped2", "plaza", "plaza-joint")
        for b in BASELINES
    ]


EXPERIMENTS: dict[str, Experiment] = {
    e.name: e
    for e in [
        *_baselines(),
        *_everywhere("maam", note="the method, with the latent loss as printed", committed=True),
        *_everywhere("maam", "-pull", "the latent loss that the text describes", latent="pull"),
        *_everywhere("maam", "-none", "no latent loss", latent="none"),
        *_everywhere("maam", "-nomemory", "no memory: the decoders read the encoder", memory=False),
        _maam_long(),
        *_msti(),
    ]
}


def experiment(name: str, profile: str | None = None) -> Experiment:
    """An experiment by name; `profile` replaces the last part of the name.

    Raises VadError for an unknown one.
    """
    if profile is not None:
        name = "-".join(
            [*name.split("-")[:-1], profile] if name.split("-")[-1] in PROFILES else [name, profile]
        )
    if name not in EXPERIMENTS:
        raise VadError(
            f"there is no experiment {name!r}",
            f"`vadlib status` and this list know: {', '.join(EXPERIMENTS)}.",
        )
    return EXPERIMENTS[name]
