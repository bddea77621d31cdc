"""What a method sees: its AUC on each kind of anomaly, beside the rules that learned nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from vadlib.errors import VadError
from vadlib.lab.compare import seeds_of, term_auc, tested

SEEN = 0.75  # half way from chance to certainty: what an eye chart calls seen
ALL = ""  # the name of all kinds together


@dataclass(frozen=True)
class Sight:
    """AUC, a share of 1, by column and kind ("" is all kinds together).

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


def by_kind(name: str, term: str = "score") -> dict[str, float]:
    """AUC of a term of a record by kind, from its kept scores, mean over seeds; "" is all kinds.

    Raises VadError for a term that it does not have.
    """
    found: dict[str, list[float]] = {}
    for seed in seeds_of(name):
        videos = tested(name, seed)
        if term != "score" and term not in videos[0][0].terms:
            known = ", ".join(["score", *videos[0][0].terms])
            raise VadError(f"{name} has no term {term!r}", f"Use one of: {known}.")
        kinds = {str(k) for _, truth in videos for k in np.unique(truth.truth["kind"])}
        for kind in sorted(kinds | {ALL}):
            value = term_auc(term, kind=kind)(videos)(np.ones((1, len(videos))))
            found.setdefault(kind, []).append(float(value[0]))
    return {kind: sum(values) / len(values) for kind, values in found.items()}


def sight(name: str, terms: Mapping[str, str], rules: Iterable[str]) -> Sight:
    """What a record's method sees, beside the best of some rules' records on the same videos."""
    columns = {label: by_kind(name, term) for label, term in terms.items()}
    known = {rule: by_kind(rule) for rule in rules}
    best = max(known, key=lambda rule: known[rule][ALL])
    return Sight(tuple(next(iter(columns.values()))), columns, best, known[best])
