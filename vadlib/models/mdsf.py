"""MDSF: multi-scale discrepancy saliency fusion (Qin, 2025).

A teacher learns to rebuild normal frames of which half is hidden; a lighter student learns to
rebuild them too, and to have the teacher's features. Where the two differ, at several scales,
something is new. Gates weigh channels and places, a fusion adds the scales up, and its size is the
score. Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib import score
from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.train import TrainConfig, pick_device, train


@dataclass(frozen=True)
class MDSFConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are recommended.

    The input: `frames` is 1, a single frame as printed, or 3: frames t - gap, t, t + gap, stacked.
    The networks: `widths` are the channels of each scale, from the finest, at a quarter of the
    frame's size, each next one at half, and `depth` the convolutions of a scale; the `student` has
    this share of the teacher's channels.
    The teacher's training hides `mask` of all patches of `mask_patch` pixels; nothing is hidden in
    testing. `crop` is the window (H, W) that training cuts out of a frame.
    `distil` weighs the student's likeness to the teacher against its rebuilding.
    The gates (eqs. 6-9): `gate` is "trained" on pseudo-anomalies, "random" (as printed: no loss
    reaches them), "fixed" (no channel gates; a saliency of one half everywhere), or
    "one_plus_sigmoid" (trained, and can amplify); `amplify` switches eqs. 6-7; `scales` is
    "guided" (eqs. 8-9), "unguided" (a plain sum) or "single" (the deepest). `reduction` is that of
    the channel gate's hidden layer.
    `patch` (h, w) in pixels is for the pooling that we put beside eq. 10.
    `train` is for the teacher; `student_epochs` and `gate_epochs` for what follows.
    """

    in_channels: int = 3
    frames: Literal[1, 3] = 1
    gap: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depth: int = 3
    student: float = 0.75
    mask: float = 0.5
    mask_patch: int = 8
    crop: tuple[int, int] = (224, 224)
    distil: float = 1.0
    gate: Literal["trained", "random", "fixed", "one_plus_sigmoid"] = "trained"
    amplify: bool = True
    scales: Literal["guided", "unguided", "single"] = "guided"
    reduction: int = 16
    patch: tuple[int, int] = (30, 20)
    student_epochs: float = 50
    gate_epochs: float = 5
    train: TrainConfig = TrainConfig(epochs=50, batch_size=16, lr=1e-4, schedule="cosine")

    def __post_init__(self):
        choices = {
            "gate": ("trained", "random", "fixed", "one_plus_sigmoid"),
            "scales": ("guided", "unguided", "single"),
            "frames": (1, 3),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise VadError(
                    f"unknown {name} {getattr(self, name)!r}",
                    f"Use one of: {', '.join(map(str, known))}.",
                )


# ------------------------------------------------------------------------- teacher and student


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


# ------------------------------------------------------------------------------ pseudo-anomalies


class Pseudo(NamedTuple):
    """Frames with something in them that should not be there, and where."""

    x: Tensor  # (B, C, H, W)
    mask: Tensor  # (B, 1, H, W) of 0 and 1


def ellipses(b: int, size: tuple[int, int], device: torch.device) -> Tensor:
    """One ellipse in each of b masks: (b, 1, H, W) of bool; 1/10 to 1/3 of the height across."""
    h, w = size
    centre = torch.rand(b, 2, 1, 1, device=device)
    radius = h * (0.05 + 0.12 * torch.rand(b, 2, 1, 1, device=device))
    y = torch.arange(h, device=device).view(1, h, 1) - centre[:, 0] * h
    x = torch.arange(w, device=device).view(1, 1, w) - centre[:, 1] * w
    return ((y / radius[:, 0]) ** 2 + (x / radius[:, 1]) ** 2 < 1).unsqueeze(1)


def paste(x: Tensor, other: Tensor, where: Tensor, visible: float = 0.1) -> Pseudo:
    """Put `other` in the place of x where the mask says so.

    Abnormal is only what can be seen: where a pixel has changed by more than `visible`, of 2.
    """
    mixed = torch.where(where, other, x)
    return Pseudo(mixed, ((mixed - x).abs().amax(1, keepdim=True) > visible).to(x.dtype))


def pseudo_anomalies(clip: Tensor, config: MDSFConfig) -> Pseudo:
    """Half of the frames get a piece of another frame and place, larger; half of those that can
    show motion are played at twice the speed instead, inside the piece.

    clip  (B, L, C, H, W) in [-1, 1], L = 1, or the five frames t - 2 gap, ..., t + 2 gap
    A single frame cannot show speed: there all pieces are pasted.
    """
    b, length = clip.shape[:2]
    normal = clip[:, 1:4] if length == 5 else clip
    x = normal.flatten(1, 2)  # (B, C L, H, W)
    moved = torch.randint(0, 10**6, (2,)).tolist()
    other = x.roll(1, 0).roll(moved, (2, 3))
    scale = 1 + float(torch.rand(()))  # things of another size are things of another kind
    other = F.interpolate(other, scale_factor=scale, mode="bilinear")[
        ..., : x.shape[2], : x.shape[3]
    ]
    if length == 5:
        fast = clip[:, ::2].flatten(1, 2)
        other = torch.where(torch.rand(b, 1, 1, 1, device=x.device) < 0.5, fast, other)
    where = ellipses(b, (x.shape[2], x.shape[3]), x.device)
    where = where & (torch.rand(b, 1, 1, 1, device=x.device) < 0.5)  # half stay normal
    return paste(x, other, where)


def gate_loss(fusion: nn.Module, difference: list[Tensor], mask: Tensor) -> dict[str, Tensor]:
    """Cross-entropy of the heat map against where the pseudo-anomaly is, both kinds weighing alike.

    mask (B, 1, H, W); a cell of the heat map, 4x4 pixels, or 16x16 with the deepest of three scales
    alone, counts as abnormal when a quarter of its pixels are.
    """
    hot = heat(fusion(difference).fused)
    target = (F.interpolate(mask, size=hot.shape[1:], mode="area") >= 0.25).to(hot.dtype).squeeze(1)
    logits = fusion.log_slope.exp() * hot + fusion.offset  # type: ignore[operator]
    loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    abnormal, normal = target.sum().clamp(min=1), (1 - target).sum().clamp(min=1)
    return {
        "total": 0.5 * ((loss * target).sum() / abnormal + (loss * (1 - target)).sum() / normal)
    }


# --------------------------------------------------------------------------------- the detector


def to_input(frames: Tensor, channels: int) -> Tensor:
    """uint8 (B, L, C, H, W) in 0..255 -> float in [-1, 1]; grey is repeated to `channels`."""
    x = frames.float() / 127.5 - 1
    return x.expand(-1, -1, channels, -1, -1) if x.shape[2] == 1 else x


def crop_and_flip(clip: Tensor, size: tuple[int, int]) -> Tensor:
    """The paper's augmentation: a window of (B, L, C, H, W), for each clip another, maybe mirrored.

    size  (h, w) of the window; all of a side that is not longer
    """
    h, w = min(size[0], clip.shape[3]), min(size[1], clip.shape[4])
    out = []
    for one in clip:
        top = int(torch.randint(0, clip.shape[3] - h + 1, ()))
        left = int(torch.randint(0, clip.shape[4] - w + 1, ()))
        window = one[..., top : top + h, left : left + w]
        out.append(window.flip(-1) if torch.rand(()) < 0.5 else window)
    return torch.stack(out)


class MDSF(Detector):
    """MDSF as a detector: `fit` on normal videos, `score` any. Raises VadError as they do."""

    name = "mdsf"

    def __init__(self, config: MDSFConfig | None = None, device: str = "auto"):
        self.config = config or MDSFConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)
        self.usual = torch.zeros(0)  # scores of training frames, sorted: what eq. 11 needs

    @staticmethod
    def build(config: MDSFConfig) -> MDSFNet:
        """The network of a config, initialised from its training seed."""
        torch.manual_seed(config.train.seed)
        return MDSFNet(config)

    def fit(
        self,
        videos: list[Video],
        config: MDSFConfig | None = None,
        folder: Path | None = None,
        shared: Path | None = None,
        **options: Any,
    ) -> History:
        """Train the teacher, then the student, then the gates, each with the others frozen.

        folder  keeps the training going after a kill, as in `train`; `options` go there too
        shared  where teacher and student are kept instead, to be taken up by every other config
                that has the same `shared_key`; `folder` when None
        """
        if config is not None:
            self.config, self.net = config, self.build(config)
        c, net, kept = self.config, self.net.to(self.device), shared or folder

        def window(batch: dict[str, Tensor]) -> Tensor:
            return crop_and_flip(to_input(batch["frames"], c.in_channels), c.crop)

        def teach(teacher: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return teacher_loss(teacher, self.pick(window(batch)), c)

        def learn(student: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            return student_loss(student, net.teacher, self.pick(window(batch)), c)

        def weigh(fusion: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            frames = window(batch)
            pseudo = pseudo_anomalies(frames[:, :: c.gap] if c.frames == 3 else frames, c)
            with torch.no_grad():
                difference = net.eval().difference(pseudo.x)
            return gate_loss(fusion, difference, pseudo.mask)

        clips, phases = self.clips(videos), []
        phases.append((net.teacher, clips, teach, c.train.epochs, kept and kept / "teacher"))
        phases.append((net.student, clips, learn, c.student_epochs, kept and kept / "student"))
        if c.gate in ("trained", "one_plus_sigmoid"):
            wide = self.clips(videos, reach=2 * c.gap) if c.frames == 3 else clips
            phases.append((net.fusion, wide, weigh, c.gate_epochs, folder))
        parts = []
        for part, data, loss, epochs, where in phases:
            how = replace(c.train, epochs=epochs)
            parts.append(train(part, data, loss, how, device=self.device, folder=where, **options))
            if len(parts[-1].steps) == options.get("stop_after"):  # the next needs this one whole
                return joined(parts)
        self.calibrate(videos)
        return joined(parts)

    def shared_key(self) -> dict[str, Any]:
        """What decides teacher and student: the config without what concerns the gates alone."""
        gates = ("gate", "amplify", "scales", "reduction", "patch", "gate_epochs")
        return {k: v for k, v in asdict(self.config).items() if k not in gates}

    def clips(self, videos: list[Video], reach: int | None = None, step: int = 1) -> Clips:
        """Every window of a frame and of `reach` frames on either side of it."""
        if reach is None:
            reach = self.config.gap if self.config.frames == 3 else 0
        return Clips(videos, 2 * reach + 1, speaks_for=reach, step=step)

    def pick(self, clip: Tensor) -> Tensor:
        """The frames that the networks see, stacked: (B, L, C, H, W) -> (B, C frames, H, W)."""
        return clip[:, :: max(1, clip.shape[1] // 2)].flatten(1, 2)

    def calibrate(self, videos: list[Video], every: int = 5) -> None:
        """Keep what every fifth frame of the training videos scores, sorted."""
        scores = np.concatenate([self.score(v, every).frame for v in videos])
        self.usual = torch.from_numpy(np.sort(scores))

    def threshold(self, quantile: float) -> float:
        """Theta of equation 11: the score that a share `quantile` of training frames stays below.

        Raises VadError before `fit`.
        """
        if not len(self.usual):
            raise VadError("there are no training scores yet", "Call fit, or load a checkpoint.")
        return float(self.usual.quantile(quantile))

    @torch.no_grad()
    def predict(self, video: Video, step: int = 1, batch: int = 16) -> Iterator[Fused]:
        """Every `step`-th frame that can be scored, batch by batch, on the CPU."""
        self.net.to(self.device).eval()
        clips = self.clips([video], step=step)
        for start in range(0, len(clips), batch):
            part = clips[np.arange(start, min(start + batch, len(clips)))]["frames"]
            x = self.pick(to_input(part.to(self.device), self.config.in_channels))
            out = self.net(x)
            lists = ([t.cpu() for t in scales] for scales in out[:3])
            yield Fused(*lists, fused=out.fused.cpu())  # type: ignore[call-arg]

    def score(self, video: Video, step: int = 1) -> Scores:
        """Equation 10, the norm of the fused discrepancies over the whole frame.

        `terms` holds what else the map can be made into: its largest value ("max"), and the largest
        sum over a patch ("patch"), as an anomaly fills a hundredth of a frame; and the norm of the
        bare discrepancies of each scale (eq. 5). The heatmap is at a quarter of the frame's size,
        or smaller with a single scale.
        """
        parts = [
            (heat(p.fused), [d.flatten(1).norm(dim=1) for d in p.difference])
            for p in self.predict(video, step)
        ]
        hot = torch.cat([h for h, _ in parts])
        cells = 2 ** (len(self.config.widths) + 1) if self.config.scales == "single" else 4
        patch = tuple(max(1, round(side / cells)) for side in self.config.patch)
        terms = {
            "max": score.pool(hot, "max"),
            "patch": score.pool(score.pscd(hot, patch, (1, 1)), "max"),  # type: ignore[arg-type]
        }
        for i, scale in enumerate(zip(*(d for _, d in parts), strict=True)):
            terms[f"scale {i + 1}"] = torch.cat(scale)
        return Scores(
            video.name,
            hot.flatten(1).norm(dim=1).double().numpy(),
            self.clips([video], step=step).index,
            hot.numpy(),
            {name: term.double().numpy() for name, term in terms.items()},
        )

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor]:
        """What the network reads for one scored frame of (H, W)."""
        return (torch.zeros(1, self.config.in_channels * self.config.frames, *size),)

    def state(self) -> dict:
        """What a checkpoint holds: weights, the scores of training frames, the config."""
        return {"net": self.net.state_dict(), "usual": self.usual, "config": asdict(self.config)}

    def load_state(self, state: dict) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        self.net.load_state_dict(state["net"])
        self.usual = state["usual"]


def joined(parts: list[History]) -> History:
    """Several trainings after one another as one history: steps go on, times and frames add up.

    A term keeps its name and gets its part's number, as "total 1": teacher, student, gates.
    """
    out = History()
    for number, part in enumerate(parts, 1):
        out.terms |= {f"{name} {number}": values for name, values in part.terms.items()}
        out.steps = max(out.steps, part.steps, key=len)
        out.seconds += part.seconds
        out.samples += part.samples
    return out
