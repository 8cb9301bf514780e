"""What a kind of field is: the codec between one column and the spans of an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa

from ensample.errors import InputError
from ensample.events import Span
from ensample.kinds.profile import Profile

Ranges = tuple[tuple[int, int], ...]
"""A union of inclusive ranges of cells or classes."""


@dataclass(frozen=True)
class Rule:
    """A wish about one field, as the user said it: one value, a set of values, or a range with both ends included.

    An end of None is open. `values` may hold None, which stands for missing.
    """

    values: tuple[Any, ...] | None = None
    low: Any = None
    high: Any = None


@runtime_checkable
class Kind(Protocol):
    """One fitted kind of field: a frozen dataclass of plain values, which is all that is stored of it.

    `spans` are those of this field alone; a span's `exists` counts from the field's own first span. A kind with no
    spans (a constant, an identifier) is not learned: `decode` makes its values from the row count alone.

    A value that the training column never had (a new level, a missing value in a field without any) is one event of
    probability `unseen`: `encode` leaves its spans unset and `log_volume` carries its price, so that the
    probabilities of all that a field can hold sum to one.
    """

    name: ClassVar[str]

    @property
    def unseen(self) -> float:
        """Probability of a value never seen."""
        ...

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """How sure this kind is that the column is one of its own, 0 (cannot be) to 1."""
        ...

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Measure levels, resolution, bounds of the training column. Raises InputError if it cannot be this kind."""
        ...

    def spans(self, field: str) -> tuple[Span, ...]:
        """The event of this field."""
        ...

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Cells [rows, spans] int64, `records.ABSENT` where there is none. Raises InputError naming field and row."""
        ...

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """Inverse of `encode`, with the type of the training column.

        `rng` and `first`, the number of the first of these rows, serve kinds that make their values afresh.
        """
        ...

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """What the codec adds to each row's log-probability: log(1 - unseen), or log(unseen): [rows]."""
        ...

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """Allowed ranges of each span under a rule, none for a span that cannot exist.

        Raises InputError if no value fits.
        """
        ...

    def present(self) -> Ranges | None:
        """Allowed classes of the first span when the value is not missing; None if it can never be missing."""
        ...

    def describe(self) -> str:
        """One line for people: "integer 17 to 90", "8 levels", ..."""
        ...


def shifted(spans: Sequence[Span], start: int) -> tuple[Span, ...]:
    """The spans of one field as they stand in the whole event, `start` spans further on."""
    return tuple(s if s.exists is None else Span(s.name, s.event, (s.exists[0] + start, s.exists[1])) for s in spans)


def never_seen(profile: Profile, singletons: int = 0) -> float:
    """Probability that the next value was never seen before.

    Good and Turing: the mass of all unseen levels is about the share of rows whose level occurs once (Good, 1953,
    "The population frequencies of species"); half a row keeps it above 0 and below 1.
    """
    return (singletons + 0.5) / (profile.rows + 1)


def priced(unseen: float, is_new: np.ndarray) -> np.ndarray:
    """Log-probability [rows] of having been seen before or not."""
    return np.asarray(np.where(is_new, np.log(unseen), np.log1p(-unseen)))


def impossible(field: str, seen: str, fix: str) -> InputError:
    """The error for a wish that no record can fulfil."""
    return InputError("A condition must be possible for its field.", f"condition on {field!r}", seen, fix)


def cannot_be(profile: Profile, kind: str, reason: str, fix: str) -> InputError:
    """The error for a column that was asked to be a kind that it cannot be."""
    return InputError(
        f"A column must be able to be the kind that is asked for it ({kind}).", f"column {profile.name!r}", reason, fix
    )


def wrong_value(rule: str, field: str, row: int, seen: object, fix: str) -> InputError:
    """The error for one value of a column; rows count from 0."""
    return InputError(rule, f"column {field!r}, row {row}", repr(seen), fix)
