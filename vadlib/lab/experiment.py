"""A row of a table: a method with a config, on a data set, at a profile."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from vadlib.detector import Detector
from vadlib.errors import VadError
from vadlib.lab.sets import PROFILES, SETS, DataSet, own_films
from vadlib.lab.stamp import stamp

CURVE = (1 / 30, 1 / 10, 1 / 3)  # shares of a long training after which it is tested too
# Where a stamp does not follow: which data set and protocol are meant is among its roots already,
# and how a stamp is made decides no number.
BEYOND = (
    "vadlib.lab.sets:SETS",
    "vadlib.lab.sets:own_films",
    "vadlib.lab.run:MEASURES",
    "vadlib.lab.experiment:stamp_of",
)


@dataclass(frozen=True)
class TrainConfig:
    """How long, how fast, from which seed.

    epochs      passes over the clips; a fraction is allowed
    batch_size  clips a step, over all processes together
    lr          Adam's learning rate
    schedule    "constant"; "cosine" down to zero at the end; "wsd": constant, and down to zero in
                the last fifth
    seed        decides initial weights, order and dropout
    precision   "float32"; "bfloat16"; "auto": bfloat16 where this machine is faster in it
    holdout     training videos, the last ones, that are kept aside to measure the loss on
    share       of the passes that are trained, 0 < share <= 1: a point on the way
    """

    epochs: float = 1
    batch_size: int = 8
    lr: float = 2e-4
    schedule: str = "constant"
    seed: int = 0
    precision: str = "float32"
    holdout: int = 0
    share: float = 1.0


@dataclass(frozen=True)
class Method:
    """A way to find anomalies: where its detector is, and how each profile trains it.

    detector  "module:class"; it is imported when the method is used, and not before
    config    the dataclass of its config, with a field `train`; None where nothing is trained
    profiles  profile -> fields of the config that differ from its defaults

    The detector of a trained method has `net`, `state()` and `load_state(state)` besides `fit` and
    `score`.
    """

    name: str
    detector: str
    config: Any = None
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.config is not None

    def make(self, **options: Any) -> Detector:
        """Its detector, untrained. Raises VadError for an option that the class does not take."""
        module, cls = self.detector.split(":")
        make = getattr(importlib.import_module(module), cls)
        signature = inspect.signature(make)
        try:
            signature.bind(**options)
        except TypeError as error:
            raise VadError(f"method {self.name!r}: {error}", f"It takes {signature}.") from error
        return make(**options)

    def config_of(self, profile: str, overrides: Mapping[str, Any] | None = None) -> Any:
        """Its config at a profile, with some fields replaced.

        Raises VadError where nothing is trained, and for an unknown profile.
        """
        if not self.trained:
            raise VadError(f"{self.name} is untrained", "It has no config.")
        if profile not in PROFILES:
            raise VadError(f"unknown profile {profile!r}", f"Use one of: {', '.join(PROFILES)}.")
        return self.config(**(dict(self.profiles.get(profile, {})) | dict(overrides or {})))


@dataclass(frozen=True)
class Experiment:
    """One row: a method with a config, on a data set, at a profile.

    seeds      each trains and tests once; the row is their mean
    config     fields of the method's config that differ from its profile
    note       what the row is for
    committed  seeds whose checkpoints are part of the repository: chapters load them
    chosen     what was chosen or changed after results on test videos had been seen; records say it
    curve      shares of the training, below 1, after which it is tested too
    """

    name: str
    method: Method
    data: str
    profile: str
    seeds: tuple[int, ...] = (0, 1, 2)
    config: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    committed: tuple[int, ...] = ()
    chosen: str = "nothing"
    curve: tuple[float, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether there is anything to train."""
        return self.method.trained

    @property
    def set(self) -> DataSet:
        """The data set that it trains and tests on. Raises VadError for an unknown one."""
        if self.data in SETS:
            return SETS[self.data]
        if Path(self.data).is_dir():
            return own_films(self.data)
        raise VadError(
            f"there is no data set {self.data!r}",
            f"Use one of {', '.join(SETS)}, or the path of a folder of films.",
        )

    @property
    def protocol(self) -> str:
        """The function of `measure.evaluate` that measures it."""
        return "evaluate_bags" if self.set.bags else "evaluate"

    def load(self, split: str, seed: int = 0) -> list[Any]:
        """What it trains or tests on; `seed` draws the split where a data set has none of its own.

        Each item has `name`, `key`, `labels` and a length in frames, as a `Video` has.
        """
        return self.set.load(self.profile, split, seed)

    def detector(self, seed: int, device: str = "auto", share: float = 1.0) -> Detector:
        """Its detector, untrained; `fit` trains it for a share of the passes."""
        if self.trained:
            config = self.method.config_of(self.profile, self.config)
            config = replace(config, train=replace(config.train, seed=seed, share=share))
            return self.method.make(config=config, device=device)
        return self.method.make(**({"seed": seed} if self.method.name == "random" else {}))

    @property
    def config_dict(self) -> dict[str, Any]:
        """Its config in full; a baseline has none."""
        return asdict(self.method.config_of(self.profile, self.config)) if self.trained else {}

    @property
    def stamp(self) -> str:
        """Hash of all that decides its numbers: code, config, and what is asked of the data set."""
        return stamp_of(self)


def roots_of(exp: Experiment) -> list[str]:
    """Where the code begins that decides an experiment's numbers."""
    return [
        exp.method.detector,
        exp.set.read,
        f"vadlib.measure.evaluate:{exp.protocol}",
        "vadlib.lab.run:trial",
        "vadlib.lab.experiment:Experiment",
    ]


def stamp_of(exp: Experiment, config: dict[str, Any] | None = None) -> str:
    """The stamp of an experiment; with another config where one is given."""
    asked = {split: exp.set.settings(exp.profile, split) for split in ("train", "test")}
    return stamp(roots_of(exp), [exp.config_dict if config is None else config, asked], BEYOND)


def everywhere(
    method: Method, suffix: str = "", note: str = "", committed: bool = False, **config: Any
) -> list[Experiment]:
    """A method with some fields of its config, on every data set and profile that fits.

    At "long", where its profile has one, it is tested on the way too.
    committed  checkpoints are part of the repository: on Ped2 all seeds', and of the method itself
               one on Plaza's level `clear`, which the default pages load
    """
    kept = {("ped2", "standard"): (0, 1, 2), ("plaza-clear", "standard"): () if suffix else (0,)}
    places = [(d, p) for d in ("ped2", "plaza") for p in PROFILES if (d, p) != ("ped2", "smoke")]
    places += [("plaza-joint", "standard")]
    places += [("plaza-clear", p) for p in ("smoke", "standard", "long")]
    return [
        Experiment(
            name=f"{method.name}{suffix}-{data}-{profile}",
            method=method,
            data=data,
            profile=profile,
            config=config,
            note=note,
            committed=kept.get((data, profile), ()) if committed else (),
            curve=CURVE if profile == "long" else (),
        )
        for data, profile in places
        if profile != "long" or "long" in method.profiles
    ]
