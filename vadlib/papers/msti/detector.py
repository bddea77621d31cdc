"""MSTI-Net as a detector: what was badly predicted, or far from the memory (equation 10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.lab.train import pick_device, train
from vadlib.measure import score
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.layers.memory import rows
from vadlib.papers.msti.config import FLOWS, FRAMES, MSTIConfig
from vadlib.papers.msti.network import MSTINet, losses, nearest
from vadlib.see import motion


def regularity(quality: np.ndarray, distance: np.ndarray, tau: float) -> np.ndarray:
    """Equation 10, R = 1 - tau (1 - f(P)) - (1 - tau) f(D); (N,) each, f applied. High is normal.

    It is tau f(P) + (1 - tau) (1 - f(D)): in [0, 1] where f maps to [0, 1].
    """
    return 1 - tau * (1 - quality) - (1 - tau) * distance


def distance(y: Tensor, items: Tensor) -> Tensor:
    """D(q, p) of equation 10: how far each query is from its nearest item.

    y (B, C, h, w) and items (N, C) -> (B, h, w), in [0, 2]: both ends have length one.
    """
    queries, first, _ = nearest(y, items)
    return (queries - first).norm(dim=1).view(len(y), *y.shape[2:])


def share_used(y: Tensor, items: Tensor) -> Tensor:
    """The share of the items that are nearest to some position: (B, C, h, w) -> (B,) in (0, 1]."""
    best = (F.normalize(rows(y), dim=1) @ items.T).argmax(1).view(len(y), -1)
    return F.one_hot(best, len(items)).amax(1).float().mean(1)


class Prediction(NamedTuple):
    """What came of a batch of clips, on the CPU."""

    frame: Tensor  # (B, C, H, W) predicted, in [-1, 1]
    error: Tensor  # (B, H, W) squared error, mean over channels, in [0, 4]
    distance: Tensor  # (B, h, w) to the nearest memory item; 0 without memory
    used: Tensor  # (B,) share of the memory that is nearest to something; 0 without memory
    index: np.ndarray  # (B,) the frames that were predicted


class MSTI(Detector):
    """MSTI-Net as a detector: `fit` on normal videos, `score` any. Raises VadError as they do."""

    name = "msti"

    def __init__(self, config: MSTIConfig | None = None, device: str = "auto"):
        self.config = config or MSTIConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)
        # mean and deviation of PSNR and of the distance on training frames, measured by `fit`
        self.scale = {"psnr": (0.0, 1.0), "distance": (0.0, 1.0)}

    @property
    def context(self) -> tuple[int, int] | None:
        """The frames that a frame is predicted from; none can be named where the memory goes on
        learning from frame to frame."""
        adapts = self.net.memory is not None and self.config.test_update != "off"
        return None if adapts else (FRAMES, 0)

    @staticmethod
    def build(config: MSTIConfig) -> MSTINet:
        """The network of a config, initialised from its training seed."""
        torch.manual_seed(config.train.seed)
        return MSTINet(config)

    def fit(self, videos: list[Video], config: MSTIConfig | None = None, **options) -> History:
        """Minimise equation 9 on every clip of five frames. `options` go to `train`."""
        if config is not None:
            self.config, self.net = config, self.build(config)

        def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            frames = to_input(batch["frames"], self.config.in_channels)
            return losses(net(frames[:, :FRAMES], batch["flow"]), frames[:, FRAMES], self.config)

        clips = self.clips(videos)
        history = train(self.net, clips, loss, self.config.train, device=self.device, **options)
        self.calibrate(videos)
        return history

    def clips(self, videos: list[Video], step: int = 1) -> Clips:
        """Five frames, the last of them to be predicted, and the flows between the first four."""
        flow = [motion.flow(v, self.config.flow) for v in videos]
        return Clips(videos, FRAMES + 1, flows=FLOWS, flow=flow, step=step)

    def calibrate(self, videos: list[Video], every: int = 10) -> None:
        """Measure what is usual: PSNR and distance on every tenth clip of the training videos."""
        parts = [self.measure(v, every) for v in videos]
        for name in self.scale:
            values = np.concatenate([p[name] for p in parts])
            self.scale[name] = (float(values.mean()), float(values.std()) or 1.0)

    @torch.no_grad()
    def predict(self, video: Video, step: int = 1, batch: int = 8) -> Iterator[Prediction]:
        """Predict every `step`-th frame that has four before it, batch by batch.

        Where `test_update` is on, frames come one by one, in order, and well-predicted ones move
        the memory; "video" puts it back at the end.
        """
        self.net.to(self.device).eval()
        adapts = self.net.memory is not None and self.config.test_update != "off"
        before = self.net.memory.items if self.net.memory is not None else None
        clips, size = self.clips([video], step), 1 if adapts else batch
        for start in range(0, len(clips), size):
            part = clips[np.arange(start, min(start + size, len(clips)))]
            frames = to_input(part["frames"].to(self.device), self.config.in_channels)
            out = self.net(frames[:, :FRAMES], part["flow"].to(self.device))
            error = (out.frame - frames[:, FRAMES]).square().mean(1)
            far, used = out.y.new_zeros(len(error), *out.y.shape[2:]), out.y.new_zeros(len(error))
            if out.items is not None:
                far, used = distance(out.y, out.items), share_used(out.y, out.items)
            if adapts and error.mean() < self.config.test_threshold:
                self.net.memory.update(out.y)  # type: ignore[union-attr]
            index = part["index"].numpy()
            yield Prediction(out.frame.cpu(), error.cpu(), far.cpu(), used.cpu(), index)
        if adapts and self.config.test_update == "video":
            self.net.memory.items = before  # type: ignore[union-attr]

    def measure(self, video: Video, step: int = 1) -> dict[str, np.ndarray]:
        """For each predicted frame: "psnr" in decibels and "distance" to the memory (0 without
        one), (N,) each; "error" (N, H, W), "used" and "index" (N,)."""
        parts = list(self.predict(video, step))
        error = torch.cat([p.error for p in parts])
        return {
            "psnr": score.psnr(error.mean((1, 2)).numpy(), peak=2.0),
            "distance": torch.cat([p.distance.mean((1, 2)) for p in parts]).double().numpy(),
            "error": error.numpy(),
            "used": torch.cat([p.used for p in parts]).numpy(),
            "index": np.concatenate([p.index for p in parts]),
        }

    def score(self, video: Video, step: int = 1) -> Scores:
        """Equation 10, with f the deviation from what is usual on *training* frames.

        Speaks for the predicted frame: a video's first four frames have no score. `terms` holds the
        two parts ("psnr", "memory"), the paper's protocol ("paper": f is the min-max over the test
        video, its future included) and the worst patch of the error in place of its mean ("patch").
        The heatmap is the squared error, summed over patches. `facts` holds the share of the memory
        that is in use.
        """
        m, remembers = self.measure(video, step), self.net.memory is not None
        tau = self.config.tau if remembers else 1.0
        usual = [(m[k] - mean) / sd for k, (mean, sd) in self.scale.items()]
        own = [score.normalise([m[k]], "per_video")[0] for k in self.scale]
        patches = score.pscd(torch.from_numpy(m["error"]), self.config.patch)
        terms = {
            "psnr": score.regularity_to_score(m["psnr"]),
            "paper": score.regularity_to_score(regularity(own[0], own[1], tau)),
            "patch": score.pool(patches, "max").double().numpy(),
        }
        return Scores(
            video.name,
            score.regularity_to_score(regularity(usual[0], usual[1], tau)),
            m["index"],
            patches.numpy(),
            terms | ({"memory": m["distance"]} if remembers else {}),
            {"memory used": m["used"]} if remembers else {},
        )

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the network reads for one scored frame of (H, W): four frames and three flows."""
        channels = self.config.in_channels
        return torch.zeros(1, FRAMES, channels, *size), torch.zeros(1, FLOWS, 2, *size)

    def state(self) -> dict:
        """What a checkpoint holds: weights and memory, what `fit` found usual, the config."""
        return {"net": self.net.state_dict(), "scale": self.scale, "config": asdict(self.config)}

    def load_state(self, state: dict) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        self.net.load_state_dict(state["net"])
        self.scale = state["scale"]
