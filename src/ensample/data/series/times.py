"""Columns of times as numbers that can be counted with, and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data import dates
from ensample.errors import FormatError, InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
"""Ticks of a second, by the unit of an Arrow type."""

DAY = 86_400
"""Seconds of a day."""

DATED = tuple(form for form in dates.FORMATS if "%Y" in form)
"""Forms of dates that are tried; times of day alone are times since a start."""

_CLOCK = r"^\d+:[0-5]\d(:[0-5]\d)?$"


@dataclass(frozen=True)
class Axis:
    """What the ticks of a time column count: seconds, days, or just the number that stands there.

    Arguments:
        dtype: Arrow type of the times.

    Example:
        >>> axis = Axis(pa.timestamp("ms"))
        >>> axis.per_second, axis.dated, axis.times(np.array([86_400_000])).to_pylist()
        (1000.0, True, [datetime.datetime(1970, 1, 2, 0, 0)])
    """

    dtype: pa.DataType

    @classmethod
    def of_text(cls, text: str) -> Axis:
        """Inverse of `str(axis.dtype)`. Raises FormatError for a type that times do not have.

        Example:
            >>> Axis.of_text("timestamp[us, tz=UTC]").dtype
            TimestampType(timestamp[us, tz=UTC])
        """
        match = re.fullmatch(r"(\w+)\[(\w+)(?:, tz=(.+))?\]", text)
        try:
            if match and match[1] == "timestamp":
                return cls(pa.timestamp(match[2], tz=match[3]))
            sorts = {"duration": pa.duration, "time32": pa.time32, "time64": pa.time64}
            plain = {"date32[day]": pa.date32(), "date64[ms]": pa.date64(), "int64": pa.int64()}
            plain |= {"halffloat": pa.float16(), "float": pa.float32(), "double": pa.float64()}
            return cls(plain[text] if text in plain or match is None else sorts[match[1]](match[2]))
        except (KeyError, ValueError) as error:
            raise FormatError(
                "A stored series must be whole.", "the type of its times", text, "write it anew"
            ) from error

    @property
    def per_second(self) -> float | None:
        """Ticks of a second; None where they are mere numbers."""
        if not pa.types.is_temporal(self.dtype):
            return None
        if pa.types.is_date32(self.dtype):
            return 1 / DAY
        return float(PER_SECOND[getattr(self.dtype, "unit", "ms")])

    @property
    def dated(self) -> bool:
        """Whether times are of a calendar: they have months and days of the week."""
        return bool(pa.types.is_date(self.dtype) or pa.types.is_timestamp(self.dtype))

    def ticks(self, times: pa.Array | pa.ChunkedArray) -> np.ndarray:
        """Times as numbers [rows], int64 or float64; none may be missing."""
        if isinstance(times, pa.ChunkedArray):
            times = pa.concat_arrays(times.chunks) if times.num_chunks else pa.array([], times.type)
        if pa.types.is_floating(self.dtype):
            return np.asarray(times.cast(pa.float64()))
        if times.type != self.dtype:
            times = times.cast(self.dtype)
        narrow = pa.types.is_date32(self.dtype) or pa.types.is_time32(self.dtype)
        whole = times.cast(pa.int32()) if narrow else times
        return np.asarray(whole.cast(pa.int64())).astype(np.int64)

    def times(self, ticks: np.ndarray) -> pa.Array:
        """Inverse of `ticks`."""
        if pa.types.is_floating(self.dtype):
            return pa.array(np.asarray(ticks, np.float64)).cast(self.dtype)
        whole = pa.array(np.round(ticks).astype(np.int64))
        narrow = pa.types.is_date32(self.dtype) or pa.types.is_time32(self.dtype)
        return (whole.cast(pa.int32()) if narrow else whole).cast(self.dtype)

    def seconds(self, ticks: np.ndarray) -> np.ndarray:
        """Ticks since 1970 as whole seconds, for calendars; int64 of the same shape."""
        per = self.per_second
        assert per is not None
        return np.asarray(np.floor_divide(ticks, int(per)) if per >= 1 else ticks * round(1 / per)).astype(np.int64)


def moments(column: pa.ChunkedArray, name: str) -> pa.Array:
    """A time column in a form that has ticks: dates written as text as moments, "47:30" as the time since a start.

    Days of a place with a time zone are taken as that place's days, since not all of them have 24 hours.

    Raises:
        InputError: a time is missing, or the column holds none.
    """
    times = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(times.type):
        times = times.dictionary_decode()
    if times.null_count:
        row = int(np.argmax(np.asarray(times.is_null())))
        raise InputError(
            "Every row of a series must have a time.",
            f"column {name!r}, row {row}",
            f"{times.null_count:,} missing times",
            "fill them, or leave these rows out",
        )
    if _is_text(times.type):
        return _of_texts(times, name)
    if pa.types.is_timestamp(times.type) and times.type.tz:
        local = pc.local_timestamp(times)
        if len(local) and pc.all(pc.equal(pc.floor_temporal(local, unit="day"), local)).as_py():
            return local
    if pa.types.is_temporal(times.type) or _is_number(times.type):
        if pa.types.is_floating(times.type) and not np.isfinite(np.asarray(times)).all():
            raise InputError("A time must be finite.", f"column {name!r}", "an infinite number", "correct it")
        return times if not pa.types.is_integer(times.type) else times.cast(pa.int64())
    raise _no_times(name, str(times.type))


def _of_texts(texts: pa.Array, name: str) -> pa.Array:
    if len(texts) and pc.all(pc.match_substring_regex(texts, _CLOCK)).as_py():
        parts = [np.asarray(part).astype(np.int64) for part in _clock_parts(texts)]
        return pa.array(parts[0] * 3_600 + parts[1] * 60 + parts[2]).cast(pa.duration("s"))
    few = texts.slice(0, 50)
    for form in DATED if len(texts) else ():
        if dates.read(few, form).null_count == 0 and (times := dates.read(texts, form)).null_count == 0:
            return times
    raise _no_times(name, repr(texts[0].as_py()) if len(texts) else "no rows")


def _clock_parts(texts: pa.Array) -> Sequence[np.ndarray]:
    """Hours, minutes and seconds, as texts."""
    padded = pc.if_else(
        pc.equal(pc.count_substring(texts, ":"), 1), pc.binary_join_element_wise(texts, "00", ":"), texts
    )
    found = pc.split_pattern(padded, ":")
    return [pc.list_element(found, j).to_numpy(zero_copy_only=False) for j in range(3)]


def found(data: Dataset, beside: Sequence[str]) -> str | None:
    """The one column of times, None if there is none; `beside` are columns that are something else.

    Raises:
        InputError: there are several.
    """
    names = [field.name for field in data.arrow_schema if field.name not in beside and _holds_times(data, field)]
    if len(names) > 1:
        listed = ", ".join(map(repr, names))
        raise InputError("A series has one column of times.", "time", f"{listed} hold times", f'say time="{names[0]}"')
    return names[0] if names else None


def _holds_times(data: Dataset, field: pa.Field) -> bool:
    if pa.types.is_date(field.type) or pa.types.is_timestamp(field.type):
        return True
    if not _is_text(field.type):
        return False
    few = data.head(50).column(field.name)
    if few.null_count or not len(few):
        return False
    try:
        moments(few, field.name)
    except InputError:
        return False
    return True


def _is_text(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def _no_times(name: str, seen: str) -> InputError:
    fix = "write dates as 2024-12-31 23:59, or give numbers"
    return InputError("The times of a series must be dates, times or numbers.", f"column {name!r}", seen, fix)
