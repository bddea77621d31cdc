"""Crops and captions for a branch to learn from, its training, and how well it then finds words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.data.base import Video
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.lab.train import pick_device, train
from vadlib.papers.local_patterns.config import ITAMConfig
from vadlib.papers.local_patterns.words import ITAM, itam_loss, similarity, to_input
from vadlib.see import objects
from vadlib.see.tokens import groups


def look(video: Video, frame: np.ndarray, box: np.ndarray, size: int, lag: int = 0) -> np.ndarray:
    """Windows (n, 4) in frames (n,), and with a `lag` as they were before: (n, C or 2 C, size,
    size) uint8, the older image first."""
    tubes = objects.Tubes(video, frame, box, 2, lag) if lag else objects.Tubes(video, frame, box, 1)
    crops = tubes.crops(np.arange(len(tubes)), size)  # (n, images, C, size, size)
    return crops.reshape(len(crops), crops.shape[1] * crops.shape[2], size, size)


def gather(
    videos: Sequence[Video],
    boxes: Sequence[objects.Boxes],
    size: int,
    every: int = 1,
    lag: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """The crops of all boxes in every `every`-th frame of each video, cut once.

    lag  of `ITAMConfig`; the first `lag` frames have no crops
    Returns crops (n, C or 2 C, size, size) uint8, and which rows of all boxes they are (n,) int:
    the captions of box i, when those of the videos are joined, belong to the crop with row i.
    """
    crops, which, before = [], [], 0
    for video, found in zip(videos, boxes, strict=True):
        tubes = objects.tubes(video, found, 1, before=lag)
        rows = np.flatnonzero(tubes.frame % every == 0)
        crops.append(look(video, tubes.frame[rows], tubes.box[rows], size, lag))
        total = sum(map(len, found))
        which.append(before + total - len(tubes) + rows)  # the first frames have no whole tube
        before += total
    return np.concatenate(crops), np.concatenate(which)


class Captioned:
    """Crops and their captions, as `train` asks for batches."""

    def __init__(self, videos: Sequence[Video], crops: np.ndarray, captions: np.ndarray, net: ITAM):
        if len(crops) != len(captions):
            raise VadError(
                f"{len(crops)} crops with {len(captions)} rows of captions",
                "Take the rows that `gather` returns: captions[which].",
            )
        self.videos, self.crops = list(videos), crops
        self.tokens, self.mask = net.tokenizer(captions)
        self.groups = groups(captions)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, which: np.ndarray) -> dict[str, Tensor]:
        """crops (B, C, size, size) uint8, tokens and mask (B, N_s, T), groups (B, N_s)."""
        crops = torch.from_numpy(self.crops[which])
        parts = {"tokens": self.tokens, "mask": self.mask, "groups": self.groups}
        return {"crops": crops} | {k: v[which] for k, v in parts.items()}


def fit(
    videos: Sequence[Video],
    crops: np.ndarray,
    captions: np.ndarray,
    config: ITAMConfig,
    device: str = "auto",
    sentences: Sequence[str] | None = None,
    **options: Any,
) -> tuple[ITAM, History]:
    """Train one branch on crops of normal videos; the net is initialised from its training seed.

    crops     (n, C, size, size) uint8; captions (n, N_s) str, the sentences of this branch
    options   go to `train`
    Raises VadError where crops and captions differ in number, or are of another size.
    """
    if crops.shape[2:] != (config.size, config.size):
        raise VadError(
            f"crops of {crops.shape[2]}x{crops.shape[3]} for a config of size {config.size}",
            "Cut them with gather(videos, boxes, config.size).",
        )
    torch.manual_seed(config.train.seed)
    net = ITAM(config, sentences)

    def named(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropy among the classes of each template, in place of equation 1."""
        image = own.image(to_input(batch["crops"], config))
        total = image.new_zeros(())
        for n, table in enumerate(own.classes):
            logits = similarity(image, table, config.pool) / own.temperature
            total = total + F.cross_entropy(logits, batch["groups"][:, n])
        return {"total": total / len(own.classes), "temperature": own.temperature}

    def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        image, said = net(to_input(batch["crops"], config), batch["tokens"], batch["mask"])
        groups = batch["groups"] if config.targets == "multi_positive" else None
        total = itam_loss(image, said, own.temperature, groups, config.pool)
        return {"total": total, "temperature": own.temperature}

    own = net  # `train` may wrap the net that it hands to the loss
    clips: Any = Captioned(videos, crops, captions, net)  # all that `train` asks of clips
    if config.targets == "classes":
        counts = clips.groups.amax(0) + 1
        net.classes.extend(nn.Parameter(torch.randn(int(c), config.embed)) for c in counts)
        loss = named
    return net, train(net, clips, loss, config.train, device=pick_device(device), **options)


class Retrieval(NamedTuple):
    """How often the right sentence is found, and how often blind rules find it; in 0..1."""

    accuracy: float
    balanced: float  # the same, mean over the sentences that occur: a frequent one counts once
    chance: float  # of a guess among the candidates
    commonest: float  # of always saying the sentence that is most frequent in these captions


@torch.no_grad()
def choose(net: ITAM, image: Tensor, candidates: Sequence[str]) -> np.ndarray:
    """The sentence that fits each crop best: F^I (n, N_q, E_d) of `net.encode` -> (n,) str."""
    fit = similarity(image, net.sentences(candidates).cpu(), net.config.pool)
    return np.asarray(candidates)[fit.argmax(1).numpy()]


def retrieval(
    net: ITAM,
    image: Tensor,
    captions: np.ndarray,
    candidates: Sequence[str] | None = None,
) -> Retrieval:
    """Let a trained branch choose among sentences for each crop.

    image       F^I (n, N_q, E_d) of the crops, as `net.encode` gives it
    captions    (n,) str, the right sentence of each
    candidates  to choose among; all that occur in `captions` when None
    Raises VadError where there is nothing to choose for.
    """
    if not len(captions):
        raise VadError("there is no caption to find", "Give boxes of other frames.")
    choice = np.unique(captions).tolist() if candidates is None else list(candidates)
    right = choose(net, image, choice) == captions
    shares = [right[captions == sentence].mean() for sentence in np.unique(captions)]
    commonest = np.unique(captions, return_counts=True)[1].max() / len(captions)
    balanced = float(np.mean(shares))
    return Retrieval(float(right.mean()), balanced, 1 / len(choice), float(commonest))
