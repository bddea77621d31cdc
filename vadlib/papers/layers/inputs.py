"""What every network of frames reads."""

from __future__ import annotations

from torch import Tensor


def to_input(frames: Tensor, channels: int) -> Tensor:
    """uint8 (..., C, H, W) in 0..255 -> float in [-1, 1]; grey is repeated to `channels`."""
    x = frames.float() / 127.5 - 1
    return x.expand(*x.shape[:-3], channels, *x.shape[-2:]) if x.shape[-3] == 1 else x
