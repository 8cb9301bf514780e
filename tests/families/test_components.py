"""Windows by their principal components, against densities that are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Ragged, Span
from ensample.families import Components, Field, Flat, Gan, Independent, Mixture
from ensample.families.base import refusal
from ensample.families.compose.windows import window_records
from ensample.families.series.axes import Axes
from ensample.fitting import as_family
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

STEPS, LEVEL = 4, 1000.0
NUMBER = Continuous(Lattice(-5000, 5000, 0.0, LEVEL))
PAIR = Ragged(Mixed((Span("open", NUMBER), Span("sky", Discrete(2)), Span("close", NUMBER))), STEPS, fixed=True)


def made(count: int, seed: int) -> tuple[Sequences, np.ndarray]:
    """Two numbers that nearly agree, a thin sheet: x, x + 0.03 e, x a walk; and a class that a coin gives."""
    rng = np.random.default_rng(seed)
    walk = rng.standard_normal((count, STEPS)).cumsum(1) / 2
    both = np.stack([walk, walk + 0.03 * rng.standard_normal(walk.shape)], 2)
    cells = np.round(both * LEVEL).astype(np.int64)
    table = np.stack([cells[..., 0], rng.integers(0, 2, walk.shape), cells[..., 1]], 2).reshape(-1, 3)
    return Sequences(PAIR, table, lengths=np.full(count, STEPS)), both


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit(family: object, records: Sequences) -> object:
    return learn(family, records, 0, Run(Clock(Budget(steps=20))))


def exact(both: np.ndarray) -> np.ndarray:
    """Log-probability of cells: those of the walk, of the difference, and of the coins."""
    moves = np.diff(both[..., 0], axis=1, prepend=0.0)
    off = both[..., 1] - both[..., 0]
    each = stats.norm.logpdf(moves, scale=0.5) + stats.norm.logpdf(off, scale=0.03) - 2 * np.log(LEVEL) + np.log(0.5)
    return each.sum(1)


@pytest.fixture(scope="module")
def records() -> Sequences:
    return made(4_000, 0)[0]


@pytest.mark.parametrize("of", [Mixture(components=1), Mixture(components=1, covariance="diagonal")])
def test_densities_are_those_of_the_windows(records, of):
    fresh, both = made(300, 1)
    found = fit(Components(of=of), records).log_prob(fresh.batch()).numpy()
    assert abs((found - exact(both)).mean()) < 0.1


def test_probabilities_by_cells_are_the_same_as_by_densities(records):
    fresh, both = made(300, 1)
    found = fit(Components(of=Independent(bins=256)), records).log_prob(fresh.batch()).numpy()
    assert abs(float(np.median(found - exact(both)))) < 0.6


def test_samples_lie_on_the_thin_sheet(records):
    batch = fit(Components(of=Mixture(components=1, covariance="diagonal")), records).sample(2_000, generator())
    assert batch.cells.shape == (2_000, STEPS, 3) and bool((batch.lengths == STEPS).all()) and bool(batch.mask.all())
    open_, close = (batch.cells[..., j].double().numpy() / LEVEL for j in (0, 2))
    assert (close - open_).std() == pytest.approx(0.03, rel=0.1)
    assert np.diff(open_, axis=1).std() == pytest.approx(0.5, rel=0.05)
    assert 0.45 < float(batch.cells[..., 1].double().mean()) < 0.55


def test_components_are_uncorrelated_and_tell_everything(records):
    rows = window_records(records)
    axes = Axes.fit(rows.event, torch.from_numpy(rows.table))
    x = rows.event.values(torch.from_numpy(rows.table))[:, axes.columns]
    z = axes.cells(x)
    assert torch.allclose(torch.cov((z.double() * 1e-4).T), torch.eye(2 * STEPS, dtype=torch.float64), atol=2e-3)
    assert torch.allclose(axes.numbers(z), x, atol=1e-3)
    assert axes.log_volume() == pytest.approx(-0.5 * float(torch.logdet(torch.cov(x.T))), abs=1e-2)


def test_numbers_that_may_be_missing_stay_as_they_are(records):
    table = records.table.copy()
    table[5, 0] = ABSENT
    rows = window_records(replace(records, table=table))
    axes = Axes.fit(rows.event, torch.from_numpy(rows.table))
    assert axes.columns.tolist() == [j for j in range(3 * STEPS) if j % 3 != 1 and j != 3]
    learned = fit(Components(of=Mixture(components=1)), replace(records, table=table))
    assert torch.isfinite(learned.log_prob(records.batch(slice(0, 3)))).all()


def test_what_is_missing_for_the_first_time_is_refused(records):
    learned = fit(Components(of=Independent()), records)
    batch = records.batch(slice(0, 2))
    batch.mask[1, 2, 0] = False
    with pytest.raises(InputError, match="record 1"):
        learned.log_prob(batch)


def test_stored_windows_are_the_same(records):
    family = Components(of=Mixture(components=2))
    learned, batch = fit(family, records), records.batch(slice(0, 20))
    again = family.restore(PAIR, None, learned.arrays(), learned.facts())
    assert torch.equal(learned.log_prob(batch), again.log_prob(batch))
    assert torch.equal(learned.sample(5, generator(1)).cells, again.sample(5, generator(1)).cells)


def test_given_fields_reach_the_rows(records):
    given, of = np.arange(len(records))[:, None] % 2, Mixed((Span("season", Discrete(2)),))
    table = records.table + np.array([3_000, 0, 3_000]) * np.repeat(given, STEPS, 0)
    told = replace(records, table=table, given=of, given_table=given)
    cond = Batch(torch.arange(400)[:, None] % 2, torch.ones(400, 1, dtype=torch.bool))
    level = fit(Components(of=Mixture(components=2)), told).sample(400, generator(), cond).cells[..., 0].double()
    assert float(level[1::2].mean() - level[::2].mean()) == pytest.approx(3_000, abs=300)


def test_fields_and_adversarial_networks_of_windows_are_those_of_components():
    assert as_family("field", PAIR) == Components(of=Field())
    assert as_family("gan", PAIR) == Components(of=Gan())
    assert as_family("mixture", PAIR) == Flat(of=Mixture())


def test_refusals_say_why():
    assert "same number of steps" in str(refusal(Components(), replace(PAIR, fixed=False), None))
    assert "leave them out" in str(refusal(Components(), replace(PAIR, missing=True), None))
    assert "option `most`" in str(refusal(Components(most=11), PAIR, None))
    assert refusal(Components(most=12), PAIR, None) is None
