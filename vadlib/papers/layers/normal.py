"""How far something is from normal: a score that asks what a thing *is*, not how it changes.

Normal is a cloud of points, the features of boxes of training. Two distances from it: that to its
nearest points, and that to a Gaussian around it. What is large is said by training, too.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def whitening(residues: Tensor, shrink: float) -> Tensor:
    """(n, N) residues of normal boxes -> the symmetric W (N, N) that makes them alike in all
    directions: W (S + shrink mean(S) 1) W = 1, with S their second moments."""
    r = residues.double()
    variances, axes = torch.linalg.eigh(r.T @ r / len(r))
    scale = (variances.clamp_min(0) + shrink * variances.mean()).rsqrt()
    return ((axes * scale) @ axes.T).float()


class Space:
    """Features of normal boxes (n, N), and how far others are from them.

    kind       "knn", the mean Euclidean distance to the `nearest` closest of them; or "gaussian",
               Mahalanobis' distance from their mean
    neighbours k; of fewer points, all
    shrink     of the Gaussian's covariance, as in `whitening`
    owner      (n,) int, the video of each, for `held_out`
    """

    def __init__(
        self, points: Tensor, kind: str, neighbours: int, shrink: float, owner: Tensor | None = None
    ):
        self.kind, self.neighbours, self.shrink = kind, neighbours, shrink
        self.owner = torch.arange(len(points)) if owner is None else owner
        self.points = points.half()
        self.mean, self.white = points[:0].float(), points[:0].float()
        if kind == "gaussian":
            self.mean = self.points.float().mean(0)
            self.white = whitening(self.points.float() - self.mean, shrink)

    def distance(self, v: Tensor) -> Tensor:
        """(B, N) -> (B,), >= 0."""
        if self.kind == "gaussian":
            mean, white = self.mean.to(v.device), self.white.to(v.device)
            return ((v - mean) @ white).norm(dim=1)
        far = torch.cdist(v, self.points.to(v.device).float())
        return far.topk(min(self.neighbours, len(self.points)), largest=False).values.mean(1)

    def held_out(self) -> Tensor:
        """The distance of each of its own points (n,) from those of all *other* videos; of one
        video, from its other points."""
        if self.kind == "gaussian":  # a mean and a covariance hardly know a single video
            return self.distance(self.points.float())
        owner = self.owner if len(self.owner.unique()) > 1 else torch.arange(len(self.points))
        out = torch.zeros(len(self.points))
        for who in owner.unique():
            own = owner == who
            rest = Space(self.points[~own], self.kind, self.neighbours, self.shrink)
            if len(rest.points):
                out[own] = rest.distance(self.points[own].float())
        return out

    def state(self) -> dict:
        """What a checkpoint holds."""
        return {"points": self.points, "owner": self.owner}


def larger(space: np.ndarray, dynamics: np.ndarray, scales: tuple[float, float]) -> np.ndarray:
    """The larger of two distances (n,), each in units of what is large for it in training."""
    return np.maximum(space / scales[0], dynamics / scales[1])


def unit(values: np.ndarray, quantile: float) -> float:
    """A quantile of training's values, by which they are divided; 1 where it is 0."""
    found = float(np.quantile(values, quantile)) if len(values) else 0.0
    return found if found > 0 else 1.0
