"""Texts as a text file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.cells import is_text
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

ROWS = 4096


def save_texts(data: Dataset, sink: Any) -> None:
    """Write a data set of one column of texts.

    One record is written as it is. Several stand on a line each; where one of them has lines of its own, a blank line
    stands between two of them, and of those that hold blank lines themselves .jsonl alone keeps the borders. A missing
    text is an empty one.

    Raises:
        InputError: there are other columns, or the column holds no texts.
    """
    if len(data.names) != 1 or not is_text(data.arrow_schema.field(0).type):
        raise InputError(
            "A text file holds one column of texts.",
            "save",
            ", ".join(f"{field.name} ({field.type})" for field in data.arrow_schema),
            "choose it, data.select([...]), or save as .jsonl or .parquet",
        )
    between = "\n\n" if _any_line_end(data) else "\n"
    for number, column in enumerate(_columns(data)):
        texts = between.join(column.to_pylist())
        sink.write((between * (number > 0) + texts).encode())
    if len(data) > 1:
        sink.write(b"\n")


def _columns(data: Dataset) -> Any:
    for batch in data.batches(ROWS):
        column = batch.column(0)
        column = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        yield pc.fill_null(column.cast(pa.string()), "")


def _any_line_end(data: Dataset) -> bool:
    return any(pc.any(pc.match_substring(column, "\n")).as_py() for column in _columns(data))
