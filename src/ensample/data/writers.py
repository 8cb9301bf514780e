"""Saving: one writer per format, a batch at a time, to a temporary name that is renamed at the end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from ensample.data import marks
from ensample.data.cells import is_text
from ensample.data.nested import is_sequence
from ensample.data.pictures import save as pictures
from ensample.data.pictures.column import batch_rows, is_pictures, pixels_of
from ensample.data.readers.arrays import LEVELS_SUFFIX, MISSING_SUFFIX, SCHEMA_KEY
from ensample.data.sources import COMPRESSIONS, compressed, suffixes
from ensample.data.texts.save import save_texts
from ensample.data.wording import json_cells, write
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

_ROWS = 65_536


def save(data: Dataset, path: Path) -> Path:
    """Write a data set to `path` in the format of its suffix, and return the path; pictures to a folder without one."""
    from ensample.storage import write_atomically

    suffix, compression = suffixes(path)
    if not compression and suffix in pictures.WRITERS:
        pictures.WRITERS[suffix](data, path)
        return path
    if not path.suffix and any(map(is_pictures, data.arrow_schema.types)):
        pictures.save_folder(data, path)
        return path
    if suffix not in _WRITERS:
        raise InputError(
            "The suffix of a file says its format.",
            str(path),
            repr(suffix or path.name),
            f"use one of {', '.join(_WRITERS)}, each also with {', '.join(COMPRESSIONS)} behind; "
            "for pictures .png, .jpg, .webp (a contact sheet), .gif (a film) or no suffix (a folder)",
        )

    def write_file(temporary: Path) -> None:
        with compressed(temporary, compression) as sink:
            _WRITERS[suffix](data, sink)

    write_atomically(path, write_file)
    return path


def _delimited(delimiter: str) -> Callable[[Dataset, Any], None]:
    special = f'[{delimiter}"\r\n]'

    def quoted(texts: pa.Array) -> pa.Array:
        plain = pc.invert(pc.match_substring_regex(texts, special))
        if pc.all(plain).as_py() is not False:
            return texts
        escaped = pc.replace_substring(texts, '"', '""')
        return pc.if_else(plain, texts, pc.binary_join_element_wise('"', escaped, '"', ""))

    def cells(column: pa.Array, wording: str | None) -> pa.Array:
        texts = write(column, wording)
        return quoted(texts) if is_text(column.type) else texts

    def save_delimited(data: Dataset, sink: Any) -> None:
        _refuse_lists(data)
        _refuse_pictures(data)
        names = quoted(pa.array(data.names, pa.string())).to_pylist()
        sink.write((delimiter.join(names) + "\n").encode())
        fields = list(data.arrow_schema)
        # A lone empty cell would make an empty line, which readers skip.
        empty = '""' if len(fields) == 1 else ""
        gaps = [marks.spelling(field, data.schema) or empty for field in fields]
        for batch in data.batches(_ROWS):
            columns = [
                pc.fill_null(cells(column, marks.wording(field)), gap)
                for column, field, gap in zip(batch.columns, fields, gaps, strict=True)
            ]
            lines = pc.binary_join_element_wise(*columns, delimiter) if len(columns) > 1 else columns[0]
            _write_lines(lines, sink)

    return save_delimited


def _json_lines(data: Dataset, sink: Any) -> None:
    _refuse_pictures(data)
    fields = list(data.arrow_schema)
    keys = [json.dumps(field.name, ensure_ascii=False) + ": " for field in fields]
    for batch in data.batches(_ROWS):
        columns = [
            pc.binary_join_element_wise(key, pc.fill_null(json_cells(column, marks.wording(field)), "null"), "")
            for key, column, field in zip(keys, batch.columns, fields, strict=True)
        ]
        body = pc.binary_join_element_wise(*columns, ", ") if len(columns) > 1 else columns[0]
        _write_lines(pc.binary_join_element_wise("{", body, "}", ""), sink)


def _refuse_lists(data: Dataset) -> None:
    lists = [field.name for field in data.arrow_schema if is_sequence(field.type)]
    if lists:
        raise InputError(
            "This format holds one value in a cell.",
            f"column {lists[0]!r}",
            "lists",
            "save as .jsonl, .parquet or .arrow",
        )


def _refuse_pictures(data: Dataset) -> None:
    pictures = [field.name for field in data.arrow_schema if is_pictures(field.type)]
    if pictures:
        raise InputError(
            "This format holds no pictures.",
            f"column {pictures[0]!r}",
            "pictures",
            "save as .parquet, .arrow or .npz, or to a folder (a path without suffix)",
        )


def _write_lines(lines: pa.Array, sink: Any) -> None:
    whole = pc.binary_join_element_wise(lines, "", "\n")
    offsets = np.frombuffer(whole.buffers()[1], np.int32)[whole.offset : whole.offset + len(whole) + 1]
    sink.write(memoryview(whole.buffers()[2])[offsets[0] : offsets[-1]])


def _parquet(data: Dataset, sink: Any) -> None:
    shown = [field.name for field in data.arrow_schema if is_pictures(field.type)]
    how: dict[str, Any] = {}
    if shown:  # a pixel is an integer of four bytes there, three of them 0: apart they pack fastest and best
        how["use_dictionary"] = [name for name in data.names if name not in shown]
        how["column_encoding"] = {f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in shown}
    rows = max(1, batch_rows(data.arrow_schema, 16 * _ROWS) // (8 if shown else 1))
    with pq.ParquetWriter(sink, data.arrow_schema, compression="zstd", **how) as writer:
        for batch in data.batches(rows):
            writer.write_batch(batch)


def _arrow(codec: str | None) -> Callable[[Dataset, Any], None]:
    def save_arrow(data: Dataset, sink: Any) -> None:
        options = pa.ipc.IpcWriteOptions(compression=codec, unify_dictionaries=True)
        with pa.ipc.new_file(sink, data.arrow_schema, options=options) as writer:
            for batch in _one_dictionary(data):
                writer.write_batch(batch)

    return save_arrow


def _one_dictionary(data: Dataset) -> Iterator[pa.RecordBatch]:
    """The batches of a data set; those of an Arrow file share one dictionary a column."""
    if any(pa.types.is_dictionary(kind) for kind in data.arrow_schema.types):
        yield from data.to_arrow().unify_dictionaries().to_batches(_ROWS)
    else:
        yield from data.batches(batch_rows(data.arrow_schema, _ROWS))


def _arrow_stream(data: Dataset, sink: Any) -> None:
    with pa.ipc.new_stream(sink, data.arrow_schema) as writer:
        for batch in _one_dictionary(data):
            writer.write_batch(batch)


def _npz(data: Dataset, sink: Any) -> None:
    """One array per column; `x.missing` where x has gaps, and the Arrow types, so that reading restores all."""
    _refuse_lists(data)
    table = data.to_arrow()
    arrays: dict[str, np.ndarray] = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        arrays[field.name] = _numpy(column)
        if pa.types.is_dictionary(field.type):
            arrays[field.name + LEVELS_SUFFIX] = _numpy(pa.chunked_array([_levels(column)]))
        if column.null_count:
            arrays[field.name + MISSING_SUFFIX] = np.asarray(column.is_null())
    arrays[SCHEMA_KEY] = np.frombuffer(table.schema.serialize(), np.uint8)
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    sink.write(packed.getvalue())


def _levels(column: pa.ChunkedArray) -> pa.Array:
    chunks = column.unify_dictionaries().chunks
    return chunks[0].dictionary if chunks else pa.array([], column.type.value_type)


def _numpy(column: pa.ChunkedArray) -> np.ndarray:
    kind = column.type
    if is_pictures(kind):
        return pixels_of(column)
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        column = pc.fill_null(column, pa.scalar(0).cast(kind))
    elif pa.types.is_time(kind):
        return _numpy(column.cast(pa.int32() if kind.bit_width == 32 else pa.int64()))
    elif not pa.types.is_floating(kind) and not pa.types.is_temporal(kind):
        texts = [write(chunk) for chunk in column.chunks]
        return np.asarray(pc.fill_null(pa.chunked_array(texts, pa.string()), "").to_pylist(), dtype=np.str_)
    return np.asarray(column.to_numpy())


_WRITERS: dict[str, Callable[[Dataset, Any], None]] = {
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".arrow": _arrow(None),
    ".feather": _arrow("lz4"),
    ".ipc": _arrow(None),
    ".arrows": _arrow_stream,
    ".npz": _npz,
    ".txt": save_texts,
}
