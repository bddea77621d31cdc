"""Attributes: every choice of the paper, and of ours where it leaves one."""

from __future__ import annotations

from dataclasses import dataclass

from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.see.objects import ProposalConfig

# View -> the attributes that it looks at together. The paper has "velocity" and "deep" (and poses,
# whose network is not to be had here); the others are ours. One that names a place asks whether the
# rest of it is usual *there*.
VIEWS: dict[str, tuple[str, ...]] = {
    "velocity": ("flow",),
    "place": ("foot",),
    "course": ("foot", "heading"),
    "looks": ("foot", "size", "shape", "colour"),
    "gait": ("heading", "size", "shape"),
    "unrest": ("foot", "unrest"),
    "deep": ("deep",),
}
MIXED = "velocity"  # the view whose density is a Gaussian mixture in the paper
COMBINED = ("largest", "sum")


@dataclass(frozen=True)
class AttributesConfig:
    """Every choice that the paper states or leaves open; defaults are recommended.

    views       names in `VIEWS`
    bins        directions of the velocity's histogram (8; on Ped2 its code has 1)
    components  Gaussians of the velocity's density (5; on Ped2 its code has 2); with 0, it has
                nearest neighbours as all other views have
    neighbours  k of the other views' nearest neighbours (1)
    combine     "largest" of the views, or their "sum" (the paper's)
    quantile    of training's scores that becomes 1, as their lowest becomes 0 (0.999)
    smooth      a box's score is its mean over as many frames of its past, this one among them (1)
    sigma       the paper's protocol, and no other: frame scores smoothed over past *and future* by
                a Gaussian of so many frames (3); 0 leaves them as they are
    points      boxes of training that are kept, evenly spread (all)
    size        pixels a side of a crop that the network of the view "deep" sees (224, by CLIP)
    train       only its seed counts: it begins the mixture
    """

    views: tuple[str, ...] = ("velocity", "course", "looks", "gait", "unrest")
    bins: int = 8
    components: int = 0
    neighbours: int = 5
    combine: str = "largest"
    quantile: float = 0.999
    smooth: int = 5
    sigma: float = 0.0
    points: int = 6000
    size: int = 64
    boxes: ProposalConfig = ProposalConfig(square=False, enlarge=1.0)
    train: TrainConfig = TrainConfig()

    def __post_init__(self):
        for name, values, known in (
            ("view", self.views, tuple(VIEWS)),
            ("combine", (self.combine,), COMBINED),
        ):
            odd = [v for v in values if v not in known]
            if odd or not values:
                what = f"unknown {name} {odd[0]!r}" if odd else f"no {name} is given"
                raise VadError(what, f"Use some of: {', '.join(known)}.")
        counts = {n: getattr(self, n) for n in ("bins", "neighbours", "smooth", "points")}
        for name, value in counts.items():
            if value < 1:
                raise VadError(f"{name} is {value}", "It counts something: use 1 or more.")
        if isinstance(self.boxes, dict):  # a config that was read back from a checkpoint
            object.__setattr__(self, "boxes", ProposalConfig(**self.boxes))
