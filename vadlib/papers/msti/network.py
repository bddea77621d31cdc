"""MSTI-Net: multi-scale spatial-temporal interaction network (Ning et al., 2023).

Four frames and the three flows between them in, the fifth frame out. A motion stream tells an
appearance stream where to look, at three scales; a memory of normal patterns stands before the
decoder. What cannot be predicted, or is far from the memory, is the anomaly. Equation numbers are
the paper's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.errors import VadError
from vadlib.papers.layers.memory import PrototypeMemory, entropy, rows
from vadlib.papers.msti.config import FLOWS, FRAMES, MSTIConfig


def conv(c_in: int, c_out: int) -> nn.Sequential:
    """A 3x3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.BatchNorm2d(c_out), nn.ReLU())


class ChannelAttention(nn.Module):
    """Equations 1 and 2: which channels of the motion matter in this frame.

    g is printed once for a map and for a pooled vector; we give each its own two convolutions.
    """

    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        hidden = max(4, channels // reduction)  # one unit alone can die, and the gate with it
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.gate = nn.Sequential(
            nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape: x + g(x) sigmoid(g(mean of x))."""
        pooled = x.mean((2, 3), keepdim=True)
        return x + self.body(x) * self.gate(pooled).sigmoid()


class ASTFM(nn.Module):
    """Equation 3, attention-based spatial-temporal fusion: motion says where appearance counts."""

    def __init__(self, channels: int):
        super().__init__()
        self.channel = ChannelAttention(channels)
        self.weigh = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 1),
            nn.Sigmoid(),
        )

    def attention(self, x_a: Tensor, x_m: Tensor) -> Tensor:
        """The weights in (0, 1): two maps (B, C, H, W) -> (B, C, H, W)."""
        return self.weigh(torch.cat([x_a, self.channel(x_m)], 1))

    def forward(self, x_a: Tensor, x_m: Tensor) -> Tensor:
        """Appearance, turned down where the weights say so: never larger than x_a."""
        return x_a * self.attention(x_a, x_m)


class Concat(nn.Module):
    """The direct fusion that ASTFM replaces: join, and mix by a 1x1 convolution."""

    def __init__(self, channels: int):
        super().__init__()
        self.mix = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x_a: Tensor, x_m: Tensor) -> Tensor:
        """Two maps (B, C, H, W) -> (B, C, H, W)."""
        return self.mix(torch.cat([x_a, x_m], 1))


class Apart(nn.Module):
    """No fusion: appearance goes on as if there were no motion."""

    def __init__(self, channels: int):
        super().__init__()

    def forward(self, x_a: Tensor, x_m: Tensor) -> Tensor:
        """x_a, whatever x_m is."""
        return x_a


FUSIONS = {"astfm": ASTFM, "concat": Concat, "none": Apart}


class Encoder(nn.Module):
    """Both streams: three levels of convolution, fusion, convolution, halving; then the latent map.

    Motion flows into appearance and never back.
    """

    def __init__(self, config: MSTIConfig):
        super().__init__()
        w, c_in = config.width, config.in_channels * FRAMES
        into = list(zip((c_in, w, 2 * w), (w, 2 * w, 4 * w), strict=True))
        self.before = nn.ModuleList(conv(a, b) for a, b in into)
        self.after = nn.ModuleList(conv(b, b) for _, b in into)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.late = config.motion and config.fusion == "none"
        if config.motion:
            seen = (2 * FLOWS, w, 2 * w)
            self.motion = nn.ModuleList(
                nn.Sequential(conv(a, b), conv(b, b)) for a, (_, b) in zip(seen, into, strict=True)
            )
            self.fuse = nn.ModuleList(FUSIONS[config.fusion](b) for _, b in into)
        self.latent = nn.Sequential(
            conv(8 * w if self.late else 4 * w, 8 * w), nn.Conv2d(8 * w, 8 * w, 3, padding=1)
        )

    def forward(self, frames: Tensor, flow: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, 4 C, H, W) and (B, 6, H, W) -> y (B, 8 width, H/8, W/8), sizes rounded up, and what
        each level held before it was halved."""
        x, m, levels = frames, flow, []
        for i, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = before(x)
            if hasattr(self, "motion"):
                m = self.motion[i](m)
                x = self.fuse[i](x, m)
                m = self.pool(m)
            x = after(x)
            levels.append(x)
            x = self.pool(x)
        if self.late:
            x = torch.cat([x, m], 1)
        return self.latent(x), levels


class Decoder(nn.Module):
    """Three times: double the size, take in what the encoder held at that size, convolve."""

    def __init__(self, in_channels: int, config: MSTIConfig):
        super().__init__()
        w, self.skip = config.width, config.skip
        self.first = conv(in_channels, 8 * w)
        widths = list(zip((8 * w, 4 * w, 2 * w), (4 * w, 2 * w, w), strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 3, stride=2, padding=1) for a, b in widths)
        self.mix = nn.ModuleList(conv(2 * b if self.skip else b, b) for _, b in widths)
        self.out = nn.Conv2d(w, config.in_channels, 3, padding=1)

    def forward(self, z: Tensor, levels: list[Tensor]) -> Tensor:
        """(B, C, H/8, W/8) and the encoder's levels -> (B, channels, H, W)."""
        z = self.first(z)
        for up, mix, level in zip(self.up, self.mix, reversed(levels), strict=True):
            z = up(z, output_size=level.shape[2:])
            z = mix(torch.cat([z, level], 1) if self.skip else z)
        return self.out(z)


class Output(NamedTuple):
    """What the network returns for a batch of B clips."""

    frame: Tensor  # (B, C, H, W) the frame after the clip, in [-1, 1] when it is good
    y: Tensor  # (B, 8 width, h, w) the queries
    weights: Tensor | None  # (B*h*w, N) of the memory's read; None without memory
    items: Tensor | None  # (N, 8 width) that were read, before this pass moved them


class MSTINet(nn.Module):
    """Two streams, a memory, a decoder: Figure 1. In training, each pass moves the memory's items.

    config  its fields on network and memory
    """

    def __init__(self, config: MSTIConfig):
        super().__init__()
        if config.fusion not in FUSIONS:
            raise VadError(
                f"unknown fusion {config.fusion!r}", f"Use one of: {', '.join(FUSIONS)}."
            )
        channels = 8 * config.width
        self.encoder = Encoder(config)
        self.memory = (
            PrototypeMemory(config.items, channels, config.read, config.update)
            if config.memory
            else None
        )
        self.decoder = Decoder(self.memory.out_channels if self.memory else channels, config)

    def forward(self, frames: Tensor, flow: Tensor) -> Output:
        """(B, 4, C, H, W) frames in [-1, 1] and (B, 3, 2, H, W) flow, pixels per frame."""
        y, levels = self.encoder(frames.flatten(1, 2), flow.flatten(1, 2))
        if self.memory is None:
            return Output(self.decoder(y, levels), y, None, None)
        read, items = self.memory(y), self.memory.items
        if self.training:  # after the read, so that no frame is read from its own trace
            self.memory.update(y)
        return Output(self.decoder(read.z, levels), y, read.weights, items)


# ----------------------------------------------------------------------------------- the losses


def nearest(y: Tensor, items: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each query of length one (Q, C), its nearest item and its second nearest, (Q, C) each."""
    queries = F.normalize(rows(y), dim=1)
    best = (queries @ items.T).topk(2, dim=1).indices  # (Q, 2)
    return queries, items[best[:, 0]], items[best[:, 1]]


def memory_losses(out: Output, config: MSTIConfig) -> tuple[Tensor, Tensor]:
    """Separateness and compactness, means over the queries.

    "paper"  equations 7 and 8 as printed: the entropy of the read, and max(|cos| - delta, 0),
             which drives y and y_hat *towards a right angle*
    "mnad"   what those names mean in MNAD (Park et al., 2020): a triplet loss against the second
             nearest item, and the squared distance to the nearest
    """
    assert out.items is not None and out.weights is not None
    if config.memory_loss == "paper":
        cosine = F.cosine_similarity(out.weights @ out.items, rows(out.y), dim=1)
        return entropy(out.weights).mean(), F.relu(cosine.abs() - config.delta).mean()
    if config.memory_loss == "mnad":
        queries, first, second = nearest(out.y, out.items)
        separate = F.triplet_margin_loss(queries, first, second, margin=config.margin)
        return separate, F.mse_loss(queries, first)
    raise VadError(f"unknown memory loss {config.memory_loss!r}", "Use 'paper', 'mnad' or 'none'.")


def losses(out: Output, target: Tensor, config: MSTIConfig) -> dict[str, Tensor]:
    """Equations 6-9; target (B, C, H, W) in [-1, 1]. "total" is what to minimise.

    A memory loss that is switched off is left out.
    """
    terms = {"int": F.mse_loss(out.frame, target)}  # eq. 6, as a mean over pixels
    total = config.lambda_i * terms["int"]
    if out.items is not None and config.memory_loss != "none":
        terms["sep"], terms["com"] = memory_losses(out, config)  # eqs. 7-8
        total = total + config.lambda_s * terms["sep"] + config.lambda_c * terms["com"]
    return {"total": total, **terms}  # eq. 9
