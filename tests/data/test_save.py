"""Saving and reading again keeps types, order, missing values, and the form that values were written in."""

import datetime as dt
import itertools
import lzma
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ensample.data import samples
from ensample.data.dataset import Dataset
from ensample.data.missing import SURE
from ensample.data.readers import read
from ensample.errors import FormatError, InputError

TYPED = ["parquet", "arrow", "feather", "ipc", "arrows", "npz", "parquet.zst", "arrow.gz", "npz.xz", "feather.bz2"]
TEXT = ["csv", "tsv", "csv.gz", "csv.bz2", "tsv.xz", "csv.zst"]

EVERYTHING = pa.table(
    {
        "int": pa.array([1, None, -3]),
        "small": pa.array([1, 2, 3], pa.int8()),
        "unsigned": pa.array([2**64 - 1, 0, None], pa.uint64()),
        "big": pa.array([2**63 - 1, None, -(2**63)], pa.int64()),
        "float": pa.array([0.1, None, 1e300]),
        "single": pa.array([0.1, None, 3.0], pa.float32()),
        "truth": pa.array([True, None, False]),
        "text": pa.array(["a,b", None, 'say "x"\nnow']),
        "level": pa.array(["u", "v", None]).dictionary_encode(),
        "ordered": pa.DictionaryArray.from_arrays(pa.array([1, 0, None], pa.int32()), ["low", "high"], ordered=True),
        "day": pa.array([dt.date(1066, 10, 14), None, dt.date(2020, 2, 29)]),
        "moment": pa.array([dt.datetime(1950, 1, 1, 1, 2, 3, 4), None, dt.datetime(2020, 1, 1)], pa.timestamp("us")),
        "nano": pa.array([1, None, -1], pa.timestamp("ns")),
        "zoned": pa.array([0, None, 10**9], pa.timestamp("ms", "Europe/Berlin")),
        "clock": pa.array([dt.time(1, 2, 3), None, dt.time(23, 59)], pa.time32("s")),
        "price": pa.array([Decimal("1.50"), None, Decimal("-99.99")], pa.decimal128(7, 2)),
        "nothing": pa.nulls(3),
    }
)


@pytest.mark.parametrize("suffix", TYPED)
def test_typed_formats_keep_every_type(suffix, tmp_path):
    once = read(read(EVERYTHING).save(tmp_path / f"x.{suffix}"))
    assert once.to_arrow().equals(EVERYTHING)
    assert read(once.save(tmp_path / f"y.{suffix}")).to_arrow().equals(EVERYTHING)


@pytest.mark.parametrize("suffix", [*TEXT, "jsonl", "ndjson.gz"])
def test_text_formats_keep_what_text_can_say(suffix, tmp_path):
    said = ["int", "big", "float", "truth", "text", "day", "moment", "nothing"]
    once = read(read(EVERYTHING).select(said).save(tmp_path / f"x.{suffix}"))
    expected = EVERYTHING.select(said)
    assert once.to_arrow().equals(expected)
    assert read(once.save(tmp_path / f"y.{suffix}")).to_arrow().equals(expected)


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_a_file_is_written_byte_for_byte(name, tmp_path):
    read(f"sample:{name}").save(tmp_path / "x.csv")
    with lzma.open(samples.find(name).path) as original:
        assert (tmp_path / "x.csv").read_bytes() == original.read()


FORMS = [
    ("price", ["12.50", "3.00", ""]),
    ("plain", ["5", "5.1", "4.9"]),
    ("whole", ["5.0", "7.0", "NA"]),
    ("tiny", ["1e-07", "0.5"]),
    ("large", ["10000000000.0", "-123456789012.0", "1e+22", "0.5"]),
    ("round", ["10000000000", "0.5"]),
    ("truth", ["True", "False", "?"]),
    ("shout", ["TRUE", "FALSE"]),
    ("t", ["2020-01-01T10:00:00", "1950-05-06T00:00:01"]),
    ("z", ["2020-01-01T10:00:00Z"]),
    ("minutes", ["2020-01-01 10:00", "2020-01-01 10:30"]),
    ("half", ["2020-01-01 10:00:00.500", "2020-01-01 10:00:00.250"]),
    ("code", ["007", "012"]),
    ("quoted", ['"a,b"', '"say ""x"""']),
    ("accents", ["café", "naïve"]),
]


