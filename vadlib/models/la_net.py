"""LA-Net and discriminative dynamics learning (Pu and Wu, ICME 2022): anomalies from weak labels.

A video is a bag of snippets, and only the bag has a label. Attention with a locality prior looks
at all snippets, a causal convolution scores each, and three losses say what a bag's scores should
be like. With the attention off it is plain multiple instance learning. Equation numbers are the
paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vadlib.data.features import Bag
from vadlib.detector import Detector, History, Scores
from vadlib.errors import VadError
from vadlib.layers import Dropout
from vadlib.train import TrainConfig, pick_device, train

EPS = 1e-7  # the paper's epsilon of eq. 10; also keeps logarithms finite
BLOCK = 1024  # rows of the attention map that are held at once


@dataclass(frozen=True)
class LANetConfig:
    """Every choice that the paper states, leaves open or contradicts; defaults are UCF-Crime's.

    The network (eqs. 1-5): `features` is D; `standardise` centres and scales features by those of
    the training bags, which the paper does not do; `attention` switches eqs. 1-3 off; `width` is
    D_h; `prior` says where G of eq. 2 goes ("paper" adds it after the softmax, "renorm" scales
    those rows to sum to 1, "logit" adds log G before the softmax); `scale` divides the logits by
    the root of a head's width; `widths` are the MLP's layers, `causal_kernel` is K of eq. 5.
    The losses (eqs. 6-11): `mil` is "bce" (eq. 6 with the half that it lacks), "paper" (as printed)
    or "ranking" (Sultani et al.); lambda 0 leaves a loss out. `da` is "paper" (eq. 10 as printed)
    or "kl"; `detach` stops the gradient of one of its sides, "score" or "feature".
    Training: `length` snippets, sampled uniformly, of one crop; a batch_size of 64 pairs is the
    paper's 128 bags.
    """

    features: int = 1024
    standardise: bool = False
    attention: bool = True
    width: int = 512
    heads: int = 4
    prior: Literal["paper", "renorm", "logit", "none"] = "paper"
    sigma: float = 16.0
    scale: bool = False
    widths: tuple[int, ...] = (512, 128)
    dropout: float = 0.1
    causal_kernel: int = 10
    length: int = 200
    mil: Literal["bce", "paper", "ranking"] = "bce"
    lambda_dr: float = 1.0
    dr_margin: float = 0.0
    lambda_da: float = 1.0
    da: Literal["paper", "kl", "none"] = "paper"
    detach: Literal["none", "score", "feature"] = "none"
    train: TrainConfig = TrainConfig(epochs=50, batch_size=64, lr=5e-4, schedule="cosine")


# ---------------------------------------------------------------------------------- the network


def location_prior(rows: Tensor, columns: Tensor, sigma: float) -> Tensor:
    """Equation 2, exp(-(i - j)^2 / (2 sigma)), for positions (R,) and (T,): (R, T) in (0, 1].

    sigma is not squared: the bell is sqrt(sigma) wide.
    """
    return torch.exp(-(rows[:, None] - columns).float().square() / (2 * sigma))


def attend(logits: Tensor, prior: Tensor, mask: Tensor, mode: str = "paper") -> Tensor:
    """Equations 1 and 3: how much each snippet (row) takes from each (column).

    logits (B, heads, R, T), prior (R, T), mask (B, T) True where a snippet is no padding; padded
    columns get exactly 0. Rows sum to 1, but with mode "paper" to 1 plus the prior's sum.
    Raises VadError for an unknown mode.
    """
    keys = mask[:, None, None]
    if mode == "logit":
        logits = logits + prior.log().clamp_min(-1e4)  # as far as float32 can tell, -infinity
    weights = logits.masked_fill(~keys, -torch.inf).softmax(-1)  # eq. 1
    if mode in ("logit", "none"):
        return weights
    if mode not in ("paper", "renorm"):
        raise VadError(f"unknown prior {mode!r}", "Use 'paper', 'renorm', 'logit' or 'none'.")
    weights = weights + prior * keys  # eq. 3
    return weights / weights.sum(-1, keepdim=True) if mode == "renorm" else weights


class LocalityAttention(nn.Module):
    """Equations 1-4: every snippet looks at all of its bag, and most at its neighbours."""

    def __init__(self, config: LANetConfig):
        super().__init__()
        if config.width % config.heads:
            raise VadError(
                f"width {config.width} does not divide into {config.heads} heads",
                "Choose a multiple.",
            )
        self.heads, self.mode, self.sigma = config.heads, config.prior, config.sigma
        self.factor = (config.width // config.heads) ** -0.5 if config.scale else 1.0
        # no biases, as printed; one in psi could not even learn, as the softmax cancels it
        self.phi, self.psi, self.value = (  # value: all W_k side by side
            nn.Linear(config.features, config.width, bias=False) for _ in range(3)
        )
        self.out = nn.Linear(config.width, config.features, bias=False)  # W_h

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D_h) -> (B, heads, T, D_h / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def rows(self, x: Tensor, mask: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows start..stop of the map of eq. 3: (B, T, D) and mask (B, T) -> (B, heads, R, T)."""
        at = torch.arange(x.shape[1], device=x.device)
        logits = self.split(self.phi(x[:, start:stop])) @ self.split(self.psi(x)).mT
        prior = location_prior(at[start:stop], at, self.sigma)
        return attend(logits.float() * self.factor, prior, mask, self.mode)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What eq. 4 adds to X before it is normalised: (B, T, D) -> (B, T, D)."""
        value = self.split(self.value(x))
        blocks = range(0, x.shape[1], BLOCK)  # a long video's whole map would not fit in memory
        heads = [self.rows(x, mask, s, s + BLOCK).to(value.dtype) @ value for s in blocks]
        return self.out(torch.cat(heads, 2).transpose(1, 2).flatten(2))


class Output(NamedTuple):
    """What the network says about B bags of T snippets."""

    scores: Tensor  # (B, T) in (0, 1); at padding, without meaning
    features: Tensor  # (B, T, F) X^F of eq. 5, what the scores are made of


class LANetModule(nn.Module):
    """Figure 2: attention, a perceptron for each snippet, and a causal convolution over them."""

    mean: Tensor  # (D,) what features are centred and scaled by; 0 and 1 change nothing
    spread: Tensor

    def __init__(self, config: LANetConfig):
        super().__init__()
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("spread", torch.ones(config.features))
        self.attention = LocalityAttention(config) if config.attention else None
        # a single feature has no direction: normalised, it would be a constant
        self.norm = nn.LayerNorm(config.features) if config.features > 1 else nn.Identity()
        widths = [config.features, *config.widths]
        layers = [
            (nn.Linear(a, b), nn.GELU(), Dropout(config.dropout)) for a, b in pairwise(widths)
        ]
        self.mlp = nn.Sequential(*(part for layer in layers for part in layer))
        self.conv = nn.Conv1d(widths[-1], 1, config.causal_kernel)

    def forward(self, x: Tensor, mask: Tensor) -> Output:
        """(B, T, D) features, and mask (B, T), True where a snippet is no padding -> `Output`."""
        x = (x - self.mean) / self.spread
        if self.attention is not None:
            x = self.attention(x, mask) + x
        features = self.mlp(self.norm(x))  # eq. 4, and X^F
        return Output(self.causal(features), features)

    def causal(self, features: Tensor) -> Tensor:
        """Equation 5: (B, T, F) -> scores (B, T); snippet t is scored from t-K+1 .. t."""
        past = F.pad(features.mT, (self.conv.kernel_size[0] - 1, 0))
        return self.conv(past)[:, 0].float().sigmoid()


# ----------------------------------------------------------------------------------- the losses


def k_of(lengths: Tensor, labels: Tensor) -> Tensor:
    """How many snippets stand for a bag: floor(T/16 + 1) where it is abnormal, 1 where normal.

    lengths (B,) snippets, labels (B,) 0 or 1 -> (B,) int.
    """
    return torch.where(labels > 0, lengths // 16 + 1, 1)


def top_k(values: Tensor, mask: Tensor, k: Tensor) -> Tensor:
    """Mean of the k largest values of each row: (B, T), mask (B, T), k (B,) -> (B,).

    A row with fewer than k valid values takes them all; one with none gives 0.
    """
    k = torch.minimum(k, mask.sum(1))
    ordered = values.masked_fill(~mask, -torch.inf).sort(1, descending=True).values
    taken = torch.arange(values.shape[1], device=values.device) < k[:, None]
    return ordered.masked_fill(~taken, 0).sum(1) / k.clamp_min(1)


def mil_loss(scores: Tensor, mask: Tensor, labels: Tensor, mode: str = "bce") -> Tensor:
    """Equation 6 on the mean of each bag's top-k scores: (B, T), mask (B, T), labels (B,).

    "paper"  as printed, -y log p: normal bags give no loss, and "all is abnormal" minimises it
    "bce"    with the missing half, -(1 - y) log(1 - p)
    Raises VadError for another mode.
    """
    if mode not in ("paper", "bce"):
        raise VadError(f"unknown MIL loss {mode!r}", "Use 'bce', 'paper' or 'ranking'.")
    p = top_k(scores, mask, k_of(mask.sum(1), labels)).clamp(EPS, 1 - EPS)
    loss = -labels * p.log()
    return (loss if mode == "paper" else loss - (1 - labels) * (1 - p).log()).mean()


def sultani_loss(normal: Tensor, abnormal: Tensor, masks: tuple[Tensor, Tensor]) -> Tensor:
    """Sultani et al. (CVPR 2018): the highest scores of a pair of bags, ranked with margin 1.

    Scores (P, T) of P pairs, and their masks; the abnormal bag's scores shall also be smooth and
    sparse, with their weight of 8e-5 each.
    """
    one = torch.ones(len(normal), dtype=torch.long, device=normal.device)
    rank = F.relu(1 - top_k(abnormal, masks[1], one) + top_k(normal, masks[0], one))
    smooth = (abnormal.diff(dim=1).square() * masks[1][:, 1:]).sum(1)
    return (rank + 8e-5 * (smooth + (abnormal * masks[1]).sum(1))).mean()


def score_dynamics(scores: Tensor) -> Tensor:
    """delta^s of eq. 7, |s_t - s_{t+1}|: (B, T) -> (B, T-1), in [0, 1]."""
    return scores.diff(dim=1).abs()


def energy(dynamics: Tensor, mask: Tensor, k: Tensor) -> Tensor:
    """Equation 7, the mean square of the k largest score dynamics: (B, T-1) -> (B,)."""
    return top_k(dynamics.square(), mask, k)


def ranking_loss(normal: Tensor, abnormal: Tensor, margin: float = 0.0) -> Tensor:
    """Equation 8, max(0, margin - E_abnormal + E_normal), for each of P pairs: (P,) -> (P,)."""
    return F.relu(margin - abnormal + normal)


def feature_dynamics(features: Tensor) -> Tensor:
    """Equation 9, one minus the cosine of neighbours: (B, T, F) -> (B, T-1), in [0, 2]."""
    cosine = F.cosine_similarity(features[:, :-1], features[:, 1:], dim=2)
    return (1 - cosine).clamp_min(0)  # rounding can take a cosine above 1, and eq. 10 a logarithm


def alignment_loss(ds: Tensor, df: Tensor, mask: Tensor, mode: str = "paper") -> Tensor:
    """Equation 10: score dynamics against feature dynamics, (B, T-1) each -> (B,), one a bag.

    "paper"  the mean of -ds log(df + eps), as printed: no divergence, and it can be negative
    "kl"     KL(p || q) of both, scaled to sum to 1 over the bag: >= 0, and 0 where p = q
    Raises VadError for another mode.
    """
    if mode == "paper":
        return -(ds * (df + EPS).log() * mask).sum(1) / mask.sum(1).clamp_min(1)
    if mode != "kl":
        raise VadError(f"unknown alignment loss {mode!r}", "Use 'paper', 'kl' or 'none'.")
    p, q = ((d + EPS) * mask for d in (ds, df))
    p, q = (d / d.sum(1, keepdim=True).clamp_min(EPS) for d in (p, q))
    return (p * ((p + ~mask).log() - (q + ~mask).log())).sum(1)  # at padding 0 (log 1 - log 1)


def losses(out: Output, mask: Tensor, config: LANetConfig) -> dict[str, Tensor]:
    """Equation 11 and its terms, for P pairs: bag 2i is normal, bag 2i + 1 abnormal.

    out of 2P bags, mask (2P, T). "total" is what to minimise; "active" is the share of pairs that
    eq. 8 still pushes. A loss that is switched off is left out.
    """
    labels = torch.arange(len(mask), device=mask.device) % 2
    if config.mil == "ranking":
        pairs = out.scores[::2], out.scores[1::2]
        terms = {"mil": sultani_loss(*pairs, (mask[::2], mask[1::2]))}
    else:
        terms = {"mil": mil_loss(out.scores, mask, labels, config.mil)}
    total, ds, pair = terms["mil"], score_dynamics(out.scores), mask[:, 1:]
    if config.lambda_dr:
        e = energy(ds, pair, k_of(mask.sum(1), labels))
        rank = ranking_loss(e[::2], e[1::2], config.dr_margin)
        terms |= {"dr": rank.mean(), "active": (rank > 0).float().mean()}
        total = total + config.lambda_dr * terms["dr"]
    if config.lambda_da and config.da != "none":
        df = feature_dynamics(out.features)
        ds = ds.detach() if config.detach == "score" else ds
        df = df.detach() if config.detach == "feature" else df
        terms["da"] = alignment_loss(ds, df, pair, config.da).mean()
        total = total + config.lambda_da * terms["da"]
    return {"total": total, **terms}


# --------------------------------------------------------------------------------- the detector


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
        """Raises VadError when a bag's D is not the config's."""
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
        """The mean of the crops' scores; each snippet's score speaks for all of its frames."""
        crops = [self.output(video, crop).scores[0] for crop in range(video.features.shape[0])]
        snippets = torch.stack(crops).mean(0).double().numpy()
        index = np.arange(video.length)
        return Scores(video.name, snippets[index // video.span], index)

    def cost_inputs(self, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """What the network reads for one snippet of a bag of one, whatever a frame's `size`."""
        return torch.zeros(1, 1, self.config.features), torch.ones(1, 1, dtype=torch.bool)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: weights and config."""
        return {"net": self.net.state_dict(), "config": asdict(self.config)}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up a checkpoint's weights. Raises RuntimeError or KeyError when they do not fit."""
        self.net.load_state_dict(state["net"])
