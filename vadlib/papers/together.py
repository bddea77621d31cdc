"""Rows that are made of other papers' rows: before another camera, and in a union (chapter 13)."""

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


def crossed(own: Mapping[str, Experiment]) -> list[Experiment]:
    """A row of Ped2 as it is, but for the cameras: by the names of all papers' rows."""
    return [
        replace(
            own[f"{row}-ped2-standard"],
            name=f"{row}-{cameras}-standard",
            data=cameras,
            seeds=(0,),
            committed=(),
        )
        for row in CROSSED
        for cameras in CAMERAS
    ]


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
