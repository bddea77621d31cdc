"""What every network of frames reads."""

from __future__ import annotations

from torch import Tensor

from vadlib.errors import VadError


def to_input(frames: Tensor, channels: int) -> Tensor:
    """uint8 (..., C, H, W) in 0..255 -> float in [-1, 1]; grey is repeated to `channels`.

    Raises VadError for another number of channels.
    """
    if frames.shape[-3] not in (1, channels):
        raise VadError(
            f"frames of {frames.shape[-3]} channels for a network that reads {channels}",
            "Give films of the kind that it was trained on, or train it with in_channels=3.",
        )
    x = frames.float() / 127.5 - 1
    return x.expand(*x.shape[:-3], channels, *x.shape[-2:]) if x.shape[-3] == 1 else x
