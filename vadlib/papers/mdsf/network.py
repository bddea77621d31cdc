"""MDSF: multi-scale discrepancy saliency fusion (Qin, 2025).

A teacher learns to rebuild normal frames of which half is hidden; a lighter student learns to
rebuild them too, and to have the teacher's features. Where the two differ, at several scales,
something is new. Gates weigh channels and places, a fusion adds the scales up, and its size is the
score. Equation numbers are the paper's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.papers.mdsf.config import MDSFConfig


def conv(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()
    )


class Encoder(nn.Module):
    """Equations 1 and 2: a frame -> its features at every scale, the finest first.

    inside   channels of each scale's convolutions: the teacher's `widths`, fewer in the student
    widths   channels of what comes out; where they differ, 1x1 convolutions lead from one to the
             other, or equation 5 could not subtract
    depth    convolutions at each scale; alike in both, so that both see as far
    """

    def __init__(self, c_in: int, inside: tuple[int, ...], widths: tuple[int, ...], depth: int):
        super().__init__()
        self.stem = conv(c_in, max(1, inside[0] // 2), stride=2)
        into = zip((max(1, inside[0] // 2), *inside), inside, strict=False)
        self.scales = nn.ModuleList(
            nn.Sequential(conv(a, b, stride=2), *(conv(b, b) for _ in range(depth - 1)))
            for a, b in into
        )
        self.out = nn.ModuleList(
            nn.Identity() if a == b else nn.Sequential(nn.Conv2d(a, b, 1), nn.ReLU())
            for a, b in zip(inside, widths, strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> [(B, widths[s], H / 2^(s+2), W / 2^(s+2))], sizes rounded up, >= 0."""
        x, features = self.stem(x), []
        for scale, out in zip(self.scales, self.out, strict=True):
            x = scale(x)
            features.append(out(x))
        return features


