"""Which rows are meant: numbers, or one truth per record."""

from __future__ import annotations

import numpy as np

from ensample.errors import InputError


def row_numbers(rows: np.ndarray, count: int) -> np.ndarray:
    """Numbers of the rows that are asked for, of `count` rows; int64.

    Raises:
        InputError: a number is out of range, or the array is not one of whole numbers.

    Example:
        >>> row_numbers(np.array([True, False, True]), 3).tolist()
        [0, 2]
    """
    if rows.dtype == bool and rows.shape == (count,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or (rows.size and not np.issubdtype(rows.dtype, np.integer)):
        raise InputError(
            "Records are taken by a one-dimensional array of whole numbers.",
            "take",
            f"{rows.dtype} of shape {rows.shape}",
            "give numbers from 0, or one truth per record",
        )
    if rows.size and (rows.min() < 0 or rows.max() >= count):
        wrong = rows[(rows < 0) | (rows >= count)][0]
        raise InputError(
            "Record numbers must exist.", "take", str(wrong), f"use 0 to {count - 1} for {count:,} records"
        )
    return rows.astype(np.int64)
