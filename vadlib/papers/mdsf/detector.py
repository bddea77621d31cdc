"""MDSF as a detector: three trainings in a row, and the size of what they leave (equation 10)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vadlib.data.base import Video
from vadlib.data.clips import Clips
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab.train import pick_device, train
from vadlib.measure import score
from vadlib.papers.layers.inputs import to_input
from vadlib.papers.mdsf.config import MDSFConfig
from vadlib.papers.mdsf.network import Fused, MDSFNet, heat, student_loss, teacher_loss
from vadlib.papers.mdsf.pseudo import gate_loss, pseudo_anomalies


def crop_and_flip(clip: Tensor, size: tuple[int, int]) -> Tensor:
    """The paper's augmentation: a window of (B, L, C, H, W), for each clip another, maybe mirrored.

    size  (h, w) of the window; all of a side that is not longer

    A window is drawn anywhere that it touches the frame, and then pushed inside. Drawn inside from
    the first, it would hardly ever hold a corner (one draw in 2,145 at 96x128 in 128x192), and what
    is never trained on looks new: the heat of every frame would lie in its corners.
    """
    h, w = min(size[0], clip.shape[3]), min(size[1], clip.shape[4])
    out = []
    for one in clip:
        top, left = _begin(clip.shape[3], h), _begin(clip.shape[4], w)
        window = one[..., top : top + h, left : left + w]
        out.append(window.flip(-1) if torch.rand(()) < 0.5 else window)
    return torch.stack(out)


def _begin(side: int, window: int) -> int:
    """Where a window of so many pixels begins: anywhere that it touches the side, pushed inside."""
    return min(max(int(torch.randint(1 - window, side, ())), 0), side - window)


@torch.no_grad()
def settle(net: nn.Module, clips: Clips, prepare: Any, passes: int = 64, batch: int = 16) -> None:
    """Measure what batch normalisation asks of the data, and change nothing else.

    A network whose weights no loss reaches would otherwise look at frames through the statistics
    that it was born with. prepare  a batch of `clips` -> what the network reads
    """
    net.train()
    which = np.linspace(0, len(clips) - 1, passes * batch).round().astype(int)
    for part in torch.from_numpy(which)[torch.randperm(len(which))].split(batch):
        net(prepare(clips[part.numpy()]))
    net.eval()


class MDSF(Detector):
    """MDSF as a detector: `fit` on normal videos, `score` any. Raises VadError as they do."""

    name = "mdsf"

    def __init__(self, config: MDSFConfig | None = None, device: str = "auto"):
        self.config = config or MDSFConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)
        self.usual = torch.zeros(0)  # scores of training frames, sorted: what eq. 11 needs

    @property
    def context(self) -> tuple[int, int]:
        """As many frames before as after, where it sees three."""
        reach = self.config.gap if self.config.frames == 3 else 0
        return reach, reach

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
        if c.teacher == "trained":
            phases.append((net.teacher, clips, teach, c.train.epochs, kept and kept / "teacher"))
        else:
            torch.manual_seed(c.train.seed)
            settle(net.teacher.encoder, clips, lambda b: self.pick(window(b).to(self.device)))
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
        reach = self.context[0] if reach is None else reach
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
        out.seen |= {f"{name} {number}": value for name, value in part.seen.items()}
        out.held_out |= {f"{name} {number}": value for name, value in part.held_out.items()}
        out.seconds += part.seconds
        out.cpu_seconds += part.cpu_seconds
        out.samples += part.samples
        out.precision = part.precision
    out.flops_per_sample = sum(part.flops for part in parts) / max(1, out.samples)
    return out
