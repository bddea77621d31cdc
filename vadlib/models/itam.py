"""ITAM: words that find parts (Jiang and Mao, 2025, "Local Patterns Generalize Better for Novel
Anomalies"; the other half of the paper is in `local_patterns`, apart only for length).

Queries look at a crop, a small transformer reads its captions, and both learn to agree. After
training the text is dropped; what the queries found are the features of the crop. Two branches of
one kind learn from different sentences: what somebody does, and what can be seen of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from vadlib import objects, text
from vadlib.data.base import Video
from vadlib.detector import History
from vadlib.errors import VadError
from vadlib.train import TrainConfig, pick_device, train

COLDEST = 0.01  # the temperature stays above: at 0 the loss would not be defined
NEVER = -1e9  # a logit that no softmax sees, and whose gradient is 0 instead of not a number


@dataclass(frozen=True)
class ITAMConfig:
    """One branch. Letters are the paper's; its values, where it states them, in brackets.

    size        side of a crop in pixels (224); channels: of an image, grey is repeated to as many
    lag         frames between two images of the window, the older first: what somebody *does* is
                seen in two; 0 is the paper, one image
    grid        the visual features are resized to grid x grid tokens (16)
    visual      V_d, the width of a visual token (1408)
    queries     N_q (32); width: H_d, of a query and of a word (768); embed: E_d (256)
    blocks      of self-attention, cross-attention and feed-forward; heads: of each attention
    text_blocks of self-attention and feed-forward over the words of a sentence
    temperature at the start; it is learned
    targets     "multi_positive": equal captions are right answers to each other; "one_hot": as
                printed, only a box's own is
    pool        over the queries: "max" as printed, or "mean"
    """

    size: int = 224
    channels: int = 3
    lag: int = 0
    grid: int = 16
    visual: int = 1408
    queries: int = 32
    width: int = 768
    embed: int = 256
    blocks: int = 2
    text_blocks: int = 2
    heads: int = 4
    temperature: float = 0.07
    targets: Literal["multi_positive", "one_hot"] = "multi_positive"
    pool: Literal["max", "mean"] = "max"
    train: TrainConfig = TrainConfig(epochs=20, batch_size=120, lr=1e-4, schedule="cosine")

    @property
    def images(self) -> int:
        """How many images of its window a crop is made of."""
        return 2 if self.lag else 1

    @property
    def inputs(self) -> int:
        """Channels of all images of a crop."""
        return self.images * self.channels


# What two cores can do: at 128 x 192 a person of Ped2 has 20 pixels a side to begin with
SMALL: dict[str, Any] = {
    "size": 64,
    "grid": 8,
    "visual": 128,
    "queries": 8,
    "width": 64,
    "embed": 64,
    "train": TrainConfig(epochs=1, batch_size=64, lr=1e-3, schedule="cosine"),
}


# ---------------------------------------------------------------------------------- the networks


class Block(nn.Module):
    """Self-attention, cross-attention to what is looked at (if anything is), feed-forward; each
    reads its input normalised and adds to the input itself."""

    def __init__(self, width: int, heads: int, looks_at: int | None = None):
        super().__init__()
        self.norm_self, self.norm_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.cross_attention = None
        if looks_at is not None:
            self.norm_cross = nn.LayerNorm(width)
            self.cross_attention = nn.MultiheadAttention(
                width, heads, kdim=looks_at, vdim=looks_at, batch_first=True
            )
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )

    def forward(
        self, x: Tensor, seen: Tensor | None = None, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, S, width), seen (B, S', looks_at), padding (B, S) True where x is to be ignored.

        Returns x of the same shape, and the weights of the cross-attention (B, S, S'), mean over
        the heads: rows that sum to 1.
        """
        y, weights = self.norm_self(x), None
        x = x + self.self_attention(y, y, y, key_padding_mask=padding, need_weights=False)[0]
        if self.cross_attention is not None:
            found, weights = self.cross_attention(self.norm_cross(x), seen, seen)
            x = x + found
        return x + self.feed(self.norm_feed(x)), weights


