"""Text files: what a record is, encodings, folders, bad input, saving, and one text in two parts."""

import bz2
import gzip
import resource
import time

import pyarrow as pa
import pytest

import ensample as en
from ensample.data import show
from ensample.data.dataset import Dataset
from ensample.data.readers import read
from ensample.data.texts import is_free_text
from ensample.data.texts.records import is_list
from ensample.data.texts.split import border
from ensample.errors import FormatError, InputError
from tests.kinds.nasty import NASTY, random_texts

PROSE = (
    "It was a dark and stormy night, and the captain said to the mate:\r\ntell us a tale.\n\n  And\nthus he began. \n"
)
NAMES = [f"{first}{last}" for first in ("an", "ber", "cla", "do", "el", "fri") for last in ("na", "ta", "ra", "la")]


def texts(source, **how):
    return read(source, **how).column("text").to_pylist()


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.TXT", "a.txt.gz", "a.md.bz2", "a.txt.xz", "a.txt.zst"])
def test_a_file_is_one_record_as_it_stands(name, tmp_path):
    whole = PROSE + "".join(NASTY) + "x"
    pa.OSFile(str(tmp_path / "t"), "wb").close()
    packed = {"gz": gzip.compress, "bz2": bz2.compress}.get(name.rpartition(".")[2])
    data = whole.encode()
    if packed:
        (tmp_path / name).write_bytes(packed(data))
    elif name.endswith((".xz", ".zst")):
        Dataset.from_arrow(pa.table({"text": [whole]})).save(tmp_path / name.replace(".md", ".txt"))
    else:
        (tmp_path / name).write_bytes(data)
    found = read(tmp_path / name)
    assert found.column("text").to_pylist() == [whole] and not found.notes
    assert is_free_text(found.arrow_schema.field("text"))


