"""Pseudo-anomalies: what the gates of MDSF learn from; normal frames alone would close them."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.papers.mdsf.config import MDSFConfig
from vadlib.papers.mdsf.network import heat


class Pseudo(NamedTuple):
    """Frames with something in them that should not be there, and where."""

    x: Tensor  # (B, C, H, W)
    mask: Tensor  # (B, 1, H, W) of 0 and 1


def ellipses(b: int, size: tuple[int, int], device: torch.device) -> Tensor:
    """One ellipse in each of b masks: (b, 1, H, W) of bool; 1/10 to 1/3 of the height across."""
    h, w = size
    centre = torch.rand(b, 2, 1, 1, device=device)
    radius = h * (0.05 + 0.12 * torch.rand(b, 2, 1, 1, device=device))
    y = torch.arange(h, device=device).view(1, h, 1) - centre[:, 0] * h
    x = torch.arange(w, device=device).view(1, 1, w) - centre[:, 1] * w
    return ((y / radius[:, 0]) ** 2 + (x / radius[:, 1]) ** 2 < 1).unsqueeze(1)


def paste(x: Tensor, other: Tensor, where: Tensor, visible: float = 0.1) -> Pseudo:
    """Put `other` in the place of x where the mask says so.

    Abnormal is only what can be seen: where a pixel has changed by more than `visible`, of 2.
    """
    mixed = torch.where(where, other, x)
    return Pseudo(mixed, ((mixed - x).abs().amax(1, keepdim=True) > visible).to(x.dtype))


def pseudo_anomalies(clip: Tensor, config: MDSFConfig) -> Pseudo:
    """Half of the frames get a piece of another frame and place, larger; half of those that can
    show motion are played at twice the speed instead, inside the piece.

    clip  (B, L, C, H, W) in [-1, 1], L = 1, or the five frames t - 2 gap, ..., t + 2 gap
    A single frame cannot show speed: there all pieces are pasted.
    """
    b, length = clip.shape[:2]
    normal = clip[:, 1:4] if length == 5 else clip
    x = normal.flatten(1, 2)  # (B, C L, H, W)
    moved = torch.randint(0, 10**6, (2,)).tolist()
    other = x.roll(1, 0).roll(moved, (2, 3))
    scale = 1 + float(torch.rand(()))  # things of another size are things of another kind
    other = F.interpolate(other, scale_factor=scale, mode="bilinear")[
        ..., : x.shape[2], : x.shape[3]
    ]
    if length == 5:
        fast = clip[:, ::2].flatten(1, 2)
        other = torch.where(torch.rand(b, 1, 1, 1, device=x.device) < 0.5, fast, other)
    where = ellipses(b, (x.shape[2], x.shape[3]), x.device)
    where = where & (torch.rand(b, 1, 1, 1, device=x.device) < 0.5)  # half stay normal
    return paste(x, other, where)


def gate_loss(fusion: nn.Module, difference: list[Tensor], mask: Tensor) -> dict[str, Tensor]:
    """Cross-entropy of the heat map against where the pseudo-anomaly is, both kinds weighing alike.

    mask (B, 1, H, W); a cell of the heat map, 4x4 pixels, or 16x16 with the deepest of three scales
    alone, counts as abnormal when a quarter of its pixels are.
    """
    hot = heat(fusion(difference).fused)
    target = (F.interpolate(mask, size=hot.shape[1:], mode="area") >= 0.25).to(hot.dtype).squeeze(1)
    logits = fusion.log_slope.exp() * hot + fusion.offset  # type: ignore[operator]
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    abnormal, normal = target.sum().clamp(min=1), (1 - target).sum().clamp(min=1)
    return {
        "total": 0.5 * ((loss * target).sum() / abnormal + (loss * (1 - target)).sum() / normal)
    }
