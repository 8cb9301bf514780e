"""Time series: tables of steps, wide or long, as records that are series, whole or in windows of one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data import marks
from ensample.data.series import cutting
from ensample.data.series.layout import Columns, Laid, laid
from ensample.data.series.plan import ELAPSED, SERIES, Plan, plan_of
from ensample.data.series.times import found
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

DUPLICATES = ("refuse", "first", "last")


def made(
    data: Dataset,
    window: int | None,
    stride: int,
    columns: Columns,
    step: str | float | None,
    wish: bool | Sequence[str],
    name: str,
    kinds: Mapping[str, str],
) -> tuple[pa.Table, list[str]]:
    """(the table of `Dataset.series`, what is to be said of it)."""
    _check(window, stride, columns)
    if columns.time is None:
        columns = replace(columns, time=found(data, columns.beside))
    table = laid(data, columns)
    known = {field.name: field.kind.name for field in data.schema or () if field.wished}
    plan = plan_of(table, columns, step, window, stride, wish, name, kinds, known)
    return _records(table, plan, data.source)


def again(data: Dataset, plan: Plan) -> pa.Table:
    """The records of another table of the same form.

    Raises:
        InputError: the table lacks a column, or is too short.
    """
    return _records(laid(data, plan.columns, plan.variables, plan.axis), plan, data.source)[0]


def histories(data: Dataset, plan: Plan, last: int | None) -> pa.Table:
    """What is known of each unit as one record, of which only the last so many steps count (all if None)."""
    table = laid(data, plan.columns, plan.variables, plan.axis)
    steps = cutting.slots(table, plan.grid, last)
    cut = cutting.whole(steps)
    ends = np.flatnonzero(np.diff(steps.origins, append=-1))  # the last piece of each unit
    starts, lengths = cut.starts[ends], cut.lengths[ends]
    if last is not None:
        starts, lengths = starts + np.maximum(0, lengths - last), np.minimum(lengths, last)
    whole = replace(plan, window=None)
    return whole.table_of(table, steps, cutting.Cut(starts, lengths, cut.pieces[ends]))


def whole(data: Dataset, plan: Plan) -> tuple[pa.Table, pa.Array]:
    """(each unit as one record with all its steps, the time of every step)."""
    table = laid(data, plan.columns, plan.variables, plan.axis)
    steps = cutting.slots(table, plan.grid, None)
    every = cutting.Cut(np.arange(len(steps.rows)), np.ones(len(steps.rows), np.int64), steps.piece_of_steps())
    times = plan.axis.times(cutting.start_ticks(table, plan.grid, steps, every))
    return replace(plan, window=None).table_of(table, steps, cutting.whole(steps)), times


def plan_in(field: pa.Field) -> Plan | None:
    """The plan by which a column was made, None if it was not."""
    text = marks.series(field)
    return None if text is None else Plan.of_text(text)


def _records(table: Laid, plan: Plan, source: str) -> tuple[pa.Table, list[str]]:
    steps = cutting.slots(table, plan.grid, plan.window)
    notes = [plan.describe(), *_inserted(int((steps.rows < 0).sum()))]
    if plan.window is None:
        return plan.table_of(table, steps, cutting.whole(steps)), notes
    cut, empty = cutting.windows(steps, plan.window, plan.stride)
    if not len(cut.starts):
        longest = f"the longest stretch has {int(steps.sizes.max()):,}"
        fix = f"say a window of at most {int(steps.sizes.max())}"
        raise InputError("A series must be as long as a window.", source or "series", longest, fix)
    if empty:
        notes.append(f"windows of mostly missing steps, left out: {empty:,}")
    if short := int((steps.sizes < plan.window).sum()):
        notes.append(f"stretches shorter than a window, left out: {short:,}")
    return plan.table_of(table, steps, cut), notes


def _inserted(count: int) -> list[str]:
    return [f"missing steps inserted as empty ones: {count:,}"] if count else []


def _check(window: int | None, stride: int, columns: Columns) -> None:
    for word, number in (("window", window), ("stride", stride)):
        if number is not None and (not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1):
            raise InputError("A count must be a whole number of at least 1.", word, repr(number), f"say {word}=24")
    if window is None and stride != 1:
        raise InputError("Only windows have a stride.", "stride", repr(stride), "say window=24, or leave stride out")
    if (columns.variable is None) != (columns.value is None):
        seen = f"variable={columns.variable!r}, value={columns.value!r}"
        fix = "name both, or none where each variable has a column"
        raise InputError("A long table has a column of variables and one of their values.", "series", seen, fix)
    if columns.duplicates not in DUPLICATES:
        fix = 'say "refuse", "first" or "last"'
        raise InputError("`duplicates` is one of three words.", "duplicates", repr(columns.duplicates), fix)


__all__ = ["ELAPSED", "SERIES", "Columns", "Plan", "again", "histories", "made", "plan_in", "whole"]
