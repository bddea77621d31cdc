"""LA-Net and discriminative dynamics learning (Pu and Wu, ICME 2022): anomalies from weak labels.

A video is a bag of snippets, and only the bag has a label. Attention with a locality prior looks
at all snippets, a causal convolution scores each, and three losses say what a bag's scores should
be like. With the attention off it is plain multiple instance learning. Equation numbers are the
paper's.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.errors import VadError
from vadlib.papers.la_net.config import LANetConfig
from vadlib.papers.layers.dropout import Dropout

BLOCK = 1024  # rows of the attention map that are held at once


def location_prior(rows: Tensor, columns: Tensor, sigma: float) -> Tensor:
    """Equation 2, exp(-(i - j)^2 / (2 sigma)), for positions (R,) and (T,): (R, T) in (0, 1].

    sigma is not squared: the bell is sqrt(sigma) wide.
    """
    return torch.exp(-(rows[:, None] - columns).float().square() / (2 * sigma))


def attend(logits: Tensor, prior: Tensor, mask: Tensor, mode: str = "paper") -> Tensor:
    """Equations 1 and 3: how much each snippet (row) takes from each (column).

    logits (B, heads, R, T), prior (R, T), mask (B, T) True where a snippet is no padding; padded
    columns get exactly 0. Rows sum to 1, but with mode "paper" to 1 plus the prior's sum. With
    mode "only" they are the prior's, scaled to sum to 1: a fixed blur, whatever the logits.
    Raises VadError for an unknown mode.
    """
    keys = mask[:, None, None]
    if mode == "only":
        logits = torch.zeros_like(logits)
    if mode in ("logit", "only"):
        logits = logits + prior.log().clamp_min(-1e4)  # as far as float32 can tell, -infinity
    weights = logits.masked_fill(~keys, -torch.inf).softmax(-1)  # eq. 1
    if mode in ("logit", "only", "none"):
        return weights
    if mode not in ("paper", "renorm"):
        known = "'paper', 'renorm', 'logit', 'only' or 'none'"
        raise VadError(f"unknown prior {mode!r}", f"Use {known}.")
    weights = weights + prior * keys  # eq. 3
    return weights / weights.sum(-1, keepdim=True) if mode == "renorm" else weights


class LocalityAttention(nn.Module):
    """Equations 1-4: every snippet looks at all of its bag, and most at its neighbours."""

    def __init__(self, config: LANetConfig):
        super().__init__()
        if config.width % config.heads:
            raise VadError(
                f"width {config.width} does not divide into {config.heads} heads",
                "Choose a multiple.",
            )
        self.heads, self.mode, self.sigma = config.heads, config.prior, config.sigma
        self.factor = (config.width // config.heads) ** -0.5 if config.scale else 1.0
        # no biases, as printed; one in psi could not even learn, as the softmax cancels it
        self.phi, self.psi, self.value = (  # value: all W_k side by side
            nn.Linear(config.features, config.width, bias=False) for _ in range(3)
        )
        if self.mode == "only":  # nothing to learn about who looks at whom
            self.phi = self.psi = None
        self.out = nn.Linear(config.width, config.features, bias=False)  # W_h

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D_h) -> (B, heads, T, D_h / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def rows(self, x: Tensor, mask: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows start..stop of the map of eq. 3: (B, T, D) and mask (B, T) -> (B, heads, R, T)."""
        at = torch.arange(x.shape[1], device=x.device)
        prior = location_prior(at[start:stop], at, self.sigma)
        if self.phi is None or self.psi is None:
            logits = prior.new_zeros(len(x), self.heads, *prior.shape)
        else:
            logits = self.split(self.phi(x[:, start:stop])) @ self.split(self.psi(x)).mT
        return attend(logits.float() * self.factor, prior, mask, self.mode)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What eq. 4 adds to X before it is normalised: (B, T, D) -> (B, T, D)."""
        value = self.split(self.value(x))
        blocks = range(0, x.shape[1], BLOCK)  # a long video's whole map would not fit in memory
        heads = [self.rows(x, mask, s, s + BLOCK).to(value.dtype) @ value for s in blocks]
        return self.out(torch.cat(heads, 2).transpose(1, 2).flatten(2))


class Output(NamedTuple):
    """What the network says about B bags of T snippets."""

    scores: Tensor  # (B, T) in (0, 1); at padding, without meaning
    features: Tensor  # (B, T, F) X^F of eq. 5, what the scores are made of


class LANetModule(nn.Module):
    """Figure 2: attention, a perceptron for each snippet, and a causal convolution over them."""

    mean: Tensor  # (D,) what features are centred and scaled by; 0 and 1 change nothing
    spread: Tensor

    def __init__(self, config: LANetConfig):
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("spread", torch.ones(config.features))
        self.attention = LocalityAttention(config) if config.attention else None
        # a single feature has no direction: normalised, it would be a constant
        self.norm = nn.LayerNorm(config.features) if config.features > 1 else nn.Identity()
        widths = [config.features, *config.widths]
        layers = [
            (nn.Linear(a, b), nn.GELU(), Dropout(config.dropout)) for a, b in pairwise(widths)
        ]
        self.mlp = nn.Sequential(*(part for layer in layers for part in layer))
        self.conv = nn.Conv1d(widths[-1], 1, config.causal_kernel)

    def forward(self, x: Tensor, mask: Tensor) -> Output:
        """(B, T, D) features, and mask (B, T), True where a snippet is no padding -> `Output`."""
        x = (x - self.mean) / self.spread
        if self.attention is not None:
            x = self.attention(x, mask) + x
        features = self.mlp(self.norm(x))  # eq. 4, and X^F
        return Output(self.causal(features), features)

    def causal(self, features: Tensor) -> Tensor:
        """Equation 5: (B, T, F) -> scores (B, T); snippet t is scored from t-K+1 .. t."""
        past = F.pad(features.mT, (self.conv.kernel_size[0] - 1, 0))
        return self.conv(past)[:, 0].float().sigmoid()
