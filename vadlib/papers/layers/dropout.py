"""Dropout that costs less on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Dropout):
    """`nn.Dropout` with cheaper dice on a CPU, where drawing a float an element is a third of
    MAAM-Net's training time. A 16-bit number an element makes p right to 1 in 65,536.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape -> the same: each element 0 with probability p, else divided by 1 - p."""
        if not self.training or self.p == 0 or input.device.type != "cpu":
            return super().forward(input)
        words = torch.empty(-(-input.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        dice = words.view(torch.int16)[: input.numel()]  # four fair 16-bit numbers a word
        cut = round(self.p * 65536) - 32768
        keep = (dice >= cut).to(input.dtype).mul_(1 / (1 - self.p))
        return input * keep.as_strided(input.size(), input.stride())  # any memory format
