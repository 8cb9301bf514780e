"""Draws and expectations under evidence and limits: closed forms, enumeration, rejection sampling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.events import Batch, Continuous, Discrete, Lattice, Limit, Mixed, Span, unknown
from ensample.families.mixture.components import Components
from ensample.families.mixture.covariance import STRUCTURES
from ensample.families.mixture.model import MixtureDistribution

FINE = Lattice(-100_000, 100_000, shift=0.0, scale=10_000.0)
WARPED = Lattice(-100_000, 100_000, shift=1_000.0, scale=10_000.0, center=500.0, knee=8_000.0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(d: int = 4, lattice: Lattice = FINE) -> MixtureDistribution:
    """One component with all coordinates correlated."""
    shape = torch.tensor(np.random.default_rng(0).normal(size=(d, d))) * 0.5 + torch.eye(d, dtype=torch.float64)
    event = Mixed(tuple(Span(f"x{j}", Continuous(lattice)) for j in range(d)))
    means = torch.linspace(-1.0, 1.0, d, dtype=torch.float64)[None]
    own = Components(torch.zeros(1, dtype=torch.float64), means, (shape @ shape.mT)[None], {}, {})
    return MixtureDistribution(event, None, STRUCTURES["full"], own)


def mixed(covariance: str = "full") -> MixtureDistribution:
    """Two components over a state, a number that exists in states 0 and 2, a second number, a class."""
    event = Mixed(
        (
            Span("state", Discrete(3)),
            Span("amount", Continuous(FINE), (0, (0, 2))),
            Span("other", Continuous(FINE)),
            Span("class", Discrete(2)),
        )
    )
    log = lambda rows: torch.log(torch.tensor(rows, dtype=torch.float64))  # noqa: E731
    tables = {0: log([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]), 3: log([[0.9, 0.1], [0.4, 0.6]])}
    shares = {0: torch.ones(3, dtype=torch.float64) / 3, 3: torch.ones(2, dtype=torch.float64) / 2}
    full = torch.tensor([[[1.0, 0.6], [0.6, 0.8]], [[0.5, -0.3], [-0.3, 1.0]]], dtype=torch.float64)
    shapes = full if covariance == "full" else full.diagonal(dim1=1, dim2=2).contiguous()
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]], dtype=torch.float64)
    return MixtureDistribution(
        event, None, STRUCTURES[covariance], Components(log([0.4, 0.6]), means, shapes, tables, shares)
    )


def evidence(model: MixtureDistribution, n: int, known: dict[int, int]) -> Batch:
    batch = unknown(n, model.event)
    for column, cell in known.items():
        batch.cells[:, column], batch.mask[:, column] = cell, True
    return batch


def accepted(batch: Batch, weight: torch.Tensor, seed: int = 9) -> Batch:
    assert float(weight.max()) <= 0.0
    return batch.take(torch.rand(len(weight), generator=generator(seed), dtype=torch.float64) < weight.exp())


def test_law_8_one_gaussian_is_the_closed_form():
    model = gaussian()
    known, free = [1, 3], [0, 2]
    batch = evidence(model, 20_000, {1: 12_000, 3: -7_000})
    mean, cov = model.components.means[0].numpy(), model.components.covariances[0].numpy()
    slope = cov[np.ix_(free, known)] @ np.linalg.inv(cov[np.ix_(known, known)])
    expected = mean[free] + slope @ (np.array([1.2, -0.7]) - mean[known])
    rest = cov[np.ix_(free, free)] - slope @ cov[np.ix_(known, free)]
    values, mask = model.expect(batch.take(slice(0, 2)))
    assert bool(mask.all())
    assert np.allclose(values[0, free].numpy() / FINE.scale, expected)
    assert values[0, known].tolist() == [12_000, -7_000]
    drawn, weight = model.draw(batch, generator(0))
    x = model.event.values(drawn.cells)[:, free].numpy()
    assert bool((weight == 0).all())
    assert bool((drawn.cells[:, known] == batch.cells[:, known]).all())
    assert np.allclose(x.mean(0), expected, atol=0.03)
    assert np.allclose(np.cov(x.T), rest, atol=0.04)


def test_expectation_of_a_warped_number_is_that_of_its_cells():
    model = gaussian(lattice=WARPED)
    batch = evidence(model, 200_000, {1: 9_000})
    drawn = model.draw(batch, generator(0))[0].cells.double()
    values = model.expect(batch.take(slice(0, 1)))[0][0]
    error = drawn.std(0) / len(drawn) ** 0.5
    assert bool(((values - drawn.mean(0)).abs() <= 5 * error + 1e-9).all())


LIMITS = {
    "one": [Limit(2, ((5_000, 15_000),))],
    "two": [Limit(1, ((-20_000, -10_000), (5_000, 9_000))), Limit(2, ((-3_000, 4_000), (10_000, 90_000)))],
    "tail": [Limit(2, ((28_000, 40_000),))],
    "classes": [Limit(0, ((0, 0), (2, 2))), Limit(3, ((1, 1),))],
    "state and number": [Limit(0, ((0, 1),)), Limit(1, ((3_000, 20_000),))],
    "all": [Limit(0, ((1, 2),)), Limit(1, ((-5_000, 6_000),)), Limit(2, ((0, 9_000),)), Limit(3, ((0, 0),))],
}


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("known", [{}, {3: 1}, {2: 9_000}])
def test_limits_against_rejection(covariance, name, known):
    """Weighted draws within limits have the distribution of plain draws that happen to be within them."""
    model = mixed(covariance)
    limits = [limit for limit in LIMITS[name] if limit.column not in known]
    plain = model.draw(evidence(model, 100_000, known), generator(1))[0]
    inside = torch.ones(len(plain), dtype=torch.bool)
    for limit in limits:
        inside &= limit.contains(plain.cells[:, limit.column]) | ~plain.mask[:, limit.column]
    reference = plain.take(inside)
    drawn, weight = model.draw(evidence(model, 30_000, known), generator(2), limits)
    made = accepted(drawn, weight)
    if covariance == "diagonal" or name in ("one", "tail", "classes", "state and number"):
        assert bool((weight == 0).all())
    for limit in limits:
        assert bool((limit.contains(made.cells[:, limit.column]) | ~made.mask[:, limit.column]).all())
    assert len(reference) > 100
    for column in (0, 3):
        size = model.layout.classes[column]
        counts = np.stack([np.bincount(b.cells[:, column], minlength=size) for b in (reference, made)])
        counts = counts[:, counts.sum(0) > 0]
        if counts.shape[1] > 1:
            assert stats.chi2_contingency(counts).pvalue > 1e-4
    for column in (1, 2):
        seen = [b.cells[b.mask[:, column], column].numpy() for b in (reference, made)]
        if column not in known and len(seen[0]) > 20:
            assert stats.ks_2samp(*seen).pvalue > 1e-4


def test_the_tighter_limit_is_drawn_first_beside_a_known_number():
    model = gaussian()
    limits = [Limit(0, ((-30_000, 5_000),)), Limit(2, ((9_000, 12_000),))]
    plain = model.draw(evidence(model, 200_000, {3: 25_000}), generator(1))[0]
    reference = plain.take(limits[0].contains(plain.cells[:, 0]) & limits[1].contains(plain.cells[:, 2]))
    made = accepted(*model.draw(evidence(model, 40_000, {3: 25_000}), generator(2), limits))
    assert len(reference) > 1_000
    for column in (0, 1, 2):
        assert stats.ks_2samp(reference.cells[:, column], made.cells[:, column]).pvalue > 1e-4


def test_the_mean_of_a_number_is_over_the_cases_in_which_it_exists():
    model = mixed()
    batch = evidence(model, 60_000, {2: -15_000, 3: 0})
    drawn = model.draw(batch, generator(4))[0]
    values, mask = model.expect(batch.take(slice(0, 1)))
    assert bool(mask[0, 1])
    cells = drawn.cells[drawn.mask[:, 1], 1].double()
    assert abs(float(values[0, 1] - cells.mean())) < 5 * float(cells.std()) / len(cells) ** 0.5


def test_existence_is_respected():
    model = mixed()
    drawn, weight = model.draw(unknown(5_000, model.event), generator(0))
    assert bool((weight == 0).all())
    assert torch.equal(drawn.mask[:, 1], drawn.cells[:, 0] != 1)
    assert bool((drawn.cells[~drawn.mask] == 0).all())
    assert 0.2 < float(drawn.mask[:, 1].double().mean()) < 0.8


def test_a_known_number_says_that_its_state_has_numbers():
    model = mixed()
    drawn, weight = model.draw(evidence(model, 20_000, {1: 4_000}), generator(0))
    assert bool((weight == 0).all())
    assert set(drawn.cells[:, 0].tolist()) == {0, 2}
    own = model.components
    normal = stats.norm(own.means[:, 0].numpy(), own.covariances[:, 0, 0].sqrt().numpy())
    share = own.log_weights.exp().numpy() * normal.pdf(0.4)
    table = own.tables[0].exp().numpy()
    expected = (share * table[:, 0]).sum() / (share * (table[:, 0] + table[:, 2])).sum()
    assert float((drawn.cells[:, 0] == 0).double().mean()) == pytest.approx(expected, abs=0.015)
    values, mask = model.expect(evidence(model, 1, {1: 4_000}))
    assert values[0, 0] == (0 if expected > 0.5 else 2)
    assert bool(mask.all())


def test_what_cannot_be_weighs_nothing():
    model = mixed()
    contradiction = model.draw(evidence(model, 3, {0: 1, 1: 500}), generator(0))[1]
    empty = model.draw(unknown(3, model.event), generator(0), [Limit(3, ())])[1]
    assert contradiction.tolist() == empty.tolist() == [-np.inf] * 3


def test_limits_do_not_bind_known_coordinates():
    model = mixed()
    batch = evidence(model, 100, {2: 9_000})
    drawn, weight = model.draw(batch, generator(0), [Limit(2, ((0, 1),))])
    assert bool((drawn.cells[:, 2] == 9_000).all())
    assert bool((weight == 0).all())


@pytest.mark.parametrize("covariance", ["full", "diagonal"])
@pytest.mark.parametrize("limits", [[], LIMITS["classes"], LIMITS["one"], LIMITS["state and number"]])
@pytest.mark.parametrize("seen", [0, 1])
def test_expectations_against_draws(covariance, limits, seen):
    """Means of numbers (where they exist) and most frequent classes of many draws."""
    model = mixed(covariance)
    known = {3: seen} if all(limit.column != 3 for limit in limits) else {2: 9_000}
    batch = evidence(model, 60_000, known)
    drawn = model.draw(batch, generator(3), limits)[0]
    values, mask = model.expect(batch.take(slice(0, 1)), limits)
    for column in (1, 2):
        if column in known or not bool(mask[0, column]):
            continue
        cells = drawn.cells[drawn.mask[:, column], column].double()
        bound = any(limit.column in (1, 2) and limit.column != column for limit in limits)
        if bound and covariance == "full":
            continue  # only the limited number itself is cut, see `expect`
        assert abs(float(values[0, column] - cells.mean())) < 5 * float(cells.std()) / len(cells) ** 0.5
    for column in (0, 3):
        counts = drawn.cells[:, column].bincount()
        if column not in known:
            assert int(values[0, column]) == int(counts.argmax())
