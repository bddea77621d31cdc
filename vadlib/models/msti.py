"""MSTI-Net: multi-scale spatial-temporal interaction network (Ning et al., 2023).

Four frames and the three flows between them in, the fifth frame out. A motion stream tells an
appearance stream where to look, at three scales; a memory of normal patterns stands before the
decoder. What cannot be predicted, or is far from the memory, is the anomaly. Equation numbers are
the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib import motion, score
from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.layers import PrototypeMemory, entropy, rows
from vadlib.train import TrainConfig, pick_device, train

FRAMES = 4  # shown to the network; the next one is to be predicted
FLOWS = FRAMES - 1  # between the frames shown: a fourth would lead to the answer, and tell it


@dataclass(frozen=True)
class MSTIConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    The network: `width` channels at the first level (64 in MNAD, whose widths we take), doubled at
    each level. `motion` switches the motion stream; `fusion` is "astfm" (eqs. 1-3), "concat" (plain
    fusion at every level) or "none" (the streams meet after the third level only). `skip` switches
    the decoder's connections to the encoder, on which the paper is silent.
    The memory: `memory` switches it; `items` is N; `read` is "concat" or "replace"; `update` is
    "mnad" or "paper" (eq. 5).
    The loss (eqs. 6-9): `memory_loss` is "paper" (eqs. 7-8 as printed), "mnad" or "none".
    The score (eq. 10): `tau` weighs PSNR against the distance to the memory. `test_update` lets the
    memory go on learning while it is tested, on frames that are predicted with a mean squared error
    below `test_threshold`: "off", "video" (from the trained items in each video) or "carry" (from
    one video to the next, so that their order matters).
    """

    in_channels: int = 3
    width: int = 64
    motion: bool = True
    fusion: Literal["astfm", "concat", "none"] = "astfm"
    skip: bool = True
    memory: bool = True
    items: int = 10
    read: Literal["concat", "replace"] = "concat"
    update: Literal["mnad", "paper"] = "mnad"
    memory_loss: Literal["paper", "mnad", "none"] = "paper"
    lambda_i: float = 0.8
    lambda_s: float = 3e-4
    lambda_c: float = 1e-3
    delta: float = 0.1
    margin: float = 1.0
    tau: float = 0.7
    test_update: Literal["off", "video", "carry"] = "off"
    test_threshold: float = 0.01
    patch: tuple[int, int] = (30, 20)
    flow: str = "dis"
    train: TrainConfig = TrainConfig(epochs=60, batch_size=4, lr=2e-4, schedule="cosine")


# ---------------------------------------------------------------------------------- the network


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


# --------------------------------------------------------------------------------- the detector


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


def to_input(frames: Tensor, channels: int) -> Tensor:
    """uint8 (B, L, C, H, W) in 0..255 -> float in [-1, 1]; grey is repeated to `channels`."""
    x = frames.float() / 127.5 - 1
    return x.expand(-1, -1, channels, -1, -1) if x.shape[2] == 1 else x


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
