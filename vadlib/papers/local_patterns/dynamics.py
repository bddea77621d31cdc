"""The State Machine Module of Local Patterns: what comes next (equations 2-6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vadlib.papers.layers.legendre import LegendreMemory, legendre


class SMM(nn.Module):
    """Equations 2-6: features of L moments -> those of the next. All of it is linear.

    features    N; length: L; order: O; rule: of `layers.discretise`
    channels    mixtures of the features, each with a memory of its own: the recommended reading.
                None is the paper's: the encoder's O outputs are *summed* (eq. 3) before they reach
                the memory, so that of all features one weighted sum is left at each moment
    residual    add the answer to the last moment, and start with almost no answer
    """

    ahead: Tensor

    def __init__(
        self,
        features: int,
        length: int = 5,
        order: int = 4,
        channels: int | None = 64,
        rule: str = "zoh",
        residual: bool = False,
    ):
        super().__init__()
        self.summed, self.residual = channels is None, residual
        self.encode = nn.Linear(features, channels or order)  # the Object Feature Encoder
        self.memory = LegendreMemory(order, length, rule)
        self.C = nn.Parameter(torch.eye(order))
        self.decode = nn.Linear((channels or 1) * order, features)  # the Object Feature Decoder
        if residual:
            nn.init.normal_(self.decode.weight, std=1e-3)
            nn.init.zeros_(self.decode.bias)
        nxt = torch.tensor(1 + 1 / length, dtype=torch.float64)  # x = 1 is now, x = 0 is L ago
        self.register_buffer("ahead", legendre(order, nxt).float(), persistent=False)

    def forward(self, v: Tensor) -> Tensor:
        """(B, L, N) -> (B, N)."""
        u = self.encode(v)
        u = u.sum(2, keepdim=True) if self.summed else u  # (B, L, D), the sum of eq. 3
        c = self.memory(u.transpose(1, 2))  # (B, D, O), eq. 5 with C outside
        x = c @ self.C.T  # eq. 4
        ahead = self.decode((x * self.ahead).flatten(1))  # eq. 6 at the one moment asked for
        return v[:, -1] + ahead if self.residual else ahead


class Last(nn.Module):
    """A control: what was seen last."""

    def forward(self, v: Tensor) -> Tensor:
        """(B, L, F) -> (B, F): the newest of the window."""
        return v[:, -1]


class Linear(nn.Module):
    """A control: the straight line through the last two."""

    def forward(self, v: Tensor) -> Tensor:
        """(B, L, F) -> (B, F): one step further along that line."""
        return 2 * v[:, -1] - v[:, -2]
