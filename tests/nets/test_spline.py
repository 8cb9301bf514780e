"""Rational-quadratic splines against the formula of their paper; gradients by hand against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

from ensample.nets.spline import (
    LEAST,
    LEAST_SLOPE,
    inverse_spline,
    parameters,
    shared_spline,
    spline,
    through_quantiles,
)

BINS, BOUND = 5, 3.0


def by_the_paper(x: float, theta: np.ndarray) -> tuple[float, float]:
    """(y, dy/dx) of one value by equations 4 and 5 of Durkan et al. 2019."""
    if not -BOUND < x < BOUND:
        return x, 1.0
    sizes = []
    for raw in (theta[:BINS], theta[BINS : 2 * BINS]):
        share = 2.0**raw / (2.0**raw).sum()
        sizes.append(2 * BOUND * (LEAST / BINS + (1 - LEAST) * share))
    xs, ys = (np.concatenate([[-BOUND], -BOUND + np.cumsum(size)]) for size in sizes)
    inner = LEAST_SLOPE + np.logaddexp(0, theta[2 * BINS :] + np.log(np.expm1(1 - LEAST_SLOPE)))
    d = np.concatenate([[1.0], inner, [1.0]])
    k = int(np.searchsorted(xs, x) - 1)
    s = (ys[k + 1] - ys[k]) / (xs[k + 1] - xs[k])
    xi = (x - xs[k]) / (xs[k + 1] - xs[k])
    below = s + (d[k + 1] + d[k] - 2 * s) * xi * (1 - xi)
    y = ys[k] + (ys[k + 1] - ys[k]) * (s * xi**2 + d[k] * xi * (1 - xi)) / below
    slope = s**2 * (d[k + 1] * xi**2 + 2 * s * xi * (1 - xi) + d[k] * (1 - xi) ** 2) / below**2
    return float(y), float(slope)


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor]:
    """x [3, 20], some outside the box, and theta [3, 14, 20], float64."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(3, 20)) * 2)
    x[0, 0], x[1, 1] = 7.0, -3.5
    return x, torch.from_numpy(rng.normal(size=(3, parameters(BINS), 20)) * 1.5)


def test_the_spline_is_that_of_the_paper(case):
    x, theta = case
    y, log_slope = spline(x, theta, BINS, BOUND)
    for i, j in np.ndindex(*x.shape):
        expected, slope = by_the_paper(float(x[i, j]), theta[i, :, j].numpy())
        assert float(y[i, j]) == pytest.approx(expected, abs=1e-12)
        assert float(log_slope[i, j]) == pytest.approx(np.log(slope), abs=1e-12)


def test_law_2_the_inverse_leads_back(case):
    x, theta = case
    y, log_slope = spline(x, theta, BINS, BOUND)
    back, again = inverse_spline(y, theta, BINS, BOUND)
    assert torch.allclose(back, x, atol=1e-9) and torch.allclose(again, log_slope, atol=1e-7)
    steep = theta * 8
    y, _ = spline(x, steep, BINS, BOUND)
    assert torch.allclose(spline(inverse_spline(y, steep, BINS, BOUND)[0], steep, BINS, BOUND)[0], y, atol=1e-6)


@pytest.mark.parametrize("bins", [1, 2, BINS])
def test_gradients_by_hand_are_those_of_differences(case, bins):
    x, theta = (part[..., :6].clone().requires_grad_() for part in case)
    theta = theta.detach()[:, : parameters(bins)].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: spline(a, b, bins, BOUND), (x, theta))
    assert torch.autograd.gradcheck(lambda a, b: inverse_spline(a, b, bins, BOUND), (x, theta))


def test_a_shared_spline_is_the_same_spline_for_all_rows(case):
    x, theta = case
    whole = theta[:, :, :1].expand_as(theta).contiguous()
    y, log_slope = spline(x, whole, BINS, BOUND)
    for found, expected in zip(shared_spline(x, theta[:, :, 0], BINS, BOUND), (y, log_slope), strict=True):
        assert torch.allclose(found, expected, atol=1e-12)
    back, again = shared_spline(y, theta[:, :, 0], BINS, BOUND, inverse=True)
    assert torch.allclose(back, x, atol=1e-9) and torch.allclose(again, log_slope, atol=1e-7)
    free = (x[:, :5].clone().requires_grad_(), theta[:, :, 0].clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda a, b: shared_spline(a, b, BINS, BOUND), free)


def test_extreme_parameters_stay_finite_and_increasing():
    x = torch.linspace(-4, 4, 400)[None]
    for scale in (10.0, 1e3, 1e6):
        theta = torch.randn(1, parameters(BINS), 1, generator=torch.Generator().manual_seed(0)).expand(-1, -1, 400)
        y, log_slope = spline(x, (theta * scale).contiguous(), BINS, BOUND)
        assert bool(torch.isfinite(y).all() and torch.isfinite(log_slope).all()) and bool((y.diff() >= -1e-5).all())


def test_through_quantiles_takes_quantiles_to_normal_ones():
    x = torch.from_numpy(np.random.default_rng(1).gumbel(size=5_000) * 0.7 - 0.5)
    theta = through_quantiles(x, 24, 5.0).to(torch.float64)
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        y, _ = shared_spline(torch.quantile(x, share)[None, None], theta[None], 24, 5.0)
        assert float(y) == pytest.approx(special.ndtri(share), abs=0.02)
    for some in (torch.full((50,), 0.3), torch.zeros(0), torch.tensor([-9.0, 9.0])):
        for bins in (1, 2, 7, 64):
            assert bool(torch.isfinite(through_quantiles(some, bins, 5.0)).all())
