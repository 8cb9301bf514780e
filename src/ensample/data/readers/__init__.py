"""Reading: one function for files, databases, bundled samples and objects in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from ensample.data import marks, samples
from ensample.data.cells import is_text
from ensample.data.dataset import Dataset
from ensample.data.infer import TEXT_ONLY
from ensample.data.missing import Spellings
from ensample.data.pictures.decode import FORMATS as PICTURES
from ensample.data.pictures.folder import find, read_file, read_folder
from ensample.data.pictures.form import Form
from ensample.data.readers import arrays, columnar, delimited, jsonlines, memory, sql
from ensample.data.readers import texts as plaintext
from ensample.data.readers.dialogues import paired
from ensample.data.readers.feed import Feed, gather, machine_share
from ensample.data.readers.pictured import formed, pictured, refuse_form
from ensample.data.sources import COMPRESSIONS, File
from ensample.data.store import Memory
from ensample.data.texts import SUFFIXES as TEXTS
from ensample.data.toys import TOYS
from ensample.errors import InputError


def read(
    source: Any,
    *,
    missing: Sequence[str] | None = None,
    encoding: str = "utf-8",
    delimiter: str | None = None,
    limit: int | None = None,
    size: int | tuple[int, int] | None = None,
    fit: str | None = None,
    mode: str | None = None,
    records: str | None = None,
    texts: Sequence[str] = (),
) -> Dataset:
    """Records of a file, a folder of pictures or texts, a database, a sample ("sample:adult") or an object in memory.

    Files: CSV, TSV, JSON lines, Parquet, Arrow (Feather, IPC), NPY, NPZ, each also with .gz, .bz2, .xz or .zst behind.
    Databases: `sqlite:///file.db?table=people`, `sqlite:///file.db?query=SELECT ...`, `postgresql://...?table=people`.
    Objects: pandas and polars frames, Arrow tables, NumPy arrays (two-dimensional or structured), a dict of columns, a
    list of texts, a list of dialogues.
    Texts: .txt and .md files, also compressed, and folders of them (see `data.readers.texts`).
    Pictures: a folder of PNG, JPEG, WebP, GIF and BMP files (see `data.pictures.folder`), one such file, arrays of
    three or four axes, and columns of encoded pictures in Parquet and Arrow. Those that cannot be read are left out,
    and a note names them.

    Arguments:
        source: path, URL, or object.
        missing: the texts that mean a missing value, in every column; None for the rule of `data/missing.py`.
        encoding: of a CSV or TSV file, or of text files.
        delimiter: of a CSV file; None to tell it from the line of names.
        limit: bytes of raw cells that are held at most; a larger source streams. None for a quarter of the memory, at
            most 1 GiB.
        size: of pictures, which all become so large: one number, or (height, width). None if they are of one size.
        fit: how they do: "crop" (the default) scales the short side and cuts the middle out, "pad" scales the long side
            and fills up with black, "stretch" scales each side by itself.
        mode: of pictures: "L" (grey), "RGB" or "RGBA"; transparent parts are laid on white. None as they are.
        records: of a text file: "whole" (one record), "lines" or "paragraphs" (a record each). None for lines where a
            .txt file is a list (see `data.texts.records.is_list`), whole for any other.
        texts: columns of a table that are texts as they stand: an empty one is not missing, "None" is a word.

    Raises:
        InputError: the records do not make a table; the message says where and how to repair it.
        FormatError: the file is absent or damaged.

    Example:
        >>> read({"age": ["39", "?", "50"], "job": ["clerk", "None", "clerk"]}).to_arrow().to_pydict()
        {'age': [39, None, 50], 'job': ['clerk', 'None', 'clerk']}
    """
    spellings = Spellings() if missing is None else Spellings.only(missing)
    form = Form.parse(size, fit, mode)
    records = plaintext.known(records)
    if isinstance(source, Dataset):
        if not form.asked:
            return source
        table, notes = formed(source.to_arrow(), form, source.source or "data set")
        return Dataset(Memory(table), None, source.source, (*source.notes, *notes))
    if isinstance(source, str) and source.startswith(samples.PREFIX):
        name = source.removeprefix(samples.PREFIX)
        table = samples.toy(name) if name in TOYS else samples.find(name).path
        return _named(read(table, missing=missing, limit=limit), source)
    if isinstance(source, str) and "://" in source:
        refuse_form(form, source)
        _refuse_records(records, source)
        return gather(_as_texts(sql.feed(source), texts), spellings, _limit(limit))
    if isinstance(source, str | os.PathLike):
        how = _How(form, spellings, encoding, delimiter, _limit(limit), records, tuple(texts))
        return _path(Path(source).expanduser(), how)
    _refuse_records(records, "read")
    feed = memory.feed(source)
    if feed is None:
        raise InputError(
            "A source is a path, a URL or a table.",
            "read",
            _described(source),
            "give a file, a pandas or polars frame, an Arrow table, an array, a dict of columns, or a list of texts",
        )
    return gather(pictured(paired(_as_texts(feed, texts)), form), spellings, math.inf)


@dataclass(frozen=True)
class _How:
    """The options of `read` for paths."""

    form: Form
    spellings: Spellings
    encoding: str
    delimiter: str | None
    limit: float
    records: str | None
    texts: tuple[str, ...]


def _path(path: Path, how: _How) -> Dataset:
    if path.is_dir():
        return _folder(path, how)
    file = _file(path)
    if file.suffix in TEXTS:
        refuse_form(how.form, str(path))
        return gather(plaintext.feed(file, how.encoding, how.records), how.spellings, how.limit)
    _refuse_records(how.records, str(path))
    if file.suffix in PICTURES:
        return read_file(path, how.form)
    feed = _as_texts(_FORMATS[file.suffix](file, how.encoding, how.delimiter), how.texts)
    if file.suffix not in _WITH_PICTURES:
        refuse_form(how.form, str(path))
        return gather(feed, how.spellings, how.limit)
    shown = pictured(feed, how.form)
    return gather(shown, how.spellings, how.limit if shown is feed else math.inf)


def _folder(path: Path, how: _How) -> Dataset:
    if not find(path).pictures and plaintext.text_files(path)[0]:
        refuse_form(how.form, str(path))
        if how.records not in (None, "whole"):
            raise InputError(
                "In a folder of texts each file is a record.", str(path), f"records={how.records!r}", "read one file"
            )
        return gather(plaintext.folder(path, how.encoding), how.spellings, how.limit)
    _refuse_records(how.records, str(path))
    return read_folder(path, how.form, lambda table, schema: _metadata(table, how.spellings, schema))


def _refuse_records(records: str | None, place: str) -> None:
    if records is not None:
        raise InputError("records= is said of text files.", place, f"records={records!r}", "leave it out")


def _as_texts(feed: Feed, texts: Sequence[str]) -> Feed:
    return replace(feed, texts=(*feed.texts, *texts)) if texts else feed


def _metadata(path: Path, spellings: Spellings, schema: pa.Schema | None) -> Dataset:
    """A table beside pictures; a column of texts by `schema` is not looked at for numbers or dates."""
    file = File.find(path)
    feed = _FORMATS[file.suffix](file, "utf-8", None)
    if schema is not None:  # the table was written by `Dataset.save`: types and spellings are known
        texts = {f.name: TEXT_ONLY for f in schema if is_text(f.type)}
        feed = replace(feed, ladders={**feed.ladders, **texts})
        spellings = Spellings.only(sorted({"", *(marks.spelling(f) or "" for f in schema)}))
    return gather(feed, spellings, math.inf)


def _named(data: Dataset, source: str) -> Dataset:
    data.source = source
    return data


def _limit(limit: int | None) -> int:
    return machine_share() if limit is None else limit


def _file(path: Path) -> File:
    file = File.find(path)
    if file.suffix in TEXTS or (file.suffix in PICTURES and not file.compression):
        return file
    if file.suffix not in _FORMATS:
        raise InputError(
            "The suffix of a file says its format.",
            str(path),
            repr(file.suffix or path.name),
            f"use one of {', '.join((*PICTURES, *TEXTS, *_FORMATS))}, texts and tables also with "
            f"{', '.join(COMPRESSIONS)} behind",
        )
    return file


def _typed(reader: Callable[[File], Feed]) -> Callable[[File, str, str | None], Feed]:
    return lambda file, encoding, delimiter: paired(reader(file))


def _array_feed(file: File) -> Feed:
    return memory.of_table(arrays.table_of_file(file), str(file.path))


_FORMATS: dict[str, Callable[[File, str, str | None], Feed]] = {
    ".csv": delimited.feed,
    ".tsv": delimited.feed,
    ".jsonl": _typed(jsonlines.feed),
    ".ndjson": _typed(jsonlines.feed),
    ".json": _typed(jsonlines.feed),
    ".parquet": _typed(columnar.parquet),
    ".arrow": _typed(columnar.arrow),
    ".feather": _typed(columnar.arrow),
    ".ipc": _typed(columnar.arrow),
    ".arrows": _typed(columnar.arrow),
    ".npz": _typed(_array_feed),
    ".npy": _typed(_array_feed),
}

_WITH_PICTURES = (".parquet", ".arrow", ".feather", ".ipc", ".arrows", ".npz", ".npy")
"""Formats of tables that may hold pictures."""


def _described(source: Any) -> str:
    """What a source is that cannot be read.

    Example:
        >>> _described([]), _described(["a", None])
        ('an empty list', 'a list of NoneType, str')
    """
    if isinstance(source, list | tuple):
        kinds = ", ".join(sorted({type(each).__name__ for each in source}))
        return f"a {type(source).__name__} of {kinds}" if source else f"an empty {type(source).__name__}"
    return f"a {type(source).__module__}.{type(source).__qualname__}"
