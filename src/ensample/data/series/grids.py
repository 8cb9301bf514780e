"""Where the steps of a regular series lie: every so many seconds, months, or working days."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from ensample.data.series.times import DAY, Axis
from ensample.errors import FormatError, InputError

USUAL = 0.5
"""A series is regular if at least so many of its steps follow each other at once."""

NEAR = 1e-3
"""How far from its place a time that is a decimal fraction may lie, in steps."""

FEWEST_DAYS = 10
"""So many days without a Saturday or Sunday are taken to be working days."""

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3_600, "d": DAY, "w": 7 * DAY}
_MONTHS = {"mo": 1, "q": 3, "y": 12}
_WORDS = ((7 * DAY, "week"), (DAY, "day"), (3_600, "hour"), (60, "minute"), (1, "second"), (1e-3, "millisecond"))


class Grid(Protocol):
    """Places 0, 1, 2, ... behind a first time."""

    name: ClassVar[str]

    def places(self, ticks: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """The place of each time, counted from its origin, float64 [rows]; whole where it is on the grid."""
        ...

    def ticks(self, places: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Inverse of `places` for whole ones; both broadcast."""
        ...

    def describe(self, axis: Axis) -> str:
        """The step in words: "1 hour"."""
        ...

    def days(self, axis: Axis) -> float | None:
        """About how many days a step is; None where times are mere numbers."""
        ...


