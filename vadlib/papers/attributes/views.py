"""Views: some attributes side by side, how unusual they are, and what counts as large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from vadlib.papers.attributes.measured import Measured
from vadlib.papers.layers.normal import Space


class Mixture:
    """A Gaussian mixture of normal points, and how unlikely others are under it.

    weights (K,), means (K, D), covariances (K, D, D), float64; own: -log p of its points (n,)
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor, own: Tensor):
        self.weights, self.means, self.covariances = weights, means, covariances
        self.own = own

    @classmethod
    def of(cls, points: Tensor, components: int, seed: int) -> Mixture:
        """The mixture of most likelihood that expectation-maximisation finds for points (n, D); of
        fewer points than components, as many components as points."""
        x = points.double()
        made = GaussianMixture(min(components, len(x)), random_state=seed).fit(x.numpy())
        weights, means, covariances = (
            torch.from_numpy(np.asarray(part))
            for part in (made.weights_, made.means_, made.covariances_)
        )
        mixture = cls(weights, means, covariances, x[:0, 0])
        mixture.own = mixture.distance(x)
        return mixture

    def distance(self, v: Tensor) -> Tensor:
        """-log p of (B, D) -> (B,), in nats; it has no lower bound."""
        each = torch.distributions.MultivariateNormal(self.means, self.covariances)
        parts = each.log_prob(v.double()[:, None]) + self.weights.log()
        return -parts.logsumexp(1)

    def held_out(self) -> Tensor:
        """That of its own points, as in the paper: a mixture hardly knows a single one."""
        return self.own

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint holds."""
        names = ("weights", "means", "covariances", "own")
        return {name: getattr(self, name) for name in names}


class View:
    """How unusual some attributes are together: 0 as the most usual box of training, 1 as unusual
    as a quantile of them.

    attributes  their names; scales: the spread of each in training, by which it is divided, so that
                each counts alike, however many numbers it has
    density     what knows normal points: `Space` or `Mixture`; low, high: what becomes 0 and 1
    """

    def __init__(
        self,
        attributes: Sequence[str],
        scales: Sequence[float],
        density: Space | Mixture,
        low: float,
        high: float,
    ):
        self.attributes, self.scales, self.density = tuple(attributes), tuple(scales), density
        self.low, self.high = low, high

    @classmethod
    def of(
        cls,
        attributes: Sequence[str],
        measured: Measured,
        owner: Tensor,
        quantile: float,
        neighbours: int,
        mixture: tuple[int, int] | None = None,
    ) -> View:
        """Learn from boxes of training; owner (n,) int says which video each is from.

        mixture  number of Gaussians and seed; None for the nearest neighbours, of which a box of
                 training is not its own video's
        """
        scales = [spread_of(measured[name]) for name in attributes]
        points = side_by_side(measured, attributes, scales)
        if mixture:
            density = Mixture.of(points, *mixture)
        else:
            density = Space(points, "knn", neighbours, 0.0, owner)
        usual = density.held_out().numpy()
        low, high = float(usual.min()), float(np.quantile(usual, quantile))
        return cls(attributes, scales, density, low, high if high > low else low + 1)

    def score(self, measured: Measured) -> np.ndarray:
        """How unusual boxes are, (n,)."""
        points = side_by_side(measured, self.attributes, self.scales)
        parts = [self.density.distance(part) for part in points.split(512)]
        return (torch.cat(parts).double().numpy() - self.low) / (self.high - self.low)

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        kept = {"attributes": self.attributes, "scales": self.scales, "density": {}}
        return kept | {"low": self.low, "high": self.high, "density": self.density.state()}

    @classmethod
    def from_state(cls, state: dict[str, Any], neighbours: int) -> View:
        """The view that `state` kept."""
        own = state["density"]
        if "points" in own:
            density = Space(own["points"], "knn", neighbours, 0.0, own["owner"])
        else:
            density = Mixture(**own)
        return cls(state["attributes"], state["scales"], density, state["low"], state["high"])


def spread_of(values: np.ndarray) -> float:
    """The root of the summed variances of (n, d); 1 where nothing varies."""
    return float(np.sqrt(values.astype(np.float64).var(0).sum())) or 1.0


def side_by_side(measured: Measured, attributes: Sequence[str], scales: Sequence[float]) -> Tensor:
    """Attributes, each divided by its scale, in the columns of (n, D) float32."""
    pairs = zip(attributes, scales, strict=True)
    parts = [np.asarray(measured[name], np.float32) / scale for name, scale in pairs]
    return torch.from_numpy(np.concatenate(parts, 1, dtype=np.float32))
