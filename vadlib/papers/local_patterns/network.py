"""Local Patterns as one network: eyes that see crops, and a predictor of what they will see."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vadlib.papers.local_patterns.config import BRANCHES, LocalPatternsConfig
from vadlib.papers.local_patterns.dynamics import SMM, Last, Linear
from vadlib.papers.local_patterns.sight import Effnet, Eyes
from vadlib.papers.local_patterns.words import ITAM, Merge


class LocalPatternsNet(nn.Module):
    """Extractors, frozen once they are trained; the predictor of what they see; the whitening of
    its errors, (N, N), which begins as the identity."""

    whiten: Tensor

    def __init__(self, config: LocalPatternsConfig):
        super().__init__()
        self.config = config
        if not config.sees:
            eyes = []
        elif config.features == "effnet":
            eyes = [Effnet()]
        else:
            eyes = [Eyes(ITAM(config.branch)) for _ in BRANCHES[config.features]]
        self.extractors = nn.ModuleList(eyes).requires_grad_(False)
        if config.learns:
            channels = config.channels if config.predictor == "smm" else None
            sizes = (config.width, config.length, config.order, channels)
            self.predict = SMM(*sizes, config.rule, config.residual)
        else:
            self.predict = Linear() if config.predictor == "linear" else Last()
        merge = config.features == "merge"
        self.merge = Merge(config.itam.embed, config.itam.heads) if merge else None
        size = config.width if config.error == "whitened" and config.foresees else 0
        self.register_buffer("whiten", torch.eye(size))

    def forward(self, crops: Tensor) -> Tensor:
        """Tubes (B, L+1, inputs, size, size) in [-1, 1] -> the error of each (B,)."""
        seen = [eye(crops.flatten(0, 1)) for eye in self.extractors]
        if not self.config.foresees:
            return crops.new_zeros(len(crops))
        return self.error(torch.cat(seen, 1).unflatten(0, crops.shape[:2]))

    def merged(self, v: Tensor) -> Tensor:
        """Features as the predictor reads them: (..., F) of all branches -> (..., N)."""
        if self.merge is None:
            return v
        one, other = v.unflatten(-1, (2, -1, self.config.itam.embed)).flatten(0, -4).unbind(1)
        return self.merge(one, other).flatten(1).unflatten(0, v.shape[:-1])

    def residue(self, v: Tensor) -> Tensor:
        """What was not foreseen of the last of L+1 moments: (B, L+1, F) -> (B, N)."""
        v = self.merged(v)
        return self.predict(v[:, :-1]) - v[:, -1]

    def error(self, v: Tensor) -> Tensor:
        """Mean square of what was not foreseen, whitened where the config says so: (B, L+1, F) ->
        (B,). The paper defines no score; this is what its "prediction error" says."""
        r = self.residue(v)
        r = r @ self.whiten if len(self.whiten) else r
        return r.square().mean(1)
