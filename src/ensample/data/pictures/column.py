"""The Arrow column of pictures: a tensor of uint8 in each row, all of one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Channels of a picture -> what Pillow calls its mode."""

NAMES = {1: "grey", 3: "RGB", 4: "RGBA"}
"""Channels of a picture -> what people call it."""

BATCH_BYTES = 64 * 2**20
"""A batch of records holds at most about so many bytes of pictures."""


def tensor_type(height: int, width: int, channels: int) -> pa.DataType:
    """The Arrow type of a column of pictures of one size; a picture is uint8 [height, width, channels].

    Example:
        >>> shape_of(tensor_type(28, 28, 1))
        (28, 28, 1)
    """
    return pa.fixed_shape_tensor(pa.uint8(), (height, width, channels))


def is_pictures(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds pictures: uint8 [height, width, 1, 3 or 4], axes as they come."""
    if not isinstance(dtype, pa.FixedShapeTensorType) or dtype.value_type != pa.uint8():
        return False
    return len(dtype.shape) == 3 and dtype.shape[2] in MODES and dtype.permutation in (None, [], [0, 1, 2])


def shape_of(dtype: pa.DataType) -> tuple[int, int, int]:
    """(height, width, channels) of the pictures of a column."""
    height, width, channels = dtype.shape
    return int(height), int(width), int(channels)


def size_text(dtype: pa.DataType) -> str:
    """How large pictures of a column are, for people.

    Example:
        >>> size_text(tensor_type(28, 28, 1))
        '28 x 28 grey'
    """
    height, width, channels = shape_of(dtype)
    return f"{height} x {width} {NAMES[channels]}"


def tensor_column(pixels: np.ndarray) -> pa.Array:
    """A column of pictures over an array uint8 [rows, height, width, channels], without a copy if it is contiguous.

    Example:
        >>> pixels = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
        >>> column = tensor_column(pixels)
        >>> len(column), np.shares_memory(pixels_of(column), pixels)
        (2, True)
    """
    rows, *shape = pixels.shape
    values = pa.Array.from_buffers(pa.uint8(), pixels.size, [None, pa.py_buffer(np.ascontiguousarray(pixels))])
    lists = pa.Array.from_buffers(pa.list_(pa.uint8(), int(np.prod(shape))), rows, [None], children=[values])
    return pa.ExtensionArray.from_storage(tensor_type(*shape), lists)


def with_gaps(column: pa.Array, gone: np.ndarray | None) -> pa.Array:
    """The same pictures, some of them missing: bool [rows]."""
    if gone is None or not gone.any():
        return column
    present = pa.py_buffer(np.packbits(~gone, bitorder="little"))
    lists = pa.Array.from_buffers(column.storage.type, len(column), [present], children=[column.storage.values])
    return pa.ExtensionArray.from_storage(column.type, lists)


def pixels_of(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Inverse of `tensor_column`: a read-only view where the column is one piece, else a copy.

    Pictures that are missing are whatever lies at their place.
    """
    pieces: list[Any] = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [_view(piece) for piece in pieces if len(piece)]
    if not arrays:
        return np.zeros((0, *shape_of(column.type)), np.uint8)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _view(piece: pa.Array) -> np.ndarray:
    shape, storage = shape_of(piece.type), piece.storage
    size = int(np.prod(shape))
    values = np.frombuffer(storage.values.buffers()[1], np.uint8)
    start = storage.values.offset + storage.offset * size
    return values[start : start + len(piece) * size].reshape(len(piece), *shape)


def batch_rows(schema: pa.Schema, rows: int = 65_536) -> int:
    """Rows of a batch of this schema so that its pictures stay below `BATCH_BYTES`, at most `rows`."""
    size = sum(int(np.prod(shape_of(kind))) for kind in schema.types if is_pictures(kind))
    return rows if size == 0 else max(1, min(rows, BATCH_BYTES // size))
