"""Attributes: how each profile learns, and its experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.lab.experiment import Experiment, Method, everywhere
from vadlib.papers.attributes.config import AttributesConfig

PROFILES: dict[str, dict[str, Any]] = {"smoke": {"points": 2000}, "standard": {}, "full": {}}
METHOD = Method(
    "attributes", "vadlib.papers.attributes.detector:Attributes", AttributesConfig, PROFILES
)
METHODS = [METHOD]
MEASURED = AttributesConfig().views
# By bench_attributes.py in tests: a box is measured on what differs from the empty scene; on
# six *training* videos of Ped2, played at double speed, a fast box was told from the crowd with
# 98.0, by the mean of whole boxes with 96.6. Of 30 films of Plaza with seed 101 and 4,000 boxes of
# training, the largest of the five views had 62.9, the sum of the first four 59.3, the largest of
# those four and deep features 56.3.
CHOSEN = (
    "that the velocity's density is of neighbours: views had been seen on Ped2's test videos; "
    "which views there are, and that the largest speaks, films of Plaza with another seed decided"
)
THEIRS = "by the paper: one bin, two Gaussians and a smoothing of 3 frames for Ped2 alone"
# What the paper has, but for poses, its detector of objects, FlowNet2 and CLIP
PAPER: dict[str, Any] = {
    "views": ("velocity", "deep"),
    "neighbours": 1,
    "components": 5,
    "combine": "sum",
    "smooth": 1,
}
PED2: dict[str, Any] = {"bins": 1, "components": 2}  # its code's own choice there


def _kinds(suffix: str, note: str, **config: Any) -> list[Experiment]:
    """A row on Ped2, Plaza, its kinds, and its level `clear`; without the mixture, nothing is
    drawn."""
    rows = [e for e in everywhere(METHOD, suffix, note, **config) if e.profile != "smoke"]
    plaza = next(e for e in rows if e.data == "plaza")
    rows.append(replace(plaza, name=plaza.name.replace("plaza", "plaza-kinds"), data="plaza-kinds"))
    rows = [e for e in rows if e.data != "plaza-joint"]
    return rows if config.get("components") else [replace(e, seeds=(0,)) for e in rows]


def _paper(suffix: str, note: str, **config: Any) -> list[Experiment]:
    rows = _kinds(suffix, note, **PAPER, **config)
    return [
        replace(e, config=e.config | PED2, chosen=THEIRS) if e.data == "ped2" else e for e in rows
    ]


OURS = [
    *_kinds("", "the largest of the views that are measured"),
    *_kinds("-sum", "their sum", combine="sum"),
    *_kinds("-deep", "with deep features, their sum", combine="sum", views=(*MEASURED, "deep")),
]
KEPT = "attributes-plaza-clear-standard"  # its normal boxes come with each copy: a page asks why
ROWS = [
    *(replace(e, chosen=CHOSEN, committed=(0,) if e.name == KEPT else ()) for e in OURS),
    *_paper("-paper", "velocity and deep features, smoothed over past and future", sigma=3.0),
    *_paper("-paper-raw", "so, not smoothed"),
]
