"""Windows of series as rows of a table, against the closed form of an autoregressive series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from ensample.budget import Budget, Clock
from ensample.errors import InputError
from ensample.events import UNKNOWN_LENGTH, Batch, Continuous, Discrete, Lattice, Limit, Mixed, Ragged, Span
from ensample.families import Flat, Independent, Markov, Mixture, Resample
from ensample.families.base import refusal
from ensample.families.compose.windows import RowWindows, window_records, window_row
from ensample.fitting import as_family
from ensample.infer.impute import centre, fill
from ensample.infer.likelihood import cell_log_prob
from ensample.kinds.records import ABSENT
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

STEPS, LEVEL, PULL = 5, 100.0, 0.8
WALK = Ragged(Mixed((Span("level", Continuous(Lattice(-500, 500, 0.0, LEVEL))),)), STEPS, fixed=True)
RAIN = Ragged(
    Mixed((Span("sky", Discrete(3)), Span("rain", Discrete(2)), Span("amount", Continuous(Lattice(0, 9)), (1, (1,))))),
    3,
    fixed=True,
)


def walks(count: int, seed: int) -> np.ndarray:
    """x_t = 0.8 x_(t-1) + 0.6 e_t, stationary, [count, steps]."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal((count, STEPS))
    out = noise.copy()
    for step in range(1, STEPS):
        out[:, step] = PULL * out[:, step - 1] + np.sqrt(1 - PULL**2) * noise[:, step]
    return out


def covariance() -> np.ndarray:
    return PULL ** np.abs(np.subtract.outer(np.arange(STEPS), np.arange(STEPS)))


def records(values: np.ndarray) -> Sequences:
    table = np.round(values * LEVEL).astype(np.int64).reshape(-1, 1)
    return Sequences(WALK, table, lengths=np.full(len(values), STEPS))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def gaussian() -> RowWindows:
    family = as_family("mixture", WALK, {"components": "1", "covariance": "full"})
    return learn(family, records(walks(20_000, 0)), 0, Run(Clock(Budget(steps=5))))


@pytest.fixture(scope="module")
def held_out() -> Batch:
    return records(walks(200, 1)).batch()


def test_a_gaussian_over_windows_has_the_density_of_the_series(gaussian, held_out):
    exact = stats.multivariate_normal(np.zeros(STEPS), covariance()).logpdf(held_out.cells[..., 0].numpy() / LEVEL)
    found = cell_log_prob(gaussian, held_out).numpy() + STEPS * np.log(LEVEL)
    assert np.abs(found - exact).mean() < 0.02


def test_what_comes_next_and_what_is_missing_is_that_of_the_closed_form(gaussian, held_out):
    values, known = held_out.cells[..., 0].numpy() / LEVEL, [0, 3]
    mask = torch.zeros_like(held_out.mask)
    mask[:, known] = True
    holes = replace(held_out, cells=torch.where(mask, held_out.cells, 0), mask=mask)
    matrix, lacking = covariance(), [1, 2, 4]
    gain = matrix[np.ix_(lacking, known)] @ np.linalg.inv(matrix[np.ix_(known, known)])
    mean = values[:, known] @ gain.T
    filled = centre(gaussian, holes, [], generator(), "mean")
    assert np.abs(filled.cells[:, lacking, 0].numpy() / LEVEL - mean).max() < 0.06
    assert torch.equal(filled.cells[:, known], held_out.cells[:, known]) and bool((filled.lengths == STEPS).all())
    drawn = fill(gaussian, holes, [], generator(1)).cells[:, lacking, 0].numpy() / LEVEL
    rest = matrix[np.ix_(lacking, lacking)] - gain @ matrix[np.ix_(known, lacking)]
    whitened = np.linalg.solve(np.linalg.cholesky(rest), (drawn - mean).T)
    assert stats.kstest(whitened.ravel(), "norm").pvalue > 1e-4
    assert np.abs(np.corrcoef(whitened) - np.eye(3)).max() < 0.3


def test_samples_are_whole_windows_of_the_series(gaussian):
    made = gaussian.sample(5_000, generator(2))
    assert made.cells.shape == (5_000, STEPS, 1) and bool(made.mask.all())
    found = np.cov(made.cells[..., 0].numpy().T / LEVEL)
    assert np.abs(found - covariance()).max() < 0.1


