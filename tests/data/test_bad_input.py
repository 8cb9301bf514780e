"""Bad input: each mistake is told with the rule, the place, what was seen, and a fix."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ensample.data.readers import read
from ensample.errors import EnsampleError, FormatError, InputError

# name of the file, its bytes, the error, words of the rule, the place and what was seen
FILES = [
    ("x.csv", b"", InputError, "hold records", "empty file"),
    ("x.csv.gz", gzip.compress(b"", mtime=0), InputError, "hold records", "empty lines"),
    ("x.csv", b"a,b\n", InputError, "hold records", "no record"),
    ("x.csv", b"a,b", InputError, "hold records", "no record"),
    ("x.tsv", b"\n\n\n", InputError, "hold records", "empty lines"),
    ("x.jsonl", b"\n\n", InputError, "hold records", "no record"),
    ("x.csv", b"a,b\n1,2\n3\n4,5\n", InputError, "line 3", "1 cells instead of 2: '3'"),
    ("x.csv", b"\na,b\n1,2\n3,4,5\n", InputError, "line 4", "3 cells instead of 2: '3,4,5'"),
    ("x.csv", b'a,b\n"1\n2",3\n4\n', InputError, "line 4", "1 cells instead of 2: '4'"),
    ("x.csv", b"a,b,a\n1,2,3\n", InputError, "names must differ", "more than one 'a'"),
    ("x.csv", b"a,b\n1,2\n2,inf\n3,-Infinity\n", InputError, "column 'b', first in record 2", "2 infinite"),
    ("x.csv", "a,b\n1,café\n".encode("cp1252"), InputError, "line 2", 'encoding="cp1252"'),
    ("x.csv", "a,café\n1,2\n".encode("cp1252"), InputError, "line 1", 'encoding="cp1252"'),
    ("x.csv", b"a,b\n1,\x81\n", InputError, "line 2", 'encoding="latin-1"'),
    ("x.csv", "a,b\n1,é\n".encode("utf-16"), InputError, "UTF-8", 'encoding="utf-16"'),
    ("x.csv", b'a,b\n1,"x\n2,y\n3,z\n', InputError, "opened must be closed", "a cell of 3 lines"),
    ("x.xlsx", b"PK", InputError, "suffix", ".parquet"),
    ("noname", b"a,b\n1,2\n", InputError, "suffix", ".csv"),
    ("x.json", b'[{"a": 1}]\n', InputError, "one object a line", "one array"),
    ("x.jsonl", b'{"a":1}\n{"a":{"b":1}}\n', InputError, "line 2", "key of its own"),
    ("x.jsonl", b'{"a":[[1]]}\n', InputError, "column 'a'", "nested"),
    ("x.jsonl", b'{"a":1}\n{"a":\n', InputError, "line 2", "repair the line"),
    ("x.parquet", b"PAR1xxxxxxxxxxxxxxxxPAR1", FormatError, "whole parquet file", "truncated"),
    ("x.arrow", b"ARROW1xxxxxxxx", FormatError, "whole arrow file", "truncated"),
    ("x.csv.xz", b"hello world", FormatError, "readable to its end", "copy it anew"),
    ("x.csv.zst", b"hello world", FormatError, "readable to its end", "copy it anew"),
    (
        "x.csv.gz",
        gzip.compress(b"a,b\n" + bytes(range(65, 90)) * 9_999, mtime=0)[:60],
        FormatError,
        "to its end",
        "truncated",
    ),
    ("x.npz", b"PK\x03\x04xxxx", FormatError, "NPZ", "write it anew"),
]


@pytest.mark.parametrize(("name", "content", "error", "where", "seen"), FILES)
def test_bad_files(name, content, error, where, seen, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as told:
        read(tmp_path / name)
    assert_told(told.value, where, seen)
    assert name in told.value.place


def assert_told(error: EnsampleError, *words: str):
    assert all((error.rule, error.place, error.seen, error.fix))
    for word in words:
        assert word in str(error)


OBJECTS = [
    (np.arange(3), "one row a record"),
    (np.full((2, 2, 2), 0.5), "flatten"),
    ({"a": [1, 2], "b": [1]}, "a 2, b 1"),
    ({"a": 1}, "give a list"),
    ({"a": "xyz"}, "give a list"),
    ({}, "empty dict"),
    ({"a": [[[1]], [[2]]]}, "a list"),
    ({"a": [1, {"b": 2}]}, "record 2"),
    ({"a": np.zeros((2, 2))}, "several axes"),
    ({1: [1], "1": [2]}, "more than one '1'"),
    ({"a": [1.0, np.inf, -np.inf]}, "2 infinite values"),
    ({"a": [b"x", b"y"]}, "binary"),
    (np.array([(1, [[2]])], dtype=[("a", "i4"), ("b", "i4", (1, 1))]), "shape (1, 1, 1)"),
    ([1, 2], "a list of int"),
    ([], "an empty list"),
    (["a", None], "a list of NoneType, str"),
    (None, "NoneType"),
    (pa.table({"a": pa.array([], pa.int64())}), "no record"),
    (pa.table([[1], [2]], names=["a", "a"]), "more than one 'a'"),
    (pa.table({"a": [{"b": 1}]}), "nested"),
]


@pytest.mark.parametrize(("source", "words"), OBJECTS, ids=[words for _, words in OBJECTS])
def test_bad_objects(source, words):
    with pytest.raises(InputError) as told:
        read(source)
    assert_told(told.value, words)


def test_absent_files_and_folders(tmp_path):
    with pytest.raises(FormatError, match="must exist"):
        read(tmp_path / "absent.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match="a folder"):
        read(tmp_path / "folder.csv")
    with pytest.raises(InputError, match="Python knows"):
        (tmp_path / "x.csv").write_text("a\n1\n")
        read(tmp_path / "x.csv", encoding="klingon")


class Bomb:
    """Unpickling this would leave a mark."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_pickles_are_never_opened(suffix, tmp_path):
    path = tmp_path / f"x.{suffix}"
    bomb = np.array([Bomb(), 1], dtype=object)
    np.savez(path, a=bomb) if suffix == "npz" else np.save(path, bomb, allow_pickle=True)
    with pytest.raises(InputError, match="pickled objects") as told:
        read(path)
    assert_told(told.value, str(path))


