"""MAAM-Net: memory-augmented appearance-motion network (Wang et al., Pattern Recognition 2023).

One frame in; that frame and the flow to the next one out, both decoded from a memory of normal
patterns. What the memory cannot express is the anomaly. Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.errors import VadError
from vadlib.papers.layers.dropout import Dropout
from vadlib.papers.layers.memory import Memory, entropy
from vadlib.papers.maam.config import MAAMConfig


class Encoder(nn.Module):
    """Table 1, first part: five 3x3 convolutions, the last four halving the frame."""

    def __init__(self, in_channels: int, width: int):
        super().__init__()
        widths = [in_channels, width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c_in, c_out, 3, stride=1 if i == 0 else 2, padding=1),
                nn.BatchNorm2d(c_out),
                nn.ReLU(),
            )
            for i, (c_in, c_out) in enumerate(zip(widths, widths[1:], strict=False))
        )

    def forward(self, x: Tensor) -> tuple[Tensor, list[tuple[int, int]]]:
        """(B, 3, H, W) -> (B, 8 width, H/16, W/16), rounded up, and the sizes passed on the way."""
        sizes = []
        for block in self.blocks:
            x = block(x)
            sizes.append((x.shape[2], x.shape[3]))
        return x, sizes


class Decoder(nn.Module):
    """Table 1, last part: four transposed convolutions back to full size, and one plain one."""

    def __init__(self, in_channels: int, width: int, out_channels: int, dropout: float):
        super().__init__()
        widths = [in_channels, 4 * width, 4 * width, 2 * width, width]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c_in, c_out, 3, stride=2, padding=1)
            for c_in, c_out in zip(widths, widths[1:], strict=False)
        )
        self.after = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(c), Dropout(dropout), nn.ReLU()) for c in widths[1:]
        )
        self.out = nn.Conv2d(width, out_channels, 3, padding=1)

    def forward(self, z: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Retrace the encoder's sizes, so that odd ones come out right too (23 -> 45, not 46)."""
        for up, after, size in zip(self.up, self.after, reversed(sizes[:-1]), strict=True):
            z = after(up(z, output_size=size))
        return self.out(z)


class Output(NamedTuple):
    """What the network returns for a batch of B frames."""

    frame: Tensor  # (B, 3, H, W) reconstruction, in [-1, 1] when it is good
    flow: Tensor  # (B, 2, H, W) predicted flow to the next frame, pixels per frame
    z: Tensor  # (B, C, h, w) what was encoded
    z_hat: Tensor  # (B, C, h, w) what the memory made of it; z itself without memory
    weights: Tensor | None  # (B*h*w, N) how


class MAAMNet(nn.Module):
    """Encoder, memory, two decoders: Table 1 and Figure 2. 8,453,061 parameters as in the paper.

    memory_items  N; 0 leaves the memory out
    width         channels of the first layer; 64 in the paper
    memory        further arguments of `layers.Memory`
    """

    def __init__(
        self,
        memory_items: int = 500,
        in_channels: int = 3,
        width: int = 64,
        dropout: float = 0.3,
        **memory,
    ):
        super().__init__()
        self.encoder = Encoder(in_channels, width)
        self.memory = Memory(memory_items, 8 * width, **memory) if memory_items else None
        latent = self.memory.out_channels if self.memory else 8 * width
        self.appearance = Decoder(latent, width, in_channels, dropout)
        self.motion = Decoder(latent, width, 2, dropout)

    def forward(self, frames: Tensor) -> Output:
        """(B, C, H, W) frames in [-1, 1] of any size -> `Output`."""
        z, sizes = self.encoder(frames)
        if self.memory is None:
            return Output(self.appearance(z, sizes), self.motion(z, sizes), z, z, None)
        read = self.memory(z)
        z_hat = read.z[:, -z.shape[1] :]  # without the query that read="concat" puts before it
        return Output(
            self.appearance(read.z, sizes), self.motion(read.z, sizes), z, z_hat, read.weights
        )


# ----------------------------------------------------------------------------------- the losses


def latent_loss(z_hat: Tensor, z: Tensor, zeta: float = 0.1, mode: str = "paper") -> Tensor:
    """Equation 9, averaged over positions: (B, C, h, w) twice -> scalar.

    "paper"  max(|cos| - zeta, 0): as printed, it drives z_hat and z towards a right angle
    "pull"   max((1 - cos) - zeta, 0): what the text around it ("tolerance of dissimilarities")
             describes, and drives them together
    """
    cosine = F.cosine_similarity(z_hat, z, dim=1)
    if mode == "paper":
        return F.relu(cosine.abs() - zeta).mean()
    if mode == "pull":
        return F.relu(1 - cosine - zeta).mean()
    raise VadError(f"unknown latent loss {mode!r}", "Use 'paper', 'pull' or 'none'.")


def losses(out: Output, frames: Tensor, flow: Tensor, config: MAAMConfig) -> dict[str, Tensor]:
    """Equations 5-10, each term as a mean over what it is summed over in the paper.

    frames (B, C, H, W) in [-1, 1], flow (B, 2, H, W); "total" is what to minimise. A memory loss
    that is switched off is left out.
    """
    terms = {
        "app": F.mse_loss(out.frame, frames),  # eq. 5
        "mot": F.l1_loss(out.flow, flow),  # eq. 6
    }
    total = terms["app"] + config.lambda_m * terms["mot"]  # eq. 7
    if out.weights is not None and config.sparse != "none":
        terms["spa"] = entropy(out.weights).mean()  # eq. 8
        total = total + config.alpha * terms["spa"]
    if out.weights is not None and config.latent != "none":
        terms["lat"] = latent_loss(out.z_hat, out.z, config.zeta, config.latent)  # eq. 9
        total = total + config.beta * terms["lat"]
    return {"total": total, **terms}  # eq. 10
