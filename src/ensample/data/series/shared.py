"""Steps that overlapping windows share, told apart: each step is looked at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Shared:
    """Finds the steps of windows that the window before had not, batch by batch.

    A window goes on from the one before where its first `window - stride` steps are the last ones of that. Nothing else
    says so: units need no care, and windows in another order, or behind one that was left out, are looked at in full.

    Arguments:
        window: steps of a window.
        stride: steps between the beginnings of two.

    Example:
        >>> steps = pa.RecordBatch.from_pydict({"x": [1, 2, 3, 2, 3, 4, 9, 8, 7]})
        >>> Shared(window=3, stride=1).own(steps, np.array([3, 3, 3])).column("x").to_pylist()
        [1, 2, 3, 4, 9, 8, 7]
    """

    def __init__(self, window: int, stride: int) -> None:
        self.window, self.stride = window, stride
        self.before: pa.RecordBatch | None = None

    def own(self, steps: pa.RecordBatch, lengths: np.ndarray) -> pa.RecordBatch:
        """Those of the next records, of which each window has its own; all, if a record has another length."""
        if not len(lengths) or (lengths != self.window).any():
            self.before = None
            return steps
        parts = steps if self.before is None else _joined(self.before, steps)
        kept = self._kept(parts)[0 if self.before is None else self.window :]
        self.before = steps.slice(len(steps) - self.window)
        return steps.filter(pa.array(kept))

    def _kept(self, steps: pa.RecordBatch) -> np.ndarray:
        """Which steps are no repetition, bool [all steps]; the first record's are none."""
        records, common = len(steps) // self.window, self.window - self.stride
        again = np.arange(1, records)[:, None] * self.window + np.arange(common)
        now, then = (pa.array(place.ravel()) for place in (again, again - common))
        same = np.ones(again.size, bool)
        for column in steps.columns:
            same &= _same(column.take(now), column.take(then))
        kept = np.ones((records, self.window), bool)
        kept[1:, :common] = ~same.reshape(again.shape).all(1, keepdims=True)
        return kept.ravel()


def _same(left: pa.Array, right: pa.Array) -> np.ndarray:
    """Whether values are equal, or both missing."""
    equal = np.asarray(pc.equal(left, right).fill_null(False))
    return np.asarray(equal | (np.asarray(left.is_null()) & np.asarray(right.is_null())))


def _joined(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pa.concat_arrays([a, b]) for a, b in zip(first.columns, second.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=first.schema)
