"""Exact bounds and resolution of a column of numbers, gathered batch by batch.

Numbers in files lie on a grid: whole dollars, hundredths of a carat, thousands. An integer trace keeps the greatest
common divisor of all differences; a float trace keeps the number of decimals as well, and whether the values were
stored in single precision on the way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa

from ensample.errors import InputError
from ensample.kinds.arrow import unscaled

MOST_DIGITS = 22
"""10^22 is the largest power of ten that a float holds exactly."""

NOISE_ULPS = 4
"""Values this many units in the last place off a much coarser grid are taken to lie on it (0.1 + 0.2 is 0.3)."""


def integers(column: pa.Array, name: str = "column") -> np.ndarray:
    """The integers behind plain integers, decimals, dates and times without nulls, [rows] int64 (or uint64).

    Raises:
        InputError: a decimal has more than 18 digits, or the type has no integers behind it.
    """
    kind = column.type
    if pa.types.is_decimal(kind):
        numbers, fits = unscaled(column)
        if not fits.all():
            row = int(np.argmin(fits))
            raise InputError(
                "A decimal number must have at most 18 digits.",
                f"column {name!r}",
                str(column[row]),
                "round the column, or turn it into floats",
            )
        return numbers
    if pa.types.is_uint64(kind):
        return np.asarray(column.to_numpy())
    if pa.types.is_date32(kind) or pa.types.is_time32(kind):
        column = column.cast(pa.int32())
    return np.asarray(column.cast(pa.int64()).to_numpy())


class IntegerTrace:
    """Lowest and highest integer, and the greatest common divisor of all differences (0 while all are equal)."""

    def __init__(self) -> None:
        self.low: int | None = None
        self.high: int | None = None
        self.divisor = 0

    def add(self, present: pa.Array, name: str) -> bool:
        """Non-missing plain values; False if the column is not of this sort after all."""
        self.add_integers(integers(present, name))
        return True

    def add_integers(self, values: np.ndarray) -> None:
        """Int64 or uint64 [rows]."""
        low, high = int(values.min()), int(values.max())
        first = low if self.low is None else self.low
        if self.divisor != 1:
            distances = values.astype(np.uint64) - np.uint64(first % 2**64)  # modulo 2^64, then the sign put right
            distances = np.where(values < first, np.uint64(0) - distances, distances)
            self.divisor = math.gcd(self.divisor, int(np.gcd.reduce(distances)))
        self.low = min(first, low)
        self.high = high if self.high is None else max(self.high, high)


class TimeTrace(IntegerTrace):
    """An integer trace of dates and moments that also counts months, as long as all are the first moment of one."""

    def __init__(self, kind: pa.DataType) -> None:
        super().__init__()
        self.unit = calendar_unit(kind)
        self.months: IntegerTrace | None = IntegerTrace() if self.unit else None

    def add_integers(self, values: np.ndarray) -> None:
        """Int64 [rows]."""
        super().add_integers(values)
        if self.months is not None:
            months = to_months(values, self.unit)
            if np.array_equal(from_months(months, self.unit), values):
                self.months.add_integers(months)
            else:
                self.months = None


def calendar_unit(kind: pa.DataType) -> str:
    """NumPy's name for the unit of a date or of a moment without local time; "" for all other types."""
    if pa.types.is_date(kind):
        return "D" if pa.types.is_date32(kind) else "ms"
    return str(kind.unit) if pa.types.is_timestamp(kind) and kind.tz in (None, "UTC") else ""


def to_months(values: np.ndarray, unit: str) -> np.ndarray:
    """Months since January 1970 of counts since 1970, int64 [rows]."""
    return values.view(f"datetime64[{unit}]").astype("datetime64[M]").astype(np.int64)


def from_months(months: np.ndarray, unit: str) -> np.ndarray:
    """First moments of months, int64 [rows]."""
    return months.view("datetime64[M]").astype(f"datetime64[{unit}]").astype(np.int64)


