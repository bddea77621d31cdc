"""The Legendre memory (HiPPO-LegT): the recent past of a signal as a few coefficients."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from vadlib.errors import VadError


def legendre(order: int, x: Tensor) -> Tensor:
    """The first `order` Legendre polynomials on [0, 1], orthonormal there: (...) -> (order, ...).

    phi_n(x) = sqrt(2n+1) P_n(2x-1); phi_n(1) = sqrt(2n+1). By the three-term recurrence, in the
    type of x; x may lie outside [0, 1], where each is larger than the one before by a factor > 1.
    """
    z = 2 * x - 1
    p = [torch.ones_like(z), z]
    for n in range(1, order - 1):
        p.append(((2 * n + 1) * z * p[n] - n * p[n - 1]) / (n + 1))
    return torch.stack([math.sqrt(2 * n + 1) * p[n] for n in range(order)])


def hippo_legt(order: int, theta: float) -> tuple[Tensor, Tensor]:
    """HiPPO-LegT (Gu et al., 2020), orthonormal: A (O, O) and B (O,) of dc/dt = A c + B f, float64.

    c(t) are the coefficients of f over the last `theta` units of time in the basis of `legendre`,
    x = 1 being now. Exact where f is a polynomial of degree below `order`; otherwise the system
    takes its own reading of f(t - theta) for the truth. Raises VadError for order or theta <= 0.
    """
    if order < 1 or theta <= 0:
        raise VadError(
            f"a Legendre memory of order {order} over a window of {theta}",
            "Both must be positive.",
        )
    n = torch.arange(order, dtype=torch.float64)
    scale = (2 * n + 1).sqrt()
    sign = torch.where(n[None] <= n[:, None], 1.0, (-1.0) ** (n[:, None] - n[None]))
    return -scale[:, None] * scale * sign / theta, scale / theta


def discretise(A: Tensor, B: Tensor, dt: float, rule: str = "zoh") -> tuple[Tensor, Tensor]:
    """c(t) = A c(t-1) + B f(t), (O, O) and (O,), out of dc/dt = A c + B f in steps of dt.

    rule  "zoh", exact where f is constant within a step; "bilinear", the trapezoid rule; "euler",
          c + dt (A c + B f)
    Raises VadError for another rule, and for Euler's where the result is unstable: with a spectral
    radius of 1 or more the state grows without bound.
    """
    eye = torch.eye(len(A), dtype=A.dtype)
    if rule == "zoh":
        block = torch.zeros(len(A) + 1, len(A) + 1, dtype=A.dtype)
        block[:-1, :-1], block[:-1, -1] = A * dt, B * dt
        step = torch.linalg.matrix_exp(block)
        return step[:-1, :-1], step[:-1, -1]
    if rule == "bilinear":
        half = torch.linalg.inv(eye - dt / 2 * A)
        return half @ (eye + dt / 2 * A), half @ B * dt
    if rule != "euler":
        raise VadError(f"unknown rule {rule!r}", "Use 'zoh', 'bilinear' or 'euler'.")
    step = eye + dt * A
    if (radius := spectral_radius(step)) >= 1:
        raise VadError(
            f"Euler's rule with dt={dt} is unstable: spectral radius {radius:.3g}",
            "Use 'zoh', or a smaller dt.",
        )
    return step, dt * B


def spectral_radius(A: Tensor) -> float:
    """The largest absolute value among the eigenvalues of a square matrix.

    Those of LegT at high orders are ill-conditioned: for 1 + A at O = 64, theta = 5, float64 gives
    about 40, and arithmetic of 80 digits 24.1.
    """
    return float(torch.linalg.eigvals(A).abs().max())


class LegendreMemory(nn.Module):
    """The last `theta` moments of a signal as `order` coefficients: a fixed linear recurrence.

    rule   of `discretise`
    dtype  of the matrices, which are computed in float64
    """

    A: Tensor
    B: Tensor

    def __init__(
        self,
        order: int,
        theta: float,
        rule: str = "zoh",
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        A, B = discretise(*hippo_legt(order, theta), 1.0, rule)
        self.register_buffer("A", A.to(dtype), persistent=False)  # known from order and theta
        self.register_buffer("B", B.to(dtype), persistent=False)

    def kernel(self, length: int) -> Tensor:
        """A^j B for j = 0 .. length-1, the newest moment first: (length, O)."""
        taps = [self.B]
        for _ in range(length - 1):
            taps.append(self.A @ taps[-1])
        return torch.stack(taps)

    def forward(self, f: Tensor) -> Tensor:
        """The state after f (..., L), from zero, at once (Local Patterns, eq. 5): (..., O)."""
        return f.flip(-1) @ self.kernel(f.shape[-1])

    def recurrent(self, f: Tensor, c: Tensor | None = None) -> Tensor:
        """The same step by step (eq. 3): f (..., L), c (..., O) before -> states (..., L, O)."""
        state = f.new_zeros(*f.shape[:-1], len(self.B)) if c is None else c
        states = []
        for t in range(f.shape[-1]):
            state = state @ self.A.T + f[..., t, None] * self.B
            states.append(state)
        return torch.stack(states, dim=-2)
