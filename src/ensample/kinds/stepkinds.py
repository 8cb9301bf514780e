"""Kinds of the fields of steps, as the user says: "series.holiday", or "holiday" where no column is called so."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pyarrow as pa

from ensample.data import marks
from ensample.data.nested import is_sequence, step_fields
from ensample.data.series import plan_in

Nested = Mapping[str, Mapping[str, str]]
"""Column of lists -> field of its steps -> kind."""


def places(schema: pa.Schema, dialogues: Collection[str] = ()) -> dict[str, tuple[str, str]]:
    """Every name by which a field of steps may be called -> (column of lists, field).

    A column's own name goes first, and a field of that name in two columns is called by its longer name alone. Turns of
    `dialogues` are no steps.

    Example:
        >>> walk = pa.list_(pa.struct({"x": pa.float64(), "id": pa.int64()}))
        >>> sorted(places(pa.schema({"id": pa.int64(), "walk": walk})))
        ['walk.id', 'walk.x', 'x']
    """
    inside = [
        (f.name, step.name)
        for f in schema
        if is_sequence(f.type) and f.name not in dialogues
        for step in step_fields(f.type)
    ]
    short = [field for _, field in inside]
    found = {field: (column, field) for column, field in inside if short.count(field) == 1}
    found |= {f"{column}.{field}": (column, field) for column, field in inside}
    return {name: place for name, place in found.items() if name not in schema.names}


def parted(wished: Mapping[str, str], schema: pa.Schema, known: Mapping[str, tuple[str, str]]) -> Nested:
    """Kinds of the fields of steps, of each column of lists: what it was made with, overruled by what is wished now."""
    found: dict[str, dict[str, str]] = {}
    for column in schema:
        if is_sequence(column.type) and marks.series(column) and (plan := plan_in(column)) is not None:
            found[column.name] = dict(plan.kinds)
    for name, kind in wished.items():
        if name in known:
            column_name, field = known[name]
            found.setdefault(column_name, {})[field] = kind
    return found
