"""What more training changes: a measure against the FLOPs that were spent, seed by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from vadlib.errors import VadError

SETTLED = 0.005  # half a point of AUC: what seeds and ties move anyway


@dataclass(frozen=True, eq=False)
class Curve:
    """A measure at P points of one long training, for S seeds.

    shares  (P,) of the training, rising to 1
    flops   (P,) spent until then, mean over seeds; samples (P,) clips seen
    values  (S, P) the measure, a share of 1 for AUC
    loss    (S, P) "total" of the loss on training videos held out; NaN where none were
    """

    shares: np.ndarray
    flops: np.ndarray
    samples: np.ndarray
    values: np.ndarray
    loss: np.ndarray

    @property
    def trend(self) -> str:
        """Where the last stretch leads: "rising", "falling", "flat", or "unsettled".

        Rising and falling are said where every seed agrees and its step is above half a point;
        flat where every step is within half a point; what remains is unsettled.
        """
        last = self.values[:, -1] - self.values[:, -2]
        if (last > SETTLED).all():
            return "rising"
        if (last < -SETTLED).all():
            return "falling"
        return "flat" if (np.abs(last) <= SETTLED).all() else "unsettled"


def curve(
    record: Mapping[str, Any], term: str = "score", metric: str = "auc", protocol: str = "headline"
) -> Curve:
    """The curve of a record that was tested on the way.

    Raises VadError where it was not, and for a measure that it does not hold.
    """
    runs = [run["curve"] for run in record["runs"] if run.get("curve")]
    if not runs:
        raise VadError(
            f"{record['name']} was tested at its end only", "Take a row of the profile long."
        )
    key = protocol, metric, term

    def value(point: Mapping[str, Any]) -> float:
        for row in point["rows"]:
            if (row["protocol"], row["metric"], row["term"]) == key:
                return row["value"]
        raise VadError(f"{record['name']} holds no {metric} of {term} by {protocol}", "See it.")

    def each(get: Any) -> np.ndarray:
        return np.array([[get(point) for point in run] for run in runs], float)

    def loss(point: Mapping[str, Any]) -> float:  # several trainings in a row: that of the last
        parts = [v for k, v in point["held_out"].items() if k.split()[0] == "total"]
        return parts[-1] if parts else np.nan

    return Curve(
        np.array([point["share"] for point in runs[0]]),
        each(lambda p: p["flops"]).mean(0),
        each(lambda p: p["samples"]).mean(0),
        each(value),
        each(loss),
    )


MEANS = {
    "rising": "more training may change the verdict",
    "flat": "more training of this network is not what is missing",
    "falling": "training leads it away from what the score needs",
    "unsettled": "its seeds do not agree on where it leads",
}


def said(of: Curve, what: str) -> str:
    """A sentence on what the last stretch of a curve of AUC says, and what that means."""
    before, after = 100 * of.values[:, -2:].mean(0)
    factor = of.flops[-1] / of.flops[-2]
    trend = {"unsettled": "not settled"}.get(of.trend, of.trend)
    seeds = f"{len(of.values)} seeds" if len(of.values) > 1 else "one seed, no more than a hint"
    return (
        f"{what}: {before:.1f} to {after:.1f} over the last factor of {factor:.1f} in training, "
        f"that is {trend} ({seeds}): {MEANS[of.trend]}."
    )
