"""Conditions and holes against the enumerated joint."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.errors import CapabilityError, InputError
from ensample.events import Batch, Continuous, Lattice, Limit, Mixed, Span, unknown
from ensample.families.mixture.components import Components
from ensample.families.mixture.covariance import structure_named
from ensample.families.mixture.model import MixtureDistribution
from ensample.infer.condition import draw_where, split_limits
from ensample.infer.impute import PARTICLES, _densest, _mode, centre, fill
from ensample.infer.likelihood import cell_log_prob
from tests.infer.exact import ExactChain
from tests.laws.cases import generator, toy_event

FALSE_ALARM = 1e-4
LIMITS = [
    [Limit(3, ((1, 1),))],
    [Limit(0, ((1, 2),)), Limit(3, ((0, 0),))],
    [Limit(1, ((1, 1),)), Limit(2, ((0, 1), (4, 5)))],
    [Limit(2, ((3, 3),)), Limit(3, ((1, 1),))],
    [Limit(0, ((2, 2),)), Limit(1, ((1, 1),)), Limit(2, ((5, 5),))],
]

orders = pytest.mark.parametrize("chain", [ExactChain(False), ExactChain(True)], ids=["fixed", "any"])


def allowed(chain: ExactChain, limits: list[Limit]) -> torch.Tensor:
    fits = torch.ones(len(chain.records), dtype=torch.bool)
    for limit in limits:
        column = chain.records[:, limit.column]
        fits &= limit.contains(column) | (column < 0)
    return fits


def p_value(chain: ExactChain, made: Batch, fits: torch.Tensor) -> float:
    """Chi-square of made records against the joint within `fits`; records outside fail at once."""
    cells = torch.where(made.mask, made.cells, -1)
    where = (cells[:, None] == chain.records).all(2).to(torch.float64)
    seen = where.sum(0)
    assert float(seen[~fits].sum()) == 0 and float(seen.sum()) == len(made)
    expected = chain.p[fits] / chain.p[fits].sum() * len(made)
    large = expected > 4
    if large.sum() < 2:
        return 1.0
    a, b = seen[fits][large].numpy(), expected[large].numpy()
    return float(stats.chisquare(np.r_[a, len(made) - a.sum() + 1e-9], np.r_[b, len(made) - b.sum() + 1e-9]).pvalue)


@orders
@pytest.mark.parametrize("limits", LIMITS)
def test_conditions_are_met_in_exact_proportion(chain, limits):
    made = draw_where(chain, 4_000, limits, generator(1), None)
    assert len(made) == 4_000
    assert p_value(chain, made, allowed(chain, limits)) > FALSE_ALARM


@orders
def test_holes_are_filled_from_the_conditional(chain):
    row = unknown(3_000, chain.event)
    row.cells[:, 3], row.mask[:, 3] = 1, True
    row.cells[:, 0], row.mask[:, 0] = 2, True
    made = fill(chain, row, [Limit(1, ((1, 1),))], generator(2))
    fits = (chain.records[:, 3] == 1) & (chain.records[:, 0] == 2) & (chain.records[:, 1] == 1)
    assert p_value(chain, made, fits) > FALSE_ALARM


@orders
def test_mean_and_mode_are_those_of_the_conditional(chain):
    row = unknown(40, chain.event)
    row.cells[:, 0], row.mask[:, 0] = 2, True
    here = (chain.records[:, 0] == 2) & (chain.records[:, 1] == 1)
    mean = float((chain.records[here, 2] * chain.p[here]).sum() / chain.p[here].sum())
    filled = centre(chain, row, [Limit(1, ((1, 1),))], generator(3), "mean")
    assert float(filled.cells[:, 2].to(torch.float64).mean()) == pytest.approx(mean, abs=0.35)
    assert bool((filled.cells[:, 1] == 1).all()) and bool((filled.cells[:, 3] == 1).all())
    mode = centre(chain, row, [Limit(1, ((1, 1),))], generator(3), "mode")
    assert int(mode.cells[:, 2].mode().values) == 5


@orders
def test_a_rare_condition_is_refused_before_sampling(chain):
    impossible = [Limit(0, ((7, 9),)), Limit(3, ((1, 1),))]
    with pytest.raises(CapabilityError, match="must be common enough"):
        draw_where(chain, 10, impossible, generator(4), None)


def test_a_row_that_cannot_be_is_named():
    chain = ExactChain(False)
    row = unknown(2, chain.event)
    row.cells[1, 0], row.mask[1, 0] = 2, True
    with pytest.raises(InputError, match="row 1"):
        fill(_Refusing(chain), row, [], generator(5))


class _Refusing(ExactChain):
    def __init__(self, chain: ExactChain) -> None:
        super().__init__(False)

    def draw(self, batch, generator, limits=()):
        made, weight = super().draw(batch, generator, limits)
        return made, torch.where(batch.mask[:, 0], -torch.inf, weight)


def test_limits_of_one_cell_become_evidence_only_where_the_span_must_exist():
    row, rest = split_limits(toy_event(), [Limit(2, ((3, 3),)), Limit(3, ((1, 1),))])
    assert row.mask[0].tolist() == [False, False, False, True] and [limit.column for limit in rest] == [2]
    row, rest = split_limits(toy_event(), [Limit(1, ((1, 1),)), Limit(2, ((3, 3),))])
    assert row.mask[0].tolist() == [False, True, True, False] and not rest
    row, rest = split_limits(toy_event(), [Limit(1, ((0, 0),)), Limit(2, ((3, 3),))])
    assert row.mask[0].tolist() == [False, True, False, False] and not rest


class _Gaussian:
    """A Gaussian density over one lattice, narrower or wider than its cells."""

    measure = "density"

    def __init__(self, sigma: float, knee: float) -> None:
        from ensample.events import Continuous, Lattice, Mixed, Span

        self.event = Mixed((Span("x", Continuous(Lattice(-40, 40, shift=0.3, scale=2.0, center=1.0, knee=knee))),))
        self.normal = torch.distributions.Normal(torch.tensor(0.21, dtype=torch.float64), sigma)

    def log_prob(self, batch: Batch) -> torch.Tensor:
        return self.normal.log_prob(self.event.values(batch.cells, batch.offset)[:, 0])


@pytest.mark.parametrize("knee", [float("inf"), 3.0])
@pytest.mark.parametrize("sigma", [0.3, 1.0, 4.0])
def test_densities_are_integrated_over_cells(sigma, knee):
    gaussian = _Gaussian(sigma, knee)
    cells = torch.arange(-40, 41)[:, None]
    lattice = gaussian.event.spans[0].event.lattice
    low, high = lattice.encode(cells[:, 0] - 0.5), lattice.encode(cells[:, 0] + 0.5)
    exact = gaussian.normal.cdf(high) - gaussian.normal.cdf(low)
    score = cell_log_prob(gaussian, Batch(cells, torch.ones_like(cells, dtype=torch.bool))).exp()
    assert torch.allclose(score, exact, atol=2e-3)


def test_a_row_that_cannot_be_is_named_in_the_whole_batch(monkeypatch):
    monkeypatch.setattr("ensample.infer.impute.ROWS_AT_ONCE", 2 * PARTICLES)
    chain = ExactChain(False)
    row = unknown(7, chain.event)
    row.cells[5, 0], row.mask[5, 0] = 2, True
    with pytest.raises(InputError, match="row 5 and 0 others"):
        fill(_Refusing(chain), row, [], generator(5))
    with pytest.raises(InputError, match="row 5 and 0 others"):
        centre(_Refusing(chain), row, [], generator(5), "mean")


def test_draws_without_a_value_have_no_vote():
    cells, known = torch.tensor([[4, 0, 0, 0, 7, 7]]), torch.tensor([[True, False, False, False, True, True]])
    assert _mode(cells, known).tolist() == [7.0]
    assert _densest(cells, known).tolist() == [7.0]


def test_the_mode_of_a_number_is_where_its_draws_crowd():
    draws = np.random.default_rng(0).gamma(3.0, 10_000, (400, 51)).astype(np.int64)  # hardly two are equal
    found = _densest(torch.from_numpy(draws), torch.ones(draws.shape, dtype=torch.bool))
    assert 17_000 < float(found.mean()) < 24_000  # the mode is 20,000, the median 26,700, the least draw 6,000


def test_limits_tell_where_in_its_cell_a_known_number_lies():
    """Coarse x, and y that follows it closely: y beyond the middle of the cell needs x there."""
    event = Mixed((Span("x", Continuous(Lattice(-9, 9))), Span("y", Continuous(Lattice(-900, 900)))))
    covariance = torch.tensor([[[1.0, 100.0], [100.0, 10_001.0]]], dtype=torch.float64)
    parts = Components(torch.zeros(1).double(), torch.zeros(1, 2).double(), covariance, {}, {})
    model = MixtureDistribution(event, None, structure_named("full"), parts)
    row = unknown(4_000, event)
    row.mask[:, 0] = True  # x lies in (-1/2, 1/2), so y hardly knows more of itself than (-50, 50)
    made = fill(model, row, [Limit(1, ((1, 900),))], generator(3)).cells[:, 1].to(torch.float64)
    both = torch.randn(400_000, 2, dtype=torch.float64, generator=generator(4))
    y = (100 * both[:, 0] + both[:, 1]).round()
    truth = y[(both[:, 0].abs() < 0.5) & (y >= 1)]
    assert float(made.mean()) == pytest.approx(float(truth.mean()), abs=1.0)
    assert float(made.std()) == pytest.approx(float(truth.std()), abs=1.0)
