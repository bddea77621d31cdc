"""MAAM-Net: how each profile trains it, and its experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.lab.experiment import Experiment, Method, TrainConfig, everywhere
from vadlib.papers.maam.config import MAAMConfig

# How MAAM-Net is trained at each profile. Width, steps and learning rate of smoke and standard were
# chosen by what two cores can do and by the loss on two *training* videos held out; "full" is the
# paper's section 4.3.
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "width": 8,
        "items": 100,
        "patch": (16, 11),
        "train": TrainConfig(epochs=2, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "width": 8,
        "patch": (16, 11),
        "train": TrainConfig(epochs=4, batch_size=4, lr=2e-3, schedule="cosine"),
    },
    # half the paper's width; rates of 1e-3 and 2e-3 leave nearly the same loss on a training video
    # held out after one pass, and the lower one was taken
    "long": {
        "width": 32,
        "patch": (16, 11),
        "train": TrainConfig(10, 4, 1e-3, "wsd", precision="auto", holdout=1),
    },
    "full": {"train": replace(MAAMConfig().train, precision="auto")},
}

# the same for every row; `app`, `mot` and their means do not depend on it
CHOSEN = (
    "the rule for psi: it replaced another one after a first trial in which a sweep over psi on "
    "test videos had been seen"
)

METHOD = Method("maam", "vadlib.papers.maam.detector:MAAM", MAAMConfig, PROFILES)
METHODS = [METHOD]
# the two curves of Figure 6: beta, then zeta
CURVES: dict[str, dict[str, float]] = {
    "beta1e-2": {"beta": 1e-2},
    "beta1": {"beta": 1.0},
    "zeta0": {"zeta": 0.0},
    "zeta5e-1": {"zeta": 0.5},
}
MADE = [
    *everywhere(METHOD, note="the method, with the latent loss as printed", committed=True),
    *everywhere(METHOD, "-pull", "the latent loss that the text describes", latent="pull"),
    *everywhere(METHOD, "-none", "no latent loss", latent="none"),
    *everywhere(METHOD, "-nomemory", "no memory: the decoders read the encoder", memory=False),
    # Table 5's other corners: sparsity of eq. 8, latent loss of eq. 9
    *everywhere(METHOD, "-nosparse", "no sparsity loss", sparse="none"),
    *everywhere(
        METHOD, "-neither", "neither sparsity nor latent loss", sparse="none", latent="none"
    ),
    # what the sparsity loss can do, by its weight
    *everywhere(METHOD, "-alpha3e-3", "ten times the paper's weight of sparsity", alpha=3e-3),
    *everywhere(METHOD, "-alpha3e-2", "a hundred times it", alpha=3e-2),
    *everywhere(METHOD, "-alpha3e-1", "a thousand times it", alpha=3e-1),
    # appearance alone, where the memory can act: motion has no weight, in training or in the score
    *everywhere(METHOD, "-app", "appearance alone", lambda_m=0.0),
    *everywhere(METHOD, "-app-nomemory", "appearance alone, no memory", lambda_m=0.0, memory=False),
    *everywhere(METHOD, "-app-alpha3e-1", "appearance alone, sparse", lambda_m=0.0, alpha=3e-1),
    *(
        Experiment(
            f"maam-{name}-ped2-standard",
            METHOD,
            "ped2",
            "standard",
            config=dict(config),
            note=f"Figure 6: {config}",
        )
        for name, config in CURVES.items()
    ),
]
# of the long runs one network is kept: chapter 7 looks at what it paints
LONG = {"maam-ped2-long": (0,)}
ROWS = [replace(r, chosen=CHOSEN, committed=LONG.get(r.name, r.committed)) for r in MADE]

# Rows for a GPU (`vadlib gpu-day`) and their places among all papers': the paper's own settings
# first, then whether its memory does anything where appearance alone decides.
WORTH = {
    "maam-ped2-full": 1,
    "maam-app-ped2-full": 4,
    "maam-app-nomemory-ped2-full": 5,
    "maam-nomemory-ped2-full": 9,
}
