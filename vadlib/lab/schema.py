"""What a record, a checkpoint, a config and a run's settings must be: every field, its type and its
range, and that its parts agree."""

from __future__ import annotations

import json
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from vadlib.data.schema import Strict, Text, first_of
from vadlib.errors import VadError
from vadlib.lab.sets import PROFILES

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Config = TypeVar("Config")
Profile = Annotated[str, AfterValidator(lambda name: _one_of(name, PROFILES))]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Device = Annotated[str, AfterValidator(lambda name: _device(name))]
HEADLINE = ("headline", "auc", "score")


def _one_of(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        raise ValueError(f"{name!r} is none of {', '.join(known)}")
    return name


def _device(name: str) -> str:
    if not re.fullmatch("auto|cpu|mps|cuda(:[0-9]{1,3})?", name):
        raise ValueError(f"{name!r} is none of auto, cpu, cuda, cuda:1, mps")
    return name


class Chapter(Strict):
    """The three parameters of every chapter."""

    PROFILE: Profile
    SEED: Seed
    DEVICE: Device


class Settings(Strict):
    """What the command line may pass to training and testing; None where it was not given."""

    profile: Profile | None = None
    seed: Seed | list[Seed] | None = None
    device: Device = "auto"
    epochs: Annotated[float, Field(gt=0, le=1e6)] | None = None


class Row(Strict):
    """One number of one seed."""

    protocol: Text
    metric: Text
    term: Text
    value: Finite

    @property
    def key(self) -> tuple[str, str, str]:
        """What the number is of."""
        return self.protocol, self.metric, self.term


class Result(Strict):
    """The same number over the seeds: its values, their mean and sample deviation."""

    protocol: Text
    metric: Text
    term: Text
    values: Annotated[list[Finite], Field(min_length=1)]
    mean: Finite
    sd: Seconds | None

    @model_validator(mode="after")
    def _adds_up(self) -> Result:
        mean = statistics.fmean(self.values)
        sd = statistics.stdev(self.values) if len(self.values) > 1 else None
        spread = abs((sd or 0) - (self.sd or 0)) > 1e-9 or (sd is None) != (self.sd is None)
        if abs(mean - self.mean) > 1e-9 or spread:
            raise ValueError(f"mean or sd of {self.metric} is not that of its values")
        return self


class Point(Strict):
    """One point of a curve: a share of the training, what it took, and what was measured then."""

    share: Annotated[float, Field(gt=0, le=1)]
    samples: Annotated[int, Field(ge=0)]
    flops: Seconds
    cpu_s: Seconds
    seen: dict[str, Finite]
    held_out: dict[str, Finite]
    rows: Annotated[list[Row], Field(min_length=1)]


class Run(Strict):
    """One seed: what made it, what came out, and the hashes of the files that it left."""

    seed: Annotated[int, Field(ge=0)]
    stamp: Text
    rows: Annotated[list[Row], Field(min_length=1)]
    data_sha: Text
    label_sha: Text
    train_s: Seconds
    wall_s: Seconds
    peak_mb: Annotated[int, Field(ge=0)]
    cost: dict[str, Any]
    files: dict[str, Text] = {}
    curve: list[Point] = []


class Confirmation(Strict):
    """One seed that was run again at later code, and agreed."""

    stamp: Text
    commit: str
    seed: Annotated[int, Field(ge=0)]
    value: Finite
    date: Text


class Record(Strict):
    """A row of a table, and all that a reader needs in order to believe or to repeat it."""

    name: Text
    method: Text
    data: Text
    profile: Text
    note: str
    command: Text
    config: dict[str, Any]
    seeds: Annotated[list[int], Field(min_length=1)]
    results: Annotated[list[Result], Field(min_length=1)]
    protocols: dict[str, dict[str, Any]]
    data_sha: Text
    label_sha: Text
    commit: str
    versions: dict[str, str]
    device: Text
    cost: dict[str, Any]
    stamp: Text
    confirmed: list[Confirmation]
    created: Text
    runs: Annotated[list[Run], Field(min_length=1)]
    sha: str = ""

    @model_validator(mode="after")
    def _agrees(self) -> Record:
        if self.seeds != [run.seed for run in self.runs]:
            raise ValueError("seeds and runs differ")
        keys = [(r.protocol, r.metric, r.term) for r in self.results]
        if keys.count(HEADLINE) != 1:
            raise ValueError(f"{keys.count(HEADLINE)} headline rows")
        if len(set(keys)) < len(keys):
            raise ValueError("a number stands there twice")
        for run in self.runs:
            if [row.key for row in run.rows] != keys:
                raise ValueError(f"the rows of seed {run.seed} are not those of the results")
        for i, result in enumerate(self.results):
            if [run.rows[i].value for run in self.runs] != result.values:
                raise ValueError(f"values of {result.metric} are not those of the runs")
        if {run.stamp for run in self.runs} != {self.stamp}:
            raise ValueError("runs of different code in one record")
        return self


class Progress(Strict):
    """How a training went, as `detector.History` keeps it."""

    seconds: Seconds
    samples: Annotated[int, Field(ge=0)]
    steps: list[int]
    terms: dict[str, list[Finite]]
    cpu_seconds: Seconds = 0
    precision: Text = "float32"
    flops_per_sample: Seconds = 0
    seen: dict[str, Finite] = {}
    held_out: dict[str, Finite] = {}


class Checkpoint(Strict):
    """The weights that a run left, who made them from what, and how training went.

    state            what the detector's `state()` gave: it alone knows the form, and it is asked
    threshold, size  of `vadlib fit`: the score that normal footage stays below, and its (H, W)
    """

    state: dict[str, Any]
    experiment: Text
    stamp: Text
    data_sha: str
    history: Progress
    threshold: Finite | None = None
    size: Annotated[tuple[int, int], Field(strict=False)] | None = None


def config_from(kind: type[Config], content: Any, where: str, remedy: str) -> Config:
    """A method's config out of what a file says, every field of it and no other; of `train`, fields
    that are newer than the file may be missing: how it was trained decides nothing any more.

    Raises VadError naming the field where one is missing, unknown, of another type, not one of the
    choices, negative, or not finite: no config of this library has a use for such a number.
    """
    try:
        text = json.dumps(content)  # as JSON, in which a dict may stand for a dataclass
        made = TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise VadError(f"{where}: {first_of(error)}", remedy) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise VadError(f"{where} is no config ({error})", remedy) from error
    given, known = dict(_leaves(content)), dict(_leaves(asdict(made)))  # type: ignore[call-overload]
    for field in (*known, *given):
        if field.startswith("train.") and field not in given and "train" in content:
            continue
        if field not in given or field not in known:
            what = "is missing" if field not in given else "is no field of it"
            raise VadError(f"{where}: {field} {what}", remedy)
        value = known[field]
        if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0):
            raise VadError(f"{where}: {field} is {value}", remedy)
    return made


def _leaves(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in nested dicts and lists, by the names that lead to it."""
    items = None
    if isinstance(content, dict):
        items = content.items()
    elif isinstance(content, list | tuple):
        items = list(enumerate(content))
    if not items:
        yield name, content
        return
    for key, value in items:
        yield from _leaves(value, f"{name}.{key}" if name else str(key))
