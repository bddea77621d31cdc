"""The untrained rules, and some that learn one image: where each is measured."""

from __future__ import annotations

from vadlib.lab.experiment import Experiment, Method
from vadlib.lab.eyechart import chart

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
    *(
        Experiment(f"{rule}-{data}-standard", BY_NAME[rule], data, "standard", tuple(range(seeds)))
        for data, (rule, seeds) in WEAK.items()
    ),
]
CHARTS = [chart(BY_NAME[name]) for name in (*RULES[2:4], *ORACLES)]
