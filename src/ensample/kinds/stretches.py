"""Rows to learn from and rows held out, where rows beside each other share something: windows of a series do."""

from __future__ import annotations

import numpy as np

STRETCHES = 4
"""What is held out lies in at most so many stretches: at both ends of each some rows are in neither part."""


def apart(rows: int, count: int, near: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """(rows to learn from, about `count` held out), each ascending; no two of them closer than `near` + 1.

    None where that would leave less than half of the rows to learn from.

    Example:
        >>> learn, held = apart(40, 4, 2, np.random.default_rng(0))
        >>> held.tolist(), [int(row) for row in learn if abs(row - held).min() < 4]
        ([31, 32, 33, 34], [28, 37])
    """
    runs = max(1, min(STRETCHES, count // (2 * near)))
    part, length = rows // runs, -(-count // runs)
    if count <= 0 or length > part or count + 2 * runs * near > rows // 2:
        return None
    first = np.arange(runs) * part + rng.integers(0, part - length + 1, runs)
    distance = np.arange(rows)[:, None] - first
    held = ((distance >= 0) & (distance < length)).any(1)
    beside = ((distance >= -near) & (distance < length + near)).any(1)
    return np.flatnonzero(~beside), np.flatnonzero(held)
