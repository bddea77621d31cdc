"""Local Patterns: how each profile trains it, and its experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.lab.experiment import Experiment, Method, TrainConfig, everywhere
from vadlib.papers.local_patterns.config import SMALL, ITAMConfig, LocalPatternsConfig
from vadlib.see.objects import ProposalConfig

# Local Patterns: what two cores can do. A crop of 32 pixels holds all that Ped2 shows of a person
# at 128x192. Steps and learning rates are what the time allows; that the change is predicted, and
# errors are whitened, was chosen by the prediction error on *training* videos of Ped2, and by how
# well they are told from themselves at two and three times their speed. "full" is as printed:
# equations 2 to 6 to the letter, one image, single errors. It differs in O = 4 (with 64 equation 6
# overflows, as chapter 11 shows), in branches side by side, in steps and learning rates that warm
# up over 5,000 steps and end at a tenth in the paper, or shrink by 0.99 a pass; and the state
# machine learns from 20,000 tubes, 3.9 GB of features.
STILL: dict[str, Any] = {"lag": 0}
PRINTED = STILL | {"smooth": 1, "predictor": "smm-paper", "residual": False, "error": "mse"}
SMALL_BRANCH: dict[str, Any] = SMALL | {"size": 32, "grid": 4}
TINY_BRANCH: dict[str, Any] = SMALL_BRANCH | {"size": 16, "grid": 2}
STATE_MACHINE = TrainConfig(epochs=20, batch_size=64, lr=1e-3, schedule="cosine")
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "itam": ITAMConfig(**TINY_BRANCH),
        "boxes": ProposalConfig(min_area=180.0, grid=8.0),
        "crops": 960,
        "tubes": 400,
        "train": STATE_MACHINE,
    },
    "standard": {
        "itam": ITAMConfig(**SMALL_BRANCH),
        "crops": 12_800,
        "tubes": 3000,
        "train": STATE_MACHINE,
    },
    "full": PRINTED | {"tubes": 20_000},
}

METHOD = Method(
    "local-patterns",
    "vadlib.papers.local_patterns.detector:LocalPatterns",
    LocalPatternsConfig,
    PROFILES,
)
METHODS = [METHOD]
EFFNET, SPEED = "ImageNet's features in ITAM's place", "no features: the flow in a box"
SPACE: dict[str, Any] = {"score": "space"}
LARGE = replace(ITAMConfig(**SMALL_BRANCH), size=96)
WIDE = replace(ITAMConfig(**SMALL_BRANCH), queries=16)  # one branch, as many features as two
CLASSES = replace(ITAMConfig(**SMALL_BRANCH), targets="classes")


def _kinds(suffix: str, note: str, **config: Any) -> list[Experiment]:
    """A row on Ped2, Plaza, and Plaza's kinds, each alone."""
    rows = [e for e in everywhere(METHOD, suffix, note, **config) if e.profile == "standard"]
    return [
        replace(e, name=e.name.replace("plaza-joint", "plaza-kinds"), data="plaza-kinds")
        if e.data == "plaza-joint"
        else e
        for e in rows
    ]


# A score of the features themselves, the half that the paper names and does not define. That it
# matters was first seen on test videos, and so nothing of it is a default.
FEATURE_ROWS = [
    *_kinds("-space", "how far features are from normal ones", **SPACE),
    *_kinds("-random-space", "so, no words learned", features="random", **SPACE),
    *_kinds("-random-wide-space", "so, 1,024", features="random", itam=WIDE, **SPACE),
    *_kinds("-branch1-space", "so, actions alone", features="branch1", **SPACE),
    *_kinds("-branch2-space", "so, looks, place, neighbours alone", features="branch2", **SPACE),
    *_kinds("-union", "the larger of both scores", score="union"),
    *_kinds("-gaussian", "far from a Gaussian of normal features", space="gaussian", **SPACE),
    *_kinds("-union-velocity", "far, or fast in the flow", score="union", predictor="velocity"),
    *_kinds("-shuffled-space", "captions of other crops", words="shuffled", **SPACE),
    *_kinds("-classes-space", "classes, no text is read", itam=CLASSES, **SPACE),
    *_kinds("-effnet-space", "ImageNet's, at 96 pixels", features="effnet", itam=LARGE, **SPACE),
    *_kinds(
        "-effnet224-space",
        "ImageNet's, at 224 pixels",
        features="effnet",
        itam=replace(LARGE, size=224),
        **SPACE,
    ),
    *_kinds("-merge", "branches merged by cross-attention", features="merge"),
    *_kinds("-merge-space", "so, how far they are", features="merge", **SPACE),
]
RUNGS = [
    *everywhere(METHOD, note="both branches, a Legendre memory a channel"),
    *everywhere(METHOD, "-branch1", "actions alone", features="branch1"),
    *everywhere(METHOD, "-branch2", "looks, place, neighbours alone", features="branch2"),
    *everywhere(METHOD, "-still", "one image at each moment, as in the paper", **STILL),
    *everywhere(METHOD, "-still-branch1", "so, actions alone", features="branch1", **STILL),
    *everywhere(METHOD, "-still-random", "so, no words learned", features="random", **STILL),
    *everywhere(METHOD, "-frame", "errors of single frames, not averaged", smooth=1),
    *everywhere(METHOD, "-mse", "errors as they are, not whitened", error="mse"),
    *everywhere(METHOD, "-absolute", "features predicted, not their change", residual=False),
    *everywhere(METHOD, "-paper", "equations 2-6 as printed", **PRINTED),
    *everywhere(METHOD, "-last", "the last features for the state machine", predictor="last"),
    *everywhere(METHOD, "-linear", "a straight line for it", predictor="linear"),
    *everywhere(METHOD, "-random", "a branch that learned no words", features="random"),
    *everywhere(METHOD, "-effnet", EFFNET, features="effnet"),
    *everywhere(METHOD, "-velocity", SPEED, predictor="velocity"),
]
CHANGED = (  # of all rows but the printed one
    "that anything was changed of the printed method: its AUC on Ped2's test videos had been seen; "
    "what was changed, normal training videos decided"
)
SCORED = (  # of the rows above
    "that features are scored, not only their prediction, by neighbours or a Gaussian, alone or "
    "with the flow: trials on the test videos of Ped2 and Plaza had been seen; k, the quantile and "
    "the controls were set without one"
)
ROWS = [  # nothing in velocity is drawn
    replace(e, seeds=(0,)) if e.name.startswith("local-patterns-velocity") else e for e in RUNGS
]
ROWS += FEATURE_ROWS
ROWS += [  # the rows that a score of features is compared with, on the kinds
    e
    for suffix, config in {
        "": {},
        "-random": {"features": "random"},
        "-branch1": {"features": "branch1"},
        "-branch2": {"features": "branch2"},
    }.items()
    for e in _kinds(suffix, "errors of prediction, on the kinds", **config)
    if e.data == "plaza-kinds"
]
ROWS = [
    replace(e, chosen=SCORED if e.config.get("score") else CHANGED)
    if not e.name.startswith("local-patterns-paper")
    else e
    for e in ROWS
]
