"""Kinds that measure: integers on a grid `low + k * step`, with spikes, bounds, missing values and a lattice."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.events import Continuous, Discrete, Lattice, Span
from ensample.kinds.arrow import plain, type_from_text
from ensample.kinds.base import Ranges, Rule, impossible, never_seen, priced
from ensample.kinds.profile import Profile
from ensample.kinds.records import ABSENT
from ensample.kinds.shape import fit_lattice, hard_bound, spikes

FAR = 2**62
"""Cells are kept within this distance of cell 0, so that their differences are int64 too."""


@dataclass(frozen=True)
class Measured(ABC):
    """Cell `k` of a column is the numerator `low + k * step`; a leaf says what a numerator stands for. Abstract.

    Arguments:
        dtype: Arrow type of the column, as text.
        low, step: numerators of cell 0 (the lowest value met) and between neighbours.
        high: highest cell met.
        floor, ceiling: cells beyond which nothing is decoded: hard bounds of the column, or None.
        spikes: cells that have a state of their own.
        missing: whether missing is a state.
        unseen: probability of a value that cannot be encoded (missing, where it is no state).
        shift, scale, center, knee: see `Lattice`; a knee of None is a straight lattice.
    """

    dtype: str
    low: int
    step: int
    high: int
    floor: int | None
    ceiling: int | None
    spikes: tuple[int, ...]
    missing: bool
    unseen: float
    shift: float
    scale: float
    center: float
    knee: float | None

    name: ClassVar[str]

    @classmethod
    def _of(cls, profile: Profile, low: int, high: int, step: int, extra: dict[str, Any]) -> Self:
        """Measure the shape on the sample, on a grid from numerator `low` to `high`."""
        step = max(step, -(-(high - low) // FAR))
        blank = {"spikes": (), "floor": None, "ceiling": None, "shift": 0.0, "scale": 1.0, "center": 0.0, "knee": None}
        facts = {
            "dtype": str(profile.dtype),
            "low": low,
            "step": step,
            "high": (high - low) // step,
            "missing": profile.missing > 0,
            "unseen": never_seen(profile),
        }
        start = cls(**{**blank, **facts, **extra})
        cells = start._cells(profile.sample, profile.name)
        found = spikes(cells)
        rest = cells[~np.isin(cells, np.array(found, dtype=np.int64))]
        lattice = fit_lattice(rest, start.high)
        facts |= {
            "spikes": found,
            "floor": start._wall_below(cells),
            "ceiling": start.high if hard_bound(start.high - cells) else None,
            "shift": lattice.shift,
            "scale": lattice.scale,
            "center": lattice.center,
            "knee": lattice.knee if math.isfinite(lattice.knee) else None,
        }
        return cls(**{**facts, **extra})

    @abstractmethod
    def _numerators(self, column: pa.Array, field: str) -> tuple[np.ndarray, np.ndarray]:
        """Numerators (int64, uint64 or float64, 0 where null) and which rows have one, both [rows]."""

    @abstractmethod
    def _values(self, cells: np.ndarray, valid: np.ndarray) -> pa.Array:
        """Column of the training type from cells."""

    @abstractmethod
    def _numerator(self, value: Any, field: str) -> float | int:
        """Numerator of one wished value; a fraction where it lies between two."""

    @abstractmethod
    def _text(self, cell: int) -> str:
        """One value for people."""

    def _zero(self) -> float:
        """Cell position of the number 0."""
        return 0.0

    def _wall_below(self, cells: np.ndarray) -> int | None:
        """The cell below which no value can be, or None."""
        return 0 if hard_bound(cells) else None

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    @property
    def lattice(self) -> Lattice:
        """Real numbers behind the cells."""
        knee = math.inf if self.knee is None else self.knee
        return Lattice(0, self.high, self.shift, self.scale, self.center, knee, self._zero())

    @property
    def classes(self) -> int:
        """Number of states: a number, each spike, missing."""
        return 1 + len(self.spikes) + self.missing

    def spans(self, field: str) -> tuple[Span, ...]:
        """A state, if there is more than one, and the number that exists in the first of them."""
        number = Continuous(self.lattice)
        if self.classes == 1:
            return (Span(field, number),)
        return (Span(f"{field}:state", Discrete(self.classes)), Span(field, number, (0, (0,))))

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """State and cell of each value: [rows, 1 or 2] int64."""
        numerators, valid = self._numerators(plain(column), field)
        cells = np.where(valid, self._nearest(numerators), ABSENT)
        if self.classes == 1:
            return cells[:, None]
        state = np.zeros(len(cells), np.int64)
        if self.spikes:
            listed = np.array(self.spikes)
            place = np.searchsorted(listed, cells).clip(max=len(listed) - 1)
            state = np.where(listed[place] == cells, place + 1, 0)
        state[~valid] = self.classes - 1 if self.missing else ABSENT
        return np.stack([state, np.where(state == 0, cells, ABSENT)], 1)

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Values of cells; beyond a hard bound, the bound. Nothing is random here."""
        cells = np.array(table[:, -1])
        if self.classes > 1:
            for number, cell in enumerate(self.spikes, 1):
                cells[table[:, 0] == number] = cell
            if self.missing:
                cells[table[:, 0] == self.classes - 1] = ABSENT
        valid = cells != ABSENT
        low, high = self._reach()
        return self._values(np.where(valid, cells, 0).clip(low, high), valid)

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of a missing value where the column never had one."""
        return priced(self.unseen, self.encode(column, field)[:, 0] == ABSENT)

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """States and cells that the rule allows."""
        ranges, missing = self._wished(rule, field)
        if missing and not self.missing:
            raise impossible(field, "missing, but this field never was", "leave None out")
        if self.classes == 1:
            return (ranges,)
        inside = [i for i, c in enumerate(self.spikes, 1) if any(lo <= c <= hi for lo, hi in ranges)]
        only_spikes = all(lo == hi and lo in self.spikes for lo, hi in ranges)
        states = [*([] if only_spikes else [0]), *inside, *([self.classes - 1] if missing else [])]
        return tuple((s, s) for s in states), () if only_spikes else ranges

    def present(self) -> Ranges | None:
        """All states but missing."""
        return ((0, self.classes - 2),) if self.missing else None

    def _wished(self, rule: Rule, field: str) -> tuple[Ranges, bool]:
        """Cell ranges within those met in training, and whether missing is allowed."""
        if rule.values is None:
            low = -math.inf if rule.low is None else self._position(rule.low, field)
            high = math.inf if rule.high is None else self._position(rule.high, field)
            first, last = _whole(max(low, 0), up=True), _whole(min(high, self.high), up=False)
            if first > last:
                seen = f"a range from {rule.low} to {rule.high} holds none of the values met, {self.span_text()}"
                raise impossible(field, seen, "choose a range that meets it, with the smaller end first")
            return ((first, last),), False
        cells = [self._listed(value, field) for value in rule.values if value is not None]
        return tuple((c, c) for c in sorted(set(cells))), None in rule.values

    def _listed(self, value: Any, field: str) -> int:
        position = self._position(value, field)
        below, above = _whole(position, up=False), _whole(position, up=True)
        if not (0 <= position <= self.high):
            raise impossible(field, f"{value!r}, outside of the values met, {self.span_text()}", "choose one inside")
        if below == above or self._any_cell_will_do():
            return round(position)
        seen = f"{value!r}, but values come in steps: {self._text(below)}, {self._text(above)}"
        raise impossible(field, seen, "choose one of these, or a range")

    def _any_cell_will_do(self) -> bool:
        """Whether a wished value may be rounded to its cell."""
        return False

    def _position(self, value: Any, field: str) -> float | int:
        """Where a wished value lies among the cells: a whole number if it is one."""
        numerator = self._numerator(value, field)
        if isinstance(numerator, int) and (numerator - self.low) % self.step == 0:
            return (numerator - self.low) // self.step
        position = (numerator - self.low) / self.step
        if math.isinf(position):
            return position
        return round(position) if abs(position - round(position)) < 1e-6 else position

    def span_text(self) -> str:
        """Lowest and highest value met."""
        return f"{self._text(0)} to {self._text(self.high)}" if self.high else self._text(0)

    def _extras(self) -> str:
        listed = ", ".join(self._text(cell) for cell in self.spikes)
        walls = [side for side, wall in (("below", self.floor), ("above", self.ceiling)) if wall is not None]
        return (
            (f"; bounded {' and '.join(walls)}" if walls else "")
            + (f"; often {listed}" if listed else "")
            + ("; may be missing" if self.missing else "")
        )

    def _cells(self, column: pa.Array, field: str) -> np.ndarray:
        numerators, _ = self._numerators(plain(column), field)
        return self._nearest(numerators)

    def _nearest(self, numerators: np.ndarray) -> np.ndarray:
        """Cell nearest to each numerator, int64 [rows]: modulo 2^64, so that nothing overflows on the way."""
        if numerators.dtype.kind == "f":
            return np.rint((numerators - self.low) / self.step).clip(-FAR, FAR).astype(np.int64)
        above = numerators >= self.low
        low = np.uint64(self.low % 2**64)
        distance = np.where(above, numerators.astype(np.uint64) - low, low - numerators.astype(np.uint64))
        step = np.uint64(self.step)
        steps = distance // step + (distance % step > (step - np.uint64(1)) // np.uint64(2))
        cells = np.minimum(steps, np.uint64(FAR)).astype(np.int64)
        return np.where(above, cells, -cells)

    def _bounds(self) -> tuple[int, int]:
        """Lowest and highest numerator that the type can hold."""
        return -(2**63), 2**63 - 1

    def _reach(self) -> tuple[int, int]:
        """Lowest and highest cell that is decoded."""
        lowest, highest = self._bounds()
        low = max(-FAR, -((self.low - lowest) // self.step), -FAR if self.floor is None else self.floor)
        high = min(FAR, (highest - self.low) // self.step, FAR if self.ceiling is None else self.ceiling)
        return low, high


def numerators_of(cells: np.ndarray, low: int, step: int) -> np.ndarray:
    """`low + cells * step` modulo 2^64, uint64 [rows]."""
    return np.uint64(low % 2**64) + cells.astype(np.uint64) * np.uint64(step)


def _whole(position: float, *, up: bool) -> int:
    if math.isinf(position):
        return FAR if position > 0 else -FAR
    return int(math.ceil(position) if up else math.floor(position))


def supported_step(divisor: int, distinct: int | None, natural: Sequence[int] = ()) -> int:
    """The common divisor if it can hardly be chance, else 1.

    `distinct` random integers share a divisor g with probability g^-(distinct - 1): at most one in a million is
    accepted. Where few values were met, the largest of the `natural` steps that divides all of them is taken.
    """
    if divisor <= 1:
        return 1
    if distinct is None or (distinct >= 5 and (distinct - 1) * math.log(divisor) > math.log(1e6)):
        return divisor
    return max((n for n in natural if divisor % n == 0), default=1)
