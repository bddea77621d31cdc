"""Autoencoder and future frame predictor as detectors: what is painted badly is anomalous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import torch
from torch import Tensor, nn

from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab.train import pick_device, train
from vadlib.measure import score
from vadlib.papers.baselines.config import PainterConfig
from vadlib.papers.baselines.network import Painter
from vadlib.papers.layers.inputs import to_input


class Autoencoder(Detector):
    """Paint each frame from itself, through a narrow place; the score is minus the PSNR.

    `fit` on normal videos, `score` any. Raises VadError as they do.
    """

    name = "autoencoder"
    default = PainterConfig()

    def __init__(self, config: PainterConfig | None = None, device: str = "auto"):
        self.config = config or self.default
        self.device = pick_device(device)
        self.net = self.build(self.config)

    @staticmethod
    def build(config: PainterConfig) -> Painter:
        """The network of a config, initialised from its training seed."""
        torch.manual_seed(config.train.seed)
        return Painter(config)

    def fit(self, videos: list[Video], config: PainterConfig | None = None, **options) -> History:
        """Minimise the mean squared error of the painted frame. `options` go to `train`."""
        if config is not None:
            self.config, self.net = config, self.build(config)

        def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            shown, target = self.split(batch["frames"])
            return {"total": (net(shown) - target).square().mean()}

        clips = Clips(videos, self.config.past + 1)
        return train(self.net, clips, loss, self.config.train, device=self.device, **options)

    def split(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What is shown and what is to be painted, in [-1, 1]: uint8 (B, past + 1, C, H, W) ->
        (B, shown, C, H, W) and (B, C, H, W). An autoencoder is shown the answer."""
        x = to_input(frames, self.config.in_channels)
        return (x[:, :-1] if self.config.past else x), x[:, -1]

    @torch.no_grad()
    def paint(self, video: Video, batch: int = 16) -> Iterator[tuple[Tensor, Tensor, np.ndarray]]:
        """Batch by batch: painted and true frames, (B, C, H, W) in [-1, 1], and their numbers."""
        self.net.to(self.device).eval()
        clips = Clips([video], self.config.past + 1)
        for start in range(0, len(clips), batch):
            part = clips[start : start + batch]
            shown, target = self.split(part["frames"].to(self.device))
            yield self.net(shown).cpu(), target.cpu(), part["index"].numpy()

    def errors(self, video: Video) -> tuple[Tensor, np.ndarray]:
        """Squared errors of frames in [0, 1], averaged over channels, (N, H, W); their numbers."""
        parts = [((a - b).square().mean(1) / 4, index) for a, b, index in self.paint(video)]
        return torch.cat([e for e, _ in parts]), np.concatenate([index for _, index in parts])

    def score(self, video: Video) -> Scores:
        """Minus the PSNR in decibels. `heatmap` is the squared error summed over patches, and the
        largest of those sums is a term ("patch"); `facts` holds the PSNR."""
        error, index = self.errors(video)
        quality = score.psnr(error.double().mean((1, 2)).numpy())
        heat = score.pscd(error, self.config.patch)
        terms = {"patch": score.pool(heat).double().numpy()}
        frame = score.regularity_to_score(quality)
        return Scores(video.name, frame, index, heat.numpy(), terms, {"psnr": quality})

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """What the network reads for one scored frame."""
        return (torch.zeros(1, max(1, self.config.past), self.config.in_channels, *size),)

    def state(self) -> dict:
        """What a checkpoint holds: weights and config."""
        return {"net": self.net.state_dict(), "config": asdict(self.config)}

    def load_state(self, state: dict) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        self.net.load_state_dict(state["net"])


class Predictor(Autoencoder):
    """Paint each frame from those before it: the plain core of a future frame predictor.

    A video's first `past` frames have no score. Raises VadError where no past frame is shown.
    """

    name = "predictor"
    default = PainterConfig(past=4, code=64, skip=True)

    @staticmethod
    def build(config: PainterConfig) -> Painter:
        """The network of a config, initialised from its training seed."""
        if config.past < 1:
            raise VadError(
                "a predictor that is shown no past frame is an autoencoder",
                "Set past to 1 at least, or use the autoencoder.",
            )
        return Autoencoder.build(config)
