"""The untrained rules, and two that learn one image: where each is measured."""

from __future__ import annotations

from vadlib.lab.experiment import Experiment, Method

RULES = ("random", "frame-index", "copy-last", "flow-magnitude", "zero-flow")
CLASSES = ("Random", "FrameIndex", "CopyLast", "FlowMagnitude", "ZeroFlow")
# they look at training frames, for one image of the scene: `fit` comes first
IMAGES = ("mean-image", "median-image")
METHODS = [
    *(
        Method(name, f"vadlib.papers.baselines.rules:{cls}")
        for name, cls in zip(RULES + IMAGES, (*CLASSES, "MeanImage", "MedianImage"), strict=True)
    ),
    Method("flow-bag", "vadlib.papers.baselines.bags:FlowBag"),
]
BY_NAME = {m.name: m for m in METHODS}

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
        for data in ("ped2", "plaza", "plaza-joint", "plaza-kinds")
        for rule in RULES + IMAGES
    ),
    *(
        Experiment(f"{rule}-{data}-standard", BY_NAME[rule], data, "standard", tuple(range(seeds)))
        for data, (rule, seeds) in WEAK.items()
    ),
]
