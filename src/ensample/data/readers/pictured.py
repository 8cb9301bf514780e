"""Columns of pictures in tables: encoded ones are decoded, and all are brought into the form that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.pictures.column import is_pictures, pixels_of, shape_of, tensor_column
from ensample.data.pictures.decode import decode, looks_like
from ensample.data.pictures.form import CHANNELS, Form
from ensample.data.readers import memory
from ensample.data.readers.feed import Feed
from ensample.errors import InputError

LOOKED_AT = 16
"""Values of a column of bytes that are looked at to tell whether they are pictures."""

BYTES = "bytes"
"""The field of a struct that holds an encoded picture; the other is its path, as Hugging Face's data sets have it."""


def pictured(feed: Feed, form: Form) -> Feed:
    """The same feed with its pictures decoded, in memory (pixels past a limit in a temporary file).

    Records whose picture is missing or cannot be read are left out, with a note that names them. A feed without
    pictures, or with pictures that need no change, is handed on as it is.

    Raises:
        InputError: a form is asked for and there are no pictures, or none of them can be read.
    """
    if feed.schema is not None and not any(map(_may_be, feed.schema.types)):
        refuse_form(form, feed.label)
        return feed
    first = next(iter(feed.open(None)), None)
    if first is None or not _changes(first, form, feed.label):
        return feed
    table, notes = formed(pa.Table.from_batches(feed.open(None)), form, feed.label)
    whole = memory.of_table(table, feed.label, feed.ladder, (*feed.notes, *notes))
    return replace(whole, ladders=feed.ladders, texts=feed.texts)


def formed(table: pa.Table, form: Form, label: str) -> tuple[pa.Table, tuple[str, ...]]:
    """A table with its pictures decoded and in this form, and remarks about those that are left out.

    Raises:
        InputError: as for `pictured`.
    """
    first, notes = next(iter(table.to_batches()), None), list[str]()
    for name in _changes(first, form, label) if first is not None else ():
        column, place = table.column(name), f"{label}, column {name!r}"
        sources = _Pixels(column) if is_pictures(column.type) else _Encoded(column)
        decoded = decode(sources, form, lambda j: f"record {j + 1:,}", place)
        notes += [f"column {name!r}: {note}" for note in decoded.notes]
        if decoded.bad:
            table = table.take(pa.array(decoded.kept))
        table = table.set_column(table.column_names.index(name), name, tensor_column(decoded.pixels))
    return table, tuple(notes)


def _changes(first: pa.RecordBatch, form: Form, label: str) -> list[str]:
    """Columns of pictures that are encoded, or in another form. Raises InputError if there is none to be formed."""
    encoded = [name for name in first.schema.names if _is_encoded(first.column(name))]
    if not encoded and not any(map(is_pictures, first.schema.types)):
        refuse_form(form, label)
    return encoded + [f.name for f in first.schema if is_pictures(f.type) and not _fits(f.type, form)]


def refuse_form(form: Form, place: str) -> None:
    """Raise InputError if something is said about pictures where there are none."""
    if form.asked:
        raise InputError("A size, a fit or a mode is said of pictures.", place, "no column of them", "leave it out")


def _may_be(dtype: pa.DataType) -> bool:
    if pa.types.is_struct(dtype) and (place := dtype.get_field_index(BYTES)) >= 0:
        dtype = dtype.field(place).type
    return is_pictures(dtype) or _is_binary(dtype)


def _fits(dtype: pa.DataType, form: Form) -> bool:
    height, width, channels = shape_of(dtype)
    sized = form.size in (None, (height, width)) and not dtype.permutation  # one that says nothing is left out
    return sized and (form.mode is None or CHANNELS[form.mode] == channels)


def _is_encoded(column: pa.Array) -> bool:
    """Whether a column holds bytes, or structs with a field of bytes, that begin as pictures do."""
    column = _bytes_of(column)
    if column is None:
        return False
    some = [value.as_py() for value in column.drop_null()[:LOOKED_AT]]
    return any(looks_like(value[:32]) for value in some)


def _bytes_of(column: Any) -> Any:
    if pa.types.is_struct(column.type) and column.type.get_field_index(BYTES) >= 0:
        column = pc.struct_field(column, BYTES)
    return column if _is_binary(column.type) else None


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


class _Encoded(Sequence[Any]):
    """The encoded pictures of a column; each is copied only when it is asked for."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._chunks = _bytes_of(column).chunks
        self._starts = np.cumsum([0, *(len(chunk) for chunk in self._chunks)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, j: Any) -> Any:
        chunk = int(np.searchsorted(self._starts, j, side="right")) - 1
        return self._chunks[chunk][int(j) - int(self._starts[chunk])].as_py()


class _Pixels(Sequence[Any]):
    """The pictures of a column of tensors, None where one is missing."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self._pixels, self._gone = pixels_of(column), np.asarray(column.is_null())

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, j: Any) -> Any:
        return None if self._gone[j] else self._pixels[j]
