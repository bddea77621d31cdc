"""The Legendre memory: every identity that its mathematics promises, in float64."""

import math

import numpy as np
import pytest
import torch

from vadlib.errors import VadError
from vadlib.papers.layers.legendre import (
    LegendreMemory,
    discretise,
    hippo_legt,
    legendre,
    spectral_radius,
)

THETA = 5.0


def tensor(x):
    return torch.tensor(x, dtype=torch.float64)


def quadrature(points=64):
    """Nodes and weights on [0, 1], exact for polynomials of degree below 2 points."""
    x, w = np.polynomial.legendre.leggauss(points)
    return tensor((x + 1) / 2), tensor(w / 2)


def project(f, t, order, theta=THETA):
    """The exact coefficients at time t of a function over its last `theta` units of time."""
    x, w = quadrature()
    return legendre(order, x) @ (w * f(t - theta + theta * x))


def polynomial(degree, seed=0):
    """A random polynomial of time, and its derivative."""
    p = np.polynomial.Polynomial(np.random.default_rng(seed).normal(size=degree + 1), [-5, 5])
    return (lambda t: tensor(p(np.asarray(t)))), (lambda t: tensor(p.deriv()(np.asarray(t))))


def test_the_first_polynomials_by_hand():
    x = tensor([0.0, 0.25, 1.0, 1.5])
    z = 2 * x - 1
    expected = [torch.ones(4), math.sqrt(3) * z, math.sqrt(5) * (3 * z**2 - 1) / 2]
    torch.testing.assert_close(legendre(3, x), torch.stack([e.double() for e in expected]))
    assert legendre(1, x).shape == (1, 4)
    assert legendre(4, x.view(2, 2)).shape == (4, 2, 2)


