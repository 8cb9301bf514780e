"""Splits: disjoint, whole, exact, and a function of seed and row number alone."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ensample.data.dataset import Dataset
from ensample.data.split import halves, ranks
from ensample.errors import InputError


def numbers(rows):
    return Dataset.from_arrow(pa.table({"x": np.arange(rows)}))


@pytest.mark.parametrize("test", [0.2, 0.999, 0.0001, 1, 7, 4_999])
@pytest.mark.parametrize("seed", [0, 1, 123_456_789])
def test_parts_are_disjoint_whole_and_of_the_size_asked_for(test, seed):
    train, held = numbers(5_000).split(test, seed)
    left, right = train.column("x").to_numpy(), held.column("x").to_numpy()
    assert len(held) == (max(1, round(5_000 * test)) if test < 1 else test)
    assert sorted([*left, *right]) == list(range(5_000))
    assert (np.diff(left) > 0).all() and (np.diff(right) > 0).all()


def test_seeds_give_independent_splits():
    parts = [set(numbers(20_000).split(0.5, seed)[1].column("x").to_pylist()) for seed in range(4)]
    for j, left in enumerate(parts):
        for right in parts[j + 1 :]:
            # Hypergeometric overlap: mean 5,000, standard deviation 35.4.
            assert abs(len(left & right) - 5_000) < 5 * 35.4


def test_ranks_are_distinct_and_uniform():
    found = ranks(3, np.arange(100_000, dtype=np.uint64))
    assert len(np.unique(found)) == 100_000
    assert stats.kstest(found / 2.0**64, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(found[1:].astype(float), found[:-1].astype(float))[0, 1]) < 0.02


def test_no_seed_is_a_shifted_copy_of_another():
    rows = np.arange(1_000, dtype=np.uint64)
    for seed in (1, 0x9E3779B97F4A7C15, 2**64 - 0x9E3779B97F4A7C15, 2**64 + 1):
        assert not np.isin(ranks(0, rows), ranks(seed, rows)).any()


def test_threshold_is_the_rank_that_sorting_gives():
    for rows, count in ((10, 3), (1_000, 1), (1_000, 999), (3_000_000, 1_234_567)):
        found = np.sort(ranks(9, np.arange(rows, dtype=np.uint64)))[count - 1]
        train, test, size = halves(count, 9, rows)
        rows_of = np.arange(rows, dtype=np.uint64)
        assert test.contains(rows_of).sum() == count and (train.contains(rows_of) != test.contains(rows_of)).all()
        assert (test.threshold, size, train.rest, test.rest) == (int(found), count, True, False)


@pytest.mark.parametrize(
    "test", [0, 0.0, -0.2, 1.0, 1.5, 2.0, -3, 10, 11, float("nan"), float("inf"), "a fifth", None, True]
)
def test_silly_sizes_are_refused(test):
    with pytest.raises(InputError):
        numbers(10).split(test)


def test_one_record_cannot_be_split_and_a_seed_is_a_number():
    with pytest.raises(InputError, match="add records"):
        numbers(1).split(0.5)
    with pytest.raises(InputError, match="whole number from 0"):
        numbers(10).split(0.5, seed=-1)
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    numbers(10).split(0.5)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
