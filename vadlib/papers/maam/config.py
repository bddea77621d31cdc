"""MAAM-Net: every choice of the paper, and of ours where it leaves one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vadlib.lab.experiment import TrainConfig


@dataclass(frozen=True)
class MAAMConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    The network: `width` channels in the first layer (64 in the paper), `memory` switches the
    memory module, `items` is N, `shrink` lambda in units of 1/N.
    The loss (eqs. 5-10): `latent` is "paper" (eq. 9 as printed), "pull" (its opposite) or "none";
    `sparse` is "sum" (eq. 8) or "none".
    The score (Algorithm 1): `psi` weighs appearance against motion; None gives each branch the
    weight that it has in the training loss (`loss_psi`). `patch` is (height, width) in pixels at
    the size that the videos come in.
    """

    in_channels: int = 3
    width: int = 64
    dropout: float = 0.3
    memory: bool = True
    items: int = 500
    similarity: Literal["cosine", "dot"] = "cosine"
    temperature: float = 1.0
    shrink: float = 1.0
    empty_row: Literal["argmax", "error"] = "argmax"
    read: Literal["replace", "concat"] = "replace"
    lambda_m: float = 2.0
    alpha: float = 3e-4
    beta: float = 1e-3
    zeta: float = 0.1
    latent: Literal["paper", "pull", "none"] = "paper"
    sparse: Literal["sum", "none"] = "sum"
    psi: float | None = None
    patch: tuple[int, int] = (30, 20)
    stride: tuple[int, int] | None = None
    pool: Literal["max", "mean"] = "max"
    flow: str = "dis"
    train: TrainConfig = TrainConfig(epochs=50, batch_size=15, lr=2e-5)
