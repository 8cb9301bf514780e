"""What a calendar says of a time: the hour, the day of the week, the month."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.series.times import Axis
from ensample.errors import InputError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

LONGEST = {"hour": 0.5, "weekday": 3.5, "month": 180.0}
"""Name of a field -> the longest step, in days, at which it tells the steps apart."""


def fields(times: pa.Array, names: Sequence[str]) -> list[pa.Array]:
    """One column of classes for each name.

    Example:
        >>> import datetime
        >>> [part.to_pylist() for part in fields(pa.array([datetime.datetime(2024, 5, 3, 7)]), ["hour", "weekday"])]
        [['07'], ['Fri']]
    """
    if pa.types.is_timestamp(times.type) and times.type.tz:
        times = pc.local_timestamp(times)
    return [_field(times, name) for name in names]


def _field(times: pa.Array, name: str) -> pa.Array:
    if name == "hour":
        numbers, words = pc.hour(times), [f"{hour:02d}" for hour in range(24)]
    elif name == "weekday":
        numbers, words = pc.day_of_week(times), list(DAYS)
    else:
        numbers, words = pc.subtract(pc.month(times), 1), list(MONTHS)
    return pa.array(words).take(numbers)


def chosen(wish: bool | Sequence[str], axis: Axis, times: pa.Array, days: float | None) -> tuple[str, ...]:
    """Names of the fields that are wished for; True for those that vary and that a step of so many days leaves.

    Raises:
        InputError: a name is unknown, or times are of no calendar.
    """
    if wish is False or (not isinstance(wish, bool) and not wish):
        return ()
    can = [name for name in LONGEST if axis.dated and not (name == "hour" and pa.types.is_date(axis.dtype))]
    if isinstance(wish, bool):
        able = [name for name in can if days is None or days <= LONGEST[name]]
        return tuple(name for name in able if len(pc.unique(fields(times, [name])[0])) > 1)
    names = (wish,) if isinstance(wish, str) else tuple(wish)
    if wrong := [name for name in names if name not in can]:
        seen = f"{wrong[0]!r}, and times are {axis.dtype}"
        fix = f"choose from {', '.join(can)}" if can else "leave it out"
        raise InputError("A calendar field must be one that the times have.", "calendar", seen, fix)
    return names
