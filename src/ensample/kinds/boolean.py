"""Booleans: truths, zeros and ones, yes and no."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.events import Span
from ensample.kinds.arrow import is_text, value_type
from ensample.kinds.base import Ranges, Rule, cannot_be, never_seen
from ensample.kinds.category import Category
from ensample.kinds.profile import Profile

PAIRS = (("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t"), ("0", "1"), ("off", "on"))
"""Texts that are read as (false, true), in any case of letters."""


@dataclass(frozen=True)
class Boolean:
    """A category of two levels, false before true, written as the column writes them.

    Arguments:
        dtype: Arrow type of the column, as text.
        no, yes: how false and true are written.
        missing: whether missing is a class (the last).
        unseen: probability of a value never met.

    Example:
        >>> air = Boolean.fit(Profile.of(pa.array(["yes", "no", "no"])))
        >>> air.encode(pa.array(["yes"]), "air").tolist(), air.limits(Rule((True,)), "air")
        ([[1]], (((1, 1),),))
    """

    dtype: str
    no: str
    yes: str
    missing: bool
    unseen: float

    name: ClassVar[str] = "boolean"

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Two values that are a known pair."""
        if pa.types.is_boolean(value_type(profile.dtype)):
            return 1.0 if profile.present else 0.0
        return 0.9 if profile.distinct == 2 and _pair(profile) else 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Remember how false and true are written."""
        pair = _pair(profile)
        if pair is None:
            raise cannot_be(profile, "boolean", "other values than a known pair", "say category")
        return cls(str(profile.dtype), *pair, profile.missing > 0, never_seen(profile))

    @cached_property
    def _category(self) -> Category:
        return Category(self.dtype, (self.no, self.yes), self.missing, self.unseen)

    def spans(self, field: str) -> tuple[Span, ...]:
        """One Discrete span of two classes, and one for missing."""
        return self._category.spans(field)

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """0 for false, 1 for true: [rows, 1]."""
        return self._category.encode(column, field)

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Inverse of `encode`."""
        return self._category.decode(table, rng)

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of values never seen."""
        return self._category.log_volume(column, field)

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """Truths stand for themselves, however the column writes them."""
        if rule.values is not None:
            rule = replace(rule, values=tuple(self._written(value) for value in rule.values))
        return self._category.limits(rule, field)

    def _written(self, value: Any) -> Any:
        return (self.yes if value else self.no) if isinstance(value, bool | np.bool_) else value

    def present(self) -> Ranges | None:
        """False and true."""
        return self._category.present()

    def describe(self) -> str:
        """How false and true are written."""
        return f"{self.no} or {self.yes}" + ("; may be missing" if self.missing else "")


def _pair(profile: Profile) -> tuple[str, str] | None:
    """How false and true are written, if the values met belong to one known pair."""
    if profile.values is None or not 1 <= len(profile.values) <= 2:
        return None
    kind = value_type(profile.dtype)
    if not (is_text(kind) or pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    met = profile.values.cast(pa.string()).to_pylist()
    if pa.types.is_boolean(kind):
        return "false", "true"
    for pair in PAIRS:
        if all(text.lower() in pair for text in met):
            written = {text.lower(): text for text in met}
            other = str.upper if met[0].isupper() else str.title if met[0].istitle() else str
            return written.get(pair[0], other(pair[0])), written.get(pair[1], other(pair[1]))
    return None
