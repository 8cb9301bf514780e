"""A data set as a small table, for a terminal and for a notebook."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data import marks
from ensample.data.pictures.column import is_pictures, pixels_of, size_text
from ensample.data.pictures.sheets import thumbnail
from ensample.data.texts import TEXT, is_free_text
from ensample.data.wording import write

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

_ROWS = 5
_COLUMNS = 20
_WIDTH = 24
_WIDE = 100
"""Characters of a cell: of free text more than of others."""


def text(data: Dataset) -> str:
    """Size, types and the first records, in columns."""
    header, rows, more = _cells(data, _texts)
    table = [[name for name, _ in header], [kind for _, kind in header], *rows]
    widths = [max(len(row[j]) for row in table) for j in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    notes = [f"note: {note}" for note in data.notes]
    return "\n".join([_title(data), *lines, *([f"... and {more} more columns"] if more else []), *notes])


def html(data: Dataset) -> str:
    """The same as an HTML table with pictures as such; every text is escaped."""
    header, rows, more = _cells(data, _drawn)
    heads = "".join(f"<th>{escape(name)}<br><small>{escape(kind)}</small></th>" for name, kind in header)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    rest = f"<p>... and {more} more columns</p>" if more else ""
    rest += "".join(f"<p>note: {escape(note)}</p>" for note in data.notes)
    return f"<p>{escape(_title(data))}</p><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _title(data: Dataset) -> str:
    source = f" from {data.source}" if data.source else ""
    streams = ", streamed" if data.streams else ""
    return f"Dataset: {len(data):,} records x {len(data.names)} columns{source}{streams}"


def _cells(
    data: Dataset, written: Callable[[pa.ChunkedArray, pa.Field, bool], list[str]]
) -> tuple[list[tuple[str, str]], list[list[str]], int]:
    names = data.names[:_COLUMNS]
    table = data.select(names).head(_ROWS).to_arrow()
    header = [(_short(f.name), _short(_type(f.type))) for f in table.schema]
    columns = [written(column, f, _is_prose(data, f)) for column, f in zip(table.columns, table.schema, strict=True)]
    rows = [list(row) for row in zip(*columns, strict=True)]
    return header, rows, len(data.names) - len(names)


def _is_prose(data: Dataset, field: pa.Field) -> bool:
    guessed = data.schema is not None and field.name in data.schema and data.schema[field.name].kind.name == TEXT
    return is_free_text(field) or guessed


def _prose(column: pa.ChunkedArray) -> list[str]:
    """The beginning of each text, on one line; only that is looked at."""
    texts = pc.utf8_slice_codeunits(column, 0, _WIDE + 1).to_pylist()
    return ["missing" if text is None else _short("".join(map(_shown, text)), _WIDE) for text in texts]


def _shown(character: str) -> str:
    return character if character.isprintable() else " "


def _type(kind: pa.DataType) -> str:
    if is_pictures(kind):
        return "picture"
    return f"levels of {kind.value_type}" if pa.types.is_dictionary(kind) else str(kind)


def _texts(column: pa.ChunkedArray, field: pa.Field, prose: bool) -> list[str]:
    if prose:
        return _prose(column)
    if is_pictures(field.type):
        return ["missing" if gone else size_text(field.type) for gone in column.is_null().to_pylist()]
    written = [write(chunk, marks.wording(field)) for chunk in column.chunks]
    return ["missing" if cell is None else _short(cell) for chunk in written for cell in chunk.to_pylist()]


def _drawn(column: pa.ChunkedArray, field: pa.Field, prose: bool) -> list[str]:
    """Cells as HTML."""
    if not is_pictures(field.type):
        return [escape(cell) for cell in _texts(column, field, prose)]
    gone = column.is_null().to_pylist()
    return ["missing" if none else thumbnail(one) for none, one in zip(gone, pixels_of(column), strict=True)]


def _short(cell: str, width: int = _WIDTH) -> str:
    line = " ".join(cell.split("\n"))
    return line if len(line) <= width else line[: width - 3] + "..."
