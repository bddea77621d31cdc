"""Memories of normal patterns: by gradient (MAAM-Net), and by what was seen (MSTI-Net, MNAD)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.errors import VadError


class Read(NamedTuple):
    """What a memory returns: `z` (B, C, H, W), `weights` (B*H*W, N), rows >= 0 that sum to 1."""

    z: Tensor
    weights: Tensor


def similarities(queries: Tensor, items: Tensor, kind: str = "cosine") -> Tensor:
    """s_i of MAAM-Net's equation 1: (Q, C) queries against (N, C) items -> (Q, N).

    kind  "cosine" as printed, in [-1, 1]; "dot" as in MemAE, unbounded
    """
    if kind == "cosine":
        queries, items = F.normalize(queries, dim=1), F.normalize(items, dim=1)
    elif kind != "dot":
        raise VadError(f"unknown similarity {kind!r}", "Use 'cosine' or 'dot'.")
    return queries @ items.T


def shrink(weights: Tensor, threshold: float) -> Tensor:
    """Equation 3: keep a weight that exceeds the threshold, and make the others exactly zero.

    weights  (..., N), >= 0. The printed max(w - t, 0) w / (|w - t| + eps) is w above the threshold,
    but for eps; its derivative is not 1 there: just above, the quotient's explodes (one part in eps
    of a weight away, by a factor of thousands), and a few queries would push all others aside.
    """
    return F.threshold(weights, threshold, 0.0)


def guard_empty(kept: Tensor, weights: Tensor, rule: str = "argmax") -> Tensor:
    """Rows in which nothing survived `shrink` keep their largest weight (rule "argmax").

    Without it such a row is 0 / 0: with cosine similarities and a threshold of 1.5 / N that is
    every row. Raises VadError under rule "error".
    """
    empty = kept.sum(1) == 0
    if not empty.any():
        return kept
    if rule == "error":
        raise VadError(
            f"{int(empty.sum())} of {len(empty)} queries select no memory item",
            "Lower `shrink`, or use empty_row='argmax'.",
        )
    if rule != "argmax":
        raise VadError(f"unknown empty_row {rule!r}", "Use 'argmax' or 'error'.")
    rows = empty.nonzero().squeeze(1)
    best = weights[rows].argmax(1)
    # index_put keeps the gradient of the surviving weight
    return kept.index_put((rows, best), weights[rows, best])


class Memory(nn.Module):
    """A dictionary of normal patterns, learned by gradient; MAAM-Net, equations 1-4.

    items        N, the number of patterns
    channels     C, the length of each
    similarity   "cosine" (eq. 1) or "dot"
    temperature  divides the similarities before the softmax (eq. 2); 1 as printed
    threshold    lambda of eq. 3, in units of 1 / N; 1 as printed, 0 switches shrinking off
    empty_row    what to do with a query that selects nothing: "argmax" or "error"
    read         "replace" hands the decoder z_hat; "concat" hands it [z, z_hat]
    """

    def __init__(
        self,
        items: int,
        channels: int,
        similarity: Literal["cosine", "dot"] = "cosine",
        temperature: float = 1.0,
        threshold: float = 1.0,
        empty_row: Literal["argmax", "error"] = "argmax",
        read: Literal["replace", "concat"] = "replace",
    ):
        super().__init__()
        if read not in ("replace", "concat"):
            raise VadError(f"unknown read {read!r}", "Use 'replace' or 'concat'.")
        self.items = nn.Parameter(torch.empty(items, channels))
        nn.init.kaiming_uniform_(self.items, a=5**0.5)
        self.similarity, self.temperature = similarity, temperature
        self.threshold, self.empty_row, self.read = threshold / items, empty_row, read

    @property
    def out_channels(self) -> int:
        """Channels that the decoder receives."""
        return self.items.shape[1] * (2 if self.read == "concat" else 1)

    def address(self, queries: Tensor) -> Tensor:
        """Equations 1-3 and the normalisation after them: (Q, C) -> weights (Q, N)."""
        s = similarities(queries, self.items, self.similarity) / self.temperature
        weights = s.softmax(1)  # eq. 2
        if self.threshold > 0:
            weights = guard_empty(shrink(weights, self.threshold), weights, self.empty_row)
            weights = weights / weights.sum(1, keepdim=True)
        return weights

    def forward(self, z: Tensor) -> Read:
        """Rebuild every position of z (B, C, H, W) from the items, equation 4."""
        b, c, h, w = z.shape
        queries = z.permute(0, 2, 3, 1).reshape(-1, c)  # (B*H*W, C)
        weights = self.address(queries)
        z_hat = (weights @ self.items).view(b, h, w, c).permute(0, 3, 1, 2)
        return Read(torch.cat([z, z_hat], 1) if self.read == "concat" else z_hat, weights)


class PrototypeMemory(nn.Module):
    """Items that follow the queries without gradient; MSTI-Net, equations 4-5, after MNAD.

    items     N, the number of patterns, all of length one
    channels  C, the length of each
    read      "concat" hands the decoder [y, y_hat], as MNAD does; "replace" hands it y_hat
    rule      how `update` weighs the queries: "mnad" or "paper"
    """

    items: Tensor

    def __init__(
        self,
        items: int,
        channels: int,
        read: Literal["concat", "replace"] = "concat",
        rule: Literal["mnad", "paper"] = "mnad",
    ):
        super().__init__()
        if read not in ("replace", "concat"):
            raise VadError(f"unknown read {read!r}", "Use 'replace' or 'concat'.")
        if rule not in ("mnad", "paper"):
            raise VadError(f"unknown update rule {rule!r}", "Use 'mnad' or 'paper'.")
        self.register_buffer("items", F.normalize(torch.randn(items, channels), dim=1))
        self.read, self.rule = read, rule

    @property
    def out_channels(self) -> int:
        """Channels that the decoder receives."""
        return self.items.shape[1] * (2 if self.read == "concat" else 1)

    def forward(self, y: Tensor) -> Read:
        """Rebuild every position of y (B, C, H, W) from the items, equation 4.

        The cosine does not see a query's length, so y is scaled to length one before it is read.
        """
        b, c, h, w = y.shape
        y = F.normalize(y, dim=1)
        weights = similarities(rows(y), self.items).softmax(1)  # (B*H*W, N)
        y_hat = (weights @ self.items).view(b, h, w, c).permute(0, 3, 1, 2)
        return Read(torch.cat([y, y_hat], 1) if self.read == "concat" else y_hat, weights)

    @torch.no_grad()
    def update(self, y: Tensor) -> None:
        """Move the items towards the queries y (B, C, H, W), equation 5.

        "paper"  every item takes in every query, weighed by a softmax over the queries
        "mnad"   an item takes in only those queries that it is nearest to; others stay as they are
        """
        queries = F.normalize(rows(y).float(), dim=1)  # (Q, C)
        cosine = queries @ self.items.T  # (Q, N)
        v = cosine.softmax(0)  # over the queries
        if self.rule == "mnad":
            nearest = F.one_hot(cosine.argmax(1), len(self.items))
            v = v / v.amax(0) * nearest
        # a new tensor, not a change in place: the loss of this step still needs the old one
        self.items = F.normalize(self.items + v.T @ queries, dim=1)


def rows(y: Tensor) -> Tensor:
    """A map as a list of its positions: (B, C, H, W) -> (B*H*W, C)."""
    return y.permute(0, 2, 3, 1).reshape(-1, y.shape[1])


def entropy(weights: Tensor) -> Tensor:
    """Equation 8, sum_i -w_i log w_i for each row: (Q, N) -> (Q,), in [0, log N]; 0 log 0 = 0.

    The clamp keeps the gradient finite at weights that `shrink` made zero: there the derivative
    of w log w is minus infinity, and infinity times the zero that follows is not a number.
    """
    return -(weights * weights.clamp_min(1e-12).log()).sum(1)


def selected(weights: Tensor) -> Tensor:
    """How many items each query uses: (Q, N) -> (Q,)."""
    return (weights > 0).sum(1)
