"""Arrays of several axes as columns of pictures, and files of arrays that hold the parts of a data set."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import tensor_column
from ensample.data.pictures.decode import looks_like
from ensample.errors import InputError

OFFSETS, CLASSES = ("offset", "offsets"), "classes"
"""Names of arrays that say where encoded pictures begin, and what classes are called."""

SPLIT = "split"
"""The column that says which part a record is of."""

_PART = "train|test|val|valid|validation"
_BEHIND, _BEFORE = re.compile(f"(?:(.+)_)?({_PART})"), re.compile(f"({_PART})(?:_(.+))?")


def parts_of(names: list[str]) -> dict[str, dict[str, str]] | None:
    """Of arrays called `x_train`, `y_train`, `x_test`, `y_test`, or `train_x`, ...: part -> column -> array, by name.

    The column of an array that is called `train` alone is "x". None if names are of another form, or if the parts do
    not have the same columns.

    Example:
        >>> parts_of(["x_train", "y_train", "x_test", "y_test"])
        {'train': {'x': 'x_train', 'y': 'y_train'}, 'test': {'x': 'x_test', 'y': 'y_test'}}
        >>> parts_of(["x_train", "y_train", "x_test"])
    """
    for form, part, column in ((_BEHIND, 2, 1), (_BEFORE, 1, 2)):
        found: dict[str, dict[str, str]] = {}
        matches = [(name, form.fullmatch(name)) for name in names]
        for name, match in matches:
            if match is not None:
                found.setdefault(match[part], {})[match[column] or "x"] = name
        columns = [sorted(part) for part in found.values()]
        whole = all(match is not None for _, match in matches)
        if whole and len(found) > 1 and all(other == columns[0] for other in columns):
            return found
    return None


def unpacked(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The same arrays, with what only makes sense together put together.

    Bytes of encoded pictures one after the other, beside an array called `offset` or `offsets` that says where each
    begins and the last one ends, become a column of bytes; whole numbers called `label`, beside texts called `classes`
    that they count, become these texts.
    """
    made: dict[str, Any] = dict(arrays)
    for key in OFFSETS:
        column = next((name for name, array in arrays.items() if _are_packed(array, arrays.get(key))), None)
        if column is not None:
            offsets = np.ascontiguousarray(made.pop(key), np.int64)
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(arrays[column]))]
            made[column] = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    classes = arrays.get(CLASSES)
    for key in ("label", "labels", "y"):
        if classes is not None and _are_codes(arrays.get(key), classes):
            texts = pa.array(made.pop(CLASSES).astype(object), pa.string())
            made[key] = pa.DictionaryArray.from_arrays(pa.array(arrays[key].astype(np.int32)), texts)
            break
    return made


def _are_packed(array: np.ndarray, offsets: np.ndarray | None) -> bool:
    if offsets is None or offsets.dtype.kind not in "iu" or offsets.ndim != 1 or len(offsets) < 2:
        return False
    whole = array.dtype == np.uint8 and array.ndim == 1 and offsets[0] == 0 and offsets[-1] == len(array)
    return whole and bool((np.diff(offsets.astype(np.int64)) >= 0).all()) and looks_like(array[: offsets[1]].tobytes())


def _are_codes(codes: np.ndarray | None, classes: np.ndarray) -> bool:
    if codes is None or codes.ndim != 1 or codes.dtype.kind not in "iu" or not len(codes):
        return False
    texts = classes.ndim == 1 and classes.dtype.kind == "U" and len(classes) != len(codes)
    return texts and int(codes.min()) >= 0 and int(codes.max()) < len(classes)


def tensor_of(array: np.ndarray, place: str) -> pa.Array | None:
    """A column of pictures of an array [rows, height, width] or [rows, height, width, channels]; None if it is none.

    Channels are 1, 3 or 4; they may also stand before height and width where there are 1 or 3 and the last axis has
    another length. Values are uint8, truths, or floats that are whole numbers from 0 to 255.

    Raises:
        InputError: the axes are those of pictures, the values are not.

    Example:
        >>> tensor_of(np.zeros((5, 3, 8, 6), np.uint8), "x").type.shape
        [8, 6, 3]
    """
    shape = array.shape
    if array.ndim == 3:
        array = array[..., None]
    elif array.ndim == 4 and array.shape[-1] not in (1, 3, 4) and array.shape[1] in (1, 3):
        array = np.moveaxis(array, 1, -1)
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape[1:]:
        return None
    return tensor_column(_bytes(array, shape, place))


def pictures_of(values: list[Any], place: str) -> pa.Array | None:
    """A column of pictures that are objects: Pillow images as encoded ones, arrays of one shape, structs of bytes.

    None if the values are something else. Images become PNG in memory, so that sizes and modes are dealt with as those
    of files.
    """
    first = next((value for value in values if value is not None), None)
    if isinstance(first, Mapping) and isinstance(first.get("bytes"), bytes):
        return pa.array([None if value is None else value["bytes"] for value in values], pa.binary())
    if isinstance(first, np.ndarray) and first.ndim in (2, 3) and first.dtype in (np.uint8, bool):
        shapes = {value.shape if isinstance(value, np.ndarray) else None for value in values}
        return tensor_of(np.stack(values), place) if len(shapes) == 1 else None
    if hasattr(first, "getbands") and hasattr(first, "save"):
        return pa.array([None if value is None else _png(value) for value in values], pa.binary())
    return None


def _png(image: Any) -> bytes:
    packed = io.BytesIO()
    image.save(packed, "PNG", compress_level=1)
    return packed.getvalue()


def _bytes(array: np.ndarray, shape: tuple[int, ...], place: str) -> np.ndarray:
    """Values as uint8; false and true become 0 and 255."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        pixels = np.empty(array.shape, np.uint8)
        for row, values in enumerate(array):
            with np.errstate(invalid="ignore"):
                pixels[row] = values
            if not np.array_equal(pixels[row], values):
                raise _no_pixels(place, f"floats that are not whole numbers from 0 to 255, in record {row + 1:,}")
        return pixels
    raise _no_pixels(place, f"an array of shape {shape}, values of type {array.dtype}")


def _no_pixels(place: str, seen: str) -> InputError:
    fix = "turn them into uint8, for example (255 * x).round().astype('uint8'), or flatten each record into a row"
    return InputError("An array of three or four axes holds pictures, in values 0 to 255.", place, seen, fix)
