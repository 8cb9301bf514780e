"""Dates, moments, times of day and durations, also where they are written as text."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data import dates
from ensample.kinds import timeformat
from ensample.kinds.arrow import is_missing, is_text, typed, value_type
from ensample.kinds.base import cannot_be, impossible, wrong_value
from ensample.kinds.measured import Measured, numerators_of, supported_step
from ensample.kinds.profile import Profile
from ensample.kinds.timeformat import TextTrace
from ensample.kinds.trace import TimeTrace, calendar_unit, from_months, integers, to_months

UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000, "day": 1 / 86_400}
"""Numerators per second."""
FEWEST_MONTHS = 4
"""So many different first days of a month are taken to be months."""

_NAMES = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"), (1e-3, "millisecond"), (1e-6, "microsecond"))


@dataclass(frozen=True)
class Datetime(Measured):
    """A numerator counts the units of the Arrow type since 1970, midnight, or nothing; seconds for texts.

    Arguments:
        format: how texts are written, see `timeformat`; "" for a column of Arrow times.
        months: whether numerators are months since 1970: every value is the first moment of one.

    Example:
        >>> born = Datetime.fit(Profile.of(pa.array(["1969-12-31", "1970-01-02", None])))
        >>> born.decode(born.encode(pa.array(["1970-01-01"]), "born"), np.random.default_rng(0)).to_pylist()
        ['1970-01-01']
    """

    format: str = ""
    months: bool = False

    name: ClassVar[str] = "datetime"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Arrow times, and texts that can be written back from their moments."""
        if profile.present == 0:
            return 0.0
        if pa.types.is_temporal(value_type(profile.dtype)):
            return 1.0
        return 0.95 if isinstance(profile.trace, TextTrace) and profile.trace.formats else 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Find the unit in which the times differ, then the shape."""
        if profile.present == 0:
            raise cannot_be(profile, "datetime", "no value at all", 'leave it to be "constant"')
        trace, form, second = profile.trace, "", 1.0
        if isinstance(trace, TextTrace) and trace.formats:
            form, trace = trace.formats[0], trace.traces[trace.formats[0]]
        elif pa.types.is_temporal(value_type(profile.dtype)):
            second = _per_second(value_type(profile.dtype))
        if not isinstance(trace, TimeTrace) or trace.low is None or trace.high is None or second == 0:
            reason = f"values of type {profile.dtype} in no known format of dates"
            raise cannot_be(
                profile, "datetime", reason, "write dates as 2024-12-31, or leave the kind to be recognised"
            )
        months = trace.months
        if months is not None and months.low is not None and months.high is not None:
            known = "%Y" in form and "%d" not in form
            if known or profile.distinct is None or profile.distinct >= FEWEST_MONTHS:
                step = supported_step(months.divisor, profile.distinct)
                return cls._of(profile, months.low, months.high, step, {"format": form, "months": True})
        natural = [round(amount * second) for amount, _ in _NAMES if amount * second >= 1]
        step = supported_step(trace.divisor, profile.distinct, natural)
        return cls._of(profile, trace.low, trace.high, step, {"format": form})

    def _numerators(self, column: pa.Array, field: str) -> tuple[np.ndarray, np.ndarray]:
        valid = ~is_missing(column)
        if not (is_text(column.type) or pa.types.is_temporal(column.type) or column.null_count == len(column)):
            seen = f"{column[0]} ({column.type})"
            raise wrong_value("A date field needs dates or times.", field, 0, seen, "turn the column into dates first")
        times = column
        kind = pa.timestamp("s") if self.format else value_type(self.type)
        if is_text(column.type) and self.format:
            times = dates.read(column, self.format)
        try:
            times = times.cast(kind) if times.type != kind else times
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            times = _one_by_one(column, kind)
        lost = valid & is_missing(times)
        if lost.any():
            row = int(np.argmax(lost))
            wanted = self.format.removeprefix(dates.BARE) or str(kind)
            rule = f"Values must be dates or times of the form {wanted}."
            raise wrong_value(rule, field, row, column[row].as_py(), "correct the value or make it missing")
        whole = integers(_filled(times), field)
        return np.where(valid, to_months(whole, calendar_unit(kind)) if self.months else whole, 0), valid

    def _values(self, cells: np.ndarray, valid: np.ndarray) -> pa.Array:
        whole = np.where(valid, numerators_of(cells, self.low, self.step).view(np.int64), 0)
        if self.months:
            whole = from_months(whole, calendar_unit(pa.timestamp("s") if self.format else value_type(self.type)))
        mask = ~valid
        if self.format:
            texts = timeformat.write(pa.array(whole).cast(pa.timestamp("s")), self.format)
            return typed(pc.if_else(pa.array(valid), texts, pa.scalar(None, pa.string())), self.type)
        kind = value_type(self.type)
        narrow = pa.types.is_date32(kind) or pa.types.is_time32(kind)
        numbers = pa.array(whole.astype(np.int32) if narrow else whole, mask=mask)
        return typed(numbers.cast(kind), self.type)

    def _numerator(self, value: Any, field: str) -> float | int:
        kind = pa.timestamp("s") if self.format else value_type(self.type)
        try:
            moment = dates.read(pa.array([value]), self.format) if isinstance(value, str) and self.format else None
            whole = integers(_moment(value, kind) if moment is None or moment.null_count else moment)
            return _in_months(whole, calendar_unit(kind)) if self.months else int(whole[0])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            fix = f"write it like {self._text(0)}"
            raise impossible(field, f"{value!r} is not a date or time of this field", fix) from error

    def _bounds(self) -> tuple[int, int]:
        kind = value_type(self.type)
        if self.months:
            return (-1969 * 12, 8030 * 12 - 1) if calendar_unit(kind) != "ns" else (-291 * 12, 291 * 12)
        if self.format:
            day = 86_400
            return (0, day - 1) if "%Y" not in self.format else (-62_135_596_800, 253_402_300_799)
        if pa.types.is_time(kind):
            return 0, round(86_400 * UNITS[kind.unit]) - 1
        if pa.types.is_date32(kind):
            return -719_162, 2_932_896  # years 1 to 9999
        return super()._bounds()

    def _text(self, cell: int) -> str:
        one = self._values(np.array([cell]), np.array([True]))
        return str(one.cast(pa.string())[0]) if not pa.types.is_duration(one.type) else str(one[0])

    def describe(self) -> str:
        """Range, unit of steps, format."""
        count, unit = self._unit()
        step = f"{unit}s" if count == 1 else f"steps of {count} {unit}s"
        written = f", written {self.format.removeprefix(dates.BARE)}" if self.format else ""
        return f"{self.span_text()}, in {step}{written}{self._extras()}"

    def _unit(self) -> tuple[int, str]:
        """The step as a number of the largest unit that divides it."""
        if self.months:
            return (self.step, "month") if self.step % 12 else (self.step // 12, "year")
        second = 1.0 if self.format else _per_second(value_type(self.type))
        for amount, unit in _NAMES:
            size = amount * second
            if size >= 1 and self.step % round(size) == 0:
                return round(self.step / size), unit
        return self.step, "nanosecond"


def _in_months(whole: np.ndarray, unit: str) -> float | int:
    """Months since 1970 of one moment, with a fraction if it is not the first of one."""
    month = to_months(whole, unit)
    first, following = from_months(month, unit), from_months(month + 1, unit)
    part = float((whole - first)[0] / (following - first)[0])
    return int(month[0]) if part == 0 else float(month[0]) + part


def _per_second(kind: pa.DataType) -> float:
    if pa.types.is_date32(kind):
        return UNITS["day"]
    if pa.types.is_date64(kind):
        return UNITS["ms"]
    return UNITS.get(getattr(kind, "unit", ""), 0)


def _filled(times: pa.Array) -> pa.Array:
    """Times with 1970 for nulls."""
    if times.null_count == 0:
        return times
    narrow = pa.types.is_date32(times.type) or pa.types.is_time32(times.type)
    return times.cast(pa.int32() if narrow else pa.int64()).fill_null(0)


def _one_by_one(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Texts read as times where that is possible, null elsewhere; a slow path for columns with a mistake in them."""
    found = []
    for text in texts.to_pylist():
        try:
            found.append(_moment(text, kind)[0].as_py())
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            found.append(None)
    return pa.array(found, kind)


def _moment(value: Any, kind: pa.DataType) -> pa.Array:
    """One wished value as an Arrow array of a time type."""
    if isinstance(value, np.datetime64 | np.timedelta64):
        unit = "us" if isinstance(value, np.datetime64) and np.datetime_data(value)[0] in "YMWDhm" else None
        return pa.array(np.array([value if unit is None else value.astype(f"datetime64[{unit}]")])).cast(kind)
    if isinstance(value, str):
        if pa.types.is_time(kind):
            return pa.array([datetime.time.fromisoformat(value)]).cast(kind)
        if pa.types.is_timestamp(kind) and kind.tz:
            return pc.assume_timezone(pa.array([value]).cast(pa.timestamp(kind.unit)), kind.tz)
        return pa.array([value]).cast(pa.timestamp("us")).cast(kind)
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return pa.array([value], pa.date32()).cast(pa.timestamp("us")).cast(kind)
    return pa.array([value]).cast(kind)
