"""The location feature finds smooth relations, survives outliers and absent inputs, and is the same in every batch."""

import numpy as np
import pytest

from ensample.families.location import Location


def _table(rows: int = 2000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    numbers = rng.integers(100, 1000, (rows, 3)).astype(float)
    level = rng.integers(0, 4, rows).astype(float)
    return np.column_stack([numbers, level]), np.array([0, 0, 0, 4])


def _relation(x: np.ndarray) -> np.ndarray:
    effect = np.array([0, 50, -20, 7])[x[:, 3].astype(int)]
    return 3 + 2 * x[:, 0] + 0.01 * x[:, 1] * x[:, 2] - 0.02 * x[:, 0] ** 2 + effect


def test_a_quadratic_relation_with_a_class_effect_is_found_exactly() -> None:
    x, classes = _table()
    y = (
        3
        + 2 * x[:, 0]
        + 0.01 * x[:, 1] * x[:, 2]
        - 0.02 * x[:, 0] ** 2
        + np.array([0, 50, -20, 7])[x[:, 3].astype(int)]
    )
    location = Location.fit(x, classes, y)
    fresh, _ = _table(seed=1)
    truth = _relation(fresh)
    inside = (truth > y.min()) & (truth < y.max())
    assert np.abs(location.predict(fresh) - truth)[inside].max() < 0.01 * y.std()


def test_a_product_of_powers_is_found_in_the_log_scale_and_best_picks_it() -> None:
    x, classes = _table()
    y = np.round(np.exp(0.5 * np.log(x[:, 0]) + 1.5 * np.log(x[:, 1]) - 0.25 * np.log(x[:, 2])))
    location = Location.best(x, classes, y)
    assert not np.isnan(location.log_shift)
    assert np.median(np.abs(location.unwarp(location.predict(x)) / y - 1)) < 0.01


def test_outliers_do_not_move_the_prediction() -> None:
    x, classes = _table()
    clean = 5 * x[:, 0] - 2 * x[:, 1]
    y = clean.copy()
    y[::50] += 1e6
    location = Location.fit(x, classes, y)
    rest = np.arange(len(y)) % 50 != 0
    assert np.abs(location.predict(x) - clean)[rest & (clean > clean[rest].min())].max() < 1.0


def test_warp_and_unwarp_are_inverse() -> None:
    x, classes = _table()
    for log in (False, True):
        location = Location.fit(x, classes, x[:, 0], log)
        np.testing.assert_allclose(location.unwarp(location.warp(x[:, 0])), x[:, 0])


def test_every_batch_size_gives_the_same_bits() -> None:
    x, classes = _table()
    x[::7, 1] = np.nan
    location = Location.fit(x, classes, x[:, 0] * 2 + x[:, 2] + 1)
    whole = location.predict(x)
    assert (np.concatenate([location.predict(x[i : i + 3]) for i in range(0, len(x), 3)]) == whole).all()


@pytest.mark.parametrize("case", ["no inputs", "all absent", "constant target", "one row", "constant input"])
def test_degenerate_tables_give_finite_predictions(case: str) -> None:
    x, classes = _table(50)
    y = x[:, 0].copy()
    if case == "no inputs":
        x, classes = x[:, :0], classes[:0]
    elif case == "all absent":
        x[:] = np.nan
    elif case == "constant target":
        y[:] = 7
    elif case == "one row":
        x, y = x[:1], y[:1]
    else:
        x[:, 1] = 3
    location = Location.fit(x, classes, y)
    assert np.isfinite(location.predict(x)).all()
    if case == "constant target":
        np.testing.assert_allclose(location.predict(x), 7)


def test_arrays_restore_the_same_prediction() -> None:
    x, classes = _table()
    location = Location.fit(x, classes, x[:, 1] + 3 * x[:, 2], log=True)
    assert (Location.restore(location.arrays()).predict(x) == location.predict(x)).all()
