"""Law 13: each solver's error falls with the power of the step that it declares. Law 5: samples of exact fields."""

from __future__ import annotations

import pytest
import torch

from ensample.solvers.adaptive import DormandPrince
from ensample.solvers.paths import PATHS
from ensample.solvers.steps import (
    Ancestral,
    Ddim,
    DpmSolver,
    Euler,
    EulerMaruyama,
    Heun,
    Jump,
    RungeKutta,
)
from tests.solvers.exact import gaussian, two_bumps

SURE = [Euler(), Heun(), RungeKutta(), Ddim(), DpmSolver(2), DpmSolver(3)]
NOISY = [Ancestral(), EulerMaruyama()]


def slope(steps: list[int], errors: list[float]) -> float:
    """Least-squares slope of log error against log step."""
    x = -torch.tensor(steps, dtype=torch.float64).log()
    y = torch.tensor(errors, dtype=torch.float64).log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())


def grid(path, steps: int, start: float = 0.9, end: float = 0.1):
    return torch.linspace(start, end, steps + 1, dtype=torch.float64)


@pytest.mark.parametrize("solver", SURE, ids=repr)
@pytest.mark.parametrize("name", ["linear", "cosine", "ddpm", "sub-vp", "ve"])
def test_law_13_order(solver, name):
    field = two_bumps(PATHS[name])
    x = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x * float(field.path.spread(torch.tensor(0.9)))
    truth = RungeKutta()(field, x, grid(field.path, 1500), torch.Generator())
    steps = [24, 34, 48, 68] if solver.order == 4 else [48, 68, 96, 136]
    errors = [
        float((solver(field, x, grid(field.path, n), torch.Generator()) - truth).square().mean().sqrt()) for n in steps
    ]
    assert slope(steps, errors) == pytest.approx(solver.order, abs=0.35)


@pytest.mark.parametrize("solver", NOISY, ids=repr)
@pytest.mark.parametrize("name", ["linear", "cosine", "ddpm", "sub-vp", "ve"])
def test_law_13_order_in_distribution(monkeypatch, solver, name):
    """The spread of a Gaussian after n noisy steps tends to the true one with the first power of the step.

    Every step is linear in the state and in its noise, so the variance is a sum of squares: row 0 begins at 1 without
    noise, row k at 0 with a noise of 1 in the k-th step alone.
    """
    field = gaussian(PATHS[name], mean=0.0, sd=0.6)
    path = field.path

    def spread(t):
        t = torch.tensor(t, dtype=torch.float64)
        return float(torch.hypot(path.alpha(t) * 0.6, path.sigma(t)))

    errors, steps = [], [100, 200, 400]
    for n in steps:
        impulses = iter(torch.eye(n + 1, dtype=torch.float64)[1:, :, None])
        monkeypatch.setattr("ensample.solvers.steps._normal", lambda like, generator, i=impulses: next(i))
        x = torch.eye(n + 1, dtype=torch.float64)[:, :1] * spread(0.5)
        made = solver(field, x, grid(path, n, 0.5, 0.3), torch.Generator())
        errors.append(abs(float(made.square().sum().sqrt()) - spread(0.3)))
    assert slope(steps, errors) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("solver", [*SURE[1:], DormandPrince(), *NOISY], ids=repr)
def test_law_5_samples_of_a_mixture(solver, name):
    """From pure noise to the data, the far end and the last step included, on every path."""
    field = two_bumps(PATHS[name])
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(8_000, 2, generator=generator, dtype=torch.float64) * float(field.path.spread(torch.ones(1)))
    made = solver(field, x, field.path.grid(80 if solver.order > 1 else 400), generator)
    truth = field.sample(8_000, generator)
    assert torch.isfinite(made).all()
    assert torch.allclose(made.mean(0), truth.mean(0), atol=0.06)
    assert torch.allclose(made.T.cov(), truth.T.cov(), atol=0.05)
    assert float((made[:, 0] < 0).double().mean()) == pytest.approx(float((truth[:, 0] < 0).double().mean()), abs=0.03)


def test_adaptive_steps_keep_their_tolerance_and_rows_do_not_meet():
    field = two_bumps(PATHS["linear"])
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = RungeKutta()(field, x, grid(field.path, 2000, 1.0, 0.01), torch.Generator())
    ends = torch.tensor([1.0, 0.01], dtype=torch.float64)
    errors = [
        float((DormandPrince(tol)(field, x, ends, torch.Generator()) - truth).abs().max()) for tol in (1e-3, 1e-6)
    ]
    assert errors[0] < 5e-2 and errors[1] < 5e-5
    alone = DormandPrince(1e-4)(field, x[4:5], ends, torch.Generator())
    assert torch.allclose(alone, DormandPrince(1e-4)(field, x, ends, torch.Generator())[4:5], atol=1e-12)


def test_adaptive_order():
    """Every step as long as the grid says, forced by a tolerance that takes all: fifth order at least."""
    field = two_bumps(PATHS["linear"])
    x = torch.randn(30, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = RungeKutta()(field, x, grid(field.path, 3000), torch.Generator())
    steps, errors = [12, 16, 24, 32], []
    for n in steps:
        y = x
        for a, b in zip(grid(field.path, n)[:-1], grid(field.path, n)[1:], strict=True):
            y = DormandPrince(1e9)(field, y, torch.stack([a, b]), torch.Generator())
        errors.append(float((y - truth).square().mean().sqrt()))
    assert slope(steps, errors) > 4.6


def test_a_jump_lands_where_the_flow_does():
    """Of a Gaussian the flow is a straight scaling: x_s = mean_s + (x - mean_t) spread_s / spread_t."""
    field = gaussian(PATHS["linear"])

    class Flow:
        path = field.path

        def mean_velocity(self, x, t, s):
            def at(t):
                return self.path.alpha(t) * 0.7, torch.hypot(self.path.alpha(t) * 0.6, self.path.sigma(t))

            (mean_t, spread_t), (mean_s, spread_s) = at(t), at(s)
            return (mean_s + (x - mean_t) * spread_s / spread_t - x) / (s - t)

    x = torch.randn(20, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    truth = RungeKutta()(field, x, grid(field.path, 500, 1.0, 0.001), torch.Generator())
    for n in (1, 3):
        assert torch.allclose(Jump()(Flow(), x, grid(field.path, n, 1.0, 0.001), torch.Generator()), truth, atol=1e-6)