def test_a_window_of_unknown_length_is_made_whole_and_others_are_refused(gaussian):
    nothing = torch.zeros(3, 0, 1, dtype=torch.int64)
    unknown = Batch(nothing, nothing.bool(), lengths=torch.full((3,), UNKNOWN_LENGTH))
    assert cell_log_prob(gaussian, unknown).tolist() == pytest.approx([0.0] * 3)
    assert fill(gaussian, unknown, [], generator()).lengths.tolist() == [STEPS] * 3
    short = records(walks(2, 0)).batch().take(slice(0, 1))
    with pytest.raises(InputError, match="3 steps"):
        gaussian.log_prob(replace(short, lengths=torch.tensor([3])))


def rainy(count: int) -> Sequences:
    rng = np.random.default_rng(3)
    sky, rain, amount = rng.integers(0, 3, 3 * count), rng.integers(0, 2, 3 * count), rng.integers(0, 10, 3 * count)
    table = np.stack([sky, rain, np.where(rain == 1, amount, ABSENT)], 1)
    return Sequences(RAIN, table, lengths=np.full(count, 3))


def test_a_value_exists_under_the_state_of_its_own_step():
    row = window_row(RAIN)
    assert [span.name for span in row.spans[3:6]] == ["sky, step 2", "rain, step 2", "amount, step 2"]
    assert [row.spans[j].exists for j in (2, 5, 8)] == [(1, (1,)), (4, (1,)), (7, (1,))]
    learned = learn(Flat(of=Independent()), rainy(300), 0, Run(Clock(Budget(steps=1))))
    made = learned.sample(500, generator())
    assert torch.equal(made.mask[..., 2], made.cells[..., 1] == 1) and bool(made.mask[..., :2].all())


def test_limits_bind_every_step():
    learned = learn(Flat(of=Independent()), rainy(300), 0, Run(Clock(Budget(steps=1))))
    batch = rainy(50).batch()
    mask = batch.mask.clone()
    mask[:, 1:] = False
    holes = replace(batch, cells=torch.where(mask, batch.cells, 0), mask=mask)
    made = fill(learned, holes, [Limit(1, ((1, 1),))], generator())
    assert bool((made.cells[:, 1:, 1] == 1).all()) and torch.equal(made.cells[:, 0], batch.cells[:, 0])


def test_windows_of_which_nothing_is_known_are_rows_without_values():
    some = replace(rainy(2), lengths=np.array([3, UNKNOWN_LENGTH, 3]))
    table = window_records(some).table
    assert table.shape == (3, 9) and bool((table[1] == ABSENT).all()) and bool((table[[0, 2], 0] >= 0).all())


def test_which_family_a_name_means_follows_from_what_it_refuses():
    assert as_family("mixture", WALK) == Flat(of=Mixture())
    assert as_family("mixture", replace(WALK, fixed=False)) == Mixture()
    assert as_family("markov", WALK) == Markov()


def test_refusals_say_why():
    assert "same number of steps" in str(refusal(Flat(), replace(WALK, fixed=False), None))
    assert "leave them out" in str(refusal(Flat(), replace(WALK, missing=True), None))
    assert "option `most`" in str(refusal(Flat(most=4), WALK, None)) and refusal(Flat(most=5), WALK, None) is None
    assert "training rows" in str(refusal(Flat(of=Resample()), WALK, None))


def test_stored_windows_are_the_same(gaussian, held_out):
    family = Flat(of=Mixture(components=1, covariance="full"))
    again = family.restore(WALK, None, gaussian.arrays(), gaussian.facts())
    assert torch.equal(again.log_prob(held_out), gaussian.log_prob(held_out))
    assert torch.equal(again.sample(5, generator()).cells, gaussian.sample(5, generator()).cells)


def test_given_fields_reach_the_rows():
    values, given = walks(4_000, 5), np.random.default_rng(0).integers(0, 2, 4_000)
    values += 3.0 * given[:, None]
    of = Mixed((Span("season", Discrete(2)),))
    told = replace(records(values), given=of, given_table=given[:, None])
    learned = learn(Flat(of=Mixture(components=2)), told, 0, Run(Clock(Budget(steps=20))))
    cond = Batch(torch.tensor([[0], [1]]).repeat_interleave(500, 0), torch.ones(1_000, 1, dtype=torch.bool))
    made = learned.sample(1_000, generator(), cond).cells[..., 0].double() / LEVEL
    assert float(made[500:].mean() - made[:500].mean()) == pytest.approx(3.0, abs=0.3)