def test_they_are_orthonormal():
    x, w = quadrature()
    gram = (legendre(20, x) * w) @ legendre(20, x).T
    torch.testing.assert_close(gram, torch.eye(20, dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [1, 2, 5, 12])
def test_a_polynomial_of_lower_degree_is_kept_exactly(order):
    f, _ = polynomial(order - 1)
    c, x = project(f, 3.0, order), torch.linspace(0, 1, 21, dtype=torch.float64)
    again = c @ legendre(order, x)
    torch.testing.assert_close(again, f(3.0 - THETA + THETA * x), rtol=0, atol=1e-12)


def test_a_polynomial_of_higher_degree_is_not():
    f, _ = polynomial(7)
    c, x = project(f, 3.0, 5), torch.linspace(0, 1, 21, dtype=torch.float64)
    assert (c @ legendre(5, x) - f(3.0 - THETA + THETA * x)).abs().max() > 1e-3


def test_ends_of_the_window_can_be_read_from_the_state():
    order = 6
    f, _ = polynomial(order - 1)
    c, n = project(f, 2.0, order), torch.arange(order, dtype=torch.float64)
    weights = (2 * n + 1).sqrt()
    torch.testing.assert_close((weights * c).sum(), f(2.0), rtol=0, atol=1e-12)
    delayed = ((-1) ** n * weights * c).sum()
    torch.testing.assert_close(delayed, f(2.0 - THETA), rtol=0, atol=1e-12)


def rate_error(degree, order=5):
    """How far dc/dt, by the polynomial's own derivative, is from A c + B f."""
    f, slope = polynomial(degree)
    A, B = hippo_legt(order, THETA)
    exact = project(slope, 2.0, order)
    return float((exact - A @ project(f, 2.0, order) - B * f(2.0)).abs().max())


def test_the_matrices_are_the_state_s_derivative_for_lower_degrees_only():
    assert max(rate_error(degree) for degree in range(5)) < 1e-10
    assert rate_error(7) > 1e-5  # its reading of f(t - theta) is no longer f(t - theta)


def test_the_matrices_entry_by_entry():
    A, B = hippo_legt(4, THETA)
    for n in range(4):
        assert B[n] == pytest.approx(math.sqrt(2 * n + 1) / THETA)
        for k in range(4):
            sign = 1 if k <= n else (-1) ** (n - k)
            expected = -math.sqrt((2 * n + 1) * (2 * k + 1)) * sign / THETA
            assert A[n, k] == pytest.approx(expected)


@pytest.mark.parametrize("order", [1, 4, 8, 16])
def test_the_continuous_system_is_stable(order):
    assert torch.linalg.eigvals(hippo_legt(order, THETA)[0]).real.max() < 0


def end_error(rule, steps, order=4, span=4.0):
    """Error of a state followed for `span` units of time, f being sampled in `steps` steps.

    Bilinear reads the mean of a step's two ends, as the trapezoid rule has it; the others one end.
    """
    f, _ = polynomial(order - 1)
    dt = span / steps
    A, B = discretise(*hippo_legt(order, THETA), dt, rule)
    t = torch.arange(steps + 1, dtype=torch.float64) * dt
    values = f(t)
    inputs = (values[1:] + values[:-1]) / 2 if rule == "bilinear" else values[:-1]
    c = project(f, 0.0, order)
    for value in inputs:
        c = A @ c + B * value
    return float((c - project(f, span, order)).abs().max())


@pytest.mark.parametrize(("rule", "factor"), [("euler", 2), ("zoh", 2), ("bilinear", 4)])
def test_halving_the_step_divides_the_error_by_the_rule_s_order(rule, factor):
    errors = [end_error(rule, steps) for steps in (400, 800, 1600)]
    assert errors[0] / errors[1] == pytest.approx(factor, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(factor, rel=0.05)


def test_zero_order_hold_is_exact_for_an_input_that_holds():
    A, B = hippo_legt(6, THETA)
    coarse, fine = (discretise(A, B, dt) for dt in (1.0, 0.125))
    a = b = torch.zeros(6, dtype=torch.float64)
    for value in (1.0, -2.0, 0.5):
        a = coarse[0] @ a + coarse[1] * value
        for _ in range(8):
            b = fine[0] @ b + fine[1] * value
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("order", "rule", "radius"),
    [(64, "bilinear", 0.985), (64, "zoh", 0.101), (8, "bilinear", 0.69), (8, "zoh", 0.39)],
)
def test_spectral_radii_over_five_steps(order, rule, radius):
    A, _ = discretise(*hippo_legt(order, THETA), 1.0, rule)
    assert spectral_radius(A) == pytest.approx(radius, abs=0.006)


def test_euler_is_refused_where_it_explodes():
    with pytest.raises(VadError, match=r"spectral radius 2\.4"):
        discretise(*hippo_legt(8, THETA), 1.0, "euler")
    with pytest.raises(VadError, match="unstable"):  # 24.1; float64's eigenvalues say about 40
        discretise(*hippo_legt(64, THETA), 1.0, "euler")


def test_euler_is_allowed_where_it_is_stable():
    A, B = hippo_legt(3, THETA)
    step, gain = discretise(A, B, 0.1, "euler")
    assert spectral_radius(step) < 1
    torch.testing.assert_close(step, torch.eye(3, dtype=torch.float64) + 0.1 * A)
    torch.testing.assert_close(gain, 0.1 * B)


@pytest.mark.parametrize("order", [1, 4, 16])
@pytest.mark.parametrize("rule", ["zoh", "bilinear"])
def test_equation_5_is_the_recursion_of_equation_3(order, rule):
    memory = LegendreMemory(order, THETA, rule, torch.float64)
    f = torch.randn(2, 3, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    states = memory.recurrent(f)
    assert states.shape == (2, 3, 7, order)
    for t in range(7):
        torch.testing.assert_close(memory(f[..., : t + 1]), states[..., t, :], rtol=0, atol=1e-12)


def test_the_recursion_goes_on_from_a_state():
    memory = LegendreMemory(5, THETA, dtype=torch.float64)
    f = torch.randn(3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    first = memory.recurrent(f[:, :4])
    rest = memory.recurrent(f[:, 4:], first[:, -1])
    torch.testing.assert_close(rest, memory.recurrent(f)[:, 4:], rtol=0, atol=1e-13)


@pytest.mark.parametrize("order", [2, 5])
def test_the_exact_state_extrapolates_polynomials(order):
    f, _ = polynomial(order - 1)
    c, ahead = project(f, 2.0, order), 1.5
    predicted = c @ legendre(order, tensor(1 + ahead / THETA))
    torch.testing.assert_close(predicted, f(2.0 + ahead), rtol=0, atol=1e-10)


def test_five_steps_from_zero_do_not_give_the_exact_state():
    f, _ = polynomial(3)
    memory = LegendreMemory(4, THETA, dtype=torch.float64)
    c = memory(f(torch.arange(-4.0, 1.0)))
    assert (c - project(f, 0.0, 4)).abs().max() > 0.01


def test_five_samples_fill_five_dimensions_of_sixty_four():
    memory = LegendreMemory(64, THETA, dtype=torch.float64)
    assert torch.linalg.matrix_rank(memory.kernel(5)) == 5  # the states that five steps can reach
    samples = (torch.arange(5, dtype=torch.float64) + 0.5) / 5
    assert torch.linalg.matrix_rank(legendre(64, samples)) == 5


def test_one_step_ahead_the_sixty_fourth_component_explodes():
    """Equation 6 with O = 64 and L = 5, by where one takes the samples to lie in the window."""
    ends = legendre(64, tensor(1 + 1 / 4))[63]  # five points, both ends of the window among them
    cells = legendre(64, tensor(1 + 0.5 / 5))[63]  # the middles of five cells
    assert float(ends) == pytest.approx(1.9e26, rel=0.05)
    assert float(cells) == pytest.approx(1.0e17, rel=0.05)
    few = [float(legendre(5, tensor(x))[4]) for x in (1 + 0.5 / 5, 1 + 1 / 4)]
    assert few == pytest.approx([12, 42], rel=0.05)


def test_senseless_memories_are_refused():
    for order, theta in ((0, 5.0), (4, 0.0)):
        with pytest.raises(VadError, match="Both must be positive"):
            hippo_legt(order, theta)
    with pytest.raises(VadError, match="unknown rule"):
        discretise(*hippo_legt(2, THETA), 1.0, "rk4")
