"""Rows of the tables: every experiment as a config, and how each profile trains and tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vadlib import data as datasets
from vadlib.data import features, plaza, weak
from vadlib.data.base import Video
from vadlib.detector import Detector
from vadlib.errors import VadError
from vadlib.models import BASELINES, DETECTORS, detector
from vadlib.models.itam import SMALL as SMALL_ITAM
from vadlib.models.itam import ITAMConfig
from vadlib.models.la_net import LANetConfig
from vadlib.models.local_patterns import LocalPatternsConfig
from vadlib.models.maam import MAAMConfig
from vadlib.models.mdsf import MDSFConfig
from vadlib.models.msti import MSTIConfig
from vadlib.objects import ProposalConfig
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
# Its bags: how many, and frames in each. Filming is what costs; from a cold cache on two cores,
# smoke takes 25 seconds and standard 4 minutes.
PLAZA_BAGS: dict[str, dict[str, dict[str, Any]]] = {
    "smoke": {"train": {"count": 18, "length": 320}, "test": {"count": 12, "length": 320}},
    "standard": {"train": {"count": 100, "length": 640}, "test": {"count": 60, "length": 640}},
    "full": {
        "train": {"count": 200, "length": 960, "size": (128, 192)},
        "test": {"count": 120, "length": 960, "size": (128, 192)},
    },
}

# A data set that `vadlib.data` does not read: its items by profile, split and seed. In those of
# BAGS a video is labelled as a whole, and it is measured by `evaluate.evaluate_bags`.
Reader = Callable[[str, str, int], list[Any]]
READERS: dict[str, Reader] = {}
BAGS: dict[str, Reader] = {}


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

    @property
    def protocol(self) -> str:
        """The function of `vadlib.evaluate` that measures it."""
        return "evaluate_bags" if self.data in BAGS else "evaluate"

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
        return self.stamp_of(self.config_dict)

    def stamp_of(self, config: dict[str, Any]) -> str:
        """Hash of its code together with another config."""
        module = DETECTORS[self.method].split(":")[0]
        return stamp([module, f"vadlib.evaluate:{self.protocol}"], config)


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


def _plaza_kinds(profile: str, split: str, seed: int) -> list[Video]:
    """Plaza, trained on as ever; six test videos of each kind, so that kinds can be told apart."""
    if split == "train":
        return load("plaza", profile, "train")
    return load("plaza", profile, "test", count=6 * len(plaza.KINDS), length=100)


def _plaza_bags(extractor: str) -> Reader:
    return lambda profile, split, seed: weak.plaza_bags(
        split, extractor=extractor, **PLAZA_BAGS[profile][split]
    )


def _ped2_bags(extractor: str) -> Reader:
    return lambda profile, split, seed: weak.ped2_bags(split, seed, extractor, SIZES[profile])


BAGS |= {
    "plaza-bags": _plaza_bags("flow"),
    "plaza-bags-effnet": _plaza_bags("effnet"),
    "ped2-weak": _ped2_bags("effnet"),
    "ped2-weak-flow": _ped2_bags("flow"),
    "ped2-weak-brightness": _ped2_bags("brightness"),
    # the videos of the same draws, for a rule that looks at frames
    "ped2-weak-videos": lambda profile, split, seed: weak.ped2_draw(split, seed, SIZES[profile]),
    "ucf-crime": lambda profile, split, seed: features.load("ucf-crime", split),
    "xd-violence": lambda profile, split, seed: features.load("xd-violence", split),
}
READERS |= {"plaza-joint": _plaza_joint, "plaza-kinds": _plaza_kinds, **BAGS}


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


# MDSF likewise: the paper's learning rate, and widths that come near its 14 million parameters, are
# "full"; widths and passes of the others are what two cores can do. The student has three quarters
# of the channels so that it is lighter than its teacher, as the paper wants it; by pseudo-anomalies
# in two *training* videos held out, an equal one does better (tests/benchmarks/bench_mdsf.py).
MDSF_PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "widths": (16, 32, 64),
        "crop": (96, 128),
        "patch": (16, 11),
        "student_epochs": 2,
        "gate_epochs": 1,
        "train": TrainConfig(epochs=2, batch_size=8, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "widths": (24, 48, 96),
        "crop": (96, 128),
        "patch": (16, 11),
        "student_epochs": 8,
        "gate_epochs": 3,
        "train": TrainConfig(epochs=6, batch_size=8, lr=2e-3, schedule="cosine"),
    },
    "full": {},
}


# Local Patterns: what two cores can do. A crop of 32 pixels holds all that Ped2 shows of a person
# at 128x192. Steps and learning rates are what the time allows; that the change is predicted, and
# errors are whitened, was chosen by the prediction error on *training* videos of Ped2, and by how
# well they are told from themselves at two and three times their speed. "full" is the paper's
# section 4, but for O = 4.
SMALL_BRANCH: dict[str, Any] = SMALL_ITAM | {"size": 32, "grid": 4}
TINY_BRANCH: dict[str, Any] = SMALL_BRANCH | {"size": 16, "grid": 2}
STATE_MACHINE = TrainConfig(epochs=20, batch_size=64, lr=1e-3, schedule="cosine")
LOCAL_PATTERNS_PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "itam": ITAMConfig(**TINY_BRANCH),
        "boxes": ProposalConfig(min_area=180.0, grid=8.0),
        "crops": 960,
        "tubes": 400,
        "train": STATE_MACHINE,
    },
    "standard": {
        "itam": ITAMConfig(**SMALL_BRANCH),
        "crops": 12_800,
        "tubes": 3000,
        "train": STATE_MACHINE,
    },
    "full": {},
}


# LA-Net on our own features. All was chosen on bags of Plaza with other seeds than the book's; the
# paper's sigma of 16 and kernel of 10 snippets are wide where a video has 40. "full" is the paper's
# section 3.2 for UCF-Crime.
SMALL_NET: dict[str, Any] = {
    "features": 144,
    "standardise": True,
    "width": 32,
    "sigma": 2.0,
    "widths": (64, 16),
    "causal_kernel": 3,
    "train": TrainConfig(epochs=60, batch_size=16, lr=3e-3, schedule="cosine"),
}
LA_NET_PROFILES: dict[str, dict[str, Any]] = {
    "smoke": SMALL_NET | {"train": replace(SMALL_NET["train"], epochs=200)},
    "standard": SMALL_NET,
    "full": {},
}


# A trained method: the dataclass of its config, with a field `train`, and its settings by profile.
# Its detector has `net`, `state()` and `load_state(state)` besides `fit` and `score`.
TRAINED: dict[str, tuple[Any, dict[str, dict[str, Any]]]] = {
    "maam": (MAAMConfig, MAAM_PROFILES),
    "mdsf": (MDSFConfig, MDSF_PROFILES),
    "local-patterns": (LocalPatternsConfig, LOCAL_PATTERNS_PROFILES),
    "msti": (MSTIConfig, MSTI_PROFILES),
    "la-net": (LANetConfig, LA_NET_PROFILES),
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


def _mdsf() -> list[Experiment]:
    """Tables 3 to 5, what the paper leaves open about the gates, and three frames for one."""
    rows = [
        *_everywhere("mdsf", note="the method: gates trained, scales guided", committed=True),
        *_everywhere("mdsf", "-random", "gates as printed: no loss reaches them", gate="random"),
        *_everywhere(
            "mdsf", "-printed", "so, and none reaches the teacher", gate="random", distil=0.0
        ),
        *_everywhere("mdsf", "-fixed", "every gate at one half", gate="fixed"),
        *_everywhere("mdsf", "-oneplus", "gates that can amplify", gate="one_plus_sigmoid"),
        *_everywhere("mdsf", "-plain", "Table 3's baseline: no amplification", amplify=False),
        *_everywhere("mdsf", "-unguided", "Table 4: scales added as they are", scales="unguided"),
        *_everywhere(
            "mdsf", "-neither", "only the projections are trained", amplify=False, scales="unguided"
        ),
        *_everywhere("mdsf", "-single", "Table 4: the deepest scale alone", scales="single"),
        *_everywhere("mdsf", "-equal", "a student as large as its teacher", student=1.0),
        *_everywhere("mdsf", "-three", "frames t-3, t, t+3 stacked", committed=True, frames=3),
        *_everywhere("mdsf", "-three-random", "so, gates random", frames=3, gate="random"),
        *_everywhere("mdsf", "-three-fixed", "so, gates at one half", frames=3, gate="fixed"),
    ]
    once = {
        p: replace(MDSF_PROFILES[p].get("train", MDSFConfig().train), epochs=0) for p in PROFILES
    }
    rows = [  # a training of no passes is one step
        replace(e, config=e.config | {"train": once[e.profile]}) if "-printed-" in e.name else e
        for e in rows
    ]
    kinds = [
        replace(e, name=e.name.replace("plaza-joint", "plaza-kinds"), data="plaza-kinds")
        for e in rows
        if e.data == "plaza-joint"
    ]
    return [e for e in rows if e.data != "plaza-joint"] + kinds


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
    # of Plaza's 15 runs each has a tenth of the time that Ped2's have
    narrow = {"width": 4, "train": replace(MSTI_PROFILES["standard"]["train"], epochs=2)}
    return [replace(e, config=e.config | narrow) if e.data == "plaza-joint" else e for e in rows]


def _local_patterns() -> list[Experiment]:
    """The branches, then what each part is measured against."""
    name = "local-patterns"
    still: dict[str, Any] = {"lag": 0}
    printed = still | {"smooth": 1, "predictor": "smm-paper", "residual": False, "error": "mse"}
    effnet, speed = "ImageNet's features in ITAM's place", "no features: the flow in a box"
    rows = [
        *_everywhere(name, note="both branches, a Legendre memory a channel"),
        *_everywhere(name, "-branch1", "actions alone", features="branch1"),
        *_everywhere(name, "-branch2", "looks, place, neighbours alone", features="branch2"),
        *_everywhere(name, "-still", "one image at each moment, as in the paper", **still),
        *_everywhere(name, "-still-branch1", "so, actions alone", features="branch1", **still),
        *_everywhere(name, "-still-random", "so, no words learned", features="random", **still),
        *_everywhere(name, "-frame", "errors of single frames, not averaged", smooth=1),
        *_everywhere(name, "-mse", "errors as they are, not whitened", error="mse"),
        *_everywhere(name, "-absolute", "features predicted, not their change", residual=False),
        *_everywhere(name, "-paper", "equations 2-6 as printed", **printed),
        *_everywhere(name, "-last", "the last features for the state machine", predictor="last"),
        *_everywhere(name, "-linear", "a straight line for it", predictor="linear"),
        *_everywhere(name, "-random", "a branch that learned no words", features="random"),
        *_everywhere(name, "-effnet", effnet, features="effnet"),
        *_everywhere(name, "-velocity", speed, predictor="velocity"),
    ]
    once = f"{name}-velocity"  # nothing in it is drawn
    return [replace(e, seeds=(0,)) if e.name.startswith(once) else e for e in rows]


# LA-Net's ladders: without its two losses (Table 3, and the first row of Table 4), with one, both.
MIL = {"lambda_dr": 0.0, "lambda_da": 0.0}
PLAIN = MIL | {"attention": False}
LA_NET: dict[str, tuple[str, dict[str, Any]]] = {
    "la-net": ("the method: MIL, DR and DA as printed", {}),
    "la-net-kl": ("the method, DA as a divergence", {"da": "kl"}),
    "la-net-mil": ("MIL alone, the prior added after the softmax as printed", MIL),
    "la-net-dr": ("MIL and DR", {"lambda_da": 0.0}),
    "la-net-da": ("MIL and DA as printed", {"lambda_dr": 0.0}),
    "la-net-da-kl": ("MIL and DA as a divergence", {"lambda_dr": 0.0, "da": "kl"}),
    "la-net-noprior": ("MIL alone, plain attention", MIL | {"prior": "none"}),
    "la-net-logit": ("MIL alone, the prior in the logits", MIL | {"prior": "logit"}),
    "la-net-renorm": ("MIL alone, rows with the prior scaled to 1", MIL | {"prior": "renorm"}),
    "mil": ("no attention, MIL with cross-entropy", PLAIN),
    "sultani": ("each snippet alone, ranking", PLAIN | {"causal_kernel": 1, "mil": "ranking"}),
}
# untrained method, data: how many seeds (Ped2 has a draw for each)
UNTRAINED_WEAK = {
    ("flow-bag", "plaza-bags"): 1,
    ("flow-bag", "ped2-weak-flow"): 10,
    ("zero-flow", "ped2-weak-videos"): 10,
}
AIMS = {
    "ucf-crime": "the paper has AUC 85.12",
    "xd-violence": "the paper has AP 80.72",
    "ped2-weak-brightness": "a control that sees only how bright a snippet is",
}


def _weak(row: str, data: str, profile: str, seeds: int, **config: Any) -> Experiment:
    note, switches = LA_NET[row]
    return Experiment(
        name=f"{row}-{data}-{profile}",
        method="la-net",
        data=data,
        profile=profile,
        seeds=tuple(range(seeds)),
        config=switches | config,
        note=f"{note}; {AIMS[data]}" if data in AIMS else note,
    )


def _weak_rows() -> list[Experiment]:
    """The ladders on Plaza, what features change, Ped2 over ten splits, the paper's own data."""
    rows = [_weak(row, "plaza-bags", p, 5) for p in ("smoke", "standard") for row in LA_NET]
    # Ped2 has six pairs of bags to train on: as many steps as on Plaza, of six pairs for sixteen
    steps: dict[str, Any] = {"train": replace(SMALL_NET["train"], epochs=240)}
    for row in ("la-net", "la-net-noprior", "mil", "sultani"):
        rows.append(_weak(row, "plaza-bags-effnet", "standard", 5, features=1424))
        rows.append(_weak(row, "ped2-weak", "standard", 10, features=1424, **steps))
        rows.append(_weak(row, "ped2-weak-flow", "standard", 10, **steps))
    rows.append(_weak("mil", "ped2-weak-brightness", "standard", 10, features=1, **steps))
    xd = {"width": 128, "sigma": 6.0, "causal_kernel": 5, "lambda_dr": 2.0}
    rows.append(_weak("la-net", "ucf-crime", "full", 3))
    rows.append(_weak("la-net", "xd-violence", "full", 3, **xd))
    for (method, data), seeds in UNTRAINED_WEAK.items():
        name = f"{method}-{data}-standard"
        rows.append(Experiment(name, method, data, "standard", tuple(range(seeds))))
    return rows


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
        for d in ("ped2", "plaza", "plaza-joint", "plaza-kinds")
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
        *_mdsf(),
        *_local_patterns(),
        *_weak_rows(),
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