def test_of_mixed_forms_the_commonest_is_kept(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a\n5\n7\n1.50\n0.25\n8\n")
    read(path).save(path)
    assert path.read_text() == "a\n5\n7\n1.5\n0.25\n8\n"


@pytest.mark.parametrize(("name", "texts"), FORMS)
@pytest.mark.parametrize("by_way_of", ["csv", "parquet"])
def test_the_form_of_values_survives(name, texts, by_way_of, tmp_path):
    source = tmp_path / "source.csv"
    source.write_text("\n".join([f"n,{name}", *(f"{j},{text}" for j, text in enumerate(texts))]) + "\n", "utf-8")
    middle = read(read(source).save(tmp_path / f"middle.{by_way_of}"))
    middle.save(tmp_path / "end.csv")
    expected = source.read_text("utf-8").replace("1e-07", "1e-7")
    assert (tmp_path / "end.csv").read_text("utf-8") == expected


def test_a_wording_never_loses_digits(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,t\n1.50,2020-01-01 10:00\n2.25,2020-01-01 11:00\n")
    field = read(path).arrow_schema
    finer = pa.table([pa.array([1.125, None]), pa.array([61, None], pa.timestamp("s"))], schema=field)
    Dataset.from_arrow(finer).save(path)
    assert path.read_text() == "a,t\n1.125,1970-01-01 00:01:01\n,\n"


def test_a_lone_column_keeps_its_gaps(tmp_path):
    data = Dataset.from_arrow(pa.table({"x": ["a", None, "b"]}))
    for suffix in ("csv", "jsonl", "tsv"):
        assert read(data.save(tmp_path / f"x.{suffix}")).column("x").to_pylist() == ["a", None, "b"]


def test_the_spelling_of_a_schema_is_used(tmp_path):
    class Field:
        name, missing = "x", "unknown"

    class Schema:
        fields = (Field,)

    Dataset.from_arrow(pa.table({"x": [1, None], "y": [1, 2]}), Schema()).save(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text() == "x,y\n1,1\nunknown,2\n"


def test_other_programs_read_what_is_saved(tmp_path):
    import pandas as pd

    data = read(EVERYTHING).select(["int", "float", "text"])
    frame = pd.read_csv(data.save(tmp_path / "x.csv.gz"))
    assert frame["text"].tolist()[::2] == ["a,b", 'say "x"\nnow']
    assert pd.read_json(data.save(tmp_path / "x.jsonl"), lines=True)["float"][0] == 0.1
    assert pq.read_table(data.save(tmp_path / "x.parquet")).equals(EVERYTHING.select(["int", "float", "text"]))
    with np.load(data.save(tmp_path / "x.npz")) as arrays:
        assert arrays["int"].tolist() == [1, 0, -3] and arrays["int.missing"].tolist() == [False, True, False]


def test_saving_is_whole_or_not_at_all(tmp_path):
    data = read({"x": [1, 2]})
    path = tmp_path / "x.csv"
    path.write_text("old")

    class Broken(Dataset):
        def batches(self, rows=1, names=None):
            yield from super().batches(1)
            raise OSError("disk full")

    with pytest.raises(FormatError, match="disk full"):
        Broken(data._store).save(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.csv"]
    with pytest.raises(InputError, match="suffix"):
        data.save(tmp_path / "x.xlsx")


def test_compressed_files_are_the_same_each_time(tmp_path, monkeypatch):
    clock = itertools.count(1_000_000_000, 3_600)
    monkeypatch.setattr("gzip.time.time", lambda: float(next(clock)))
    for suffix in ("csv.gz", "csv.xz", "csv.bz2", "csv.zst"):
        first = read({"x": [1, 2]}).save(tmp_path / f"a.{suffix}").read_bytes()
        assert first == read({"x": [1, 2]}).save(tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "npz", "parquet", "arrow"])
def test_any_text_and_any_number_survive(suffix, tmp_path):
    rng = np.random.default_rng(0)
    for size in range(1, 25):
        pieces = rng.choice(list("ab\",;\t\n\r '\\|é€😀\u2028{}[]:0.-eE"), (size, 5))
        texts = ["z", *(text for text in map("".join, pieces) if text.strip() not in (*SURE, "NA")), None]
        scale = rng.choice([1e-300, 1e300, 0.1, 5, 1e15, 1e16, 123456.789, 2**60], len(texts))
        table = pa.table(
            {
                "text": texts,
                "float": [0.5, *(scale * rng.choice([1, -1, 3.3], len(texts)))[2:], None],
                "int": rng.integers(-(2**63), 2**63 - 1, len(texts)),
                "moment": pa.array(2 * rng.integers(-(2**50), 2**50, len(texts)) + 1, pa.timestamp("us")),
            }
        )
        path = Dataset.from_arrow(table).save(tmp_path / f"x.{suffix}")
        for limit in (None, 1):
            assert read(path, limit=limit).to_arrow().equals(table)