class Backbone(nn.Module):
    """The first two stages of ResNet-18, from scratch: visual tokens H^I of a crop.

    They end in 128 channels, an eighth of the crop's side. The paper's 28 x 28 x 512 of a crop of
    224 would be those of ResNet-50.
    """

    def __init__(self, config: ITAMConfig):
        super().__init__()
        r = resnet18(weights=None)
        if config.inputs != 3:
            r.conv1 = nn.Conv2d(config.inputs, 64, 7, stride=2, padding=3, bias=False)
        self.stages = nn.Sequential(r.conv1, r.bn1, r.relu, r.maxpool, r.layer1, r.layer2)
        self.grid = config.grid
        self.project = nn.Linear(128, config.visual)
        self.begin = nn.Parameter(0.02 * torch.randn(1, 1, config.visual))
        self.place = nn.Parameter(0.02 * torch.randn(1, config.grid**2, config.visual))

    def forward(self, crops: Tensor) -> Tensor:
        """(B, inputs, size, size) in [-1, 1] -> (B, 1 + grid^2, V_d), the class token first."""
        x = self.stages(crops)
        if x.shape[-1] != self.grid:
            x = F.interpolate(x, (self.grid, self.grid), mode="bilinear", align_corners=False)
        x = self.project(x.flatten(2).transpose(1, 2)) + self.place
        return torch.cat([self.begin.expand(len(x), -1, -1), x], 1)


class ImageAttention(nn.Module):
    """The Image-attention Module: learnable queries that look at visual tokens."""

    def __init__(self, config: ITAMConfig):
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, config.queries, config.width))
        self.norm = nn.LayerNorm(config.visual)
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads, config.visual) for _ in range(config.blocks)
        )
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.embed))

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """(B, S_d, V_d) -> F^I (B, N_q, E_d), unit vectors; the last block's attention
        (B, N_q, S_d)."""
        x, seen, weights = self.queries.expand(len(seen), -1, -1), self.norm(seen), seen
        for block in self.blocks:
            x, weights = block(x, seen)
        return F.normalize(self.head(x), dim=-1), weights


