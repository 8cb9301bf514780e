"""Boosted digits on wide tables and on tables of few rows."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from sklearn import datasets

import ensample as en
from ensample.budget import Budget, Clock
from ensample.families.boosted.family import Boosted
from ensample.families.boosted.parallel import _Shares
from ensample.families.boosted.selection import Selection
from ensample.run import Run


def wide(rows: int, columns: int) -> en.Dataset:
    """Numbers of two common factors, every tenth a category."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 2)) @ rng.normal(size=(2, columns)) + 0.3 * rng.normal(size=(rows, columns))
    return en.read(
        {f"x{j}": x[:, j].round(1) if j % 10 else np.array(list("abcd"))[cut(x[:, j])] for j in range(columns)}
    )


def cut(x: np.ndarray) -> np.ndarray:
    return np.searchsorted([-1.0, 0.0, 1.0], x)


def test_a_wide_table_keeps_to_its_time_and_still_learns():
    data = wide(600, 100)
    train, test = data.split(test=0.3, seed=0)
    began = time.monotonic()
    model = en.fit(train, "boosted", budget="3s", seed=0)
    assert time.monotonic() - began < 12  # far more would be taken if every column did all that it could
    assert all(len(column.inputs) <= 24 for column in model.distribution.columns)
    assert model.log_prob(test).mean() > en.fit(train, "independent").log_prob(test).mean() + 5


def test_columns_hurry_where_others_took_too_long():
    """What comes before the first digit is timed; a column that has less time than that goes without it."""
    shares = _Shares([1.0, 1.0, 1.0], Run(Clock(Budget(seconds=30.0))))
    stop = threading.Event()
    first = shares.pace(0, stop)
    assert not first.hurried
    first.began -= 100.0  # as if it had taken so long
    first.digit(3)
    assert shares.before[0] >= 100.0 and shares.pace(1, stop).hurried
    calm = _Shares([1.0, 1.0], Run())
    calm.before.append(1e6)
    assert not calm.pace(0, stop).hurried


@pytest.mark.parametrize("any_order", [False, True])
@pytest.mark.parametrize("rows", [2, 3, 5, 20, 150])
def test_small_tables_are_learned(rows, any_order):
    frame = datasets.load_iris(as_frame=True).frame.sample(frac=1, random_state=0).head(rows)
    frame["name"] = np.where(np.arange(rows) % 3 == 1, None, "b")
    frame["same"] = 1
    model = en.fit(frame, Boosted(any_order=any_order), budget="10s", seed=0)
    made = model.sample(30, seed=0).to_pandas()
    assert (made["same"] == 1).all() and made.drop(columns="name").notna().all(axis=None)
    assert np.isfinite(model.log_prob(frame)).all()
    if rows == 150:
        assert model.log_prob(frame).mean() > en.fit(frame, "independent").log_prob(frame).mean() + 1


def test_the_inputs_that_tell_most_are_found():
    """One number, one class and one pair that tell only together, among ninety that tell nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 93))
    x[:, 7] = rng.integers(3, size=2_000)
    target = x[:, 3] + 2 * x[:, 7] + 2 * np.sign(x[:, 20] * x[:, 21])
    matrix = np.concatenate([x, target[:, None]], 1)
    classes = np.zeros(94, dtype=np.int64)
    classes[7] = 3
    selection = Selection.of(matrix, classes)
    found = selection.most_telling(93, np.arange(93), 24)
    assert {3, 7, 20, 21} <= set(found.tolist()) and len(found) == 24 and (np.diff(found) > 0).all()
    assert {3, 7} <= set(selection.most_telling(93, np.arange(93), 24, quick=True).tolist())
    assert selection.most_telling(93, np.arange(10), 24).tolist() == list(range(10))
