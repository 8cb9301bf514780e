"""Objects in memory: what goes in comes out with its types."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ensample.data.readers import read

FRAME = pd.DataFrame(
    {
        "int": np.array([1, 2, 3], dtype=np.int64),
        "small": np.array([1, 2, 3], dtype=np.int8),
        "float": [1.5, np.nan, 2.5],
        "single": np.array([1.5, np.nan, 2.5], dtype=np.float32),
        "truth": [True, False, True],
        "text": ["a", None, "b"],
        "Int": pd.array([1, None, 3], dtype="Int64"),
        "UInt": pd.array([1, 2, 3], dtype="UInt8"),
        "Float": pd.array([1.5, None, 3], dtype="Float64"),
        "Truth": pd.array([True, None, False], dtype="boolean"),
        "level": pd.Categorical(["u", "v", None], categories=["v", "u"], ordered=True),
        "moment": pd.to_datetime(["2020-01-01 00:00:00", None, "1950-02-03 04:05:06"]),
        "zoned": pd.to_datetime(["2020-01-01", None, "1950-02-03"]).tz_localize("Europe/Berlin"),
        "span": pd.to_timedelta([1, None, 3], unit="s"),
        "day": pd.Series([dt.date(1066, 10, 14), None, dt.date(2020, 1, 1)], dtype=object),
        "price": pd.Series([Decimal("1.50"), None, Decimal("2.25")], dtype=object),
    }
)


def test_pandas_keeps_dtypes_values_and_order():
    back = read(FRAME).to_pandas()
    pd.testing.assert_frame_equal(back, FRAME)


def test_pandas_keeps_dtypes_through_select_split_and_parquet(tmp_path):
    data = read(FRAME)
    names = ["Int", "level", "int", "zoned"]
    pd.testing.assert_frame_equal(data.select(names).to_pandas(), FRAME[names])
    parts = [part.to_pandas() for part in data.split(1, 0)]
    joined = pd.concat(parts).sort_values("int", ignore_index=True)
    pd.testing.assert_series_equal(joined["Int"], FRAME["Int"])
    pd.testing.assert_frame_equal(read(data.save(tmp_path / "x.parquet")).to_pandas(), FRAME)


def test_integers_and_truths_with_gaps_never_become_floats():
    table = pa.table(
        {"i": pa.array([2**53 + 1, None]), "b": [True, None], "u": pa.array([1, None], pa.uint8()), "n": [1, 2]}
    )
    frame = read(table).to_pandas()
    assert [str(kind) for kind in frame.dtypes] == ["Int64", "boolean", "UInt8", "int64"]
    assert frame["i"][0] == 2**53 + 1


@pytest.mark.parametrize("dtype", [object, "str"])
def test_numbers_typed_as_text_become_numbers(dtype):
    frame = pd.DataFrame(
        {"a": pd.Series(["1", "?", "3"], dtype=dtype), "b": pd.Series(["1.5", None, "x"], dtype=dtype)}
    )
    data = read(frame)
    assert data.column("a").to_pylist() == [1, None, 3] and data.spellings == {"a": "?"}
    assert data.column("b").to_pylist() == ["1.5", None, "x"]
    assert data.to_pandas()["a"].dtype == "Int64"


def test_levels_of_a_categorical_are_names():
    frame = pd.DataFrame({"a": pd.Categorical(["1", "None", "2", "?"])})
    assert read(frame).column("a").to_pylist() == ["1", "None", "2", None]


def test_mixed_objects_become_text_and_it_is_noted():
    data = read(pd.DataFrame({"a": pd.Series([1, "x", None, 2.5, pd.NaT, pd.NA, np.nan], dtype=object)}))
    assert data.column("a").to_pylist() == ["1", "x", None, "2.5", None, None, None]
    assert data.notes == ("column 'a' mixes float, int, str: read as text",)


def test_pandas_names_and_index():
    data = read(pd.DataFrame({0: [1, 2], "b": [3, 4]}, index=["x", "y"]))
    assert data.names == ["0", "b"]
    assert "index is left out" in data.notes[0]


def test_polars_round_trip():
    frame = pl.DataFrame(
        {
            "text": ["x", None, "y"],
            "int": pl.Series([1, None, 3], dtype=pl.Int16),
            "float": [1.0, None, 2.0],
            "level": pl.Series(["u", "v", None], dtype=pl.Categorical),
            "day": pl.Series([1, None, 3]).cast(pl.Date),
            "moment": pl.Series([1, None, 3]).cast(pl.Datetime("us", "UTC")),
        }
    )
    back = read(frame).to_polars()
    assert back.schema == frame.schema and back.equals(frame)
    assert read(frame.lazy()).to_polars().equals(frame)
    assert read(pl.DataFrame({"x": [1.0, float("nan")]})).column("x").to_pylist() == [1.0, None]


def test_numpy_arrays():
    square = read(np.array([[1.0, np.nan], [3.0, 4.0]]))
    assert square.to_arrow().to_pydict() == {"x0": [1.0, 3.0], "x1": [None, 4.0]}
    fields = np.array([(1, "a", np.nan, "NaT")], dtype=[("i", ">i4"), ("s", "U3"), ("f", "f4"), ("t", "M8[s]")])
    assert read(fields).to_arrow().to_pydict() == {"i": [1], "s": ["a"], "f": [None], "t": [None]}
    assert read(fields).arrow_schema.field("i").type == pa.int32()
    assert read(np.array([[1, "a"], [None, "?"]], dtype=object)).to_arrow().to_pydict() == {
        "x0": [1, None],
        "x1": ["a", None],
    }


def test_arrays_of_a_file(tmp_path):
    np.savez(
        tmp_path / "x.npz", X=np.arange(6.0).reshape(3, 2), y=np.array([0, 1, 0]), name=np.array([b"a", b"b", b"?"])
    )
    data = read(tmp_path / "x.npz")
    assert data.names == ["X0", "X1", "y", "name"]
    assert data.column("name").to_pylist() == ["a", "b", None]
    np.save(tmp_path / "x.npy", np.arange(4).reshape(2, 2))
    assert read(tmp_path / "x.npy").to_arrow().to_pydict() == {"x0": [0, 2], "x1": [1, 3]}


def test_a_dict_of_anything_that_is_a_column():
    data = read(
        {"list": [1, None], "tuple": (1.5, 2.5), "array": np.array([1, 2], np.uint8), "arrow": pa.array(["x", "?"])}
    )
    assert data.to_arrow().to_pydict() == {
        "list": [1, None],
        "tuple": [1.5, 2.5],
        "array": [1, 2],
        "arrow": ["x", None],
    }
    assert read({"s": pd.Series([1, 2])}).column("s").type == pa.int64()


def test_text_types_are_one():
    table = pa.table({"a": pa.array(["x"], pa.large_string()), "b": pa.array(["x"], pa.string_view())})
    assert read(table).arrow_schema.types == [pa.string(), pa.string()]
