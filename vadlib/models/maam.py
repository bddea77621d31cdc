"""MAAM-Net: memory-augmented appearance-motion network (Wang et al., Pattern Recognition 2023).

One frame in; that frame and the flow to the next one out, both decoded from a memory of normal
patterns. What the memory cannot express is the anomaly. Equation numbers are the paper's.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib import motion
from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.layers import Dropout, Memory, entropy, selected
from vadlib.score import pool, pscd
from vadlib.train import TrainConfig, pick_device, train

PAPER_PSI = (
    10 / 11
)  # of the authors' Ped2 script; the paper gives none, and it was set per data set


@dataclass(frozen=True)
class MAAMConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    The network: `width` channels in the first layer (64 in the paper), `memory` switches the
    memory module, `items` is N, `shrink` lambda in units of 1/N.
    The loss (eqs. 5-10): `latent` is "paper" (eq. 9 as printed), "pull" (its opposite) or "none";
    `sparse` is "sum" (eq. 8) or "none".
    The score (Algorithm 1): `psi` weighs appearance against motion; None gives each branch the
    weight that it has in the training loss (`loss_psi`). `patch` is (height, width) in pixels at
    the size that the videos come in.
    """

    in_channels: int = 3
    width: int = 64
    dropout: float = 0.3
    memory: bool = True
    items: int = 500
    similarity: Literal["cosine", "dot"] = "cosine"
    temperature: float = 1.0
    shrink: float = 1.0
    empty_row: Literal["argmax", "error"] = "argmax"
    read: Literal["replace", "concat"] = "replace"
    lambda_m: float = 2.0
    alpha: float = 3e-4
    beta: float = 1e-3
    zeta: float = 0.1
    latent: Literal["paper", "pull", "none"] = "paper"
    sparse: Literal["sum", "none"] = "sum"
    psi: float | None = None
    patch: tuple[int, int] = (30, 20)
    stride: tuple[int, int] | None = None
    pool: Literal["max", "mean"] = "max"
    flow: str = "dis"
    train: TrainConfig = TrainConfig(epochs=50, batch_size=15, lr=2e-5)


# ---------------------------------------------------------------------------------- the network


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


# --------------------------------------------------------------------------------- the detector


def to_input(frames: Tensor, channels: int) -> Tensor:
    """uint8 (B, C, H, W) in 0..255 -> float in [-1, 1]; grey is repeated to `channels`."""
    x = frames.float() / 127.5 - 1
    return x.expand(-1, channels, -1, -1) if x.shape[1] == 1 else x


class Errors(NamedTuple):
    """Pixel errors of N frames (Algorithm 1, lines 6-7), summed over channels."""

    app: Tensor  # (N, H, W) squared difference of the frame
    mot: Tensor  # (N, H, W) absolute difference of the flow, pixels per frame
    used: Tensor  # (N,) share of the memory that a position reads, on average, in 0..1


