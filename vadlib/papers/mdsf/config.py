"""MDSF: every choice of the paper, and of ours where it leaves one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vadlib.errors import VadError
from vadlib.lab.experiment import TrainConfig


@dataclass(frozen=True)
class MDSFConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    The input: `frames` is 1, a single frame as printed, or 3: frames t - gap, t, t + gap, stacked.
    The networks: `widths` are the channels of each scale, from the finest, at a quarter of the
    frame's size, each next one at half, and `depth` the convolutions of a scale; the `student` has
    this share of the teacher's channels.
    The teacher's training hides `mask` of all patches of `mask_patch` pixels; nothing is hidden in
    testing. `crop` is the window (H, W) that training cuts out of a frame.
    `teacher` is "trained", or "random": as printed, where no loss reaches it; only what its batch
    normalisation knows of the data is measured then.
    `distil` weighs the student's likeness to the teacher against its rebuilding.
    The gates (eqs. 6-9): `gate` is "trained" on pseudo-anomalies, "random" (as printed: no loss
    reaches them), "fixed" (no channel gates; a saliency of one half everywhere), or
    "one_plus_sigmoid" (trained, and can amplify); `amplify` switches eqs. 6-7; `scales` is
    "guided" (eqs. 8-9), "unguided" (a plain sum) or "single" (the deepest). `reduction` is that of
    the channel gate's hidden layer.
    `patch` (h, w) in pixels is for the pooling that we put beside eq. 10.
    `train` is for the teacher; `student_epochs` and `gate_epochs` for what follows.
    """

    in_channels: int = 3
    frames: Literal[1, 3] = 1
    gap: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depth: int = 3
    student: float = 0.75
    mask: float = 0.5
    mask_patch: int = 8
    crop: tuple[int, int] = (224, 224)
    teacher: Literal["trained", "random"] = "trained"
    distil: float = 1.0
    gate: Literal["trained", "random", "fixed", "one_plus_sigmoid"] = "trained"
    amplify: bool = True
    scales: Literal["guided", "unguided", "single"] = "guided"
    reduction: int = 16
    patch: tuple[int, int] = (30, 20)
    student_epochs: float = 50
    gate_epochs: float = 5
    train: TrainConfig = TrainConfig(epochs=50, batch_size=16, lr=1e-4, schedule="cosine")

    def __post_init__(self):
        choices = {
            "teacher": ("trained", "random"),
            "gate": ("trained", "random", "fixed", "one_plus_sigmoid"),
            "scales": ("guided", "unguided", "single"),
            "frames": (1, 3),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise VadError(
                    f"unknown {name} {getattr(self, name)!r}",
                    f"Use one of: {', '.join(map(str, known))}.",
                )
