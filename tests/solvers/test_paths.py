"""Paths: rates against differences, marginals of the stochastic equation, ends."""

from __future__ import annotations

import pytest
import torch

from ensample.solvers.paths import PATHS, log_normal, polynomial

each = pytest.mark.parametrize("name", PATHS)


@each
def test_rates_are_the_derivatives(name):
    path, h = PATHS[name], 1e-6
    t = torch.linspace(max(path.first, 0.01), 0.99, 40, dtype=torch.float64)
    for value, rate in zip((path.alpha, path.sigma), path.rates(t), strict=True):
        assert torch.allclose((value(t + h) - value(t - h)) / (2 * h), rate, rtol=1e-5, atol=1e-7)


@each
def test_the_stochastic_equation_has_the_marginals_of_the_path(name):
    """d var / dt = 2 (alpha' / alpha) var + g^2 must carry sigma^2 along (Song et al. 2021)."""
    path = PATHS[name]
    grid = torch.linspace(max(path.first, 0.02), 0.9, 4_001, dtype=torch.float64)
    variance = float(path.sigma(grid[:1]).square())
    for t, h in zip((0.5 * (grid[1:] + grid[:-1])).split(1), grid.diff().tolist(), strict=True):
        pull = float(path.rates(t)[0] / path.alpha(t))
        g2 = float(path.diffusion(t))
        variance = (variance * (1 + h * pull) + h * g2) / (1 - h * pull)
    assert variance == pytest.approx(float(path.sigma(grid[-1]).square()), rel=1e-4)


@each
def test_ends_and_order(name):
    path = PATHS[name]
    grid = path.grid(50)
    assert len(grid) == 51 and float(grid[0]) == 1.0 and float(grid[-1]) == path.first
    assert float(path.alpha(grid[-1:])) > 0.998
    assert float(path.sigma(grid[-1:])) < 0.0021
    assert float(path.clock(grid[:1])) > 0.97
    assert bool((path.log_snr(grid).diff() > 0).all())
    times = path.times(torch.linspace(0.001, 0.999, 100))
    assert bool((times.diff() >= 0).all()) and 0 <= float(times[0]) < float(times[-1]) <= 1


def test_edm_learns_at_log_normal_noise():
    u = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
    path = PATHS["edm"]
    log_sigma = path.sigma(path.times(u)).log()
    assert float(log_sigma.median()) == pytest.approx(-0.507, abs=0.01)
    assert float(log_sigma.std()) == pytest.approx(1.2, abs=0.02)


@each
def test_times_of_ratios_and_grids_of_noise(name):
    path = PATHS[name]
    ratio = torch.logspace(-1.2, 1.2, 9, dtype=torch.float64)
    t = path.time(ratio)
    assert torch.allclose(path.sigma(t) / path.alpha(t), ratio, rtol=1e-9)
    grid = polynomial(path, 5, 0.05, 20.0)
    assert len(grid) == 6 and bool((grid.diff() < 0).all()) and float(grid[-1]) == path.first
    roots = (path.sigma(grid[:5]) / path.alpha(grid[:5])) ** (1 / 7)
    assert torch.allclose(roots.diff(), roots.diff()[:1].expand(4), rtol=1e-6)
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    level = -path.log_snr(log_normal(path, u, -0.3, 0.8))
    assert float(level.mean()) == pytest.approx(-0.3, abs=0.02) and float(level.std()) == pytest.approx(0.8, abs=0.02)
