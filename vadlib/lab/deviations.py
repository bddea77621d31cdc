"""Where the book does not do what a paper says, or has to choose because it says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vadlib.lab.claims import Difference

SILENT = "The paper does not say."


@dataclass(frozen=True)
class Deviation:
    """One choice of ours in a paper's place, with what it may change.

    says      the paper's own words, to the letter, or SILENT; place: where they stand
    does      what we do; why: the reason; changes: what of the results it may change
    fields    field of the config, as "train.lr" -> the paper's value, which ours is not
    measured  differences of records that say what it changes; none where nobody has measured it
    chapter   the chapter that lists it, where a paper has two
    """

    says: str
    place: str
    does: str
    why: str
    changes: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    measured: tuple[Difference, ...] = ()
    chapter: str = ""


def value_of(config: Any, path: str) -> Any:
    """The value of a field of a config, as "train.lr". Raises AttributeError for an unknown one."""
    for name in path.split("."):
        config = getattr(config, name)
    return config
