"""Deep energies: score matching on a Gaussian, Langevin's stationary density, normalisation, evidence, the laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.energy.deep import Energy, denoising, sliced
from ensample.families.energy.unnormalised import BASE, EnergyRows
from ensample.infer.likelihood import cell_log_prob
from ensample.kinds.records import Records
from ensample.run import Run
from ensample.solvers.langevin import Adjusted, flat, langevin
from ensample.train import learn

FINE = Lattice(0, 2000, shift=1000.0, scale=250.0)
PLANE = Mixed((Span("x", Continuous(FINE)), Span("y", Continuous(FINE))))
SMALL = {"width": 32, "layers": 2, "batch_size": 128, "learning_rate": 5e-3}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlated(rows: int, seed: int = 0) -> Records:
    """Normal with variances 1 and 0.5 and correlation 0.6 / sqrt(0.5)."""
    x = np.random.default_rng(seed).multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 0.5]], rows)
    return Records(PLANE, np.rint(x * 250 + 1000).astype(np.int64))


def learned(family: Energy, records: Records, steps: int, seed: int = 0) -> EnergyRows:
    return learn(family, records, seed, Run(Clock(Budget(steps=steps))))


@pytest.fixture(scope="module", params=["denoising", "sliced", "langevin"])
def model(request):
    steps = {"denoising": 300, "sliced": 300, "langevin": 150}[request.param]
    return learned(Energy(method=request.param, steps=10, step=0.02, **SMALL), correlated(4_000), steps)


class Straight(EnergyRows):
    """An energy whose whole is that of a normal density with this precision matrix [2, 2]."""

    def __init__(self, precision: torch.Tensor) -> None:
        super().__init__(PLANE, 4, 1, 1, generator())
        self.precision = torch.nn.Parameter(precision)

    def bend(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * ((x @ self.precision) * x).sum(1) - x.square().sum(1) / (2 * BASE**2)


@pytest.mark.parametrize("loss", [denoising, sliced])
def test_score_matching_is_least_at_the_precision_of_a_gaussian(loss):
    """Sliced: at the inverse covariance; denoising: at that of the covariance and the noise's."""
    covariance, noise = torch.tensor([[1.0, 0.6], [0.6, 0.5]]), 0.3
    x = torch.randn(40_000, 2, generator=generator()) @ torch.linalg.cholesky(covariance).T
    best = torch.linalg.inv(covariance + (noise**2 if loss is denoising else 0.0) * torch.eye(2))
    straight = Straight(best)
    options = Energy(noise=noise)
    value = loss(straight, x, options, generator(1))
    (slope,) = torch.autograd.grad(value, straight.precision)
    assert slope.abs().max() < 0.05
    for change in (torch.tensor([[0.3, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.2], [0.2, 0.0]]), 0.2 * torch.eye(2)):
        for sign in (1, -1):
            other = loss(Straight(best + sign * change), x, options, generator(1))
            assert float(other.detach()) > float(value.detach())


def test_langevin_has_the_density_for_its_own():
    """Of N(0, 1/4) the unadjusted chain's variance is 1/4 / (1 - step * 4 / 2), the adjusted one's is 1/4."""

    def narrow(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return -2 * x.square().sum(1), -4 * x

    start = torch.zeros(20_000, 1, dtype=torch.float64)
    loose = langevin(narrow, start, 0.1, 100, generator())
    assert float(loose.var()) == pytest.approx(0.25 / (1 - 0.1 * 4 / 2), rel=0.04)
    chain, noise = Adjusted.start(flat, narrow, start, 0.1), generator(1)
    for _ in range(100):
        chain.move(noise)
    assert stats.kstest(chain.x[:, 0].numpy(), "norm", (0, 0.5)).pvalue > 1e-3


def test_what_is_not_free_stays():
    def normal(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gap = x[:, 0] - 0.8 * x[:, 1]
        return -0.5 * gap.square() / 0.36, torch.stack([-gap / 0.36, 0.8 * gap / 0.36], 1)

    free = torch.tensor([[1.0, 0.0]]).expand(8_000, 2)
    chain, noise = Adjusted.start(flat, normal, torch.ones(8_000, 2), 0.1, free), generator(5)
    for _ in range(60):
        chain.move(noise)
    assert bool((chain.x[:, 1] == 1).all())
    assert stats.kstest(chain.x[:, 0].numpy(), "norm", (0.8, 0.6)).pvalue > 1e-3


def test_the_normaliser_of_a_gaussian_lies_in_its_interval():
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]])
    straight = Straight(torch.linalg.inv(covariance)).eval()
    estimate = straight.normaliser()
    exact = math.log(2 * math.pi) + 0.5 * float(torch.logdet(covariance))
    assert float(estimate.error) < 0.05
    assert abs(float(estimate.value) - exact) < 4 * float(estimate.error) + 1e-3


def grid() -> torch.Tensor:
    axis = torch.linspace(-5, 5, 201)
    return torch.cartesian_prod(axis, axis)


def test_densities_integrate_to_one_and_are_near_the_truth(model):
    with torch.no_grad():
        log_p = -model.energy(grid()).double() - model.normaliser().value
    assert float(log_p.exp().sum() * 0.05**2) == pytest.approx(1.0, abs=0.06)
    truth = stats.multivariate_normal([0, 0], [[1.0, 0.6], [0.6, 0.5]]).logpdf(grid().numpy())
    p = np.exp(truth)
    assert float((p * (truth - log_p.numpy())).sum() * 0.05**2) < 0.12


