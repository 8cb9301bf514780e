"""Gaps of tables of series, filled by models of windows and of whole series."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import ensample as en
from ensample.data.dataset import Dataset

A, STEPS = 0.9, 3_000
DAYS = np.datetime64("2001-01-01") + np.arange(STEPS)


def walk(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    out = np.zeros(STEPS)
    for t in range(1, STEPS):
        out[t] = A * out[t - 1] + rng.normal()
    return out.round(2)


def table(values: np.ndarray, **more) -> Dataset:
    return Dataset.from_arrow(pa.table({"day": DAYS[: len(values)], **more, "x": values}))


@pytest.fixture(scope="module")
def model() -> en.Model:
    family = en.families.Flat(en.families.Mixture(components=1, covariance="full"))
    return en.fit(table(walk(0)).series(9), family)


def test_what_is_missing_is_told_from_both_sides(model):
    values = walk(1)[:200]
    holes, gone = values.copy(), np.arange(3, 197, 5)
    holes[gone] = np.nan
    rows = np.setdiff1d(np.arange(200), gone[::2])  # half of them have no row at all
    filled = model.impute(table(holes).take(rows), how="mean").to_arrow()
    assert (filled["day"].to_numpy() == DAYS[:200]).all()
    made = filled["x"].to_numpy()
    kept = np.setdiff1d(np.arange(200), gone)
    assert np.array_equal(made[kept], values[kept])
    assert made[gone] == pytest.approx(A / (1 + A**2) * (values[gone - 1] + values[gone + 1]), abs=0.12)


def test_draws_have_the_spread_of_what_is_not_known(model):
    holes = table(np.tile([1.0, 1.0, 1.0, np.nan], 70))
    first, again, other = (model.impute(holes, seed=seed).to_arrow()["x"].to_numpy()[3:-1:4] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    both = np.concatenate([first, other])
    assert both.std() == pytest.approx(np.sqrt(1 / (1 + A**2)), rel=0.2)
    assert both.mean() == pytest.approx(2 * A / (1 + A**2), abs=0.25)
    assert len(model.impute(table(np.array([1.0, np.nan])), m=2, seed=0)) == 2


def test_ends_and_long_gaps_are_filled_too(model):
    values = walk(2)[:120]
    holes = values.copy()
    holes[:4], holes[50:80], holes[-3:] = np.nan, np.nan, np.nan
    made = model.impute(table(holes), how="mean").to_arrow()["x"].to_numpy()
    assert np.isfinite(made).all() and abs(made[64]) < 0.6  # far from all that is known
    assert made[-3:] == pytest.approx(values[-4] * A ** np.arange(1, 4), abs=0.2)
    short = model.impute(table(np.array([1.0, np.nan, 1.0])), how="mean").to_arrow()["x"].to_numpy()
    assert short[1] == pytest.approx(2 * A / (1 + A**2), abs=0.1)


@pytest.mark.parametrize("first", range(4, 12))
def test_longer_gaps_are_seen_from_both_sides_wherever_they_lie(model, first):
    values, gap, ends = np.full(40, 2.0), np.arange(first, first + 3), np.array([first - 1, first + 3])
    values[gap] = np.nan
    made = model.impute(table(values), how="mean").to_arrow()["x"].to_numpy()[gap]
    spread = A ** np.abs(np.subtract.outer(np.arange(40), np.arange(40)))
    expected = spread[np.ix_(gap, ends)] @ np.linalg.solve(spread[np.ix_(ends, ends)], np.full(2, 2.0))
    assert made == pytest.approx(expected, abs=0.12)  # from one side alone: 1.8, 1.62, 1.46


@pytest.mark.parametrize("window", [1, 2, 3])
def test_windows_of_few_steps_fill_gaps_of_many(window):
    small = en.fit(table(walk(0)[:300]).series(window), "independent")
    values = walk(3)[:30]
    values[5:12], values[20] = np.nan, np.nan
    made = small.impute(table(values), seed=0).to_arrow()["x"].to_numpy()
    assert np.isfinite(made).all()


def test_whole_series_of_units_are_filled_by_a_model_of_any_length():
    rng = np.random.default_rng(0)
    state = np.repeat(rng.integers(0, 2, 60), 10)
    unit = np.repeat([f"u{k}" for k in range(30)], 20)
    rows = {"day": np.tile(DAYS[:20], 30), "unit": unit, "x": (8.0 * state + rng.normal(size=600)).round(1)}
    data = Dataset.from_arrow(pa.table(rows))
    model = en.fit(data.series(by="unit"), en.families.Markov(states=2), budget="40 steps")
    holes = rows["x"].copy()
    holes[4::10] = np.nan
    made = model.impute(Dataset.from_arrow(pa.table({**rows, "x": holes})), how="mean").to_arrow()
    assert made.column_names == ["unit", "day", "x"] and made["unit"].to_pylist() == unit.tolist()
    assert np.abs(made["x"].to_numpy()[4::10] - 8.0 * state[4::10]).max() < 1.5
