"""MSTI-Net: how each profile trains it, and its experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.lab.experiment import Method, TrainConfig, everywhere
from vadlib.papers.msti.config import MSTIConfig

# Width, steps and learning rate of smoke and standard are what two cores can do. "full" is the
# paper's section III-A on frames of Ped2's native size; what it does not state (width, items,
# batch, epochs) is MNAD's, whose architecture it extends.
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "width": 4,
        "patch": (16, 11),
        "train": TrainConfig(epochs=2, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "width": 8,
        "patch": (16, 11),
        "train": TrainConfig(epochs=3, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    # twice the width of standard, and its passes three times; the rate was not searched for
    "long": {
        "width": 16,
        "patch": (16, 11),
        "train": TrainConfig(10, 4, 1e-3, "wsd", precision="auto", holdout=1),
    },
    "full": {"train": replace(MSTIConfig().train, precision="auto")},
}

METHOD = Method("msti", "vadlib.papers.msti.detector:MSTI", MSTIConfig, PROFILES)
METHODS = [METHOD]
MNAD = {"memory_loss": "mnad", "lambda_s": 0.1, "lambda_c": 0.1}
BARE: dict[str, Any] = {"skip": False, "read": "replace"}
# of Plaza's 15 runs each has a tenth of the time that Ped2's have
NARROW = {"width": 4, "train": replace(PROFILES["standard"]["train"], epochs=2)}

# Table II from the bottom up, A last; then what the paper leaves open
LADDER = [
    *everywhere(METHOD, note="E: both streams, ASTFM, memory", committed=True),
    *everywhere(METHOD, "-nomemory", "D: E without memory", memory=False),
    *everywhere(METHOD, "-concat", "C: direct fusion instead of ASTFM", fusion="concat"),
    *everywhere(METHOD, "-apart", "B: two streams that meet at the end", fusion="none"),
    *everywhere(METHOD, "-appearance", "A: no motion", motion=False),
    *everywhere(METHOD, "-mnad", "memory losses and weights of MNAD", **MNAD),
    *everywhere(METHOD, "-noskip", "no connections around the memory", skip=False),
    # the ladder again where nothing goes around the memory: the decoder has only what was read
    *everywhere(METHOD, "-bare", "E, all through the memory", **BARE),
    *everywhere(METHOD, "-bare-nomemory", "D, no skips", memory=False, **BARE),
    *everywhere(METHOD, "-bare-concat", "C, all through the memory", fusion="concat", **BARE),
    *everywhere(METHOD, "-bare-apart", "B, all through the memory", fusion="none", **BARE),
    *everywhere(METHOD, "-bare-appearance", "A, all through the memory", motion=False, **BARE),
]
ROWS = [replace(e, config=e.config | NARROW) if e.data == "plaza-joint" else e for e in LADDER]

# Rows for a GPU (`vadlib gpu-day`): the method where the decoder has only what the memory read,
# then the rung that its first claim is measured against, then skips.
WORTH = {"msti-bare-ped2-full": 2, "msti-bare-apart-ped2-full": 6, "msti-ped2-full": 7}
