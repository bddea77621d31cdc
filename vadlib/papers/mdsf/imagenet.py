"""A control: EfficientNet-Lite0 with its ImageNet weights in the teacher's place."""

from __future__ import annotations

import copy
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.papers.mdsf.config import MDSFConfig
from vadlib.papers.mdsf.detector import MDSF
from vadlib.papers.mdsf.network import MDSFNet
from vadlib.see import extract

BLOCKS, WIDTHS = (2, 4, 10), (24, 40, 112)  # the last blocks at a quarter, an eighth, a sixteenth


class ImageNetEncoder(nn.Module):
    """Features of three scales, the size of what `Encoder` gives; no loss reaches the weights.

    Batch normalisation brings each channel to mean 0 and deviation 1, as `settle` measures it on
    training frames, and what is negative is cut, as it is in the student.
    """

    def __init__(self):
        super().__init__()
        self.body: Any = copy.deepcopy(extract.effnet()).requires_grad_(False)
        self.norm = nn.ModuleList(nn.BatchNorm2d(c, affine=False) for c in WIDTHS)

    def train(self, mode: bool = True) -> ImageNetEncoder:
        """Only what is measured on frames here follows the mode; ImageNet's statistics stay."""
        super().train(mode)
        self.body.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> [(B, WIDTHS[s], H / 2^(s+2), W / 2^(s+2))], sizes rounded up,
        >= 0."""
        (h, w), features = x.shape[2:], []
        x = F.pad(x, (0, -w % 16, 0, -h % 16))  # it would round sizes down
        x = self.body._swish(self.body._bn0(self.body._conv_stem(x)))
        for number, block in enumerate(self.body._blocks[: BLOCKS[-1] + 1]):
            x = block(x)
            if number in BLOCKS:
                s = len(features)
                h, w = ((n + 3) // 4 if s == 0 else (n + 1) // 2 for n in (h, w))
                features.append(self.norm[s](x).relu()[..., :h, :w])
        return features


class MDSFImageNet(MDSF):
    """MDSF whose student learns the features of a network that has seen a million pictures."""

    name = "mdsf-imagenet"

    @staticmethod
    def build(config: MDSFConfig) -> MDSFNet:
        """The network of a config, with another teacher's encoder; its decoder is never used."""
        net = MDSF.build(config)
        net.teacher.encoder = ImageNetEncoder()  # type: ignore[assignment]
        return net