class MAAM(Detector):
    """MAAM-Net as a detector: `fit` on normal videos, `score` any. Raises VadError as they do."""

    name = "maam"

    def __init__(self, config: MAAMConfig | None = None, device: str = "auto"):
        self.config = config or MAAMConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)
        self.psi = loss_psi(self.config) if self.config.psi is None else self.config.psi
        self.balanced_psi = self.psi  # until `fit` has seen training frames

    @staticmethod
    def build(config: MAAMConfig) -> MAAMNet:
        """The network of a config, initialised from its training seed."""
        torch.manual_seed(config.train.seed)
        return MAAMNet(
            config.items if config.memory else 0,
            config.in_channels,
            config.width,
            config.dropout,
            similarity=config.similarity,
            temperature=config.temperature,
            threshold=config.shrink,
            empty_row=config.empty_row,
            read=config.read,
        )

    def fit(self, videos: list[Video], config: MAAMConfig | None = None, **options) -> History:
        """Minimise equation 10 on every frame that has a next one. `options` go to `train`."""
        if config is not None:
            self.config, self.net = config, self.build(config)
        flow = [motion.flow(v, self.config.flow) for v in videos]
        clips = Clips(videos, length=1, flows=1, flow=flow)

        def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            frames = to_input(batch["frames"][:, 0], self.config.in_channels)
            return losses(net(frames), frames, batch["flow"][:, 0], self.config)

        history = train(self.net, clips, loss, self.config.train, device=self.device, **options)
        self.balanced_psi = self.balance(videos)
        return history

    def balance(self, videos: list[Video], every: int = 10) -> float:
        """The psi at which both branches weigh the same on *training* frames, the rule of Nguyen
        and Meunier (ICCV 2019):
        psi m_app = (1 - psi) m_mot, with m a branch's mean score over every tenth frame.
        """
        parts = [self.score(v, every).terms for v in videos]
        app, mot = (np.concatenate([p[k] for p in parts]).mean() for k in ("app", "mot"))
        return float(mot / (app + mot))

    @torch.no_grad()
    def errors(self, video: Video, step: int = 1, batch: int = 16) -> tuple[Errors, np.ndarray]:
        """Pixel errors of every `step`-th frame that has a next one, and those frames' indices."""
        self.net.to(self.device).eval()
        clips = Clips([video], 1, flows=1, flow=[motion.flow(video, self.config.flow)], step=step)
        parts, index = [], []
        for start in range(0, len(clips), batch):
            part = clips[np.arange(start, min(start + batch, len(clips)))]
            frames = to_input(part["frames"][:, 0].to(self.device), self.config.in_channels)
            out = self.net(frames)
            app = (frames - out.frame).square().sum(1)
            mot = (part["flow"][:, 0].to(self.device) - out.flow).abs().sum(1)
            used = torch.zeros(len(frames), device=self.device)
            if out.weights is not None:
                read = selected(out.weights).float() / out.weights.shape[1]
                used = read.view(len(frames), -1).mean(1)
            parts.append([x.cpu() for x in (app, mot, used)])
            index.append(part["index"].numpy())
        app, mot, used = (torch.cat(x) for x in zip(*parts, strict=True))
        return Errors(app, mot, used), np.concatenate(index)

    def score(self, video: Video, step: int = 1) -> Scores:
        """Algorithm 1: PSCD on both error maps, fused by psi; the largest patch is the score.

        Speaks for frame t, from frame t and the flow from t to t + 1: a video's last frame has no
        score. `terms` holds each branch ("app", "mot"), the fusion with two other weights (that of
        the authors' Ped2 script, "paper", and one balanced on training frames, "balanced"), and
        what PSCD replaces, the mean error of the whole frame ("app mean", "mot mean", "mean").
        `facts` holds the share of the memory in use.
        """
        errors, index = self.errors(video, step)
        c = self.config
        app, mot = (pscd(e, c.patch, c.stride) for e in (errors.app, errors.mot))
        fused = fuse(app, mot, self.psi)
        means = [pool(e, "mean") for e in (errors.app, errors.mot)]
        terms = {
            "app": pool(app, c.pool),
            "mot": pool(mot, c.pool),
            "paper": pool(fuse(app, mot, PAPER_PSI), c.pool),
            "balanced": pool(fuse(app, mot, self.balanced_psi), c.pool),
            "app mean": means[0],
            "mot mean": means[1],
            "mean": fuse(means[0], means[1], self.psi),
        }
        return Scores(
            video.name,
            pool(fused, c.pool).double().numpy(),
            index,
            fused.float().numpy(),
            {name: term.double().numpy() for name, term in terms.items()},
            {"memory used": errors.used.numpy()} if self.net.memory else {},
        )

    def with_psi(self, psi: float) -> MAAM:
        """The same trained detector with another fusion weight, in [0, 1]."""
        other = copy.copy(self)
        other.psi, other.config = psi, replace(self.config, psi=psi)
        return other

    def state(self) -> dict:
        """What a checkpoint holds: weights, the psi that was balanced in `fit`, the config."""
        config = asdict(self.config)
        return {"net": self.net.state_dict(), "balanced_psi": self.balanced_psi, "config": config}

    def load_state(self, state: dict) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        self.net.load_state_dict(state["net"])
        self.balanced_psi = state["balanced_psi"]


def loss_psi(config: MAAMConfig) -> float:
    """The psi that makes a patch's error its share of L_gen (eq. 7): nothing is left to choose.

    Equations 5 and 6 are means over 3 and 2 channels, the error maps are sums over them, so that
    L_gen weighs the maps 1/3 : lambda_m / 2; with lambda_m = 2, psi = 1/4.
    """
    app, mot = 1 / config.in_channels, config.lambda_m / 2
    return app / (app + mot)


def fuse(app: Tensor, mot: Tensor, psi: float) -> Tensor:
    """Algorithm 1, line 13: psi e_app + (1 - psi) e_mot."""
    return psi * app + (1 - psi) * mot