def test_lines_and_paragraphs(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(PROSE.encode())
    first, second = PROSE.rstrip("\n").split("\n\n")
    assert texts(path) == [PROSE]
    assert texts(path, records="paragraphs") == [first, second]
    assert texts(path, records="lines") == [*first.split("\r\n")[:1], "tell us a tale.", "", "  And", "thus he began. "]
    path.write_bytes(b"\n \n\na\n\t\r\n\r\n\nb")
    assert texts(path, records="paragraphs") == ["a", "b"]
    assert texts(path, records="lines") == ["", " ", "", "a", "\t", "", "", "b"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("records", ["whole", "lines", "paragraphs"])
def test_blocks_leave_no_trace(size, records, tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes((PROSE * 2 + "é\n \n\n👩‍👩‍👧\r\n\r\nend").encode())
    whole = texts(path, records=records)
    monkeypatch.setattr("ensample.data.texts.files.BLOCK", size)
    assert texts(path, records=records) == whole


@pytest.mark.parametrize(
    "head, expected",
    [
        ("\n".join(NAMES), True),
        ("\n".join(NAMES[:19]), False),  # too few
        ("\n".join([*NAMES, "", *NAMES]), False),  # a blank line
        ("\n".join(["CC(=O)OC1=CC=CC=C1C(=O)O" * 4] * 30), True),  # one word each
        ("\n".join(["A young man in a blue shirt rides a small bicycle over the bridge."] * 30), True),  # sentences
        ("\n".join(["a line of a long paragraph that goes on and on without an end of its"] * 30), False),
        ("\n".join(NAMES * 2 + ["a longer line than the others, which is none the less one of ten"] * 4), True),
        ("\n".join(NAMES + ["a line of a long paragraph that goes on and on without an end of its"] * 4), False),
    ],
)
def test_a_list_has_a_record_a_line(head, expected, tmp_path):
    assert is_list(head + "\n") is expected
    path = tmp_path / "a.txt"
    path.write_text(head)
    found = read(path)
    assert len(found) == (head.count("\n") + 1 if expected else 1)
    assert any('records="whole"' in note for note in found.notes) is expected
    (tmp_path / "a.md").write_text(head)
    assert len(read(tmp_path / "a.md")) == 1
    assert texts(path, records="whole") == [head]


def test_encodings(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffcafé 😀".encode())
    assert texts(path) == ["café 😀"]
    path.write_bytes("café 😀".encode("utf-16"))
    assert texts(path, encoding="utf-16") == ["café 😀"]
    path.write_bytes("café".encode("latin-1"))
    assert texts(path, encoding="latin-1") == ["café"]


# name, bytes, options, words of the message
BAD = [
    ("a.txt", b"", {}, "empty file"),
    ("a.txt", b"ab\ncd\xff", {}, r"line 2\n.*0xff at offset 5 .*\n.*encoding="),
    ("a.txt", b"x" * 5000 + b"\n\xc3", {}, "line 2\n.*0xc3 at offset 5,001 "),
    ("a.txt", "hé".encode("utf-16"), {}, 'encoding="utf-16"'),
    ("a.txt", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", {}, "0x89 at offset 0 .*looks like no text"),
    ("a.txt", b"\x00\x01\x02\x03abc" * 20, {}, "control characters among the first"),
    ("a.txt", b"abc", {"encoding": "klingon"}, "An encoding must be known"),
    ("a.txt", b"abc", {"records": "rows"}, "one of three things"),
    ("a.csv", b"a\n1\n", {"records": "lines"}, "said of text files"),
    ("a.txt", b"abc", {"size": 8}, "said of pictures"),
]


@pytest.mark.parametrize("name, data, how, words", BAD)
@pytest.mark.parametrize("size", [7, 2**22])
def test_bad_files(name, data, how, words, size, tmp_path, monkeypatch):
    monkeypatch.setattr("ensample.data.texts.files.BLOCK", max(size, 32) if b"\0" in data else size)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=words):
        read(tmp_path / name, **how)


def test_damaged_compression_and_objects(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"hello " * 1000)[:30])
    with pytest.raises(FormatError, match="readable to its end"):
        read(tmp_path / "a.txt.gz")
    with pytest.raises(InputError, match="half of a surrogate pair"):
        read(["fine", "a\ud800"])
    with pytest.raises(InputError, match="record 2"):
        read({"x": ["fine", "a\ud800"]})
    with pytest.raises(InputError, match="said of text files"):
        read({"x": [1]}, records="lines")
    assert texts(["a", "", "NA"]) == ["a", "", "NA"]
    with pytest.raises(InputError, match="A source is one path"):
        read([str(tmp_path), str(tmp_path / "a.txt.gz")])
    assert texts([str(tmp_path), "no path"]) == [str(tmp_path), "no path"] and texts([""]) == [""]


def test_folders(tmp_path):
    for part in ("train", "test"):
        for label in ("cats", "dogs"):
            (tmp_path / "all" / part / label).mkdir(parents=True)
            for number in (2, 10):
                (tmp_path / "all" / part / label / f"{number}.txt").write_text(f"{part} {label} {number}")
    (tmp_path / "all" / "train" / "cats" / "1.md.gz").write_bytes(gzip.compress("NA é".encode()))
    (tmp_path / "all" / "train" / "cats" / "3.txt").write_bytes(b"")
    (tmp_path / "all" / "notes.json").write_text("{}")
    (tmp_path / "all" / ".hidden.txt").write_text("no")
    found = read(tmp_path / "all")
    rows = found.to_arrow().to_pylist()
    assert [row["text"] for row in rows[-6:-2]] == ["NA é", "train cats 2", "", "train cats 10"]
    assert {(row["split"], row["label"]) for row in rows} == {
        (s, la) for s in ("train", "test") for la in ("cats", "dogs")
    }
    assert len(rows) == 10 and "1 files that are no texts are left out (notes.json" in found.notes[0]
    schema = en.read(tmp_path / "all").schema
    assert [field.kind.name for field in schema] == ["text", "category", "category"]
    assert read(tmp_path / "all" / "test" / "cats").names == ["text"]
    streamed = read(tmp_path / "all", limit=1)
    assert streamed.streams and streamed.to_arrow().to_pylist() == rows
    assert streamed.select(["label"]).column("label").to_pylist() == [row["label"] for row in rows]
    (tmp_path / "all" / "train" / "dogs" / "9.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"9\.txt, line 1"):
        read(tmp_path / "all")
    with pytest.raises(InputError, match="each file is a record"):
        read(tmp_path / "all", records="lines")
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="pictures or texts"):
        read(tmp_path / "none")


def test_saved_texts_are_read_again(tmp_path):
    path = tmp_path / "a.txt"
    one = Dataset.from_arrow(pa.table({"text": ["\r\n".join(NASTY)]}))
    assert texts(one.save(path), records="whole") == one.column("text").to_pylist()
    lines = [text for text in random_texts(300, seed=1) if "\n" not in text and not text.endswith("\r")]
    many = Dataset.from_arrow(pa.table({"text": lines}))
    assert texts(many.save(path), records="lines") == lines
    verses = [f"a\nb {number}" for number in range(10_000)]
    assert texts(Dataset.from_arrow(pa.table({"text": verses})).save(path), records="paragraphs") == verses
    with pytest.raises(InputError, match="one column of texts"):
        Dataset.from_arrow(pa.table({"a": ["x"], "b": ["y"]})).save(path)
    kept = [*NASTY, None]
    read({"text": kept}, texts=["text"]).save(tmp_path / "a.jsonl")
    assert texts(tmp_path / "a.jsonl", texts=["text"]) == kept
    marked = read(["", "NA", "b"]).save(tmp_path / "a.parquet")
    assert texts(marked) == ["", "NA", "b"]  # the file tells that they are texts


def test_one_text_is_split_at_a_border():
    text = "first paragraph.\n\n" + "word " * 100 + "\n\nlast paragraph of all.\n"
    train, test = read([text]).split(test=0.05)
    assert test.column("text").to_pylist() == [text[-23:]]
    assert train.column("text").to_pylist() + test.column("text").to_pylist() == [text[:-23], text[-23:]]
    assert border("word " * 100, 0.5) in (250, 255) and border("x" * 100, 0.1) == 90
    assert border("ab", 0.01) == 1
    for wrong in (3, 1.5, True):
        with pytest.raises(InputError, match="a share of it"):
            read([text]).split(test=wrong)
    with pytest.raises(InputError, match="need text"):
        read(["a"]).split()
    assert [len(part) for part in read(NAMES).split(test=0.25)] == [18, 6]


def test_texts_are_shown_on_one_line_each():
    shown = show.text(read(["one\ntwo\x1b[31m\r\n" + "x" * 200, "b"]))
    line = shown.splitlines()[3]
    assert line.startswith("one two [31m  xxx") and line.endswith("xxx...") and len(line) == 100


def test_texts_are_escaped_in_a_notebook():
    for data in (read(["<b>bold</b>"]), en.read({"body": ["<b>bold</b>", "a"]}, kinds={"body": "text"})):
        assert "&lt;b&gt;bold" in data._repr_html_() and "<b>" not in data._repr_html_()


def test_a_large_file_is_read_in_bounded_memory_and_time(tmp_path):
    path = tmp_path / "large.txt"
    block = ("The quick brown fox — jumps over the lazy dog.\n" * 20_000 + "\n").encode()
    with path.open("wb") as file:
        for _ in range(24):
            file.write(block)
    size = path.stat().st_size
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    data = en.read(path, limit=2**20)  # it streams
    assert data.streams and data.schema["text"].kind.longest == size - 2 * 24 * 20_000
    assert time.process_time() - begin < 10
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 12 * size + 200e6


def test_a_file_of_one_character(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    model = en.fit(tmp_path / "a.txt", "markov", budget="1 steps")
    assert model.log_prob(["a"])[0] > model.log_prob(["b"])[0]
