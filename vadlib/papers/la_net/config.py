"""LA-Net: every choice of the paper, and of ours where it leaves one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vadlib.lab.experiment import TrainConfig


@dataclass(frozen=True)
class LANetConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are UCF-Crime's.

    The network (eqs. 1-5): `features` is D; `standardise` centres and scales features by those of
    the training bags, which the paper does not do; `attention` switches eqs. 1-3 off; `width` is
    D_h; `prior` says where G of eq. 2 goes ("paper" adds it after the softmax, "renorm" scales
    those rows to sum to 1, "logit" adds log G before the softmax; "only" is G scaled to sum to 1
    in the attention's stead, a fixed blur); `scale` divides the logits by the root of a head's
    width; `widths` are the MLP's layers, `causal_kernel` is K of eq. 5.
    The losses (eqs. 6-11): `mil` is "bce" (eq. 6 with the half that it lacks), "paper" (as printed)
    or "ranking" (Sultani et al.); lambda 0 leaves a loss out. `da` is "paper" (eq. 10 as printed)
    or "kl"; `detach` stops the gradient of one of its sides, "score" or "feature".
    Training: `length` snippets, sampled uniformly, of one crop; a batch_size of 64 pairs is the
    paper's 128 bags.
    """

    features: int = 1024
    standardise: bool = False
    attention: bool = True
    width: int = 512
    heads: int = 4
    prior: Literal["paper", "renorm", "logit", "only", "none"] = "paper"
    sigma: float = 16.0
    scale: bool = False
    widths: tuple[int, ...] = (512, 128)
    dropout: float = 0.1
    causal_kernel: int = 10
    length: int = 200
    mil: Literal["bce", "paper", "ranking"] = "bce"
    lambda_dr: float = 1.0
    dr_margin: float = 0.0
    lambda_da: float = 1.0
    da: Literal["paper", "kl", "none"] = "paper"
    detach: Literal["none", "score", "feature"] = "none"
    train: TrainConfig = TrainConfig(epochs=50, batch_size=64, lr=5e-4, schedule="cosine")