def test_what_is_odd_but_fine(tmp_path):
    def of(name, content, **options):
        (tmp_path / name).write_bytes(content)
        return read(tmp_path / name, **options)

    assert len(of("x.csv", b"a,b\n1,2\n")) == 1
    assert of("x.csv", b"a\n1\n2\n").names == ["a"]
    assert of("x.csv", b"\xef\xbb\xbfa,b\r\n1,2\r\n").to_arrow().to_pylist() == [{"a": 1, "b": 2}]
    assert of("x.csv", b"a;b\n1;2\n").names == ["a", "b"]
    assert of("x.csv", b'"a;x",b\n1,2\n').names == ["a;x", "b"]
    assert of("x.csv", b"a:b\n1:2\n", delimiter=":").names == ["a", "b"]
    assert of("x.csv", b'"a\nb",c\n"1\n2",3\n').to_arrow().to_pylist() == [{"a\nb": "1\n2", "c": 3}]
    assert of("x.csv", "a,b\n1,café\n".encode("cp1252"), encoding="cp1252").column("b").to_pylist() == ["café"]
    assert of("x.csv", "a,b\n1,é\n".encode("utf-16"), encoding="utf-16").column("b").to_pylist() == ["é"]
    assert of("x.csv", b'a,b\n1,"x\n"\n').column("b").to_pylist() == ["x\n"]
    unnamed = of("x.csv", b",b\n1,2\n")
    assert unnamed.names == ["column_1", "b"] and "without a name" in unnamed.notes[0]
    assert "line of names missing" in of("x.csv", b"39,77516,x\n50,83311,y\n").notes[0]
    mixed = of("x.jsonl", b'{"a":1,"d":"2020-01-01"}\n{"a":"x"}\n{"a":true,"b":2.5}\n')
    assert mixed.to_arrow().to_pydict()["a"] == ["1", "x", "true"] and "mixes types" in mixed.notes[0]
    assert str(mixed.arrow_schema.field("d").type) == "date32[day]"


def test_truncated_parquet(tmp_path):
    pq.write_table(pa.table({"a": np.random.default_rng(0).random(10_000)}), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-100])
    with pytest.raises(FormatError, match="whole parquet file"):
        read(tmp_path / "x.parquet")