class TextAttention(nn.Module):
    """The Text-attention Module: a small transformer over the words of a sentence, from scratch.

    A sentence is what its first token, which is no word, has gathered.
    """

    def __init__(self, config: ITAMConfig, words: int, length: int):
        super().__init__()
        self.embed = nn.Embedding(words, config.width)
        self.place = nn.Parameter(0.02 * torch.randn(1, length, config.width))
        self.blocks = nn.ModuleList(
            Block(config.width, config.heads) for _ in range(config.text_blocks)
        )
        self.head = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, config.embed))

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(..., T) int64 and their mask, True at real words -> F^T (..., E_d), unit vectors."""
        shape = tokens.shape[:-1]
        tokens, mask = tokens.flatten(0, -2), mask.flatten(0, -2)
        x = self.embed(tokens) + self.place[:, : tokens.shape[-1]]
        for block in self.blocks:
            x, _ = block(x, padding=~mask)
        return F.normalize(self.head(x[:, 0]), dim=-1).view(*shape, -1)


class ITAM(nn.Module):
    """One branch: backbone, Image-attention Module, Text-attention Module, temperature.

    sentences  all that may be said; those of `AttributeCaptioner` when None
    """

    def __init__(self, config: ITAMConfig, sentences: Sequence[str] | None = None):
        super().__init__()
        if sentences is None:
            known = text.AttributeCaptioner.sentences()
            sentences = [s for group in known.values() for s in group]
        self.config, self.tokenizer = config, text.Tokenizer(sentences)
        self.backbone, self.image_attention = Backbone(config), ImageAttention(config)
        self.text_attention = TextAttention(config, len(self.tokenizer), self.tokenizer.length)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(config.temperature)))

    @property
    def temperature(self) -> Tensor:
        """tau of equation 1, learned; never below `COLDEST`."""
        return self.log_temperature.exp().clamp_min(COLDEST)

    def image(self, crops: Tensor) -> Tensor:
        """F^I: (B, inputs, size, size) in [-1, 1] -> (B, N_q, E_d), unit vectors."""
        return self.image_attention(self.backbone(crops))[0]

    def text(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """F^T: tokens (B, N_s, T) and their mask -> (B, N_s, E_d), unit vectors."""
        return self.text_attention(tokens, mask)

    def forward(self, crops: Tensor, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """F^I and F^T; arguments as for `image` and `text`."""
        return self.image(crops), self.text(tokens, mask)

    @torch.no_grad()
    def attention(self, crops: Tensor) -> Tensor:
        """Where each query looks: (B, inputs, size, size) -> (B, N_q, grid, grid), >= 0.

        A query's map sums to at most 1: the rest goes to the class token.
        """
        weights = self.image_attention(self.backbone(crops))[1]
        return weights[:, :, 1:].unflatten(2, (self.config.grid, self.config.grid))

    def sentences(self, said: Sequence[str]) -> Tensor:
        """F^T of sentences: n strings -> (n, E_d). Raises VadError for an unknown word."""
        tokens, mask = self.tokenizer(list(said))
        device = self.log_temperature.device
        return self.text_attention(tokens.to(device), mask.to(device))

    @torch.no_grad()
    def encode(self, crops: np.ndarray, batch: int = 256) -> Tensor:
        """F^I of many crops, (n, C, size, size) uint8 -> (n, N_q, E_d) on the CPU; frozen."""
        device = self.log_temperature.device
        self.eval()
        parts = [
            self.image(to_input(torch.from_numpy(crops[i : i + batch]).to(device), self.config))
            for i in range(0, len(crops), batch)
        ]
        shape = (0, self.config.queries, self.config.embed)
        return torch.cat(parts).float().cpu() if parts else torch.zeros(shape)

    def features(self, crops: np.ndarray, batch: int = 256) -> Tensor:
        """v of many crops, for the state machine: (n, C, size, size) uint8 -> (n, N_q E_d)."""
        return self.encode(crops, batch).flatten(1)


class Merge(nn.Module):
    """The cross-attention that combines the branches: the queries of one look at the other's.

    The paper trains it with the state machine, whose loss is smallest where all features are alike:
    it can be, by a merge that answers with a constant. Freeze it, or watch the features' spread.
    """

    def __init__(self, embed: int, heads: int = 4):
        super().__init__()
        self.attention = nn.MultiheadAttention(embed, heads, batch_first=True)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """F^I of branch 1 and of branch 2, (B, N_q, E_d) each -> (B, N_q, E_d), unit vectors."""
        return F.normalize(one + self.attention(one, other, other, need_weights=False)[0], dim=-1)


def to_input(crops: Tensor, config: ITAMConfig) -> Tensor:
    """uint8 (B, images C, H, W) in 0..255 -> float (B, inputs, H, W) in [-1, 1]: grey images are
    repeated to `channels`."""
    x = crops.float() / 127.5 - 1
    return x.repeat_interleave(config.inputs // x.shape[1], 1)


# -------------------------------------------------------------------------------------- the loss


def similarity(image: Tensor, text: Tensor, pool: str = "max") -> Tensor:
    """Cosine of each image with each sentence: (B, N_q, E_d), (M, E_d) -> (B, M), in [-1, 1].

    pool  over the queries: "max", the one that knows most about the sentence; or "mean"
    Raises VadError for another.
    """
    cosine = torch.einsum("iqe,ce->icq", F.normalize(image, dim=-1), F.normalize(text, dim=-1))
    if pool not in ("max", "mean"):
        raise VadError(f"unknown pool {pool!r} over the queries", "Use 'max' or 'mean'.")
    return cosine.amax(-1) if pool == "max" else cosine.mean(-1)


def cross_entropy(logits: Tensor, right: Tensor) -> Tensor:
    """Mean of -log p(right answer) over the rows: logits (B, B), right (B, B) bool -> scalar.

    A row with several right answers is the mean over them of the cross-entropy of one against the
    *wrong* ones. It can reach 0, and with one right answer it is the usual cross-entropy.
    """
    wrong = logits.masked_fill(right, NEVER).logsumexp(1, keepdim=True)
    each = torch.logaddexp(logits, wrong) - logits
    return ((each * right).sum(1) / right.sum(1)).mean()


def itam_loss(
    image: Tensor,
    text: Tensor,
    temperature: Tensor | float,
    groups: Tensor | None = None,
    pool: str = "max",
) -> Tensor:
    """Equation 1, L_ITAM, a scalar >= 0.

    image   F^I (B, N_q, E_d); text: F^T (B, N_s, E_d), row i says N_s things about image i
    groups  (B, N_s) int: sentences of one column with equal numbers are equal, and all of them are
            right answers; None is the paper's one-hot target, box i and sentence i alone
    """
    own = torch.eye(len(image), dtype=torch.bool, device=image.device)
    total = image.new_zeros(())
    for n in range(text.shape[1]):
        logits = similarity(image, text[:, n], pool) / temperature
        right = own if groups is None else groups[:, n, None] == groups[None, :, n]
        total = total + cross_entropy(logits, right) + cross_entropy(logits.T, right.T)
    return total / (2 * text.shape[1])


# -------------------------------------------------------------------------------------- training


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
        self.groups = text.groups(captions)

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

    def loss(net: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        image, said = net(to_input(batch["crops"], config), batch["tokens"], batch["mask"])
        groups = batch["groups"] if config.targets == "multi_positive" else None
        total = itam_loss(image, said, own.temperature, groups, config.pool)
        return {"total": total, "temperature": own.temperature}

    own = net  # `train` may wrap the net that it hands to the loss
    clips: Any = Captioned(videos, crops, captions, net)  # all that `train` asks of clips
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