class DecimalTrace:
    """Number of decimals and integer trace of floats that lie on a decimal grid, in one storage precision.

    `failed` is set as soon as one value lies on no grid; `exact` says that every value is the float nearest to its
    grid point, not just within rounding noise of it.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.digits, self.exact, self.failed = 0, True, False
        self.trace = IntegerTrace()

    def add(self, values: np.ndarray) -> None:
        """Finite floats, as float64 [rows]."""
        if self.failed or not _survives(values, self.storage) or not self._fits(values, self.digits):
            self.failed = True
            return
        rest = values
        digits = self.digits
        while True:
            on, exact = _on_grid(rest, digits, self.storage)
            rest = rest[~on]
            self.exact = self.exact and exact
            if len(rest) == 0:
                break
            digits += 1
            if digits > MOST_DIGITS or not self._fits(values, digits):
                self.failed = True
                return
        self._refine(digits - self.digits)
        self.digits = digits
        self.trace.add_integers(np.rint(values * 10.0**digits).astype(np.int64))

    def _fits(self, values: np.ndarray, digits: int) -> bool:
        """Whether the grid is no finer than the floats are."""
        return bool(np.abs(values).max() * 10.0**digits <= 2 / np.finfo(self.storage).eps)

    def _refine(self, more: int) -> None:
        """Go to a finer grid: all integers so far grow by a power of ten."""
        if more and self.trace.low is not None and self.trace.high is not None:
            factor = 10**more
            self.trace.low, self.trace.high = self.trace.low * factor, self.trace.high * factor
            self.trace.divisor *= factor
            self.failed = max(abs(self.trace.low), abs(self.trace.high)) > 2 / np.finfo(self.storage).eps


class FloatTrace:
    """Bounds of a float column, and its decimal grid, if it has one.

    `grid` is None where the values lie on no decimal grid.
    """

    def __init__(self, kind: pa.DataType) -> None:
        native = np.float64 if pa.types.is_float64(kind) else np.float16 if pa.types.is_float16(kind) else np.float32
        self.storage = np.dtype(native).name
        shorter = ["float64", "float32"] if native is np.float64 else [self.storage]
        self.candidates = [DecimalTrace(np.dtype(name)) for name in shorter]
        self.low, self.high = math.inf, -math.inf
        self.single = native is np.float64
        """Whether every value of a double column is a single-precision number."""

    @property
    def grid(self) -> DecimalTrace | None:
        """The decimal grid of all values so far: the native precision first."""
        return next((c for c in self.candidates if not c.failed), None)

    def add(self, present: pa.Array, name: str) -> bool:
        """Non-missing plain values."""
        values = np.asarray(present.to_numpy(), dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError(
                "Numbers must be finite.",
                f"column {name!r}",
                f"{int((~np.isfinite(values)).sum())} infinite values",
                "make them missing or give them a finite value",
            )
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.single = self.single and _survives(values, np.float32)
        for candidate in self.candidates:
            if not candidate.failed:
                candidate.add(values)
        return True


def from_grid(numerators: np.ndarray, digits: int, storage: str) -> np.ndarray:
    """The float nearest to numerator / 10^digits, rounded to the storage precision; float64 [rows]."""
    values = numerators / 10.0**digits if digits >= 0 else numerators * 10.0**-digits
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(storage).astype(np.float64))


def _survives(values: np.ndarray, storage: Any) -> bool:
    """Whether values can be stored in this precision without change."""
    with np.errstate(over="ignore"):
        return bool((values.astype(storage) == values).all())


def _on_grid(values: np.ndarray, digits: int, storage: Any) -> tuple[np.ndarray, bool]:
    """Which floats lie on the grid of 10^-digits, and whether all of those are exactly their grid points."""
    if len(values) == 0:
        return np.ones(0, dtype=bool), True
    nearest = from_grid(np.rint(values * 10.0**digits), digits, np.dtype(storage).name)
    same = nearest == values
    last_place = np.spacing(np.abs(values).astype(storage)).astype(np.float64)
    near = (nearest != 0) & (np.abs(nearest - values) <= NOISE_ULPS * last_place) & (1000 * last_place <= 10.0**-digits)
    on = same | near
    return on, bool(same[on].all())
