"""Numbers: integers, floats and decimals, on the grid that is found in the data."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.kinds.arrow import decimals, is_missing, is_number, is_text, typed, value_type
from ensample.kinds.base import cannot_be, impossible, wrong_value
from ensample.kinds.grid import FINE_BITS, affine_grid, coarse_digits, fine_digits, ordered, unordered
from ensample.kinds.measured import Measured, numerators_of, supported_step
from ensample.kinds.profile import Profile
from ensample.kinds.trace import FloatTrace, IntegerTrace, from_grid, integers


@dataclass(frozen=True)
class Number(Measured):
    """A number is numerator / 10^digits (`bits` = 0), or a float rounded to `bits` binary digits after the first.

    Arguments:
        digits: decimals of the grid; negative for steps of tens, hundreds, ...
        bits: significant binary digits, 0 for a grid of equal steps.
        storage: precision in which floats are rounded last: "float64", "float32" or "float16"; "" for others.
        rounded: whether values of the training column were changed by at most half a cell to lie on the grid.
        origin, unit: where `unit` is not 0, a number is origin + numerator x unit: equal steps that start anywhere, as
            those of standardised integers do.

    Example:
        >>> carats = Number.fit(Profile.of(pa.array([0.23, 0.21, 0.61, 1.0, 0.7, 1.25])))
        >>> carats.encode(pa.array([0.61]), "carat").tolist()
        [[40]]
        >>> carats.decode(np.array([[40]]), np.random.default_rng(0)).to_pylist()
        [0.61]
    """

    digits: int = 0
    bits: int = 0
    storage: str = ""
    rounded: bool = False
    origin: float = 0.0
    unit: float = 0.0

    name: ClassVar[str] = "number"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Any column of numbers with at least three values."""
        kind = profile.dtype
        if not is_number(kind) or profile.present == 0:
            return 0.0
        return 0.8 if profile.distinct is None or profile.distinct > 2 else 0.4

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Find the grid, then the shape on it."""
        if not is_number(value_type(profile.dtype)):
            raise cannot_be(profile, "number", f"values of type {profile.dtype}", "turn the column into numbers first")
        if profile.present == 0:
            raise cannot_be(profile, "number", "no value at all", 'leave it to be "constant"')
        trace = profile.trace
        if isinstance(trace, FloatTrace):
            return cls._of_floats(profile, trace)
        assert isinstance(trace, IntegerTrace) and trace.low is not None and trace.high is not None
        step = _step(trace, integers(profile.sample, profile.name))
        digits = value_type(profile.dtype).scale if pa.types.is_decimal(value_type(profile.dtype)) else 0
        return cls._of(profile, trace.low, trace.high, step, {"digits": digits})

    @classmethod
    def _of_floats(cls, profile: Profile, trace: FloatTrace) -> Self:
        grid = trace.grid
        storage = np.dtype(grid.storage).name if grid is not None else "float32" if trace.single else trace.storage
        values = profile.sample.to_numpy(zero_copy_only=False).astype(np.float64)
        coarse = coarse_digits(values, None if grid is None else grid.digits, storage)
        if grid is not None and coarse is None and grid.trace.low is not None and grid.trace.high is not None:
            step = _step(grid.trace, np.rint(values * 10.0**grid.digits))
            facts = {"digits": grid.digits, "storage": storage, "rounded": not grid.exact}
            return cls._of(profile, grid.trace.low, grid.trace.high, step, facts)
        if coarse is None and (steps := affine_grid(values, storage)) is not None:
            origin, unit = steps
            low, high = (round((end - origin) / unit) for end in (trace.low, trace.high))
            facts = {"origin": origin, "unit": unit, "storage": storage, "rounded": True}
            return cls._of(profile, low, high, 1, facts)
        digits = fine_digits(values, trace.low, trace.high, storage) if coarse is None else coarse
        if digits is not None:
            low, high = (round(Decimal(end).scaleb(digits)) for end in (trace.low, trace.high))
            return cls._of(profile, low, high, 1, {"digits": digits, "storage": storage, "rounded": True})
        bits = FINE_BITS[storage]
        ends = ordered(np.array([trace.low, trace.high]), bits)
        facts = {"bits": bits, "storage": storage, "rounded": storage != "float32"}
        return cls._of(profile, int(ends[0]), int(ends[1]), 1, facts)

    def _numerators(self, column: pa.Array, field: str) -> tuple[np.ndarray, np.ndarray]:
        valid = ~is_missing(column)
        column = _as_number(column, field)
        if pa.types.is_decimal(column.type) and not (
            pa.types.is_decimal(self.type) and column.type.scale == self.digits
        ):
            column = column.cast(pa.float64())
        if pa.types.is_floating(column.type):
            values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
            _refuse_infinite(values, field)
            return self._of_float_values(values), valid
        filled = column.fill_null(0) if column.null_count else column
        if self.storage or (self.digits and not pa.types.is_decimal(column.type)):
            return self._of_float_values(filled.to_numpy(zero_copy_only=False).astype(np.float64)), valid
        return integers(filled, field), valid

    def _of_float_values(self, values: np.ndarray) -> np.ndarray:
        if self.bits:
            return ordered(values, self.bits)
        if self.unit:
            return np.rint((values - self.origin) / self.unit)
        return np.rint(values * 10.0**self.digits if self.digits >= 0 else values / 10.0**-self.digits)

    def _values(self, cells: np.ndarray, valid: np.ndarray) -> pa.Array:
        dtype, mask = self.type, ~valid
        plain_type = value_type(dtype)
        if self.storage:
            return typed(pa.array(self._floats(cells), mask=mask), dtype)
        whole = numerators_of(cells, self.low, self.step)
        if pa.types.is_decimal(plain_type):
            return typed(decimals(whole.view(np.int64), valid, plain_type), dtype)
        if pa.types.is_uint64(plain_type):
            return typed(pa.array(np.where(valid, whole, 0), mask=mask), dtype)
        return typed(pa.array(np.where(valid, whole.view(np.int64), 0), mask=mask), dtype)

    def _floats(self, cells: np.ndarray) -> np.ndarray:
        """Values of cells in the precision of the column; beyond the largest float, the largest float."""
        if self.bits:
            values = unordered(cells + self.low, self.bits)
        elif self.unit:
            values = self._affine(self.low + cells.astype(np.float64) * self.step)
        else:
            values = from_grid(self.low + cells.astype(np.float64) * self.step, self.digits, self.storage)
        kind = value_type(self.type)
        target = np.float64 if pa.types.is_float64(kind) else np.float32
        most = np.finfo(np.float16 if pa.types.is_float16(kind) else target).max
        finite = np.nan_to_num(values, nan=0.0, posinf=float(most), neginf=-float(most))
        return np.asarray(finite.astype(target))

    def _affine(self, numerators: np.ndarray) -> np.ndarray:
        """Values of the grid that starts at `origin`, in the precision of the column."""
        with np.errstate(over="ignore"):
            return np.asarray((self.origin + self.unit * numerators).astype(self.storage).astype(np.float64))

    def _numerator(self, value: Any, field: str) -> float | int:
        if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | Decimal | np.number):
            raise impossible(field, f"{value!r} is not a number", "give a number, a set of numbers, or a range")
        if self.bits:
            return int(ordered(np.array([float(value)]), self.bits)[0])
        if self.unit and math.isfinite(value):
            place = (float(value) - self.origin) / self.unit
            return round(place) if abs(place - round(place)) < 1e-4 else place
        exact = Decimal(repr(float(value))) if isinstance(value, float | np.floating) else Decimal(int(value))
        exact = value if isinstance(value, Decimal) else exact
        if not exact.is_finite():
            return float(exact)
        scaled = exact.scaleb(self.digits)
        return int(scaled) if scaled == scaled.to_integral_value() else float(scaled)

    def _any_cell_will_do(self) -> bool:
        return self.rounded or self.bits > 0

    def _zero(self) -> float:
        if self.bits:
            return 0.0
        return (-self.origin / self.unit if self.unit else 0.0) / self.step - self.low / self.step

    def _wall_below(self, cells: np.ndarray) -> int | None:
        """Zero is a wall where no value is below it and some are near it; itself excluded if it was never met."""
        wall = super()._wall_below(cells)
        if wall is not None or self.bits or self.unit or self.low < 0 or len(cells) == 0:
            return wall
        above = self.low // self.step  # cells from zero to the lowest value
        near = above <= 0.05 * (float(np.median(cells)) + above)
        return min(0, 1 - above) if near else None

    def _bounds(self) -> tuple[int, int]:
        kind = value_type(self.type)
        if pa.types.is_integer(kind):
            limits = np.iinfo(kind.to_pandas_dtype())
            return int(limits.min), int(limits.max)
        if pa.types.is_decimal(kind) and kind.precision < 19:
            return 1 - 10**kind.precision, 10**kind.precision - 1
        if self.bits:
            most = ordered(np.array([np.finfo(self.storage).max]), self.bits)[0]
            return -int(most), int(most)
        return super()._bounds()

    def _text(self, cell: int) -> str:
        if self.bits:
            return f"{unordered(np.array([cell + self.low]), self.bits)[0]:.6g}"
        if self.unit:
            return f"{self.origin + self.unit * (self.low + cell * self.step):.6g}"
        value = Decimal(self.low + cell * self.step).scaleb(-self.digits)
        return f"{float(value):.6g}" if self.rounded and self.digits > 6 else f"{value.normalize():f}"

    def describe(self) -> str:
        """The sort of number, its range, its step."""
        kind = value_type(self.type)
        sort = "integer" if pa.types.is_integer(kind) else "decimal" if pa.types.is_decimal(kind) else "number"
        return f"{sort}, {self.span_text()}{self._step_text()}{self._extras()}"

    def _step_text(self) -> str:
        if self.bits:
            return f", {self.bits * math.log10(2):.0f} significant digits kept"
        if self.unit:
            return f", in steps of {self.unit * self.step:.6g} from {self.origin:.6g}"
        step = Decimal(self.step).scaleb(-self.digits)
        if self.rounded and self.digits > 6:
            return f", no step found, kept to {step:.0e}"
        rounded = " (some rounded to it)" if self.rounded else ""
        return rounded if step == 1 else f", in steps of {step.normalize():f}{rounded}"


def _step(trace: IntegerTrace, numerators: np.ndarray) -> int:
    """The common divisor of a column, if enough different values speak for it; else its largest power of ten.

    Multiples of the next power of ten are multiples of any step below it: they say nothing.
    """
    power = max((p for p in _POWERS if trace.divisor % p == 0), default=1)
    distances = np.unique((numerators - trace.low) // power)
    return supported_step(trace.divisor, 1 + int((distances % 10 != 0).sum()), _POWERS)


_POWERS = tuple(10**power for power in range(1, 19))


def _as_number(column: pa.Array, field: str) -> pa.Array:
    if is_number(column.type):
        return column
    if pa.types.is_boolean(column.type):
        return column.cast(pa.int64())
    if pa.types.is_null(column.type):
        return column.cast(pa.float64())
    if is_text(column.type):
        return _read(pc.utf8_trim_whitespace(column), field)
    raise wrong_value("A number field needs numbers.", field, 0, str(column.type), "turn the column into numbers")


def _read(texts: pa.Array, field: str) -> pa.Array:
    """Numbers that texts spell: integers where all are, for floats would lose their last digits."""
    if pc.all(pc.match_substring_regex(texts, r"^-?\d{1,20}$")).as_py() is not False:
        for whole in (pa.int64(), pa.uint64()):
            with contextlib.suppress(pa.ArrowInvalid):
                return texts.cast(whole)
    readable = pc.fill_null(pc.match_substring_regex(texts, r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"), True)
    if pc.all(readable).as_py():
        return texts.cast(pa.float64())
    row = pc.index(readable, False).as_py()
    raise wrong_value("A number field needs numbers.", field, row, texts[row].as_py(), "correct the value")


def _refuse_infinite(values: np.ndarray, field: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        raise wrong_value("Numbers must be finite.", field, row, float(values[row]), "make it missing")
