"""Local Patterns: every choice of the paper, and of ours where it leaves one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig
from vadlib.see.objects import ProposalConfig


@dataclass(frozen=True)
class ITAMConfig:
    """One branch. Letters are the paper's; its values, where it states them, in brackets.

    size        side of a crop in pixels (224); channels: of an image, grey is repeated to as many
    lag         frames between two images of the window, the older first: what somebody *does* is
                seen in two; 0 is the paper, one image
    grid        the visual features are resized to grid x grid tokens (16)
    visual      V_d, the width of a visual token (1408)
    queries     N_q (32); width: H_d, of a query and of a word (768); embed: E_d (256)
    blocks      of self-attention, cross-attention and feed-forward; heads: of each attention
    text_blocks of self-attention and feed-forward over the words of a sentence
    temperature at the start; it is learned
    targets     "multi_positive": equal captions are right answers to each other; "one_hot": as
                printed, only a box's own is; a control without a text side, "classes": each
                sentence is a class with a learned vector, its words are never read
    pool        over the queries: "max" as printed, or "mean"
    """

    size: int = 224
    channels: int = 3
    lag: int = 0
    grid: int = 16
    visual: int = 1408
    queries: int = 32
    width: int = 768
    embed: int = 256
    blocks: int = 2
    text_blocks: int = 2
    heads: int = 4
    temperature: float = 0.07
    targets: Literal["multi_positive", "one_hot", "classes"] = "multi_positive"
    pool: Literal["max", "mean"] = "max"
    train: TrainConfig = TrainConfig(epochs=20, batch_size=120, lr=1e-4, schedule="cosine")

    @property
    def images(self) -> int:
        """How many images of its window a crop is made of."""
        return 2 if self.lag else 1

    @property
    def inputs(self) -> int:
        """Channels of all images of a crop."""
        return self.images * self.channels


# What two cores can do: at 128 x 192 a person of Ped2 has 20 pixels a side to begin with
SMALL: dict[str, Any] = {
    "size": 64,
    "grid": 8,
    "visual": 128,
    "queries": 8,
    "width": 64,
    "embed": 64,
    "train": TrainConfig(epochs=1, batch_size=64, lr=1e-3, schedule="cosine"),
}


BRANCHES = {"branch1": (1,), "branch2": (2,), "both": (1, 2), "merge": (1, 2), "random": (1,)}
FEATURES = (*BRANCHES, "effnet")
SCORES, SPACES = ("dynamics", "space", "union"), ("knn", "gaussian")
PREDICTORS = ("smm", "smm-paper", "last", "linear", "velocity")


@dataclass(frozen=True)
class LocalPatternsConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    features   "branch1" (actions), "branch2" (looks, place, neighbours), "both" side by side;
               "merge", the first looking at the second by a cross-attention that is trained with
               the state machine, as in the paper; controls: "random", a branch that was never
               trained; "effnet", EfficientNet-Lite0
    words      what a branch learns from: the "captions" of its crops, or as a control "shuffled",
               the same captions dealt to other crops
    score      of a box: "dynamics", how badly its features are foreseen; "space", how far they are
               from those of normal boxes; "union", the larger of both, each divided by the
               quantile `unit` of its values in training. Never chosen here: "dynamics" came first
    space      of that distance: "knn", mean over the `neighbours` nearest, or "gaussian"
    predictor  "smm", a Legendre memory for each of `channels` mixtures of the features;
               "smm-paper", equation 3 as printed, one memory of one number; controls: "last", the
               features of frame t, and "linear", the line through t - 1 and t; "velocity", no
               features at all: a box's score (its dynamics, in a union) is the mean length of the
               optical flow in it
    lag        frames between the two images that a branch is shown of a window at each moment, so
               that verbs can be *seen*; 0 is the paper, one image
    length     L, the frames that are seen before the one that is predicted
    order      O, the coefficients of a memory (64: the paper; more than L know no more)
    rule       how the memory's equation becomes steps: "zoh" or "bilinear"
    residual   whether the decoder's answer is added to the last features, so that it predicts their
               *change* and never starts worse than "last"; False is the paper
    error      of a box: "whitened", in units of what is usual for each direction of the features in
               training, or "mse"; the paper defines none
    shrink     of the whitening: this part of the mean variance is added to every variance
    smooth     frames over which the errors of one thing are averaged, as far back as its boxes can
               be followed; 1 is the paper
    tubes      how many training tubes at most, evenly spread, the state machine learns from
    crops      how many training crops at most, evenly spread, a branch learns from
    itam       a branch; its lag is the one above, its seed that of `train`
    boxes      how boxes are found
    train      of the state machine
    """

    features: Literal["branch1", "branch2", "both", "merge", "random", "effnet"] = "both"
    words: Literal["captions", "shuffled"] = "captions"
    score: Literal["dynamics", "space", "union"] = "dynamics"
    space: Literal["knn", "gaussian"] = "knn"
    neighbours: int = 5
    unit: float = 0.99
    predictor: Literal["smm", "smm-paper", "last", "linear", "velocity"] = "smm"
    lag: int = 6
    length: int = 5
    order: int = 4
    channels: int = 64
    rule: str = "zoh"
    residual: bool = True
    error: Literal["whitened", "mse"] = "whitened"
    shrink: float = 0.1
    smooth: int = 5
    tubes: int = 100_000
    crops: int = 100_000
    itam: ITAMConfig = ITAMConfig()
    boxes: ProposalConfig = ProposalConfig()
    train: TrainConfig = TrainConfig(epochs=20, batch_size=64, lr=5e-5, schedule="constant")

    def __post_init__(self):
        for name, value, known in (
            ("features", self.features, FEATURES),
            ("predictor", self.predictor, PREDICTORS),
            ("error", self.error, ("whitened", "mse")),
            ("words", self.words, ("captions", "shuffled")),
            ("score", self.score, SCORES),
            ("space", self.space, SPACES),
        ):
            if value not in known:
                raise VadError(f"unknown {name} {value!r}", f"Use one of: {', '.join(known)}.")
        if self.score == "space" and self.predictor == "velocity":
            raise VadError(
                "the flow in a box has no features to be far from others",
                "Use score='union', or another predictor.",
            )
        if isinstance(self.itam, dict):  # a config that was read back from a checkpoint
            made: dict[str, Any] = self.itam | {"train": TrainConfig(**self.itam["train"])}
            object.__setattr__(self, "itam", ITAMConfig(**made))
        if isinstance(self.boxes, dict):
            object.__setattr__(self, "boxes", ProposalConfig(**self.boxes))

    @property
    def branch(self) -> ITAMConfig:
        """The config of a branch, with the lag and the seed of this run."""
        how = replace(self.itam.train, seed=self.train.seed)
        return replace(self.itam, lag=self.lag, train=how)

    @property
    def first(self) -> int:
        """The first frame that has a score: as many lie before it as are looked at."""
        return self.length + self.lag

    @property
    def learns(self) -> bool:
        """Whether the predictor has anything to learn."""
        needed = self.score != "space" or self.features == "merge"  # whose merge learns with it
        return self.predictor in ("smm", "smm-paper") and needed

    @property
    def sees(self) -> bool:
        """Whether any features are looked at."""
        return self.predictor != "velocity" or self.score != "dynamics"

    @property
    def foresees(self) -> bool:
        """Whether the score has an error of prediction in it."""
        return self.predictor != "velocity" and self.score != "space"

    @property
    def width(self) -> int:
        """N, the features of a crop."""
        one = 1280 if self.features == "effnet" else self.itam.queries * self.itam.embed
        return 2 * one if self.features == "both" else one
