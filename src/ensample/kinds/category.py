"""Categories: a value is one of a list of levels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.events import Discrete, Span
from ensample.kinds.arrow import is_missing, is_number, is_text, plain, type_from_text, typed, value_type
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible, never_seen, priced
from ensample.kinds.profile import MOST_LEVELS, Profile
from ensample.kinds.records import ABSENT


@dataclass(frozen=True)
class Category:
    """One Discrete span: a class per level, and one for missing where that occurs.

    Levels stand in natural order ("9" before "10"), those of an ordered dictionary in its own. A level that was never
    seen leaves the span unset; all such levels together are one event of probability `unseen`.

    Arguments:
        dtype: Arrow type of the column, as text.
        levels: every level met, as text.
        missing: whether missing is a class (the last).
        unseen: probability of a level never met, by Good and Turing.

    Example:
        >>> cut = Category.fit(Profile.of(pa.array(["Ideal", "Fair", "Ideal", None])))
        >>> cut.levels, cut.encode(pa.array(["Fair", "Perfect", None]), "cut").tolist() == [[0], [ABSENT], [2]]
        (('Fair', 'Ideal'), True)
    """

    dtype: str
    levels: tuple[str, ...]
    missing: bool
    unseen: float

    name: ClassVar[str] = "category"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Texts and dictionaries; numbers of which only two occur."""
        if profile.distinct is None or profile.present == 0 or not _can_be_levels(value_type(profile.dtype)):
            return 0.0
        if pa.types.is_dictionary(profile.dtype) or is_text(profile.dtype):
            return 0.7
        return 0.6 if profile.distinct == 2 and profile.rows >= 20 else 0.2

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """List the levels."""
        if not _can_be_levels(value_type(profile.dtype)):
            raise cannot_be(profile, "category", f"values of type {profile.dtype}", "leave the kind to be recognised")
        if profile.values is None:
            fix = 'say "identifier" if the values carry no information, or group rare levels'
            raise cannot_be(profile, "category", f"more than {MOST_LEVELS:,} levels", fix)
        if profile.present == 0:
            raise cannot_be(profile, "category", "no value at all", 'leave it to be "constant"')
        texts = profile.values.cast(pa.string()).to_pylist()
        if pa.types.is_dictionary(profile.dtype) and profile.dtype.ordered and profile.order is not None:
            place = {text: number for number, text in enumerate(profile.order)}
            texts.sort(key=lambda text: place.get(text, len(place)))
        else:
            texts.sort(key=natural)
        return cls(str(profile.dtype), tuple(texts), profile.missing > 0, never_seen(profile, profile.singletons))

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    @cached_property
    def _texts(self) -> pa.Array:
        return pa.array(self.levels, pa.string())

    @cached_property
    def _values(self) -> pa.Array:
        """Levels with the type of the values."""
        return self._texts.cast(value_type(self.type))

    def spans(self, field: str) -> tuple[Span, ...]:
        """One Discrete span."""
        return (Span(field, Discrete(len(self.levels) + self.missing)),)

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Number of each level: [rows, 1]."""
        if pa.types.is_dictionary(column.type):
            codes = self._codes(plain(column.dictionary))
            indices = column.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
            cells = codes[indices] if len(codes) else np.full(len(column), ABSENT)
        else:
            cells = self._codes(plain(column))
        gone = is_missing(column)
        return np.where(gone, len(self.levels) if self.missing else ABSENT, cells)[:, None]

    def _codes(self, values: pa.Array) -> np.ndarray:
        """Level number of plain values, ABSENT for those that are no level."""
        wanted = plain(self._values)
        if values.type != wanted.type:
            try:
                values = values.cast(wanted.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                values, wanted = values.cast(pa.string()), self._texts
        found = pc.index_in(values, value_set=wanted)
        return np.asarray(found.cast(pa.int64()).fill_null(int(ABSENT)).to_numpy(zero_copy_only=False))

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Levels by number. Nothing is random here."""
        cells = table[:, 0]
        gone = (cells == ABSENT) | (cells >= len(self.levels))
        indices = pa.array(np.where(gone, 0, cells), mask=gone)
        if pa.types.is_dictionary(self.type):
            indices = indices.cast(self.type.index_type)
            return pa.DictionaryArray.from_arrays(indices, self._values, ordered=self.type.ordered)
        return typed(plain(self._values).take(indices), self.type)

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of levels never seen."""
        return priced(self.unseen, self.encode(column, field)[:, 0] == ABSENT)

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """Classes that the rule allows."""
        if rule.values is None:
            return (_joined(self._between(rule, field)),)
        classes = [self._class_of(value, field) for value in rule.values]
        return (_joined(sorted(set(classes))),)

    def present(self) -> Ranges | None:
        """All levels."""
        return ((0, len(self.levels) - 1),) if self.missing else None

    def _class_of(self, value: Any, field: str) -> int:
        if value is None:
            if self.missing:
                return len(self.levels)
            raise impossible(field, "missing, but this field never was", "leave None out")
        try:
            code = int(self._codes(pa.array([value]))[0])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            code = int(ABSENT)
        if code != ABSENT:
            return code
        near = get_close_matches(str(value), self.levels[:10_000], n=5, cutoff=0.5) or list(self.levels[:8])
        more = "" if len(near) == len(self.levels) else ", ..."
        raise impossible(
            field,
            f"{value!r}, which is none of its {len(self.levels):,} levels",
            f"choose from {', '.join(near)}{more}",
        )

    def _between(self, rule: Rule, field: str) -> list[int]:
        if not is_number(value_type(self.type)):
            seen = f"a range ({rule.low!r}, {rule.high!r}), but levels are not in a known order"
            raise impossible(field, seen, "name the levels in a list")
        values = plain(self._values).cast(pa.float64()).to_numpy()
        low = -np.inf if rule.low is None else float(rule.low)
        high = np.inf if rule.high is None else float(rule.high)
        inside = np.flatnonzero((values >= low) & (values <= high)).tolist()
        if not inside:
            raise impossible(field, f"no level between {rule.low} and {rule.high}", f"choose from {self._some()}")
        return [int(i) for i in inside]

    def _some(self) -> str:
        return ", ".join(self.levels[:5]) + (", ..." if len(self.levels) > 5 else "")

    def describe(self) -> str:
        """How many levels, and the first of them."""
        return f"{len(self.levels):,} levels: {self._some()}" + ("; may be missing" if self.missing else "")


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key in which numbers inside texts count as numbers."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _can_be_levels(dtype: pa.DataType) -> bool:
    return is_text(dtype) or is_number(dtype) or pa.types.is_boolean(dtype) or pa.types.is_date(dtype)


def _joined(classes: list[int]) -> Ranges:
    """Ascending classes as ranges."""
    listed = np.array(classes)
    breaks = np.flatnonzero(np.diff(listed) > 1)
    starts, ends = np.r_[0, breaks + 1], np.r_[breaks, len(listed) - 1]
    return tuple((int(listed[a]), int(listed[b])) for a, b in zip(starts, ends, strict=True))
