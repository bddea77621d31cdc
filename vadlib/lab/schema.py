"""What a record must be: every field, its type and its range, and that its parts agree."""

from __future__ import annotations

import statistics
from typing import Annotated, Any

from pydantic import Field, model_validator

from vadlib.data.schema import Strict, Text

Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
HEADLINE = ("headline", "auc", "score")


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
