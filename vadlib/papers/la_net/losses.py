"""LA-Net's losses: what the scores of a bag should be like (equations 6-11)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vadlib.errors import VadError
from vadlib.papers.la_net.config import LANetConfig
from vadlib.papers.la_net.network import Output

EPS = 1e-7  # the paper's epsilon of eq. 10; also keeps logarithms finite


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
