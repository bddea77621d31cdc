"""What a method sees: its AUC on each kind of anomaly, beside the rules that learned nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SEEN = 0.75  # half way from chance to certainty: what an eye chart calls seen
ALL = ""  # the name of all kinds together


@dataclass(frozen=True)
class Sight:
    """AUC, a share of 1, by column and kind ("" is all kinds together); NaN never: what is missing
    is left out.

    columns  terms of the method, by the names that a page gives them
    rule     the name of the rule that is best over all kinds, and what it has on each
    """

    kinds: tuple[str, ...]
    columns: dict[str, dict[str, float]]
    rule: str
    rules: dict[str, float]

    @property
    def seen(self) -> list[str]:
        """Kinds that some column of the method has at 75 or better, the clearest first."""
        best = {k: max(c[k] for c in self.columns.values()) for k in self.kinds if k != ALL}
        return [k for k in sorted(best, key=lambda k: -best[k]) if best[k] >= SEEN]

    @property
    def gained(self) -> list[str]:
        """Those of them that the rule does not see."""
        return [k for k in self.seen if self.rules.get(k, 0.0) < SEEN]


def by_kind(record: Mapping[str, Any], term: str) -> dict[str, float]:
    """Mean AUC over seeds of a term, by kind; "" is all kinds together."""
    found = {}
    for row in record["results"]:
        if row["protocol"] == "headline" and row["term"] == term:
            if row["metric"] == "auc":
                found[ALL] = row["mean"]
            elif row["metric"].startswith("auc, "):
                found[row["metric"].removeprefix("auc, ")] = row["mean"]
    return found


def sight(
    record: Mapping[str, Any], terms: Mapping[str, str], rules: Iterable[Mapping[str, Any]]
) -> Sight:
    """What a record's method sees, beside the best of some rules' records on the same data."""
    columns = {label: by_kind(record, term) for label, term in terms.items()}
    columns = {label: values for label, values in columns.items() if values}
    known = {rule["name"]: by_kind(rule, "score") for rule in rules}
    best = max(known, key=lambda name: known[name][ALL])
    kinds = tuple(next(iter(columns.values())))
    return Sight(kinds, columns, best, known[best])