class Decoder(nn.Module):
    """Equations 3 and 4: the deepest features -> the frame. No connection skips the bottleneck."""

    def __init__(self, c_out: int, widths: tuple[int, ...]):
        super().__init__()
        down = widths[::-1]
        self.up = nn.ModuleList(conv(a, b) for a, b in zip(down, down[1:], strict=False))
        self.out = nn.Conv2d(widths[0], 16 * c_out, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Features of every scale -> (B, c_out, H, W); H and W are those of the finest times 4."""
        x = features[-1]
        for up, finer in zip(self.up, reversed(features[:-1]), strict=True):
            x = up(F.interpolate(x, size=finer.shape[2:]))
        return F.pixel_shuffle(self.out(x), 4)  # 16 numbers for each 4x4 pixels


class AutoEncoder(nn.Module):
    """An encoder and a decoder: the teacher, or with a share of its channels the student."""

    def __init__(self, config: MDSFConfig, share: float = 1.0):
        super().__init__()
        channels = config.in_channels * config.frames
        inside = tuple(max(1, round(share * c)) for c in config.widths)
        self.encoder = Encoder(channels, inside, config.widths, config.depth)
        self.decoder = Decoder(channels, config.widths)

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """(B, C, H, W) -> features of every scale, and the frame rebuilt, (B, C, H, W)."""
        features = self.encoder(x)
        return features, self.decoder(features)[..., : x.shape[2], : x.shape[3]]


def hide(x: Tensor, share: float, patch: int) -> Tensor:
    """Set a share of the patches of each frame to zero, mid-grey: what makes an MAE of it.

    x (B, C, H, W); patches of `patch` pixels, chosen for each frame anew, hidden in all C channels.
    """
    b, _, h, w = x.shape
    rows, columns = -(-h // patch), -(-w // patch)
    rank = torch.rand(b, rows * columns, device=x.device).argsort(1).argsort(1)
    seen = (rank >= round(share * rows * columns)).to(x.dtype).view(b, 1, rows, columns)
    return x * F.interpolate(seen, scale_factor=patch)[..., :h, :w]  # nearest: whole patches


def teacher_loss(net: nn.Module, x: Tensor, config: MDSFConfig) -> dict[str, Tensor]:
    """Rebuild the whole frame from the part that is seen; x (B, C, H, W) in [-1, 1]."""
    _, rebuilt = net(hide(x, config.mask, config.mask_patch))
    return {"total": F.mse_loss(rebuilt, x)}


def student_loss(
    net: nn.Module, teacher: AutoEncoder, x: Tensor, config: MDSFConfig
) -> dict[str, Tensor]:
    """The paper's loss, the student's squared error, and the distillation that it leaves out.

    The frame is whole, as it will be in testing; the teacher learns nothing.
    """
    with torch.no_grad():
        wanted = teacher.eval().encoder(x)
    features, rebuilt = net(x)
    terms = {"mse": F.mse_loss(rebuilt, x)}
    pairs = zip(features, wanted, strict=True)
    terms["distil"] = torch.stack([F.mse_loss(f, t) for f, t in pairs]).mean()
    return {"total": terms["mse"] + config.distil * terms["distil"], **terms}


# --------------------------------------------------------------------- gates, saliency, fusion


class ChannelGate(nn.Module):
    """Equations 6 and 7: which channels of the discrepancy matter in this frame.

    plus_one  weights 1 + sigmoid, in (1, 2), which amplify; the printed sigmoid only attenuates
    """

    def __init__(self, channels: int, reduction: int = 16, plus_one: bool = False):
        super().__init__()
        hidden = max(4, channels // reduction)
        self.mlp = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )
        self.plus_one = plus_one

    def weights(self, difference: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C), in (0, 1): equation 6."""
        weights = self.mlp(difference.mean((2, 3))).sigmoid()
        return 1 + weights if self.plus_one else weights

    def forward(self, difference: Tensor) -> Tensor:
        """(B, C, H, W), >= 0 -> the same shape: equation 7."""
        return difference * self.weights(difference)[..., None, None]


class Fused(NamedTuple):
    """What became of the discrepancies of B frames, at each scale and together."""

    difference: list[Tensor]  # eq. 5: (B, C_s, H_s, W_s) at each scale, >= 0
    amplified: list[Tensor]  # eq. 7, of the same shapes
    saliency: list[Tensor]  # eq. 8: (B, 1, H_s, W_s), in (0, 1)
    fused: Tensor  # eq. 9: (B, C, H_1, W_1), at the finest scale


class Fusion(nn.Module):
    """Equations 6-9. Each scale is projected to the finest one's channels, and enlarged.

    Without that, equation 9 adds tensors of different shapes. The projections start as random ones
    that keep norms on average. What a switch turns off is not there at all.
    """

    def __init__(self, config: MDSFConfig):
        super().__init__()
        widths, plus_one = config.widths, config.gate == "one_plus_sigmoid"
        self.fixed, self.single = config.gate == "fixed", config.scales == "single"
        widths = widths[-1:] if self.single else widths
        if config.amplify and not self.fixed:
            self.gates = nn.ModuleList(ChannelGate(c, config.reduction, plus_one) for c in widths)
        if config.scales == "guided" and not self.fixed:
            self.looks = nn.ModuleList(nn.Conv2d(c, 1, 1) for c in widths)
        self.level = 0.5 if self.fixed and config.scales == "guided" else 1.0
        self.project = nn.ModuleList(nn.Conv2d(c, widths[0], 1, bias=False) for c in widths)
        for layer, c in zip(self.project, widths, strict=True):
            nn.init.orthogonal_(layer.weight.flatten(1), (c / widths[0]) ** 0.5)  # type: ignore
        # a pixel's logit in training is slope * heat + offset; scoring has no use for them
        self.log_slope, self.offset = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(()))

    def amplify(self, difference: list[Tensor]) -> list[Tensor]:
        """Equations 6 and 7 at every scale; unchanged where the gates are off or fixed."""
        if not hasattr(self, "gates"):
            return difference
        return [gate(d) for gate, d in zip(self.gates, difference, strict=True)]

    def saliency(self, amplified: list[Tensor]) -> list[Tensor]:
        """Equation 8 at every scale: (B, C_s, H_s, W_s) -> (B, 1, H_s, W_s)."""
        if not hasattr(self, "looks"):
            return [torch.full_like(a[:, :1], self.level) for a in amplified]
        return [look(a).sigmoid() for look, a in zip(self.looks, amplified, strict=True)]

    def forward(self, difference: list[Tensor]) -> Fused:
        """Discrepancies of every scale (eq. 5), the finest first -> all that follows from them."""
        difference = difference[-1:] if self.single else difference
        amplified = self.amplify(difference)
        saliency = self.saliency(amplified)
        # a place's saliency is one number: projecting first gives the same, with fewer channels
        parts = zip(self.project, saliency, amplified, strict=True)
        fused = [s * project(a) for project, s, a in parts]
        for coarser in fused[1:]:
            fused[0] = fused[0] + F.interpolate(coarser, fused[0].shape[2:], mode="bilinear")
        return Fused(difference, amplified, saliency, fused[0])


def heat(fused: Tensor) -> Tensor:
    """Where the score comes from: (B, C, H, W) -> (B, H, W), the norm over channels.

    Its own norm over a frame is equation 10.
    """
    return fused.norm(dim=1)


class MDSFNet(nn.Module):
    """Teacher, student and fusion. Only the two encoders and the fusion run when it scores."""

    def __init__(self, config: MDSFConfig):
        super().__init__()
        self.teacher = AutoEncoder(config)
        self.student = AutoEncoder(config, config.student)
        self.fusion = Fusion(config)
        self.single = config.scales == "single"

    def difference(self, x: Tensor) -> list[Tensor]:
        """Equation 5 at every scale: (B, C, H, W) in [-1, 1] -> [(B, C_s, H_s, W_s)], >= 0."""
        pairs = zip(self.teacher.encoder(x), self.student.encoder(x), strict=True)
        return [(t - s).abs() for t, s in pairs]

    def forward(self, x: Tensor) -> Fused:
        """(B, C, H, W) in [-1, 1] -> the discrepancies and their fusion."""
        return self.fusion(self.difference(x))
