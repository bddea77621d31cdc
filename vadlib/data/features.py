"""Bags of snippets: long videos as rows of features, with a label for the video as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vadlib.errors import VadError


@dataclass(frozen=True, eq=False)
class Bag:
    """One video as snippets of `span` frames, of which only the whole is labelled in training.

    name      unique within a split
    features  (crops, T, D) floats: an array, or one that reads its files when it is indexed
    length    frames of the video; snippet t speaks for frames t*span .. min(t*span+span, length)-1
    label     of the video: 1 where there is an anomaly somewhere in it; None where nobody knows
    labels    (length,) uint8, of its frames; None where nobody knows, and never used in training
    key       hash of the content; truth: what else is known of each frame ("kind": (length,) str)
    masks     None: a bag knows when, not where

    Raises VadError when the parts do not fit together.
    """

    name: str
    features: Any
    length: int
    label: int | None = None
    labels: np.ndarray | None = None
    span: int = 16
    dataset: str = ""
    split: str = ""
    key: str = ""
    truth: dict[str, Any] = field(default_factory=dict)
    masks: None = None

    def __post_init__(self):
        where, shape = f"bag {self.dataset}/{self.name}", self.features.shape
        if len(shape) != 3 or 0 in shape:
            raise VadError(
                f"{where} has features of shape {shape}", "They must be (crops, snippets, D)."
            )
        if self.span < 1 or -(-self.length // self.span) != shape[1]:
            raise VadError(
                f"{where} has {shape[1]} snippets of {self.span} frames for {self.length} frames",
                "Every frame belongs to one snippet; only the last may be shorter.",
            )
        if self.label not in (None, 0, 1):
            raise VadError(f"{where} has the label {self.label!r}", "A label is 0 or 1.")
        if self.labels is not None and len(self.labels) != self.length:
            raise VadError(
                f"{where} has {len(self.labels)} labels for {self.length} frames",
                "Check that the ground truth belongs to this video.",
            )

    def __len__(self) -> int:
        return self.length

    @property
    def snippets(self) -> int:
        """T, the number of snippets."""
        return self.features.shape[1]
