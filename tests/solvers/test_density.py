"""The log-density of the probability-flow ODE against closed forms."""

from __future__ import annotations

import pytest
import torch

from ensample.solvers.density import EXACT, Divergence, log_density
from ensample.solvers.field import score, velocity
from ensample.solvers.paths import PATHS
from tests.solvers.exact import MixtureField, two_bumps
from tests.solvers.test_steps import slope


@pytest.mark.parametrize("name", PATHS)
def test_law_5_density_of_a_mixture(name):
    field = two_bumps(PATHS[name])
    x = field.sample(60, torch.Generator().manual_seed(0))
    first = field.path.grid(1)[-1:]
    log_p = log_density(field, x, field.path.grid(300).flip(0), torch.ones_like(x, dtype=torch.bool), Divergence.of(2))
    # on paths that do not end in pure noise the end is only close to normal: an error of its own
    assert torch.allclose(log_p, field.log_p(x, first), atol=5e-3 if name in ("linear", "cosine") else 3e-2)


def test_density_is_of_fourth_order():
    field = two_bumps(PATHS["linear"])
    x = field.sample(20, torch.Generator().manual_seed(1))
    alive = torch.ones_like(x, dtype=torch.bool)
    steps = [24, 34, 48, 68]
    grids = {n: torch.linspace(0.2, 1.0, n + 1, dtype=torch.float64) for n in [*steps, 300]}
    results = {n: log_density(field, x, g, alive, Divergence.of(2)) for n, g in grids.items()}
    errors = [float((results[n] - results[300]).square().mean().sqrt()) for n in steps]
    assert slope(steps, errors) == pytest.approx(4, abs=0.4)


def test_columns_that_are_not_alive_do_not_count():
    field = two_bumps(PATHS["linear"])

    class Half:
        """Only the first column moves, as a field of its own."""

        path = field.path
        one = MixtureField(field.path, field.means[:, :1], field.sd, field.weights)

        def predict(self, x, t):
            data, noise = self.one.predict(x[:, :1], t)
            return torch.cat([data, 1e3 + x[:, 1:]], 1), torch.cat([noise, 1e3 + x[:, 1:]], 1)

    x = field.sample(20, torch.Generator().manual_seed(2))
    alive = torch.tensor([True, False]).expand(20, 2)
    log_p = log_density(Half(), x, field.path.grid(200).flip(0), alive, Divergence.of(2))
    assert torch.allclose(log_p, Half.one.log_p(x[:, :1], torch.tensor([field.path.first])), atol=5e-3)


def test_divergence_is_the_trace_and_its_estimate_has_no_bias():
    matrix = torch.randn(EXACT, EXACT, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = torch.randn(5, EXACT, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    slopes, trace = Divergence.of(EXACT).along(lambda y: y @ matrix.T, x)
    assert torch.allclose(slopes, x @ matrix.T)
    assert torch.allclose(trace, matrix.trace().expand(5))
    wide = 0.5 * torch.eye(40, dtype=torch.float64)  # a diagonal Jacobian has no variance under random signs
    x = torch.randn(5, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert torch.allclose(Divergence.of(40).along(lambda y: y @ wide, x)[1], torch.full((5,), 20.0).double())
    estimate = [Divergence.of(40).along(lambda y: y @ wide, x)[1] for _ in range(2)]
    assert torch.equal(*estimate)


@pytest.mark.parametrize("name", PATHS)
def test_score_and_velocity_are_those_of_the_density(name):
    field = two_bumps(PATHS[name])
    t = torch.tensor([0.4], dtype=torch.float64)
    x = field.sample(10, torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(field.log_p(x, t).sum(), x)
    assert torch.allclose(score(field, x, t), gradient, atol=1e-6)
    d_alpha, _ = field.path.rates(t)
    drift = d_alpha / field.path.alpha(t) * x - 0.5 * field.path.diffusion(t) * gradient
    assert torch.allclose(velocity(field, x, t), drift, atol=1e-6)
