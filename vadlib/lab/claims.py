"""What papers claim, what we ran, and a verdict that follows from the evidence; printed tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from vadlib.errors import VadError
from vadlib.lab.compare import compared, seeds_between, term_auc
from vadlib.lab.records import kept, read_record
from vadlib.measure.intervals import Interval

HOLDS, FAILS = "holds", "does not hold here"
UNJUDGED, CONTRADICTED = "cannot be judged at this scale", "contradicted by the paper itself"
VERDICTS = (HOLDS, FAILS, UNJUDGED, CONTRADICTED)
WAITING = "not run yet"


class Evidence(Protocol):
    """Whatever gives an interval in which more is better for the claim; None without records."""

    @property
    def records(self) -> tuple[str, ...]:
        """The names of the records that it is made from."""
        ...

    def interval(self) -> Interval | None:
        """The value and its 95 % interval over videos."""
        ...


@dataclass(frozen=True)
class Difference:
    """AUC of one record minus that of another, on the same videos and seeds.

    term      of the first's scores; other: of the second's, the same when None
    protocol  of `measure.evaluate.PROTOCOLS`; kind: only the videos that hold it (Plaza)
    """

    first: str
    second: str
    term: str = "score"
    other: str | None = None
    protocol: str = "headline"
    kind: str = ""

    @property
    def records(self) -> tuple[str, ...]:
        """Both."""
        return tuple(dict.fromkeys((self.first, self.second)))

    def interval(self) -> Interval | None:
        """First minus second, mean over the seeds; None where scores are missing."""
        one = term_auc(self.term, self.protocol, self.kind)
        two = term_auc(self.other or self.term, self.protocol, self.kind)
        return compared(one, self.first, self.second, other=two)


@dataclass(frozen=True)
class Value:
    """A number of a record, with its spread over seeds."""

    record: str
    metric: str = "auc"
    term: str = "score"
    protocol: str = "headline"

    @property
    def records(self) -> tuple[str, ...]:
        """The one."""
        return (self.record,)

    def row(self) -> dict[str, Any] | None:
        """The result that a record holds; None where there is none."""
        path = kept("results") / f"{self.record}.json"
        rows = read_record(path)["results"] if path.exists() else []
        key = (self.protocol, self.metric, self.term)
        return next((r for r in rows if (r["protocol"], r["metric"], r["term"]) == key), None)


@dataclass(frozen=True)
class Claim:
    """One sentence of a paper, and what became of it here. Raises VadError for another verdict.

    sentence  the paper's own, to the letter; place: where it stands
    ran       what we ran, on which data and at which scale; how many seeds, the records know
    verdict   one of VERDICTS, or "auto": it follows from the evidence, an interval
    since     the date on which its verdict was written
    evidence  an interval that is above zero where the claim holds, a value, or words
    """

    id: str
    sentence: str
    place: str
    ran: str
    verdict: str
    since: str
    evidence: Evidence | Value | str = ""

    def __post_init__(self):
        if self.verdict not in (*VERDICTS, "auto"):
            raise VadError(f"{self.id}: {self.verdict!r} is no verdict", f"Use: {VERDICTS}.")
        if self.verdict == "auto" and isinstance(self.evidence, str | Value):
            raise VadError(f"{self.id} has no interval to judge by", "Give it a Difference.")

    @property
    def records(self) -> tuple[str, ...]:
        """The names of the records behind the evidence; none where it is words."""
        return () if isinstance(self.evidence, str) else self.evidence.records

    @property
    def scale(self) -> str:
        """What we ran, and with how many seeds."""
        count = len(seeds_between(*self.records)) if self.records else 0
        return f"{self.ran}; {count} seed{'s' * (count > 1)}" if count else self.ran

    @property
    def dated(self) -> str:
        """The date of the verdict: when it was written, or when its newest record was made."""
        made = [kept("results") / f"{name}.json" for name in self.records]
        return max([self.since, *(read_record(p)["created"][:10] for p in made if p.exists())])

    def judged(self) -> tuple[str, Interval | None]:
        """The verdict, and the interval of the evidence, where it has one.

        Raises VadError where the interval says the opposite of a verdict that somebody wrote.
        """
        if isinstance(self.evidence, Value) and self.evidence.row() is None:
            return WAITING, None
        if isinstance(self.evidence, str | Value):
            return self.verdict, None
        found = self.evidence.interval()
        if self.verdict in (UNJUDGED, CONTRADICTED):
            return self.verdict, found
        if found is None:
            return WAITING, None
        follows = HOLDS if found.low > 0 else FAILS
        if self.verdict not in ("auto", follows):
            raise VadError(
                f"{self.id}: {self.verdict!r}, and its interval says {follows!r}",
                'Write "auto", or explain why it cannot be judged.',
            )
        return follows, found


@dataclass(frozen=True)
class Printed:
    """A table as the paper prints it, and rows of ours below.

    rows  name -> a cell for each column, as printed; ours: name -> a Value, text or None for each
    """

    caption: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]
    ours: Mapping[str, tuple[Value | str | None, ...]] = field(default_factory=dict)
