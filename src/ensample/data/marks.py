"""What the reader remembers of a column beside its type, kept in the metadata of its Arrow field.

There it survives selections, splits, and a trip through Parquet or Arrow files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from ensample.data.schema import Schema

_SPELLING = b"ensample:missing"
_WORDING = b"ensample:wording"
_KIND = b"ensample:kind"
_SERIES = b"ensample:series"


def mark(
    field: pa.Field, spelling: str | None, wording: str | None, kind: str | None = None, series: str | None = None
) -> pa.Field:
    """The field with the spelling of its missing values, the wording of the others and its kind; None changes nothing.

    A kind is noted where the source tells it, not the values: a file of text holds text. `series` is the plan by which
    a column of series was made, see `data.series.plan`.
    """
    facts = dict(field.metadata or {})
    if spelling is not None:
        facts[_SPELLING] = spelling.encode()
    if wording is not None:
        facts[_WORDING] = wording.encode()
    if kind is not None:
        facts[_KIND] = kind.encode()
    if series is not None:
        facts[_SERIES] = series.encode()
    return field.with_metadata(facts) if facts else field


def spelling(field: pa.Field, schema: Schema | None = None) -> str | None:
    """How missing values of the field are spelled, from its own metadata or else from the schema; None if unknown."""
    known = (field.metadata or {}).get(_SPELLING)
    if known is not None:
        return str(known.decode())
    if schema is None:
        return None
    return next((f.missing for f in schema.fields if f.name == field.name and f.missing), None)


def wording(field: pa.Field) -> str | None:
    """How values of the field are written; None for the default."""
    known = (field.metadata or {}).get(_WORDING)
    return None if known is None else str(known.decode())


def kind(field: pa.Field) -> str | None:
    """The kind that the source tells; None if it tells none."""
    known = (field.metadata or {}).get(_KIND)
    return None if known is None else str(known.decode())


def series(field: pa.Field) -> str | None:
    """The plan by which series were made; None for other columns."""
    known = (field.metadata or {}).get(_SERIES)
    return None if known is None else str(known.decode())