@dataclass(frozen=True)
class Even(Grid):
    """Every `step` ticks.

    Example:
        >>> Even(60).places(np.array([120, 240]), np.array([60])).tolist()
        [1.0, 3.0]
    """

    step: float

    name: ClassVar[str] = "even"

    def places(self, ticks: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """(time - origin) / step."""
        return np.asarray((ticks - origin) / self.step, np.float64)

    def ticks(self, places: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Origin + place x step."""
        return np.asarray(origin + np.asarray(places) * self.step)

    def describe(self, axis: Axis) -> str:
        """In the largest unit that divides it."""
        if axis.per_second is None:
            return f"{self.step:g}"
        seconds = self.step / axis.per_second
        size, unit = next(((s, u) for s, u in _WORDS if seconds >= s and seconds % s == 0), (1, "second"))
        return f"{seconds / size:g} {unit}" + ("s" if seconds / size != 1 else "")

    def days(self, axis: Axis) -> float | None:
        """Exactly."""
        return None if axis.per_second is None else self.step / axis.per_second / DAY


@dataclass(frozen=True)
class Months(Grid):
    """Every `months` months, on the same day of the month as the origin, or on the last one.

    Arguments:
        months: of one step.
        per_day: ticks of a day.
        last: whether times are the last day of their month.
    """

    months: int
    per_day: float
    last: bool

    name: ClassVar[str] = "months"

    def places(self, ticks: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Months between; not whole where the day or the time of day differs."""
        (month, rest), (first, offset) = self._parts(ticks), self._parts(origin)
        away = np.where(rest == offset, 0.0, 0.5 / self.months)
        return np.asarray((month - first) / self.months + away, np.float64)

    def ticks(self, places: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """The same day, so many months on."""
        first, offset = self._parts(origin)
        return np.asarray(self._edges(first + np.asarray(places).astype(np.int64) * self.months) + offset)

    def _parts(self, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(months since 1970, ticks behind the first day of that month, or behind the last)."""
        days = np.floor_divide(ticks, self.per_day).astype("int64").astype("datetime64[D]")
        month = days.astype("datetime64[M]").astype(np.int64)
        return month, ticks - self._edges(month)

    def _edges(self, month: np.ndarray) -> np.ndarray:
        """Ticks of the first day of a month, or of the last."""
        edge = (month + 1 if self.last else month).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        return np.asarray(np.round((edge - 1 if self.last else edge) * self.per_day)).astype(np.int64)

    def describe(self, axis: Axis) -> str:
        """In months or years."""
        count, unit = (self.months, "month") if self.months % 12 else (self.months // 12, "year")
        return f"{count} {unit}" + ("s" if count != 1 else "")

    def days(self, axis: Axis) -> float | None:
        """30 to a month."""
        return 30.0 * self.months


@dataclass(frozen=True)
class WorkingDays(Grid):
    """Every day from Monday to Friday, at the time of day of the origin.

    Arguments:
        per_day: ticks of a day.

    Example:
        >>> days = np.array(["2024-05-03", "2024-05-06"], "datetime64[D]").astype(int)  # a Friday and a Monday
        >>> WorkingDays(1).places(days, days[:1]).tolist()
        [0.0, 1.0]
    """

    per_day: float

    name: ClassVar[str] = "working days"

    def places(self, ticks: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """Working days between; not whole on a week-end, or where the time of day differs."""
        (day, rest), (first, offset) = self._parts(ticks), self._parts(origin)
        first = np.broadcast_to(first, day.shape)
        away = (rest != offset) | ~np.is_busday(day)
        return np.asarray(np.busday_count(first, day) + np.where(away, 0.5, 0.0), np.float64)

    def ticks(self, places: np.ndarray, origin: np.ndarray) -> np.ndarray:
        """So many working days on."""
        first, offset = self._parts(origin)
        days = np.busday_offset(first, np.asarray(places).astype(np.int64), roll="backward").astype(np.int64)
        return np.asarray(np.round(days * self.per_day).astype(np.int64) + offset)

    def _parts(self, ticks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        days = np.floor_divide(ticks, self.per_day).astype(np.int64)
        return days.astype("datetime64[D]"), ticks - np.round(days * self.per_day).astype(np.int64)

    def describe(self, axis: Axis) -> str:
        """That."""
        return "1 working day"

    def days(self, axis: Axis) -> float | None:
        """One."""
        return 1.0


GRIDS: dict[str, type[Any]] = {grid.name: grid for grid in (Even, Months, WorkingDays)}
"""By name, as a stored plan says it."""


def to_plain(grid: Grid) -> dict[str, Any]:
    """As JSON values."""
    return {"grid": grid.name, **asdict(grid)}  # type: ignore[call-overload]


def from_plain(facts: dict[str, Any]) -> Grid:
    """Inverse of `to_plain`. Raises FormatError for what is none."""
    try:
        made: Grid = GRIDS[facts["grid"]](**{name: fact for name, fact in facts.items() if name != "grid"})
    except (KeyError, TypeError) as error:
        raise FormatError("A stored series must be whole.", "its steps", str(error), "write it anew") from error
    return made


def detected(ticks: np.ndarray, firsts: np.ndarray, axis: Axis) -> Grid | None:
    """The grid of times [rows] that ascend within units, which begin at rows `firsts`; None if they have none.

    Tried in turn: months, working days, and the shortest time between two steps. All times must lie on it, and half of
    the steps or more follow each other at once.
    """
    between = np.diff(ticks)
    between = np.delete(between, firsts[1:] - 1) if len(firsts) > 1 else between
    if not len(between):
        return Even(1)
    return next((grid for grid in _candidates(ticks, between, axis) if _fits(grid, ticks, firsts)), None)


def _candidates(ticks: np.ndarray, between: np.ndarray, axis: Axis) -> list[Grid]:
    """Grids that these times may lie on, the most telling first."""
    out: list[Grid] = []
    shortest = between.min()
    if axis.dated and axis.per_second is not None:
        per_day = axis.per_second * DAY
        per_day = round(per_day) if per_day >= 1 else per_day
        if shortest >= 28 * per_day and len(between) > 1:
            months = np.floor_divide(ticks, per_day).astype(np.int64).astype("datetime64[D]").astype("datetime64[M]")
            apart = np.diff(np.unique(months.astype(np.int64)))
            out += [Months(int(np.gcd.reduce(apart)), per_day, last) for last in (False, True) if len(apart)]
        if shortest == per_day and len(ticks) >= FEWEST_DAYS:
            out.append(WorkingDays(per_day))
    if between.dtype.kind == "f":  # the shortest is as inexact as any
        shortest = np.median(between / np.round(between / shortest))
    out.append(Even(float(shortest) if between.dtype.kind == "f" else int(shortest)))
    return out


def _fits(grid: Grid, ticks: np.ndarray, firsts: np.ndarray) -> bool:
    counts = np.diff(np.append(firsts, len(ticks)))
    places = grid.places(ticks, np.repeat(ticks[firsts], counts))
    if (np.abs(places - np.round(places)) > NEAR).any():
        return False
    steps = np.diff(np.round(places))
    steps = np.delete(steps, firsts[1:] - 1) if len(firsts) > 1 else steps
    return bool((steps == 1).mean() >= USUAL)


def asked(step: str | float, axis: Axis) -> Grid:
    """The grid that a user names: "15min", "1h", "1d", "1b" (working days), "1mo", "1q", "1y", or a number.

    Raises:
        InputError: the words say nothing, or say a time where the column holds mere numbers.

    Example:
        >>> import pyarrow as pa
        >>> asked("15min", Axis(pa.timestamp("s")))
        Even(step=900)
    """
    if isinstance(step, int | float | np.number) and not isinstance(step, bool) and step > 0:
        return Even(step)
    match = re.fullmatch(r"(\d*)\s*([a-z]+)", str(step).strip().lower())
    count, unit = (int(match[1] or 1), match[2]) if match else (0, "")
    per = axis.per_second
    if count and per is not None:
        if unit in _UNITS and count * _UNITS[unit] * per == round(count * _UNITS[unit] * per):
            return Even(round(count * _UNITS[unit] * per))
        if axis.dated and unit in _MONTHS:
            return Months(count * _MONTHS[unit], per * DAY if per * DAY < 1 else round(per * DAY), False)
        if axis.dated and unit == "b" and count == 1:
            return WorkingDays(round(per * DAY))
    fix = 'say "15min", "1h", "1d", "1b", "1mo", "irregular", or a number of the units of the time column'
    raise InputError("The step of a series is a time or a number.", "step", repr(step), fix)
