"""The one network of Attributes: what ImageNet taught it to see in a box."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vadlib.see import extract


class Glance(nn.Module):
    """EfficientNet-Lite0 with its ImageNet weights, in the place of the paper's CLIP; without a
    view that asks for it, nothing at all."""

    def __init__(self, deep: bool):
        super().__init__()
        self.body = extract.effnet() if deep else None

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 1 or 3, size, size) in 0..255 -> (B, 1280), the mean over the place; or (B, 0)."""
        if self.body is None:
            return crops.new_zeros(len(crops), 0)
        x = (crops.expand(-1, 3, -1, -1) - 127) / 128  # as `extract.prepare` has it
        x = x.contiguous(memory_format=torch.channels_last)  # a fifth faster on a CPU
        return self.body.extract_features(x).mean((2, 3))  # type: ignore[operator]
