"""A source larger than the limit gives the same records as one that is held, pass after pass."""

import numpy as np
import pyarrow as pa
import pytest

from ensample.data.readers import columnar, delimited, jsonlines, read
from ensample.data.sources import File
from ensample.errors import FormatError, InputError

FORMATS = ["csv", "csv.xz", "tsv.zst", "csv.gz", "jsonl", "csv.bz2", "parquet", "parquet.gz", "arrow", "arrows"]


@pytest.fixture(scope="module", autouse=True)
def small_pieces():
    """Files here are small, so they are read in small pieces: what goes wrong goes wrong between two of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "_BLOCK", 1 << 15)
        patch.setattr(jsonlines, "_BLOCK", 1 << 15)
        patch.setattr(columnar, "ROWS", 700)
        yield


@pytest.fixture(scope="module")
def adult():
    return read("sample:adult").take(np.arange(0, 48_842, 6))


@pytest.fixture(scope="module", params=FORMATS)
def pair(request, adult, tmp_path_factory):
    path = adult.save(tmp_path_factory.mktemp("stream") / f"adult.{request.param}")
    stream = read(path, limit=200_000)
    assert len(list(stream._store.read(["age"]))) > 5
    return read(path), stream


def same(left, right):
    return left.to_arrow().equals(right.to_arrow())


def test_stream_holds_the_same_records(pair, adult):
    held, stream = pair
    assert stream.streams and not held.streams
    assert len(stream) == len(held) == len(adult)
    assert same(held, adult) and same(stream, adult) and same(stream, adult)
    assert stream.spellings == held.spellings


def test_batches_have_the_size_asked_for(pair):
    for data in pair:
        sizes = [batch.num_rows for batch in data.batches(1_000, names=["sex"])]
        assert sizes == [1_000] * 8 + [141]
        assert sum(batch.num_rows for batch in data.batches(None, names=["sex"])) == 8_141


def test_split_take_head_and_select_agree(pair):
    held, stream = pair
    rows = np.array([5, 8_140, 0, 5, 3_000])
    assert same(held.take(rows), stream.take(rows)) and not stream.take(rows).streams
    assert same(held.head(7), stream.head(7))
    assert same(held.select(["sex", "age"]), stream.select(["sex", "age"]))
    for left, right in zip(held.split(0.3, 5), stream.split(0.3, 5), strict=True):
        assert right.streams and len(left) == len(right) and same(left, right)
        for inner, outer in zip(left.split(100, 1), right.split(100, 1), strict=True):
            assert same(inner, outer) and len(inner) == len(outer)
            assert same(inner.select(["race"]), outer.select(["race"]))


def test_a_stream_is_saved_without_being_held(pair, tmp_path):
    held, stream = pair
    path = stream.split(0.25, 3)[1].save(tmp_path / "part.csv")
    assert same(read(path), held.split(0.25, 3)[1])


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl", "arrow"])
def test_a_file_that_vanishes_or_changes_is_told(adult, tmp_path, suffix):
    path = adult.save(tmp_path / f"adult.{suffix}")
    stream = read(path, limit=100_000)
    path.unlink()
    with pytest.raises(FormatError, match="must exist"):
        next(stream.batches())
    adult.head(100).save(path)
    with pytest.raises(FormatError, match="stay as it is"):
        next(stream.batches())


def test_an_infinity_deep_in_a_stream_names_its_record(tmp_path):
    import pyarrow.parquet as pq

    values = np.arange(300_000, dtype=float)
    values[250_000] = np.inf
    pq.write_table(pa.table({"x": values}), tmp_path / "x.parquet")
    stream = read(tmp_path / "x.parquet", limit=100_000)
    with pytest.raises(InputError, match="record 250,001"):
        list(stream.batches())


def test_dictionaries_that_differ_from_batch_to_batch(tmp_path):
    pieces = [pa.array(list(texts)).dictionary_encode() for texts in ("ab", "bc?", "d")]
    with pa.ipc.new_stream(str(tmp_path / "x.arrows"), pa.schema([("x", pieces[0].type)])) as writer:
        for piece in pieces:
            writer.write_batch(pa.record_batch([piece], ["x"]))
    for limit in (None, 1):
        data = read(tmp_path / "x.arrows", limit=limit)
        assert data.column("x").to_pylist() == ["a", "b", "b", "c", None, "d"]
        assert [b.column(0).to_pylist() for b in data.batches(4)] == [["a", "b", "b", "c"], [None, "d"]]


def test_an_arrow_file_of_one_large_batch_is_read_in_slices(tmp_path):
    table = pa.table({"x": np.arange(200_000)})
    with pa.ipc.new_file(str(tmp_path / "x.arrow"), table.schema) as writer:
        writer.write_table(table)
    sizes = [batch.num_rows for batch in columnar.arrow(File.find(tmp_path / "x.arrow")).open(None)]
    assert sizes == [700] * 285 + [500]
