"""Cells in temporary files behave like cells in memory."""

import gc

import numpy as np
import pyarrow as pa
import pytest
import torch

from ensample.data.dataset import Dataset
from ensample.errors import FormatError
from ensample.kinds import guess, records
from ensample.kinds.codec import TableCodec
from ensample.kinds.records import ABSENT, Packed


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    n = 1_000
    big = np.r_[rng.integers(0, 1000, n - 1), 2**40]
    columns = {
        "a": pa.array(rng.integers(-9, 9, n), mask=rng.random(n) < 0.2),
        "big": big,
        "c": rng.choice(["x", "y"], n),
    }
    return Dataset.from_arrow(pa.table(columns))


@pytest.fixture
def stored(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "IN_MEMORY", 0)
    monkeypatch.setattr("ensample.kinds.codec.BATCH_ROWS", 300)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def encoded(dataset):
    schema = guess(dataset)
    return TableCodec(schema, ("big", "a"), ("c",)).encode(dataset)


def test_every_way_of_reading(dataset, stored, monkeypatch):
    packed = encoded(dataset)
    monkeypatch.setattr(records, "IN_MEMORY", 2**30)
    plain = encoded(dataset)
    table, array = packed.table, plain.table
    assert isinstance(table, Packed) and isinstance(array, np.ndarray)
    assert table.shape == array.shape and len(packed) == len(plain) and table.dtype == array.dtype
    assert (array == ABSENT).any() and array.max() == 2**40 - array.min(initial=0, where=array != ABSENT)
    rows, few = np.array([5, 3, 999]), np.random.default_rng(1).random(1000) < 0.1
    for key in [slice(None), slice(10, 20), rows, few, (slice(None), 1), (rows, 0), (few, 1), (rows, slice(0, 2)), 7]:
        assert np.array_equal(table[key], array[key])
    assert np.array_equal(np.asarray(table), array)
    for here, there in zip(packed.batches(333), plain.batches(333), strict=True):
        assert torch.equal(here.cells, there.cells) and torch.equal(here.mask, there.mask)
        assert torch.equal(here.cond.cells, there.cond.cells)
    for here, there in zip(packed.split(0.3, 1), plain.split(0.3, 1), strict=True):
        assert np.array_equal(here.table, there.table)


def test_only_wide_columns_take_64_bits(dataset, stored):
    assert [column.dtype for column in encoded(dataset).table.columns] == [np.int64, np.int32, np.int32]


def test_files_go_with_the_last_reference(dataset, stored):
    found = encoded(dataset)
    assert len(list(stored.iterdir())) == 2
    del found
    gc.collect()
    assert list(stored.iterdir()) == []


def test_a_full_disk_is_told(dataset, stored, monkeypatch):
    def full(self, column, cells):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.Writer, "_append", full)
    with pytest.raises(FormatError, match=r"fit on the disk(.|\n)*No space left(.|\n)*TMPDIR"):
        encoded(dataset)
    gc.collect()
    assert list(stored.iterdir()) == []
