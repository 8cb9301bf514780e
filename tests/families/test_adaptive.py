"""The prediction from whatever is known, against regressions fitted on those columns alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ensample.families.boosted.adaptive import Adaptive
from ensample.families.location import Location


def table(rows: int = 6_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two related numbers, a class, and a target that is a product with an effect of the class."""
    rng = np.random.default_rng(seed)
    a = rng.integers(50, 150, rows).astype(float)
    b = np.round(a * 0.5 + rng.normal(0, 10, rows)) + 40
    kind = rng.integers(0, 3, rows).astype(float)
    target = np.round(a * b / 20 + 40 * kind + rng.normal(0, 4, rows))
    return np.stack([a, b, kind], 1), np.array([0, 0, 3]), target


def hidden(x: np.ndarray, columns: list[int]) -> np.ndarray:
    out = x.copy()
    out[:, columns] = np.nan
    return out


@pytest.mark.parametrize("holes", [[], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]])
def test_each_pattern_predicts_as_its_own_regression_does(holes):
    x, classes, y = table()
    adaptive = Adaptive.fit(Location.fit(x, classes, y), x, y)
    fresh, _, truth = table(seed=1)
    center, spread = adaptive.around(hidden(fresh, holes))
    own = Location.fit(hidden(x, holes), classes, y)
    error = np.sqrt(np.mean((center - truth) ** 2))
    assert error == pytest.approx(np.sqrt(np.mean((own.predict(hidden(fresh, holes)) - truth) ** 2)), rel=0.03)
    assert spread[0] == pytest.approx(error, rel=0.1)


def test_rows_are_predicted_alone_and_after_storage_to_the_bit():
    x, _, y = table(500)
    x[np.random.default_rng(3).random(x.shape) < 0.4] = np.nan
    adaptive = Adaptive.fit(Location.fit(*table(500)), table(500)[0], y)
    center, spread = adaptive.around(x)
    singles = [adaptive.around(x[i : i + 1]) for i in range(100)]
    assert np.array_equal(center[:100], [c[0] for c, _ in singles])
    assert np.array_equal(spread[:100], [s[0] for _, s in singles])
    again = Adaptive.restore({name: torch.clone(array) for name, array in adaptive.arrays().items()})
    assert np.array_equal(center, again.around(x)[0])


def test_constant_and_empty_inputs():
    x, classes, y = np.full((50, 2), 3.0), np.array([0, 0]), np.arange(50.0)
    adaptive = Adaptive.fit(Location.fit(x, classes, y), x, y)
    center, spread = adaptive.around(np.array([[np.nan, np.nan], [3.0, 3.0]]))
    assert np.isfinite(center).all() and (spread > 0).all()
