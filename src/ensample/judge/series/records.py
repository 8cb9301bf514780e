"""From records with a field of series to the reference that judges them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ensample.judge.leaderboard import MOST_TEST, MOST_TRAIN, bounded
from ensample.judge.series.reference import SeriesReference
from ensample.kinds.sequence import Sequence as SequenceKind

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset
    from ensample.data.schema import Schema


def series_of(schema: Schema, given: Sequence[str]) -> str | None:
    """The field of series, or of other lists of plain values, that is learned; None if there is none."""
    return next((f.name for f in schema if isinstance(f.kind, SequenceKind) and f.name not in given), None)


def series_reference(
    train: Dataset | None, test: Dataset, schema: Schema, series: str, given: tuple[str, ...], seed: int
) -> SeriesReference:
    """The real series, as many as are looked at, with the fields that are given."""
    names = [name for name in schema.names if name in (series, *given)]
    learned = None if train is None else bounded(train.select(names), MOST_TRAIN, seed)
    held_out = bounded(test.select(names), MOST_TEST, seed)
    kind = schema[series].kind
    assert isinstance(kind, SequenceKind)
    steps = kind.steps.schema
    return SeriesReference(learned, held_out, schema.select(names), series=series, steps=steps, given=given, seed=seed)
