"""The data set itself: choosing rows and columns, showing it, the bundled tables."""

import numpy as np
import pyarrow as pa
import pytest

from ensample.data import samples
from ensample.data.dataset import Dataset
from ensample.data.readers import read
from ensample.errors import InputError


@pytest.fixture
def small():
    return read({"a": [1, 2, None], "b": ["x", "?", "<z>"]})


def test_columns_are_chosen_in_any_order(small):
    assert small.select(["b", "a"]).names == ["b", "a"]
    assert small.select(["b"]).spellings == {"b": "?"}
    with pytest.raises(InputError, match="choose from 'a', 'b'"):
        small.select(["a", "c"])
    with pytest.raises(InputError, match="more than one 'a'"):
        small.select(["a", "a"])
    with pytest.raises(InputError, match="'c'"):
        small.column("c")


def test_rows_are_chosen_by_number_or_truth(small):
    assert small.take([2, 0, 0]).column("a").to_pylist() == [None, 1, 1]
    assert small.take(np.array([True, False, True])).column("a").to_pylist() == [1, None]
    assert len(small.take([])) == 0
    for wrong in ([3], [-1], [0.5], [[1]], ["a"], [True, False]):
        with pytest.raises(InputError):
            small.take(wrong)
    assert "0 records" in repr(small.head(0)) and small.head(0).names == ["a", "b"]
    with pytest.raises(InputError):
        next(small.batches(0))
    assert len(small.head(0)) == 0 and len(small.head(9)) == 3
    with pytest.raises(InputError):
        small.head(-1)


def test_from_arrow_makes_nan_null_and_leaves_levels_alone():
    data = Dataset.from_arrow(pa.table({"x": [1.0, float("nan")], "c": ["NA", "?"]}), source="made")
    assert data.column("x").to_pylist() == [1.0, None]
    assert data.column("c").to_pylist() == ["NA", "?"]
    assert data.source == "made" and data.schema is None and not data.streams


def test_it_shows_itself(small):
    assert repr(small) == (
        "Dataset: 3 records x 2 columns from dict of columns\n"
        "a        b\n"
        "int64    string\n"
        "1        x\n"
        "2        missing\n"
        "missing  <z>"
    )
    assert "<td>&lt;z&gt;</td>" in small._repr_html_() and "<z>" not in small._repr_html_()
    wide = read({f"c{j}": [1] for j in range(30)})
    assert repr(wide).endswith("... and 10 more columns")
    mixed = read({"x": ["1", "2", "<b>"]})
    assert repr(mixed).endswith("note: " + mixed.notes[0]) and "&lt;b&gt;" in mixed._repr_html_().split("note: ")[1]
    assert "..." in repr(read({"x": ["y" * 100]}))


def test_bundled_tables():
    adult = read("sample:adult")
    assert (len(adult), len(adult.names), adult.source) == (48_842, 16, "sample:adult")
    assert adult.spellings == dict.fromkeys(["workclass", "occupation", "native_country"], "?")
    assert [adult.column(name).null_count for name in adult.spellings] == [2_799, 2_809, 857]
    assert adult.column("split").to_pylist().count("train") == 32_561
    houses = samples.load("california_housing")
    assert (len(houses), houses.column("total_bedrooms").null_count) == (20_640, 207)
    credits = (samples.find("adult").path.parent / "CREDITS.md").read_text()
    for sample in samples.SAMPLES.values():
        assert sample.file in credits and sample.licence and sample.credit
    with pytest.raises(InputError, match="choose from adult, california_housing"):
        read("sample:iris")
    with pytest.raises(InputError):
        samples.load("../adult")


def test_reading_a_data_set_gives_it_back(small):
    assert read(small) is small