def test_samples_follow_the_density(model):
    made = model.layout.values(model.sample(4_000, generator(3)))
    with torch.no_grad():
        p = (-model.energy(grid()).double()).softmax(0)
    for direction in (torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.6, -0.8])):
        place = grid() @ direction
        mean = float((p * place).sum())
        deviation = float((p * (place - mean) ** 2).sum() ** 0.5)
        ours = made @ direction
        assert float(ours.mean()) == pytest.approx(mean, abs=0.1)
        assert float(ours.std()) == pytest.approx(deviation, rel=0.08)


def test_draws_follow_the_conditional_density_and_keep_what_is_known(model):
    batch = unknown(500, PLANE)
    batch.cells[:, 0], batch.mask[:, 0] = 1250, True  # x = 1
    made, weight = model.draw(batch, generator(4))
    assert bool((made.cells[:, 0] == 1250).all()) and bool((weight == 0).all())
    axis = torch.linspace(-5, 5, 401)
    with torch.no_grad():
        p = (-model.energy(torch.stack([torch.ones(401), axis], 1)).double()).softmax(0)
    mean = float((p * axis).sum())
    y = model.layout.values(made)[:, 1]
    assert float(y.mean()) == pytest.approx(mean, abs=0.12)
    limited, weight = model.draw(batch, generator(4), [Limit(1, ((1000, 5000),))])
    assert torch.equal(torch.isfinite(weight), limited.cells[:, 1] >= 1000)


def test_unknown_coordinates_are_integrated_out(model):
    batch = correlated(2, seed=9).batch()
    batch.mask[:, 1] = False
    axis = torch.linspace(-5, 5, 801)
    for row, got in enumerate(model.log_prob(batch).tolist()):
        x = model.layout.values(batch)[row, 0]
        with torch.no_grad():
            column = -model.energy(torch.stack([x.expand(801), axis], 1)).double()
        expected = float(column.logsumexp(0) + math.log(10 / 800) - model.normaliser().value)
        low, high = model.log_prob_interval(batch, 0.9999)[row].tolist()
        assert low - 0.01 <= expected <= high + 0.01 and low < got < high


def test_batch_size_seeds_and_restoring(model):
    batch = correlated(300, seed=2).batch()
    whole = cell_log_prob(model, batch)
    single = torch.cat([cell_log_prob(model, batch.take(slice(i, i + 1))) for i in range(5)])
    assert torch.equal(whole[:5], single)
    family = Energy(**SMALL)
    again = family.restore(PLANE, None, model.arrays(), model.facts())
    assert torch.equal(again.log_prob(batch), model.log_prob(batch))
    assert torch.equal(again.sample(20, generator(1)).cells, model.sample(20, generator(1)).cells)
    assert not torch.equal(again.sample(20, generator(1)).cells, model.sample(20, generator(2)).cells)


KNOBS = {"method": "sliced", "noise": 0.5, "steps": 2, "step": 0.1, "chains": 64, "width": 16, "layers": 1}


@pytest.mark.parametrize("name", KNOBS)
def test_every_knob_changes_something(name):
    replay = {"method": "langevin"} if name in ("steps", "step", "chains") else {}
    base = {"width": 8, "layers": 2, "batch_size": 64, "learning_rate": 0.02, **replay}
    records = correlated(300)
    before, after = (learned(Energy(**options), records, 20) for options in (base, {**base, name: KNOBS[name]}))
    assert {n: str(t.tolist()) for n, t in before.arrays().items()} != {
        n: str(t.tolist()) for n, t in after.arrays().items()
    }
    assert learned(Energy(**base), records, 20).net.last.weight.equal(before.net.last.weight)


def test_what_cannot_be_modelled_is_refused_in_words():
    mixed = Mixed((Span("kind", Discrete(3)), *PLANE.spans))
    assert "kind has classes" in str(Energy().refuses(mixed, None))
    assert "given" in str(Energy().refuses(PLANE, mixed))
    assert Energy().refuses(PLANE, None) is None
    with pytest.raises(InputError):
        Energy(method="magic")


def test_extremes_are_scored_without_nan(model):
    far = correlated(3).batch()
    far.cells[0] = 10**9
    far.cells[1] = -(10**9)
    score = model.log_prob(far)
    assert not torch.isnan(score).any() and bool((score[:2] < score[2]).all())


@pytest.mark.parametrize("awkward", ["constant", "two rows", "one column"])
def test_awkward_columns_are_learned(awkward):
    records = correlated(60)
    table, event = records.table.copy(), PLANE
    if awkward == "constant":
        table[:, 1] = 7
    elif awkward == "two rows":
        table = table[:2]
    else:
        table, event = table[:, :1], Mixed(PLANE.spans[:1])
    module = learned(Energy(**SMALL), Records(event, table), 10)
    made = module.sample(20, generator(8))
    assert bool(made.mask.all()) and bool(torch.isfinite(cell_log_prob(module, made)).all())


@pytest.mark.parametrize("method", ["denoising", "sliced", "langevin"])
def test_gradients_reach_every_parameter(method):
    family, records = Energy(method=method, **SMALL), correlated(400)
    (player,) = family.players(family.build(records, 0))
    slopes = torch.autograd.grad(player.loss(records.batch(), generator()), player.parameters)
    assert all(bool((slope != 0).any()) for slope in slopes)
