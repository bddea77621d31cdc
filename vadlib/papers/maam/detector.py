"""MAAM-Net as a detector: two error maps, patch by patch, and their fusion (Algorithm 1)."""

from __future__ import annotations

import copy
from dataclasses import asdict, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab.train import pick_device, train
from vadlib.measure.score import pool, pscd
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.layers.memory import selected
from vadlib.papers.maam.config import MAAMConfig
from vadlib.papers.maam.network import MAAMNet, losses
from vadlib.see import motion

# of the authors' Ped2 script; the paper gives none, and it was set per data set
PAPER_PSI = 10 / 11


class Errors(NamedTuple):
    """Pixel errors of N frames (Algorithm 1, lines 6-7), summed over channels."""

    app: Tensor  # (N, H, W) squared difference of the frame
    mot: Tensor  # (N, H, W) absolute difference of the flow, pixels per frame
    used: Tensor  # (N,) share of the memory that a position reads, on average, in 0..1


class MAAM(Detector):
    """MAAM-Net as a detector: `fit` on normal videos, `score` any. Raises VadError as they do."""

    name = "maam"
    context = (0, 1)

    def __init__(self, config: MAAMConfig | None = None, device: str = "auto"):
        self.config = config or MAAMConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)
        psi = self.config.psi
        self.psi = loss_psi(self.config) if psi is None else weight(psi)
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
        """The same trained detector with another fusion weight, in [0, 1]; VadError outside."""
        other = copy.copy(self)
        other.psi, other.config = weight(psi), replace(self.config, psi=psi)
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
    """Algorithm 1, line 13: psi e_app + (1 - psi) e_mot. Raises VadError as `weight` does."""
    return weight(psi) * app + (1 - psi) * mot


def weight(psi: float) -> float:
    """psi itself. Raises VadError where it is none from 0, all motion, to 1, all appearance."""
    if not 0 <= psi <= 1:
        raise VadError(f"psi is {psi}", "It is a weight from 0, all motion, to 1, all appearance.")
    return psi
