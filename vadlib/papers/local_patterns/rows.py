"""Local Patterns: how each profile trains it, and its experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.lab.experiment import Method, TrainConfig, everywhere
from vadlib.papers.local_patterns.config import SMALL, ITAMConfig, LocalPatternsConfig
from vadlib.see.objects import ProposalConfig

# Local Patterns: what two cores can do. A crop of 32 pixels holds all that Ped2 shows of a person
# at 128x192. Steps and learning rates are what the time allows; that the change is predicted, and
# errors are whitened, was chosen by the prediction error on *training* videos of Ped2, and by how
# well they are told from themselves at two and three times their speed. "full" is the paper's
# section 4, but for O = 4.
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
    "full": {},
}

METHOD = Method(
    "local-patterns",
    "vadlib.papers.local_patterns.detector:LocalPatterns",
    LocalPatternsConfig,
    PROFILES,
)
METHODS = [METHOD]
STILL: dict[str, Any] = {"lag": 0}
PRINTED = STILL | {"smooth": 1, "predictor": "smm-paper", "residual": False, "error": "mse"}
EFFNET, SPEED = "ImageNet's features in ITAM's place", "no features: the flow in a box"
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
ROWS = [  # nothing in velocity is drawn
    replace(e, seeds=(0,)) if e.name.startswith("local-patterns-velocity") else e for e in RUNGS
]
