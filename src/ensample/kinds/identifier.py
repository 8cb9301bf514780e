"""Identifiers: values that tell rows apart and nothing else. They are made afresh, never learned, never copied."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.events import Discrete, Span
from ensample.kinds.arrow import is_missing, is_number, is_text, type_from_text, typed, value_type
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible, never_seen, priced
from ensample.kinds.patterns import UUID, Numbered, filled, numbered, templates, uuids
from ensample.kinds.profile import Profile
from ensample.kinds.trace import FloatTrace, IntegerTrace

NAMES = r"(?i:(^|[^a-z])(id|ids|uid|uuid|guid|key|index|idx|no|nr|number|serial|rownames|unnamed: ?\d+)$)|[a-z](ID|Id)$"
"""Names of columns that speak for an identifier."""

FEWEST_ROWS = 20
"""A shorter column is never taken for an identifier by itself."""


@dataclass(frozen=True)
class Identifier:
    """Nothing is learned but the form: no span, or one that tells whether the value is missing.

    Arguments:
        dtype: Arrow type of the column, as text.
        form: "sequence" (goes on after the last), "integer" (any in the range), "uuid", or "text".
        low, high: range of the integers, or of the digits of a sequence of texts.
        width: digits of the number in a sequence of texts, 0 for a sequence of integers.
        shapes: patterns of texts (see `patterns.templates`); of a sequence what stands before and after the number.
        weights: how often each pattern occurs.
        prose: whether the texts look like words rather than codes.
        missing: whether some rows are missing.
        unseen: probability of missing where it never was.

    Example:
        >>> codes = Identifier.fit(Profile.of(pa.array([f"AB-{i:04}" for i in range(1, 100)])))
        >>> codes.decode(np.zeros((2, 0), np.int64), np.random.default_rng(0)).to_pylist()
        ['AB-0100', 'AB-0101']
    """

    dtype: str
    form: str
    low: int
    high: int
    width: int
    shapes: tuple[str, ...]
    weights: tuple[int, ...]
    prose: bool
    missing: bool
    unseen: float

    name: ClassVar[str] = "identifier"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Values that nearly never repeat and are not a measurement."""
        if profile.present < FEWEST_ROWS or _distinct_share(profile) < 0.95:
            return 0.0
        kind = value_type(profile.dtype)
        if is_text(kind):
            return 0.9
        bounds = _whole_bounds(profile)
        return 0.9 if bounds is not None and _tells_nothing(profile, *bounds) else 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Find the form."""
        kind = value_type(profile.dtype)
        common: dict[str, Any] = {
            "dtype": str(profile.dtype),
            "missing": profile.missing > 0,
            "unseen": never_seen(profile),
        }
        if profile.present == 0:
            raise cannot_be(profile, "identifier", "no value at all", 'leave it to be "constant"')
        if is_text(kind):
            return cls(**_text_form(profile), **common)
        bounds = _whole_bounds(profile)
        if bounds is None:
            raise cannot_be(profile, "identifier", f"values of type {profile.dtype}", "use whole numbers or texts")
        low, high = bounds
        form = "sequence" if _dense(profile, low, high) else "integer"
        return cls(form=form, low=low, high=high, width=0, shapes=(), weights=(), prose=False, **common)

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    def spans(self, field: str) -> tuple[Span, ...]:
        """None, or whether the value is missing."""
        return (Span(field, Discrete(2)),) if self.missing else ()

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """0 for a value, 1 for missing: [rows, 0 or 1]."""
        if not self.missing:
            return np.zeros((len(column), 0), np.int64)
        return is_missing(column).astype(np.int64)[:, None]

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Fresh values in the form of the column."""
        gone = table[:, 0] != 0 if self.missing else np.zeros(len(table), dtype=bool)
        made = self._made(int((~gone).sum()), rng, first)
        place = pa.array(np.where(gone, 0, np.cumsum(~gone) - 1), mask=gone)
        return typed(made.take(place) if len(made) else pa.nulls(len(table), made.type), self.type)

    def _made(self, rows: int, rng: np.random.Generator, first: int) -> pa.Array:
        if self.form == "uuid":
            return uuids(rows, rng, upper=bool(self.low))
        if self.form == "text":
            return filled(rows, rng, self.shapes, self.weights)
        if self.width:
            before, after = self.shapes
            return Numbered(before, self.width, after, self.low, self.high).texts(self.high + 1 + first, rows)
        return self._integers(rows, rng, first)

    def _integers(self, rows: int, rng: np.random.Generator, first: int) -> pa.Array:
        kind = value_type(self.type)
        unsigned = pa.types.is_uint64(kind)
        most = np.iinfo(kind.to_pandas_dtype()).max if pa.types.is_integer(kind) else 2**53
        start = self.high + 1 + first
        if self.form == "sequence" and start + rows <= most:
            return pa.array(
                np.uint64(start) + np.arange(rows, dtype=np.uint64) if unsigned else start + np.arange(rows)
            )
        return pa.array(_distinct(rows, rng, self.low, self.high))

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of a missing value where the column never had one; the values themselves carry no price."""
        gone = is_missing(column)
        return priced(self.unseen, gone & (not self.missing))

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """Only missing can be asked for."""
        if rule.values == (None,) and self.missing:
            return (((1, 1),),)
        fix = 'leave the field out of the condition, or read it with kinds={"' + field + '": "category"}'
        raise impossible(field, "an identifier: its values are made afresh, not learned", fix)

    def present(self) -> Ranges | None:
        """A value."""
        return ((0, 0),) if self.missing else None

    def describe(self) -> str:
        """The form, and that it is not learned."""
        if self.form == "uuid":
            shown = "UUIDs"
        elif self.form == "text":
            sort = "free text, nearly all different" if self.prose else "codes"
            shown = f"{sort}, such as {filled(1, np.random.default_rng(0), self.shapes, self.weights)[0].as_py()!r}"
        elif self.form == "sequence":
            shown = f"sequence, goes on after {self.high}"
        else:
            shown = f"integers, {self.low} to {self.high}"
        note = "made up letter by letter" if self.prose else "made afresh"
        return f"{shown}: not learned, {note}" + ("; may be missing" if self.missing else "")


def _distinct_share(profile: Profile) -> float:
    """Share of distinct values among the non-missing rows; of the sample where there are too many to count."""
    if profile.distinct is not None:
        return profile.distinct / profile.present
    return float(pc.count_distinct(profile.sample).as_py() / len(profile.sample))


def _whole_bounds(profile: Profile) -> tuple[int, int] | None:
    """Lowest and highest integer of a column of whole numbers, or None."""
    trace = profile.trace
    if isinstance(trace, FloatTrace):
        grid = trace.grid
        trace = grid.trace if grid is not None and grid.digits == 0 and grid.exact else None
    kind = value_type(profile.dtype)
    if not isinstance(trace, IntegerTrace) or not is_number(kind) or pa.types.is_decimal(kind):
        return None
    return None if trace.low is None or trace.high is None else (trace.low, trace.high)


def _dense(profile: Profile, low: int, high: int) -> bool:
    """Whether the integers nearly fill their range."""
    return profile.present * _distinct_share(profile) > 0.5 * (high - low + 1)


def _tells_nothing(profile: Profile, low: int, high: int) -> bool:
    """Whether distinct integers are a sequence, are called an identifier, or are spread evenly over a vast range."""
    if _distinct_share(profile) < 0.99:
        return False
    if _dense(profile, low, high) or re.search(NAMES, profile.name):
        return True
    share = (np.sort(profile.sample.to_numpy(zero_copy_only=False).astype(np.float64)) - low) / max(high - low, 1)
    uniform = (np.arange(len(share)) + 0.5) / len(share)
    return high - low > 10**9 and bool(np.abs(share - uniform).max() < 1.63 / np.sqrt(len(share)))  # Kolmogorov, 1 %


def _text_form(profile: Profile) -> dict[str, Any]:
    """Form, range and patterns of a column of texts."""
    texts = profile.sample.to_pylist()
    if all(re.match(UUID, text) for text in texts):
        return {**_form("uuid"), "low": int(any(c.isupper() for c in texts[0]))}
    if (found := numbered(texts, profile.present)) is not None:
        facts = {"low": found.low, "high": found.high, "width": found.width}
        return {**_form("sequence"), **facts, "shapes": (found.before, found.after)}
    shapes, weights = templates(texts)
    words = float(np.mean([" " in text.strip() for text in texts]))
    return {**_form("text"), "shapes": shapes, "weights": weights, "prose": words > 0.5}


def _form(form: str) -> dict[str, Any]:
    return {"form": form, "low": 0, "high": 0, "width": 0, "shapes": (), "weights": (), "prose": False}


def _distinct(rows: int, rng: np.random.Generator, low: int, high: int) -> np.ndarray:
    """Distinct integers of the range, in random order; repeated only if there are more rows than integers."""
    if high - low < 4 * rows:
        pool = np.arange(low, high + 1)
        return rng.permutation(np.resize(pool, max(rows, len(pool))))[:rows]
    kind = np.uint64 if high > 2**63 - 1 else np.int64
    made = np.zeros(0, kind)
    while len(made) < rows:
        made = np.unique(np.r_[made, rng.integers(low, high, rows, kind, endpoint=True)])
    return np.asarray(rng.permutation(made)[:rows])
