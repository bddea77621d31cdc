"""Rows that are made of other papers' rows: before another camera, among ten quiet minutes, and in
a union (chapter 13)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vadlib.lab.experiment import Experiment, Method
from vadlib.lab.union import Union

# Rows of Ped2 that are asked what is left of them when another camera films: one seed of each.
CROSSED = (
    "copy-last",
    "flow-magnitude",
    "zero-flow",
    "motion-gradient",
    "mean-image",
    "median-z",
    "measured",
    "maam",
    "msti",
    "mdsf",
    "local-patterns",
    "local-patterns-space",
    "local-patterns-velocity",
    "attributes",
    "attributes-paper-raw",
)
CAMERAS = ("plaza-to-ped2", "ped2-to-plaza", "plaza-grey")
# Rows of Plaza at its level `clear` that keep watch while nothing happens.
WATCHING = (
    "random",
    "copy-last",
    "flow-magnitude",
    "zero-flow",
    "mean-image",
    "median-z",
    "measured",
    "mdsf",
    "maam",
    "msti",
    "attributes",
    "local-patterns",
    "local-patterns-space",
)

# Whom a union joins was written down before any union was scored: one rule of each family (what
# moves, what looks unlike this place, things with names), and all methods of the book at once.
THREE = ("zero-flow", "median-z", "attributes")
ALL = (*CROSSED[:11], "attributes")  # each once
UNIONS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "union": (THREE, "z", "mean"),
    "union-largest": (THREE, "z", "largest"),
    "union-rank": (THREE, "rank", "mean"),
    "union-all": (ALL, "z", "mean"),
    "union-all-largest": (ALL, "z", "largest"),
    "union-all-rank": (ALL, "rank", "mean"),
}
SEEN = (
    "which methods there are: each one's AUC on these test videos was known before they were "
    "joined; how they are joined, and their scales, training videos and this list decided"
)
JOINED = Method("union", "vadlib.lab.union:Union")


def made_of(own: Mapping[str, Experiment]) -> list[Experiment]:
    """All of them, by the names of all papers' rows."""
    return [*crossed(own), *watching(own), *unions(own)]


def crossed(own: Mapping[str, Experiment]) -> list[Experiment]:
    """Rows of Ped2 before other cameras."""
    return [_moved(own, row, "ped2", cameras) for row in CROSSED for cameras in CAMERAS]


def watching(own: Mapping[str, Experiment]) -> list[Experiment]:
    """Rows of Plaza among everyday life."""
    return [_moved(own, row, "plaza-clear", "plaza-vigil") for row in WATCHING]


def _moved(own: Mapping[str, Experiment], row: str, home: str, data: str) -> Experiment:
    """A row as it is at home, on other data; one seed."""
    name = f"{row}-{data}-standard"
    return replace(own[f"{row}-{home}-standard"], name=name, data=data, seeds=(0,), committed=())


def unions(own: Mapping[str, Experiment]) -> list[Experiment]:
    """Unions of rows of Ped2."""
    return [
        Union(
            f"{name}-ped2-standard",
            JOINED,
            "ped2",
            "standard",
            (0,),
            note=f"{len(parts)} methods, {join} of their {scale}",
            chosen=SEEN,
            parts=tuple(own[f"{part}-ped2-standard"] for part in parts),
            scale=scale,
            join=join,
        )
        for name, (parts, scale, join) in UNIONS.items()
    ]
