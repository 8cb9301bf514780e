"""What a kind of field is: the codec between one column and the spans of an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa

from ensample.events import Span


@dataclass(frozen=True)
class Rule:
    """A wish about one field, as the user said it: one value, a set of values, or a range with both ends included."""

    values: tuple[Any, ...] | None = None
    low: Any = None
    high: Any = None


@runtime_checkable
class Kind(Protocol):
    """One fitted kind of field: a frozen dataclass of plain values, which is all that is stored of it.

    `spans` are those of this field alone; a span's `exists` counts from the field's own first span. A kind with no
    spans (a constant, an identifier) is not learned: `decode` makes its values from the row count alone.
    """

    name: ClassVar[str]

    @classmethod
    def recognise(cls, column: pa.ChunkedArray) -> float:
        """How sure this kind is that the column is one of its own, 0 (cannot be) to 1."""
        ...

    @classmethod
    def fit(cls, column: pa.ChunkedArray) -> Self:
        """Measure levels, resolution, bounds on the training column."""
        ...

    def spans(self, field: str) -> tuple[Span, ...]:
        """The event of this field."""
        ...

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Cells [rows, spans] int64, `records.ABSENT` where there is none. Raises InputError naming field and row."""
        ...

    def decode(self, table: np.ndarray, rng: np.random.Generator) -> pa.Array:
        """Inverse of `encode`, with the type of the training column."""
        ...

    def log_volume(self, column: pa.Array) -> np.ndarray:
        """What the codec itself adds to each row's log-probability (0, or the price of a level never seen). [rows]"""
        ...

    def limits(self, rule: Rule, field: str) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Allowed ranges of each span under a rule; empty ranges for a span that cannot be. Raises InputError if nothing fits."""
        ...

    def present(self) -> tuple[tuple[int, int], ...] | None:
        """Allowed classes of the first span when the value is not missing; None if it can never be missing."""
        ...

    def describe(self) -> str:
        """One line for people: "integer 17 to 90", "8 levels", ..."""
        ...


def plain(kind: Kind) -> dict[str, Any]:
    """A kind as JSON values; `kinds.from_plain` is the inverse."""
    return {"kind": kind.name, **{f.name: getattr(kind, f.name) for f in fields(kind)}}  # type: ignore[arg-type]


def shifted(spans: Sequence[Span], start: int) -> tuple[Span, ...]:
    """The spans of one field as they stand in the whole event, `start` spans further on."""
    return tuple(s if s.exists is None else Span(s.name, s.event, (s.exists[0] + start, s.exists[1])) for s in spans)
