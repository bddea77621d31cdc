"""MSTI-Net: every choice of the paper, and of ours where it leaves one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vadlib.lab.experiment import TrainConfig

FRAMES = 4  # shown to the network; the next one is to be predicted
FLOWS = FRAMES - 1  # between the frames shown: a fourth would lead to the answer, and tell it


@dataclass(frozen=True)
class MSTIConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    The network: `width` channels at the first level (64 in MNAD, whose widths we take), doubled at
    each level. `motion` switches the motion stream; `fusion` is "astfm" (eqs. 1-3), "concat" (plain
    fusion at every level) or "none" (the streams meet after the third level only). `skip` switches
    the decoder's connections to the encoder, on which the paper is silent.
    The memory: `memory` switches it; `items` is N; `read` is "concat" or "replace"; `update` is
    "mnad" or "paper" (eq. 5).
    The loss (eqs. 6-9): `memory_loss` is "paper" (eqs. 7-8 as printed), "mnad" or "none".
    The score (eq. 10): `tau` weighs PSNR against the distance to the memory. `test_update` lets the
    memory go on learning while it is tested, on frames that are predicted with a mean squared error
    below `test_threshold`: "off", "video" (from the trained items in each video) or "carry" (from
    one video to the next, so that their order matters).
    """

    in_channels: int = 3
    width: int = 64
    motion: bool = True
    fusion: Literal["astfm", "concat", "none"] = "astfm"
    skip: bool = True
    memory: bool = True
    items: int = 10
    read: Literal["concat", "replace"] = "concat"
    update: Literal["mnad", "paper"] = "mnad"
    memory_loss: Literal["paper", "mnad", "none"] = "paper"
    lambda_i: float = 0.8
    lambda_s: float = 3e-4
    lambda_c: float = 1e-3
    delta: float = 0.1
    margin: float = 1.0
    tau: float = 0.7
    test_update: Literal["off", "video", "carry"] = "off"
    test_threshold: float = 0.01
    patch: tuple[int, int] = (30, 20)
    flow: str = "dis"
    train: TrainConfig = TrainConfig(epochs=60, batch_size=4, lr=2e-4, schedule="cosine")
