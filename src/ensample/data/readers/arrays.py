"""NumPy arrays, in memory and in NPY and NPZ files; nothing in a file is unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.dataset import refuse_twins
from ensample.data.pictures.arrays import SPLIT, parts_of, tensor_of, unpacked
from ensample.data.pictures.column import with_gaps
from ensample.data.sources import File
from ensample.errors import FormatError, InputError

SCHEMA_KEY = "ensample.schema"
"""The array of an NPZ file that holds the Arrow types of the columns, as bytes."""
MISSING_SUFFIX = ".missing"
"""`x.missing` of an NPZ file tells which values of `x` are missing."""
LEVELS_SUFFIX = ".levels"
"""`x.levels` of an NPZ file that holds the Arrow types are the levels of a dictionary column, in their order."""


def table_of_file(file: File) -> pa.Table:
    """The table of an NPY or NPZ file.

    Raises:
        InputError: an array holds pickled objects, or the shapes do not make a table.
        FormatError: the file is damaged.
    """
    path = str(file.path)
    try:
        loaded = np.load(_Seekable(file.seekable()), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return table_of_array(loaded, path)
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile, OSError) as error:
        if isinstance(error, InputError | FormatError):
            raise
        if "pickle" in str(error).lower():
            raise InputError(
                "Arrays in a file must be of numbers or fixed-length texts.",
                path,
                "pickled objects, which could run code when read",
                "save the array with another dtype, or the table as Parquet",
            ) from error
        raise FormatError("The file must be a whole NPY or NPZ file.", path, str(error), "write it anew") from error
    return table_of_arrays(arrays, path)


class _Seekable:
    """What `numpy.load` needs of a file, over an Arrow source."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, size: int = -1) -> bytes:
        return bytes(self._source.read(None if size < 0 else size))


def table_of_array(array: np.ndarray, source: str) -> pa.Table:
    """A structured array by its fields, a two-dimensional one with columns x0, x1, ..., or pictures.

    Raises:
        InputError: any other shape.
    """
    if array.dtype.names is not None and array.ndim == 1:
        return table_of_arrays({name: array[name] for name in array.dtype.names}, source)
    if array.dtype.names is None and (pictures := tensor_of(array, source)) is not None:
        return pa.table({"image": pictures})
    if array.ndim != 2 or array.dtype.names is not None:
        fix = "reshape it: one row a record" if array.ndim == 1 else "flatten each record into a row"
        raise _no_table("array", array, source, fix)
    return table_of_arrays({"x": array}, source)


def table_of_arrays(arrays: Mapping[str, np.ndarray], source: str) -> pa.Table:
    """Columns from named arrays of the same length.

    A 1-D array is one column, a 2-D array one for each of its own; one of pictures (see `data.pictures.arrays`) is one.
    Arrays called `x_train`, `y_train`, `x_test`, `y_test` or the like are columns `x`, `y` and `split`.

    Raises:
        InputError: an array has another shape or length.
    """
    known = SCHEMA_KEY in arrays
    if not known and (parts := parts_of(list(arrays))) is not None:
        return _joined({part: {c: arrays[n] for c, n in own.items()} for part, own in parts.items()}, source)
    arrays = dict(arrays) if known else unpacked(arrays)
    schema = _stored_schema(arrays.pop(SCHEMA_KEY, None), source)
    levels = {f.name: arrays.pop(f.name + LEVELS_SUFFIX, None) for f in schema or () if pa.types.is_dictionary(f.type)}
    gaps = {name: arrays.pop(name + MISSING_SUFFIX) for name in list(arrays) if _is_gap_of(name, arrays)}
    columns: list[tuple[str, np.ndarray | pa.Array]] = []
    for name, array in arrays.items():
        if isinstance(array, pa.Array) or array.ndim == 1:
            columns.append((name, array))
        elif array.ndim == 2:
            columns.extend((f"{name}{j}", array[:, j]) for j in range(array.shape[1]))
        elif (pictures := tensor_of(array, f"{source}, array {name!r}")) is not None:
            columns.append((name, with_gaps(pictures, gaps.get(name))))
        else:
            raise _no_table(name, array, source, "leave the array out, or flatten each record into a row")
    lengths = {len(column) for _, column in columns}
    if len(lengths) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "no array"
        raise InputError("The arrays of a table have one length.", source, shapes, "keep those of one length")
    cells = [_cells(column, gaps.get(name), f"{source}, array {name!r}") for name, column in columns]
    table = pa.table(cells, names=[name for name, _ in columns])
    if schema is None:
        return table
    columns_back = [_restored(table.column(f.name), f.type, levels.get(f.name)) for f in schema]
    return pa.Table.from_arrays(columns_back, schema=schema)


def _stored_schema(stored: np.ndarray | None, source: str) -> pa.Schema | None:
    if stored is None:
        return None
    try:
        return pa.ipc.read_schema(pa.py_buffer(stored.tobytes()))
    except (pa.ArrowInvalid, OSError) as error:
        raise FormatError("The types of the columns must be readable.", source, str(error), "write it anew") from error


def _restored(column: pa.ChunkedArray, kind: pa.DataType, levels: np.ndarray | None) -> pa.ChunkedArray:
    if pa.types.is_null(kind):
        return pa.chunked_array([pa.nulls(len(column))])
    if levels is None:
        return column.cast(kind)
    known = _cells(levels, None, "levels").cast(kind.value_type)
    codes = pc.index_in(column.cast(kind.value_type), value_set=known).cast(kind.index_type)
    chunks = [pa.DictionaryArray.from_arrays(chunk, known, ordered=kind.ordered) for chunk in codes.chunks]
    return pa.chunked_array(chunks, kind)


def _joined(parts: Mapping[str, Mapping[str, np.ndarray]], source: str) -> pa.Table:
    """The parts of a data set one after the other, and a column that tells them apart."""
    tables = [table_of_arrays(arrays, f"{source}, part {part!r}") for part, arrays in parts.items()]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        seen = " ".join(str(error).split())
        raise InputError("All parts of a data set have the same columns.", source, seen, "save them alike") from error
    codes = np.repeat(np.arange(len(tables), dtype=np.int32), [len(part) for part in tables])
    levels = pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(list(parts), pa.string()))
    refuse_twins([*table.column_names, SPLIT], source)
    return table.append_column(SPLIT, levels)


def _is_gap_of(name: str, arrays: Mapping[str, np.ndarray]) -> bool:
    gap = arrays.get(name + MISSING_SUFFIX)
    return gap is not None and gap.dtype == bool and gap.shape == arrays[name].shape[:1]


def _cells(column: np.ndarray | pa.Array, gap: np.ndarray | None, place: str) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    if column.dtype.kind in "UT":
        return pa.array(column.astype(object), pa.string(), mask=gap)
    if column.dtype.kind == "S":
        try:
            return pa.array(np.char.decode(column, "utf-8").astype(object), pa.string(), mask=gap)
        except UnicodeDecodeError as error:
            raise InputError("Texts must be UTF-8.", place, str(error), "decode them and save them as text") from error
    if column.dtype.kind not in "biufmM":
        raise InputError(
            "A column of an array holds numbers, truths, texts or times.",
            place,
            f"dtype {column.dtype}",
            "convert it, or give its parts columns of their own",
        )
    native = column.astype(column.dtype.newbyteorder("="), copy=False)
    return pa.array(np.ascontiguousarray(native), mask=gap)


def _no_table(name: str, array: np.ndarray, source: str, fix: str) -> InputError:
    return InputError("A table has records and columns.", f"{source}, {name}", f"an array of shape {array.shape}", fix)
