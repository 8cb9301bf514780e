"""Columns of lists: the steps of all records as one table, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.missing import no_nan

VALUE = "value"
"""Name of the one field of a step that is no struct."""


def is_list(dtype: pa.DataType) -> bool:
    """Whether values are lists, of any sort that Arrow has."""
    return bool(pa.types.is_list(dtype) or pa.types.is_large_list(dtype) or pa.types.is_fixed_size_list(dtype))


def step_fields(dtype: pa.DataType) -> list[pa.Field]:
    """The fields of a step of a list type: those of a struct, else one called `value`.

    Example:
        >>> [f.name for f in step_fields(pa.list_(pa.struct({"t": pa.int64(), "x": pa.float64()})))]
        ['t', 'x']
    """
    item = dtype.value_type
    if pa.types.is_struct(item):
        return [item.field(j).with_nullable(True) for j in range(item.num_fields)]
    return [pa.field(VALUE, item)]


def is_sequence(dtype: pa.DataType) -> bool:
    """Whether values are lists of plain values, or of structs of plain values."""
    return is_list(dtype) and not any(pa.types.is_nested(field.type) for field in step_fields(dtype))


def steps_of(column: pa.Array | pa.ChunkedArray) -> pa.RecordBatch:
    """The steps of all records one after the other, NaN as null."""
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    fields, values = step_fields(column.type), pc.list_flatten(column)
    parts = values.flatten() if pa.types.is_struct(values.type) else [values]
    return pa.RecordBatch.from_arrays([no_nan(part) for part in parts], schema=pa.schema(fields))


def lengths_of(column: pa.Array | pa.ChunkedArray, missing: int) -> np.ndarray:
    """Steps of each record, int64 [rows]; `missing` for one that is null."""
    found = pc.list_value_length(column).cast(pa.int64()).fill_null(missing)
    return np.asarray(found)


def lists_of(steps: Sequence[pa.Array], lengths: np.ndarray, dtype: pa.DataType) -> pa.Array:
    """Inverse of `steps_of` and `lengths_of`: a column of a list type; a record of negative length is null."""
    fields = step_fields(dtype)
    parts = [part.cast(field.type) for part, field in zip(steps, fields, strict=True)]
    values = pa.StructArray.from_arrays(parts, fields=fields) if pa.types.is_struct(dtype.value_type) else parts[0]
    offsets = np.concatenate([[0], np.asarray(lengths).clip(min=0).cumsum()])
    gone = pa.array(np.asarray(lengths) < 0)
    if pa.types.is_large_list(dtype):
        return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), values, dtype, mask=gone)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, pa.list_(dtype.value_field), mask=gone)
