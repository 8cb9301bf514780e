"""Constants: one value in every row, or none at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.errors import InputError
from ensample.events import Discrete, Span
from ensample.kinds.arrow import is_missing, plain, type_from_text, typed, value_type
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible, never_seen, priced
from ensample.kinds.profile import Profile
from ensample.kinds.records import ABSENT


@dataclass(frozen=True)
class Constant:
    """One value, and perhaps missing rows: then there is one Discrete span, 0 for the value and 1 for missing.

    Arguments:
        dtype: Arrow type of the column, as text.
        value: the value as text (of its integer for times), None if every row is missing.
        missing: whether some rows are missing and others are not.
        unseen: probability of any other value.

    Example:
        >>> Constant.fit(Profile.of(pa.array(["EUR", "EUR"]))).describe()
        'always EUR'
    """

    dtype: str
    value: str | None
    missing: bool
    unseen: float

    name: ClassVar[str] = "constant"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """At most one value."""
        return 1.0 if profile.distinct is not None and profile.distinct <= 1 else 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Remember the value."""
        if profile.values is None or len(profile.values) > 1:
            raise cannot_be(profile, "constant", "more than one value", "leave the kind to be recognised")
        value = None if profile.present == 0 else _text(profile.values)
        partly = value is not None and profile.missing > 0
        return cls(str(profile.dtype), value, partly, never_seen(profile))

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    def spans(self, field: str) -> tuple[Span, ...]:
        """None, or whether the value is missing."""
        return (Span(field, Discrete(2)),) if self.missing else ()

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """0 for the value, 1 for missing, ABSENT for another value: [rows, 0 or 1]."""
        if not self.missing:
            return np.zeros((len(column), 0), np.int64)
        gone = is_missing(column)
        return np.where(gone, 1, np.where(self._is_value(column), 0, ABSENT))[:, None]

    def _is_value(self, column: pa.Array) -> np.ndarray:
        """Which rows hold the value (or are missing, where every row is), bool [rows]."""
        values = plain(column)
        gone = is_missing(values)
        if self.value is None:
            return gone
        try:
            one = plain(self._value())
            same = pc.fill_null(pc.equal(values.cast(one.type), one[0]), False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return np.zeros(len(values), dtype=bool)
        return np.asarray(same.to_numpy(zero_copy_only=False) & ~gone)

    def _value(self) -> pa.Array:
        return _restore(self.value, value_type(self.type))

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """The value in every row that is not missing."""
        if self.value is None:
            return pa.nulls(len(table), self.type)
        gone = table[:, 0] != 0 if self.missing else np.zeros(len(table), dtype=bool)
        indices = pa.array(np.zeros(len(table), np.int64), mask=gone)
        return typed(self._value().take(indices), self.type)

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of another value than the constant."""
        gone = is_missing(column)
        return priced(self.unseen, ~(self._is_value(column) | (gone & self.missing)))

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """Only what the field always is can be asked for."""
        states = set()
        for value in rule.values if rule.values is not None else (rule,):
            if value is None:
                states |= {1} if self.missing or self.value is None else set()
            elif self._agrees(value):
                states |= {0}
        if not states:
            raise impossible(field, f"this field is {self.describe()}", "leave the field out of the condition")
        return (tuple((s, s) for s in sorted(states)),) if self.missing else ()

    def _agrees(self, value: object) -> bool:
        try:
            if isinstance(value, Rule):
                one = plain(self._value())[0]
                above = value.low is None or pc.greater_equal(one, pa.scalar(value.low)).as_py()
                return bool(above and (value.high is None or pc.less_equal(one, pa.scalar(value.high)).as_py()))
            return self.value is not None and bool(self._is_value(pa.array([value]))[0])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            return False

    def present(self) -> Ranges | None:
        """The value."""
        return ((0, 0),) if self.missing else None

    def describe(self) -> str:
        """The value."""
        if self.value is None:
            return "always missing"
        shown = str(self._value()[0])
        return f"{shown} or missing" if self.missing else f"always {shown}"


def _by_integer(dtype: pa.DataType) -> bool:
    return pa.types.is_temporal(dtype) and not pa.types.is_date(dtype)


def _text(values: pa.Array) -> str:
    """One value as text."""
    if _by_integer(values.type):
        narrow = pa.types.is_time32(values.type)
        values = values.cast(pa.int32() if narrow else pa.int64())
    return str(values.cast(pa.string())[0].as_py())


def _restore(text: str | None, dtype: pa.DataType) -> pa.Array:
    """Inverse of `_text`: an array of one value."""
    texts = pa.array([text], pa.string())
    try:
        if _by_integer(dtype):
            return texts.cast(pa.int32() if pa.types.is_time32(dtype) else pa.int64()).cast(dtype)
        if pa.types.is_float16(dtype):
            return texts.cast(pa.float32())
        return texts.cast(dtype)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(
            "A constant must have its column's type.", "schema", f"{text!r}, {dtype}", "fit anew"
        ) from error
