"""Cells of mixtures: closed forms where coordinates are independent, as many points as needed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.events import Batch, Continuous, Lattice, Limit, Mixed, Span, unknown
from ensample.families.mixture.cells import CellMixture, log_cells, mixture_of
from ensample.families.mixture.components import Components
from ensample.families.mixture.covariance import STRUCTURES
from ensample.families.mixture.model import MixtureDistribution
from ensample.infer import likelihood
from ensample.infer.likelihood import cell_log_prob, inside_cells
from ensample.verbs import capabilities

WARPED = Lattice(-50, 50, shift=1.0, scale=7.0, center=3.0, knee=10.0)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two(structure: str, lattice: Lattice) -> MixtureDistribution:
    event = Mixed(tuple(Span(name, Continuous(lattice)) for name in "ab"))
    means = torch.tensor([[-0.6, 0.2], [0.8, -0.4]], dtype=torch.float64)
    variances = torch.tensor([[0.04, 0.5], [0.3, 0.02]], dtype=torch.float64)
    shape = variances if structure == "diagonal" else torch.diag_embed(variances)
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    return mixture_of(event, None, STRUCTURES[structure], Components(weights, means, shape, {}, {}))


def grid(low: int, high: int) -> Batch:
    cells = torch.cartesian_prod(torch.arange(low, high), torch.arange(low, high))
    return Batch(cells, torch.ones_like(cells, dtype=torch.bool))


@pytest.mark.parametrize("scale", [0.5, 7.0, 5_000.0])
def test_a_cell_has_the_difference_of_the_distribution_function(scale):
    lattice = Lattice(-50, 50, shift=1.0, scale=scale, center=3.0, knee=10.0)
    cells = torch.arange(-20, 20)
    means = torch.tensor([0.0, 0.7, -3.0], dtype=torch.float64)
    deviations = torch.tensor([1.0, 0.2, 2.0], dtype=torch.float64)
    found = log_cells(lattice, cells, means, deviations).numpy()
    low, high = (lattice.encode(cells + u).numpy()[:, None] for u in (-0.5, 0.5))
    normal, middle = stats.norm(means.numpy(), deviations.numpy()), means.numpy()
    upper = low > middle
    expected = np.where(upper, normal.sf(low) - normal.sf(high), normal.cdf(high) - normal.cdf(low))
    sure = expected > 1e-12
    assert np.allclose(found[sure], np.log(expected[sure]), atol=2e-6)
    assert bool(torch.isfinite(log_cells(lattice, torch.tensor([-(10**9), 10**9]), means, deviations)).all())


def test_probabilities_of_wide_cells_add_up_to_one_and_agree_with_the_rule():
    closed, ruled = two("diagonal", WARPED), two("full", WARPED)
    assert isinstance(closed, CellMixture) and not isinstance(ruled, CellMixture)
    batch = grid(-150, 150)
    p, q = cell_log_prob(closed, batch).exp(), cell_log_prob(ruled, batch).exp()
    assert float(p.sum()) == pytest.approx(1.0, abs=1e-9)
    assert float((p - q).abs().sum()) < 5e-3
    sample = closed.sample(40_000, generator(0))
    place = ((sample.cells[:, 0] + 150) * 300 + sample.cells[:, 1] + 150).numpy()
    counts, expected = np.bincount(place, minlength=len(p)), p.numpy() * 40_000
    often = expected > 10
    assert stats.chisquare(counts[often], expected[often] * counts[often].sum() / expected[often].sum()).pvalue > 1e-4
    assert capabilities(CellMixture, CellMixture.guarantees)["log_prob"] == "exact"
    assert capabilities(MixtureDistribution, MixtureDistribution.guarantees)["log_prob"] == "estimate"


def test_evidence_of_a_wide_cell_is_the_whole_cell():
    model = two("diagonal", WARPED)
    p = cell_log_prob(model, grid(-150, 150)).exp().reshape(300, 300)
    batch = unknown(20_000, model.event)
    batch.cells[:, 0], batch.mask[:, 0] = -4, True
    drawn, weight = model.draw(batch, generator(1))
    assert bool((weight == 0).all())
    counts = np.bincount(drawn.cells[:, 1].numpy() + 150, minlength=300)
    expected = (p[146] / p[146].sum()).numpy() * 20_000
    often = expected > 5
    assert stats.chisquare(counts[often], expected[often] * counts[often].sum() / expected[often].sum()).pvalue > 1e-4
    limits = [Limit(1, ((-9, -2),))]
    within = model.draw(batch, generator(1), limits)[0].cells[:, 1]
    assert bool(((within >= -9) & (within <= -2)).all())


def test_narrow_cells_are_seen_by_their_middle_and_wide_ones_by_the_rule(monkeypatch):
    seen = []
    plain = MixtureDistribution.log_prob
    monkeypatch.setattr(
        MixtureDistribution, "log_prob", lambda self, batch: seen.append(len(batch)) or plain(self, batch)
    )
    fine, wide = two("full", Lattice(-500, 500, scale=1_000.0)), two("full", WARPED)
    batch = grid(-300, -270)
    middle = cell_log_prob(fine, batch)
    assert seen == [900]
    seen.clear()
    cell_log_prob(wide, grid(-10, 20))
    assert seen == [900] * 11
    monkeypatch.setattr(likelihood, "FINE", 0.0)
    assert torch.allclose(middle, cell_log_prob(fine, batch), atol=1e-3)
    expected = np.sqrt(np.array([0.04, 0.02])) * 1_000.0
    assert fine.cell_width(batch).tolist() == pytest.approx([1 / expected.min()] * 900)


def test_the_narrowest_section_counts_and_only_known_cells():
    event = Mixed(tuple(Span(name, Continuous(Lattice(-500, 500, scale=100.0))) for name in "ab"))
    shape = torch.tensor([[[1.0, 0.99], [0.99, 1.0]]], dtype=torch.float64)
    own = Components(torch.zeros(1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), shape, {}, {})
    model = mixture_of(event, None, STRUCTURES["full"], own)
    batch = Batch(torch.zeros(2, 2, dtype=torch.int64), torch.tensor([[True, True], [False, False]]))
    assert model.cell_width(batch).tolist() == pytest.approx([0.01 / (1 - 0.99**2) ** 0.5, 0.0])
    rows = torch.cat([rows for rows, _ in inside_cells(model, batch.repeat(5), generator(0))])
    assert sorted(rows.tolist()) == list(range(10))
