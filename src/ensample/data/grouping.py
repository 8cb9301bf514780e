"""Long tables as sequences: the rows of one group become the steps of one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.nested import lists_of
from ensample.data.pictures.column import is_pictures
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


def grouped(data: Dataset, by: str | Sequence[str], order: str | None, keep: Sequence[str], name: str) -> pa.Table:
    """The table of `Dataset.sequences`."""
    groups, kept = [by] if isinstance(by, str) else list(by), [keep] if isinstance(keep, str) else list(keep)
    table = data.select(data.names).to_arrow()
    outside = [*groups, *kept]
    inside = [column for column in table.column_names if column not in (*outside, order)]
    _check(data, [*outside, *([order] if order else [])], inside, name)
    codes = codes_of(table, groups)
    rows = np.arange(len(codes)) if order is None else _ascending(table.column(order), order)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    lengths = np.bincount(codes)
    firsts = rows[np.concatenate([[0], lengths.cumsum()[:-1]])] if len(lengths) else rows
    for column in kept:
        check_constant(table.column(column), column, rows, np.repeat(firsts, lengths))
    steps = [one(table.column(column).take(pa.array(rows))) for column in inside]
    item = pa.struct([pa.field(f.name, f.type) for f in table.select(inside).schema])
    lists = lists_of(steps, lengths, pa.list_(item))
    heads = table.select(outside).take(pa.array(firsts))
    return heads.append_column(name, lists)


def _check(data: Dataset, outside: list[str], inside: list[str], name: str) -> None:
    data.select(outside)  # says which columns there are, and that none comes twice
    for column in (*outside, *inside):
        if is_pictures(data.arrow_schema.field(column).type):
            seen, fix = "pictures", "leave it out: data.select([...]).sequences(...)"
            raise InputError("A step of a sequence holds plain values.", f"column {column!r}", seen, fix)
    for column in outside:
        gone = data.column(column).null_count
        if gone:
            raise InputError(
                "Every row must say which sequence it belongs to, and where in it.",
                f"column {column!r}",
                f"{gone:,} missing values",
                "fill them, or leave these rows out",
            )
    if not inside:
        raise InputError("A step must have a field.", "sequences", "no other column", "keep a column for the steps")
    if name in outside:
        raise InputError("Column names must differ.", "sequences, name", repr(name), "choose another name")


def codes_of(table: pa.Table, groups: list[str]) -> np.ndarray:
    """Number of each row's group, in the order in which groups appear; int64 [rows]."""
    codes = np.zeros(len(table), np.int64)
    for column in groups:
        own = one(table.column(column))
        own = own if pa.types.is_dictionary(own.type) else own.dictionary_encode()
        codes = codes * max(1, len(own.dictionary)) + own.indices.to_numpy(zero_copy_only=False)
        codes = one(pa.chunked_array([pa.array(codes)])).dictionary_encode().indices.to_numpy().astype(np.int64)
    return codes


def _ascending(column: pa.ChunkedArray, name: str) -> np.ndarray:
    if pa.types.is_dictionary(column.type):
        column = one(column).dictionary_decode()
    try:
        return np.asarray(pc.sort_indices(column)).astype(np.int64)
    except pa.ArrowNotImplementedError as error:
        raise InputError(
            "The column that orders steps must have an order.", f"column {name!r}", str(column.type), "choose another"
        ) from error


def check_constant(column: pa.ChunkedArray, name: str, rows: np.ndarray, firsts: np.ndarray) -> None:
    """Raise InputError unless a column has the same value in `rows` and in the `firsts` of their groups."""
    same = pc.equal(one(column.take(pa.array(rows))), one(column.take(pa.array(firsts))))
    if not pc.all(same).as_py():
        row = int(rows[pc.index(same, False).as_py()])
        raise InputError(
            "A field that is kept beside the steps must be the same in all rows of its sequence.",
            f"column {name!r}, record {row + 1:,}",
            repr(column[row].as_py()),
            "leave it out of keep, so that it is a field of every step",
        )


def one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    whole = column.combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole
