"""Splits that do not look ahead: what is learned lies before what is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data.nested import lengths_of, steps_of
from ensample.data.series import plan_in
from ensample.data.series.plan import ELAPSED, Plan
from ensample.data.series.times import Axis, moments
from ensample.data.split import part_size
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset


def apart_in_time(data: Dataset, test: float, time: str | None) -> tuple[np.ndarray, np.ndarray] | None:
    """Row numbers of the two parts, where records are windows that share steps, or a column of times is named."""
    plans = [plan for field in data.arrow_schema if (plan := plan_in(field)) is not None and plan.overlaps]
    plan = next((plan for plan in plans if plan.columns.start in data.names), None)
    if plan is not None and time in (None, plan.columns.start):
        return of_windows(data, plan, test)
    return None if time is None else by_time(data, test, time)


def by_time(data: Dataset, test: float, time: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows to learn from, rows held out): the last share in time; rows of one time stay together.

    Raises:
        InputError: the column holds no times, or only one.
    """
    times = moments(data.select([time]).to_arrow().column(0), time)
    ticks = Axis(times.type).ticks(times)
    held = ticks >= _first_held(ticks, test)
    if held.all():
        place, seen = f"split, column {time!r}", "one time, or most rows at the first one"
        raise InputError("A split by time needs times to lie before and behind.", place, seen, "split without time")
    return np.flatnonzero(~held), np.flatnonzero(held)


def of_windows(data: Dataset, plan: Plan, test: float) -> tuple[np.ndarray, np.ndarray]:
    """(windows to learn from, windows held out): the last ones; those that reach into them are in neither.

    Raises:
        InputError: no window ends before the first one that is held out.
    """
    start = plan.axis.ticks(data.column(plan.columns.start))
    first = _first_held(start, test)
    train, held = np.flatnonzero(_ends(data, plan, start) < first), np.flatnonzero(start >= first)
    if not len(train):
        seen = f"{len(start):,} windows of {plan.window} steps, test={test}"
        raise InputError(
            "Windows to learn from end before those of the test part begin.", "split", seen, "ask for a smaller part"
        )
    return train, held


def _first_held(ticks: np.ndarray, test: float) -> float:
    """The time at which the test part begins."""
    first: float = np.sort(ticks)[len(ticks) - part_size(test, len(ticks))]
    return first


def _ends(data: Dataset, plan: Plan, start: np.ndarray) -> np.ndarray:
    """Time of the last step of each window."""
    assert plan.window is not None
    if plan.grid is not None:
        return plan.times_from(start, np.array(plan.window - 1))
    column = data.column(plan.name)
    lengths, passed = lengths_of(column, 0), steps_of(column).column(ELAPSED)
    own = np.asarray(passed.cast(pa.float64()).fill_null(0.0)).reshape(len(lengths), -1)
    return np.asarray(start + own[:, 1:].sum(1) * plan.unit)
