"""ITAM: words that find parts (Jiang and Mao, 2025, "Local Patterns Generalize Better for Novel
Anomalies"; how they move is in `dynamics`).

Queries look at a crop, a small transformer reads its captions, and both learn to agree. After
training the text is dropped; what the queries found are the features of the crop. Two branches of
one kind learn from different sentences: what somebody does, and what can be seen of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18

from vadlib.errors import VadError
from vadlib.papers.local_patterns.config import ITAMConfig
from vadlib.see.captions import AttributeCaptioner
from vadlib.see.tokens import Tokenizer


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
            known = AttributeCaptioner.sentences()
            sentences = [s for group in known.values() for s in group]
        self.config, self.tokenizer = config, Tokenizer(sentences)
        self.backbone, self.image_attention = Backbone(config), ImageAttention(config)
        self.text_attention = TextAttention(config, len(self.tokenizer), self.tokenizer.length)
        self.classes = nn.ParameterList()  # a vector a sentence, only where no text is read
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


NEVER = -1e9  # a logit that no softmax sees, and whose gradient is 0 instead of not a number


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


COLDEST = 0.01  # the temperature stays above: at 0 the loss would not be defined
