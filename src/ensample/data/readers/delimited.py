"""CSV and TSV: every cell is read as text first, so that the whole column decides its type."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pcsv

from ensample.data.dataset import refuse_twins
from ensample.data.infer import ANYTHING
from ensample.data.readers.feed import Feed
from ensample.data.sources import File, text_of
from ensample.errors import InputError

_BLOCK = 1 << 22
_NO_RECORDS = ("Empty CSV file", "file is too short")
_RAGGED = re.compile(r"Expected (\d+) columns, got (\d+): (.*)", re.DOTALL)
_DELIMITERS = (",", ";", "\t", "|")


def feed(file: File, encoding: str, delimiter: str | None) -> Feed:
    """A CSV or TSV file; without a delimiter the names in its first line tell it.

    Raises:
        InputError: two columns have the same name, or the names are not in this encoding.
    """
    layout = Layout.of(file, encoding, delimiter)
    notes = []
    if layout.unnamed:
        notes.append("columns without a name are called " + ", ".join(layout.unnamed))
    if sum(map(_is_number, layout.names)) * 2 > len(layout.names):
        notes.append("most names in the first line are numbers: is it a record, and the line of names missing?")
    return Feed(str(file.path), _Open(file, layout), ANYTHING, notes=tuple(notes))


@dataclass(frozen=True)
class Layout:
    """Names of the columns, where the records begin, and how cells are set apart."""

    names: tuple[str, ...]
    unnamed: tuple[str, ...]
    lines: int
    delimiter: str
    encoding: str

    @classmethod
    def of(cls, file: File, encoding: str, delimiter: str | None) -> Layout:
        """Read the line of names."""
        encoding = _known(encoding)
        with file.open() as stream:
            try:
                lines = iter(text_of(stream, "utf-8-sig" if encoding == "utf-8" else encoding))
                first, blank = _first_line(lines)
                chosen = delimiter or _delimiter(first, file.suffix)
                reader = csv.reader(_chain(first, lines), delimiter=chosen)
                names = next(reader, [])
            except UnicodeError as error:
                raise not_in(encoding, file) from error
            except csv.Error as error:
                raise InputError(
                    "The first line must hold the names of the columns.", str(file.path), str(error), "check the file"
                ) from error
        if not names:
            raise InputError(
                "A table must hold records.", str(file.path), "nothing but empty lines", "check how it was made"
            )
        full = tuple(name.strip() or f"column_{j + 1}" for j, name in enumerate(names))
        refuse_twins(full, str(file.path))
        unnamed = tuple(name for name, given in zip(full, names, strict=True) if not given.strip())
        return cls(full, unnamed, blank + reader.line_num, chosen, encoding)


@dataclass(frozen=True)
class _Open:
    """A pass over the records."""

    file: File
    layout: Layout

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        layout = self.layout
        read = pcsv.ReadOptions(
            column_names=layout.names,
            skip_rows=layout.lines,
            block_size=_BLOCK,
            encoding="utf8" if layout.encoding == "utf-8" else layout.encoding,
        )
        # No handler of invalid rows: a thread of Arrow would hold it, and abort the process where it ends before that.
        parse = pcsv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True)
        as_text = pcsv.ConvertOptions(
            column_types=dict.fromkeys(layout.names, pa.string()),
            strings_can_be_null=False,
            include_columns=list(names) if names is not None else None,
        )
        with self.file.open() as stream:
            try:
                last = None
                for batch in pcsv.open_csv(stream, read, parse, as_text):
                    yield batch
                    last = batch
                if last is not None and names is None:
                    self._refuse_open_quote(last)
            except (pa.ArrowInvalid, UnicodeError) as error:
                if not any(sign in str(error) for sign in _NO_RECORDS):
                    raise self._explained(error) from error

    def _refuse_open_quote(self, last: pa.RecordBatch) -> None:
        """A quote that is never closed swallows the rest of the file, without an error of the parser."""
        cell = last.column(last.num_columns - 1)[-1].as_py() if last.num_rows else ""
        if not cell.endswith("\n"):
            return
        with self.file.open() as stream:
            end = b""
            while block := stream.read(_BLOCK):
                end = (end + block)[-64:]
        if not end.decode(self.layout.encoding, "ignore").rstrip().endswith('"'):
            raise InputError(
                "A quote that is opened must be closed.",
                f"{self.file.path}, the last record",
                f"a cell of {cell.count(chr(10)):,} lines up to the end of the file: {_short(cell)!r}",
                'close the quote, or double it ("") where it is part of a text',
            )

    def _explained(self, error: Exception) -> InputError:
        path = str(self.file.path)
        if ragged := _RAGGED.search(str(error)):
            wanted, met, text = ragged.groups()
            line = self._line_of(int(met))
            return InputError(
                "Every record has a cell for each column.",
                path if line is None else f"{path}, line {line}",
                f"{met} cells instead of {wanted}: {_short(text)!r}",
                'set cells with a delimiter in them in quotes ("), or say delimiter=',
            )
        if isinstance(error, UnicodeError) or "UTF8" in str(error):
            return not_in(self.layout.encoding, self.file)
        fix = "check the quotes: one is opened and not closed, perhaps" if "straddl" in str(error) else "check the file"
        return InputError("The file must be a table in CSV.", path, str(error), fix)

    def _line_of(self, cells: int) -> int | None:
        """Where the first record with this number of cells begins, lines counting from 1: read once more to find it."""
        layout = self.layout
        with self.file.open() as stream:
            lines = text_of(stream, "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding)
            for _ in range(layout.lines):
                next(lines)
            reader, begin = csv.reader(lines, delimiter=layout.delimiter), 0
            try:
                for row in reader:
                    if len(row) == cells:
                        return layout.lines + begin + 1
                    begin = reader.line_num
            except (csv.Error, UnicodeError):
                return None
        return None


def not_in(encoding: str, file: File) -> InputError:
    """The error for a file in another encoding: the first wrong line, and the encoding to try."""
    line, sample = 1, b""
    with file.open() as stream:
        start = stream.read(4)
    with file.open() as stream:
        for number, text in enumerate(_byte_lines(stream), 1):
            try:
                text.decode(encoding)
            except UnicodeError:
                line, sample = number, text
                break
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        guess = "utf-16"
    else:
        guess = "utf-8" if encoding != "utf-8" else "cp1252" if _decodes(sample, "cp1252") else "latin-1"
    return InputError(
        f"The file must be text in {encoding.upper()}.",
        f"{file.path}, line {line}",
        f"bytes that are not: {sample[:40]!r}",
        f'say encoding="{guess}" if that is what wrote it',
    )


def _byte_lines(stream: Any) -> Iterator[bytes]:
    rest = b""
    while block := stream.read(1 << 16):
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    yield rest


def _decodes(sample: bytes, encoding: str) -> bool:
    try:
        sample.decode(encoding)
    except UnicodeError:
        return False
    return True


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
    except LookupError as error:
        raise InputError(
            "An encoding is one that Python knows.", "encoding", repr(encoding), 'say "utf-8", "cp1252" or "latin-1"'
        ) from error
    return "utf-8" if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig") else encoding


def _first_line(lines: Iterator[str]) -> tuple[str, int]:
    for blank, line in enumerate(lines):
        if line.strip("\r\n"):
            return line, blank
    return "", 0


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _delimiter(first: str, suffix: str) -> str:
    if suffix == ".tsv":
        return "\t"
    bare = "".join(first.split('"')[::2])  # what stands in quotes is no delimiter
    counts = {mark: bare.count(mark) for mark in _DELIMITERS}
    return "," if counts[","] else max(_DELIMITERS, key=lambda mark: counts[mark])


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
