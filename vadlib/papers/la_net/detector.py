"""LA-Net as a detector of bags: pairs of a normal and an abnormal one to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.data.bags import Bag, refuse_video
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.lab.train import pick_device, train
from vadlib.papers.la_net.config import LANetConfig
from vadlib.papers.la_net.losses import EPS, feature_dynamics, losses
from vadlib.papers.la_net.network import LANetModule, Output


class Pairs:
    """Pairs of a normal and an abnormal bag, as `train` wants them; reads only what it is asked.

    Position i stands for bag i of the class that has more of them; its partners are drawn, each
    once before any comes again. `length` is the most snippets that a bag may have; longer ones are
    sampled uniformly. Raises VadError for a bag without label, and when a class is missing.
    """

    def __init__(self, bags: Sequence[Bag], length: int):
        self.videos, self.length = list(bags), length
        for bag in bags:
            if bag.label is None:
                raise VadError(f"bag {bag.name} has no label", "Train on bags that are labelled.")
        self.classes = [[bag for bag in bags if bag.label == y] for y in (0, 1)]
        for name, found in zip(("normal", "abnormal"), self.classes, strict=True):
            if not found:
                raise VadError(f"none of {len(bags)} bags is {name}", "Training needs both kinds.")
        self.rare = int(len(self.classes[1]) < len(self.classes[0]))

    def __len__(self) -> int:
        return len(self.classes[1 - self.rare])

    def __getitem__(self, which: np.ndarray) -> dict[str, Tensor]:
        """P pairs, normal before abnormal: features (P, 2, T, D), 0 at padding; mask (P, 2, T).

        Partners and crops come from torch's random numbers, which `train` seeds anew each step.
        """
        count = len(self.classes[self.rare])
        rounds = [torch.randperm(count) for _ in range(-(-len(which) // count))]
        order = {1 - self.rare: which, self.rare: torch.cat(rounds).numpy()}
        bags = [self.classes[y][order[y][i]] for i in range(len(which)) for y in (0, 1)]
        rows = [torch.from_numpy(self.sample(bag)) for bag in bags]
        lengths = torch.tensor([len(row) for row in rows])
        x = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = torch.arange(x.shape[1]) < lengths[:, None]
        return {"features": x.unflatten(0, (-1, 2)), "mask": mask.unflatten(0, (-1, 2))}

    def sample(self, bag: Bag) -> np.ndarray:
        """The snippets of one crop, at most `length`: (T, D) float32."""
        crop = int(torch.randint(bag.features.shape[0], ()))
        rows = np.asarray(bag.features[crop], np.float32)
        few = np.linspace(0, len(rows) - 1, min(len(rows), self.length)).round().astype(int)
        return rows[few]


def statistics(bags: Sequence[Bag]) -> tuple[Tensor, Tensor]:
    """Mean of each feature over the snippets of all bags' first crops, and its spread: (D,) each.

    The spread is the standard deviation, plus the mean of all of them: a feature that hardly ever
    moves is not blown up where it does. One bag is read at a time.
    """
    count, total, square = 0, 0.0, 0.0
    for bag in bags:
        x = np.asarray(bag.features[0], np.float64)
        count, total, square = count + len(x), total + x.sum(0), square + (x**2).sum(0)
    mean = total / count
    sd = np.sqrt(np.maximum(square / count - mean**2, 0))
    spread = sd + max(sd.mean(), EPS)
    return torch.from_numpy(mean).float(), torch.from_numpy(spread).float()


class LANet(Detector):
    """LA-Net as a detector: `fit` on bags with labels of both kinds, `score` any bag."""

    name = "la-net"

    def __init__(self, config: LANetConfig | None = None, device: str = "auto"):
        self.config = config or LANetConfig()
        self.device = pick_device(device)
        self.net = self.build(self.config)

    @staticmethod
    def build(config: LANetConfig) -> LANetModule:
        """The network of a config, initialised from its training seed."""
        torch.manual_seed(config.train.seed)
        return LANetModule(config)

    def fit(self, videos: list[Bag], config: LANetConfig | None = None, **options: Any) -> History:
        """Minimise equation 11 on pairs of bags. `options` go to `train`.

        Raises VadError for bags that `Pairs` refuses, or whose D is not the config's.
        """
        if config is not None:
            self.config, self.net = config, self.build(config)
        for bag in videos:
            self.check(bag)

        if self.config.standardise:
            self.net.mean, self.net.spread = statistics(videos)

        def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
            x, mask = batch["features"].flatten(0, 1), batch["mask"].flatten(0, 1)
            return losses(net(x, mask), mask, self.config)

        pairs: Any = Pairs(videos, self.config.length)  # all that `train` asks of clips
        return train(self.net, pairs, loss, self.config.train, device=self.device, **options)

    def check(self, bag: Bag) -> None:
        """Raises VadError when a bag's D is not the config's, and for a video."""
        refuse_video(self.name, bag)
        if bag.features.shape[2] != self.config.features:
            raise VadError(
                f"bag {bag.name} has {bag.features.shape[2]} features a snippet, the network "
                f"takes {self.config.features}",
                f"Set features={bag.features.shape[2]} in LANetConfig, or extract them alike.",
            )

    @torch.no_grad()
    def output(self, bag: Bag, crop: int = 0) -> Output:
        """What the network says about one crop of a bag at its true length: (1, T), (1, T, F)."""
        self.check(bag)
        self.net.to(self.device).eval()
        x = torch.from_numpy(np.array(bag.features[crop], np.float32))[None].to(self.device)
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=self.device)
        return Output(*(part.cpu() for part in self.net(x, mask)))

    def score(self, video: Bag) -> Scores:
        """The mean of the crops' scores; each snippet's score speaks for all of its frames.

        Term "dynamics": equation 9 between each snippet and the one before it; 0 for the first.
        Raises VadError for a video, and for a bag of another D.
        """
        self.check(video)
        outs = [self.output(video, crop) for crop in range(video.features.shape[0])]
        moves = [F.pad(feature_dynamics(out.features), (1, 0)) for out in outs]
        parts = torch.cat([out.scores for out in outs]), torch.cat(moves)
        score, moved = (part.mean(0).double().numpy() for part in parts)
        index = np.arange(video.length)
        at = index // video.span
        return Scores(video.name, score[at], index, terms={"dynamics": moved[at]})

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the network reads for one snippet of a bag of one, whatever a frame's `size`."""
        return torch.zeros(1, 1, self.config.features), torch.ones(1, 1, dtype=torch.bool)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: weights and config."""
        return {"net": self.net.state_dict(), "config": asdict(self.config)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        self.net.load_state_dict(state["net"])
