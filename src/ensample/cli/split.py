"""Rows held out, as a column of the data says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

SIDES = {"train": "train", "learn": "train", "test": "test", "holdout": "test", "valid": "test"}


def split_by(data: Dataset, column: str) -> tuple[Dataset, Dataset]:
    """Train and test rows as `column` says (it holds "train" or "test" in each row), without that column.

    Raises:
        InputError: there is no such column, it holds another word, or one side is empty.
    """
    import numpy as np

    if column not in data.names:
        raise InputError(
            "The column that splits the rows must be there.",
            f"--split-column {column}",
            f"columns {', '.join(data.names)}",
            "name one of these",
        )
    sides = [SIDES.get(str(word).strip().lower()) for word in data.column(column).to_pylist()]
    if None in sides:
        row = sides.index(None)
        raise InputError(
            'The column that splits the rows holds "train" or "test" in each row.',
            f"column {column}, row {row + 1}",
            repr(data.column(column)[row].as_py()),
            "use another column, or leave --split-column out",
        )
    held = np.array([side == "test" for side in sides], dtype=bool)
    if held.all() or not held.any():
        raise InputError(
            "A split needs rows on both sides.",
            f"column {column}",
            f"{held.sum()} test rows of {len(held)}",
            "use another column, or leave --split-column out",
        )
    rest = data.select([name for name in data.names if name != column])
    return rest.take(np.flatnonzero(~held)), rest.take(np.flatnonzero(held))
