"""Arrow columns in their plainest form, and Arrow types as text."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.errors import FormatError


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array without dictionary; all sorts of text as string, half floats as float, NaN as null."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if pa.types.is_float16(column.type):
        column = column.cast(pa.float32())
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    return column


def is_missing(column: pa.Array) -> np.ndarray:
    """Which rows are null, bool [rows]; of a dictionary also those whose level is null."""
    gone: np.ndarray = pc.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_dictionary(column.type) and column.dictionary.null_count:
        gone = gone | is_missing(column.dictionary_decode())
    return gone


def value_type(dtype: pa.DataType) -> pa.DataType:
    """The type of the values themselves: that of the dictionary where there is one."""
    return dtype.value_type if pa.types.is_dictionary(dtype) else dtype


def is_text(dtype: pa.DataType) -> bool:
    """Whether values are text."""
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype) or pa.types.is_string_view(dtype))


def is_number(dtype: pa.DataType) -> bool:
    """Whether values are integers, floats or decimals."""
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype))


def typed(values: pa.Array, dtype: pa.DataType) -> pa.Array:
    """Values with the type of the training column, as a dictionary if that was one."""
    if pa.types.is_dictionary(dtype):
        encoded = values.cast(dtype.value_type).dictionary_encode()
        return pa.DictionaryArray.from_arrays(
            encoded.indices.cast(dtype.index_type), encoded.dictionary, ordered=dtype.ordered
        )
    if pa.types.is_float16(dtype):
        filled = values.fill_null(0.0).to_numpy(zero_copy_only=False).astype(np.float16)
        return pa.array(filled, mask=is_missing(values))
    return values.cast(dtype)


def type_from_text(text: str) -> pa.DataType:
    """Inverse of `str` on Arrow types of columns: a look-up, nothing is executed.

    Raises:
        FormatError: the text names no type.

    Example:
        >>> type_from_text("timestamp[us, tz=Europe/Paris]")
        TimestampType(timestamp[us, tz=Europe/Paris])
    """
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=([^\]]+)\]", text):
        return pa.timestamp(found[1], found[2])
    if found := re.fullmatch(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)", text):
        makers = {"32": pa.decimal32, "64": pa.decimal64, "128": pa.decimal128, "256": pa.decimal256}
        return makers[found[1]](int(found[2]), int(found[3]))
    if found := re.fullmatch(r"dictionary<values=(.+), indices=(u?int\d+), ordered=([01])>", text):
        return pa.dictionary(type_from_text(found[2]), type_from_text(found[1]), found[3] == "1")
    if found := re.fullmatch(r"fixed_size_binary\[(\d+)\]", text):
        return pa.binary(int(found[1]))
    if found := re.fullmatch(r"(large_)?list<\w+: (.+)>", text):
        return (pa.large_list if found[1] else pa.list_)(type_from_text(found[2]))
    if found := re.fullmatch(r"fixed_size_list<\w+: (.+)>\[(\d+)\]", text):
        return pa.list_(type_from_text(found[1]), int(found[2]))
    if found := re.fullmatch(r"extension<arrow.fixed_shape_tensor\[value_type=(\w+), shape=\[([\d,]+)\]\]>", text):
        return pa.fixed_shape_tensor(type_from_text(found[1]), [int(length) for length in found[2].split(",")])
    if found := re.fullmatch(r"struct<(.+)>", text):
        parts = [part.partition(": ") for part in _split(found[1])]
        return pa.struct([(name, type_from_text(kind)) for name, _, kind in parts])
    try:
        return pa.type_for_alias(text)
    except ValueError as error:
        raise FormatError("A type must be an Arrow type.", "schema", repr(text), "write the schema anew") from error


def _split(text: str) -> list[str]:
    """At the commas that stand in no brackets."""
    depth, parts = 0, [""]
    for mark in text:
        depth += (mark in "<[(") - (mark in ">])")
        if mark == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts]


def unscaled(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Integers behind a decimal column: (lower 64 bits as int64, whether they are the whole value), both [rows]."""
    words = np.frombuffer(_as_decimal128(column).buffers()[1], np.int64)
    words = words[2 * column.offset : 2 * (column.offset + len(column))].reshape(-1, 2)
    fits = words[:, 1] == words[:, 0] >> 63
    return np.where(fits, words[:, 0], 0), fits


def _as_decimal128(column: pa.Array) -> pa.Array:
    if pa.types.is_decimal128(column.type):
        return column
    return column.cast(pa.decimal128(min(38, column.type.precision), column.type.scale))


def decimals(integers: np.ndarray, valid: np.ndarray, dtype: pa.DataType) -> pa.Array:
    """Inverse of `unscaled`: a decimal column of int64 numerators, null where not valid."""
    words = np.stack([integers, integers >> 63], 1)
    whole = pa.decimal128(min(38, dtype.precision), dtype.scale)
    bits = np.packbits(valid, bitorder="little")
    return pa.Array.from_buffers(whole, len(integers), [pa.py_buffer(bits), pa.py_buffer(words)]).cast(dtype)
