"""Parquet, and Arrow's own formats: typed columns, read in batches."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq

from ensample.data.pictures.column import batch_rows
from ensample.data.readers.feed import ROWS, Feed
from ensample.data.sources import File
from ensample.errors import FormatError


def parquet(file: File) -> Feed:
    """A Parquet file; row groups are read one batch at a time."""
    with _damage_told(file), _open_parquet(file) as whole:
        rows, schema = whole.metadata.num_rows, whole.schema_arrow
    return Feed(str(file.path), _Parquet(file), rows=rows, schema=schema)


def arrow(file: File) -> Feed:
    """An Arrow IPC file (memory-mapped), an IPC stream, or an old Feather file."""
    with file.open() as stream:
        magic = stream.read(6)
    if magic.startswith(b"FEA1"):
        with _damage_told(file):
            table = pyarrow.feather.read_table(file.seekable())
        return Feed(str(file.path), lambda names: iter(_chosen(table, names).to_batches()))
    return Feed(str(file.path), _IpcFile(file) if magic == b"ARROW1" else _IpcStream(file))


@dataclass(frozen=True)
class _Parquet:
    file: File

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with _damage_told(self.file), _open_parquet(self.file) as whole:
            schema = _with_seconds(whole)
            columns = list(names) if names is not None else schema.names
            schema = pa.schema([schema.field(name) for name in columns], schema.metadata)
            for batch in whole.iter_batches(batch_rows(schema, ROWS), columns=columns):
                yield batch.select(columns).cast(schema)
            if whole.metadata.num_rows == 0:
                yield pa.RecordBatch.from_pylist([], schema)


@dataclass(frozen=True)
class _IpcFile:
    file: File

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with _damage_told(self.file):
            reader = pa.ipc.open_file(self.file.seekable())
            for j in range(reader.num_record_batches):
                yield from _sliced(reader.get_batch(j), names)


@dataclass(frozen=True)
class _IpcStream:
    file: File

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        with self.file.open() as stream, _damage_told(self.file):
            for batch in pa.ipc.open_stream(stream):
                yield from _sliced(batch, names)


def _sliced(batch: pa.RecordBatch, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
    # An Arrow file may be one batch as large as the file.
    chosen = batch if names is None else batch.select(list(names))
    for start in range(0, max(len(chosen), 1), ROWS):
        yield chosen.slice(start, ROWS)


def _open_parquet(file: File) -> pq.ParquetFile:
    if file.compression:
        return pq.ParquetFile(file.seekable())
    with file.open():  # is it still what it was?
        return pq.ParquetFile(str(file.path))


def _with_seconds(whole: pq.ParquetFile) -> pa.Schema:
    """The schema of a file; Parquet has no times in whole seconds, but Arrow notes in the file that it wrote some."""
    schema = whole.schema_arrow
    noted = (whole.metadata.metadata or {}).get(b"ARROW:schema")
    if noted is None:
        return schema
    written = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(noted)))
    for j, f in enumerate(schema):
        kind = written.field(j).type if j < len(written) and written.field(j).name == f.name else f.type
        if pa.types.is_temporal(kind) and kind != f.type:
            schema = schema.set(j, f.with_type(kind))
    return schema


def _chosen(table: pa.Table, names: Sequence[str] | None) -> pa.Table:
    return table if names is None else table.select(list(names))


@contextmanager
def _damage_told(file: File) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(
            f"The file must be a whole {file.suffix.removeprefix('.')} file.",
            str(file.path),
            str(error),
            "it is truncated, damaged or of another format: write it anew",
        ) from error
