"""A painter of frames: three convolutions down, a narrow place, three steps up."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.papers.baselines.config import PainterConfig


class Painter(nn.Module):
    """Frames in, one frame out; between them a code of `code` channels at an eighth of the size.

    With `past` frames shown it is the plain core of a future frame predictor (Liu et al., 2018);
    shown the frame itself it is a convolutional autoencoder (Hasan et al., 2016).
    """

    def __init__(self, config: PainterConfig):
        super().__init__()
        shown, c, w = max(1, config.past), config.in_channels, config.width
        self.skip = config.skip
        down, up = [shown * c, w, 2 * w, 4 * w], [4 * w, 2 * w, w]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(down, down[1:], strict=False)
        )
        self.narrow = nn.Conv2d(4 * w, config.code, 1)
        self.widen = nn.Conv2d(config.code, 4 * w, 1)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 3, stride=2, padding=1)
            for a, b in zip(up, up[1:], strict=False)
        )
        self.out = nn.Conv2d(w, 4 * c, 3, padding=1)  # four pixels for each place

    def forward(self, frames: Tensor) -> Tensor:
        """(B, shown, C, H, W) in [-1, 1] -> (B, C, H, W), also where H or W is odd."""
        x, passed = frames.flatten(1, 2), []
        for conv in self.down:
            x = conv(x).relu()
            passed.append(x)
        x = self.widen(self.narrow(x)).relu()
        for conv, seen in zip(self.up, passed[-2::-1], strict=True):
            x = conv(x, output_size=seen.shape[2:]).relu()
            x = x + seen if self.skip else x
        height, width = frames.shape[-2:]
        return F.pixel_shuffle(self.out(x), 2)[..., :height, :width]

    @torch.no_grad()
    def encode(self, frames: Tensor) -> Tensor:
        """The code: (B, shown, C, H, W) -> (B, code, H/8, W/8), rounded up."""
        x = frames.flatten(1, 2)
        for conv in self.down:
            x = conv(x).relu()
        return self.narrow(x)
