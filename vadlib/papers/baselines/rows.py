"""Untrained rules, some that learn one image, two plain painters: where each is measured."""

from __future__ import annotations

from typing import Any

from vadlib.lab.experiment import Experiment, Method, TrainConfig
from vadlib.lab.sets import PROFILES
from vadlib.papers.baselines.config import PainterConfig

RULES = ("random", "frame-index", "copy-last", "flow-magnitude", "zero-flow")
CLASSES = ("Random", "FrameIndex", "CopyLast", "FlowMagnitude", "ZeroFlow")
# the first three look at training frames, for one image of the scene: `fit` comes first
MORE = {
    "mean-image": "MeanImage",
    "median-image": "MedianImage",
    "median-z": "MedianZ",
    "motion-gradient": "MotionGradient",
}
IMAGES = tuple(MORE)[:3]
METHODS = [
    *(
        Method(name, f"vadlib.papers.baselines.rules:{cls}")
        for name, cls in (dict(zip(RULES, CLASSES, strict=True)) | MORE).items()
    ),
    *(
        Method(name, f"vadlib.papers.baselines.oracles:{cls}")
        for name, cls in (
            ("oracle-truth", "TruthOracle"),
            ("oracle-boxes", "BoxOracle"),
            ("measured", "Measured"),
        )
    ),
    Method("flow-bag", "vadlib.papers.baselines.bags:FlowBag"),
]
BY_NAME = {m.name: m for m in METHODS}

# Autoencoder and predictor (chapter 05). Everything is small, because two cores train it; learning
# rate and batch were chosen by the error on a training video held out.
TRAIN = {epochs: TrainConfig(epochs, 4, 5e-3, "cosine") for epochs in (0.5, 2, 8)}


def _profiles(**config: Any) -> dict[str, dict[str, Any]]:
    return {
        "smoke": {"train": TRAIN[2], "patch": (16, 11)} | config,
        "standard": {"train": TRAIN[2], "patch": (16, 11)} | config,
        "full": config | {"width": 64},
    }


AUTOENCODER = Method(
    "autoencoder", "vadlib.papers.baselines.detector:Autoencoder", PainterConfig, _profiles()
)
PREDICTOR = Method(
    "predictor",
    "vadlib.papers.baselines.detector:Predictor",
    PainterConfig,
    _profiles(past=4, code=64, skip=True),
)
METHODS += [AUTOENCODER, PREDICTOR]
# what may pass the narrow place, and for how long it is trained
WIDTHS: dict[str, dict[str, Any]] = {"-narrow": {"code": 1}, "": {}, "-wide": {"code": 64}}
PASSES: dict[str, dict[str, Any]] = {
    "-wide-brief": {"code": 64, "train": TRAIN[0.5]},
    "-wide-long": {"code": 64, "train": TRAIN[8]},
}

SIZED = [p for p in PROFILES if p != "long"]
PLACES = [(d, p) for d in ("ped2", "plaza") for p in SIZED if (d, p) != ("ped2", "smoke")]

# told part of Plaza's truth, or nothing: what its frames hold
ORACLES = ("oracle-truth", "oracle-boxes", "measured")

# weakly labelled data -> the rule that is measured there, and how many seeds (Ped2 draws for each)
WEAK = {
    "plaza-bags": ("flow-bag", 1),
    "ped2-weak-flow": ("flow-bag", 10),
    "ped2-weak-videos": ("zero-flow", 10),
}
ROWS = [
    *(
        Experiment(
            f"{rule}-{data}-standard",
            BY_NAME[rule],
            data,
            "standard",
            (0, 1, 2) if rule == "random" else (0,),
        )
        for data in ("ped2", "plaza", "plaza-clear", "plaza-joint", "plaza-kinds")
        for rule in (*RULES, *MORE)
    ),
    *(
        Experiment(f"{rule}-{data}-standard", BY_NAME[rule], data, "standard", (0,))
        for data in ("plaza", "plaza-clear")
        for rule in ORACLES
    ),
    # the one of them that is told nothing, and was made for Plaza
    Experiment("measured-ped2-standard", BY_NAME["measured"], "ped2", "standard", (0,)),
    *(
        Experiment(f"{rule}-{data}-standard", BY_NAME[rule], data, "standard", tuple(range(seeds)))
        for data, (rule, seeds) in WEAK.items()
    ),
    *(
        Experiment(
            f"autoencoder{suffix}-{data}-{profile}",
            AUTOENCODER,
            data,
            profile,
            config=config,
            note=f"code of {config.get('code', PainterConfig.code)} channels",
        )
        for suffix, config in (WIDTHS | PASSES).items()
        for data, profile in PLACES
    ),
    *(
        Experiment(f"predictor-{data}-{profile}", PREDICTOR, data, profile)
        for data, profile in PLACES
    ),
]
