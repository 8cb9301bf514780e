"""How records are made of a table of series: found once, kept with the records, and done again with new tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data import marks
from ensample.data.series import calendar, cutting, grids
from ensample.data.series.grids import Grid
from ensample.data.series.layout import Columns, Laid
from ensample.data.series.times import Axis
from ensample.errors import FormatError, InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

SERIES = "series"
"""Name of the kind, and of the column if no other is said."""

ELAPSED = "elapsed"
"""Field of a step of an irregular series: the time since the step before, 0 in the first one."""

_UNITS = ((86_400, "days"), (3_600, "hours"), (60, "minutes"), (1, "seconds"), (1e-3, "milliseconds"))


@dataclass(frozen=True)
class Plan:
    """What a table of series is, and how it is cut into records.

    Arguments:
        columns: what its columns are.
        variables: fields of a step that are read, in order.
        axis: what its times are.
        grid: where the steps of a regular series lie; None if it is irregular.
        unit: ticks that count as one in `ELAPSED`; 0 for a regular series.
        window, stride: steps of a record, and between the first steps of two; None for whole series.
        fields: calendar fields of the first step.
        name: of the column of series.
        kinds: kinds of fields of a step, as the user says: (field, name of a kind).
    """

    columns: Columns
    variables: tuple[str, ...]
    axis: Axis
    grid: Grid | None
    unit: float
    window: int | None
    stride: int
    fields: tuple[str, ...]
    name: str
    kinds: tuple[tuple[str, str], ...] = ()

    @property
    def overlaps(self) -> bool:
        """Whether records share steps."""
        return self.window is not None and self.stride < self.window

    @property
    def needs(self) -> set[str]:
        """Columns of a table that can be cut like this."""
        c = self.columns
        return {*c.beside, *(self.variables if c.variable is None else ())}

    def describe(self) -> str:
        """Steps and windows in words."""
        if self.columns.time is None:
            steps = "steps in order"
        elif self.grid is None:
            steps = f"irregular steps, {ELAPSED} in {self.unit_name()}"
        else:
            steps = f"steps of {self.grid.describe(self.axis)}"
        every = "" if self.window is None else f", windows of {self.window:,}"
        return steps + every + (f", every {self.stride:,}" if self.window is not None and self.stride > 1 else "")

    def unit_name(self) -> str:
        """What elapsed time is counted in."""
        if self.axis.per_second is None:
            return f"units of {self.columns.time}"
        seconds = self.unit / self.axis.per_second
        return next((name for size, name in _UNITS if seconds >= size), "ticks")

    def with_elapsed(self, table: Laid) -> Laid:
        """The rows with the time since the row before as a variable, where the series is irregular."""
        if self.grid is not None:
            return table
        passed = np.diff(table.ticks, prepend=table.ticks[:1])
        passed[table.firsts] = 0
        column = pa.array(passed if passed.dtype.kind == "f" else passed // int(self.unit))
        return replace(table, steps=table.steps.append_column(pa.field(ELAPSED, column.type), column))

    def times_from(self, start: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Ticks of steps of a regular series, counted from the first one of its record; both broadcast."""
        assert self.grid is not None
        return self.grid.ticks(steps, start)

    def table_of(self, table: Laid, steps: cutting.Slots, cut: cutting.Cut) -> pa.Table:
        """The records: units, kept columns, first time, calendar fields, and the series."""
        heads = table.beside.take(pa.array(steps.heads[cut.pieces]))
        times = self.axis.times(cutting.start_ticks(table, self.grid, steps, cut))
        made: list[tuple[pa.Field, Any]] = [(f, heads.column(f.name)) for f in heads.schema]
        made.append((pa.field(self.columns.start, times.type), times))
        made += [
            (pa.field(name, part.type), part)
            for name, part in zip(self.fields, calendar.fields(times, self.fields), strict=True)
        ]
        whole = cutting.lists(self.with_elapsed(table), steps, cut)
        made.append((marks.mark(pa.field(self.name, whole.type), None, None, SERIES, self.to_text()), whole))
        return pa.Table.from_arrays([part for _, part in made], schema=pa.schema([f for f, _ in made]))

    def to_text(self) -> str:
        """As JSON."""
        c = self.columns
        facts = {
            "columns": [c.time, list(c.by), c.variable, c.value, list(c.keep), c.duplicates],
            "variables": list(self.variables),
            "dtype": str(self.axis.dtype),
            "grid": None if self.grid is None else grids.to_plain(self.grid),
            "unit": self.unit,
            "window": self.window,
            "stride": self.stride,
            "fields": list(self.fields),
            "name": self.name,
            "kinds": dict(self.kinds),
        }
        return json.dumps(facts)

    @classmethod
    def of_text(cls, text: str) -> Plan:
        """Inverse of `to_text`. Raises FormatError for a text that is no plan."""
        try:
            facts: Mapping[str, Any] = json.loads(text)
            time, by, variable, value, keep, duplicates = facts["columns"]
            columns = Columns(time, tuple(by), variable, value, tuple(keep), duplicates)
            grid = None if facts["grid"] is None else grids.from_plain(facts["grid"])
            axis = Axis.of_text(facts["dtype"])
            sizes = facts["unit"], facts["window"], facts["stride"]
            fields, kinds = tuple(facts["fields"]), tuple(facts.get("kinds", {}).items())
            return cls(columns, tuple(facts["variables"]), axis, grid, *sizes, fields, facts["name"], kinds)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise FormatError("A stored series must be whole.", "a series", str(error), "write it anew") from error


def plan_of(
    table: Laid,
    columns: Columns,
    step: str | float | None,
    window: int | None,
    stride: int,
    wish: bool | Sequence[str],
    name: str,
    kinds: Mapping[str, str],
    known: Mapping[str, str],
) -> Plan:
    """Find the steps of a series, and what a calendar says of them.

    Raises:
        InputError: names clash, an option says nothing, or a field that is given a kind is none of a step.
    """
    grid = _grid(table, columns, step)
    days = None if grid is None else grid.days(table.axis)
    fields = calendar.chosen(wish, table.axis, table.axis.times(table.ticks), days)
    taken = [*columns.by, *columns.keep, columns.start, *fields, name]
    twins = sorted({one for one in taken if taken.count(one) > 1})
    if grid is None and ELAPSED in table.steps.column_names:
        twins = [ELAPSED]
    if twins:
        raise InputError("Names of the fields must differ.", "series", repr(twins[0]), "rename the column")
    variables = tuple(table.steps.column_names)
    of_steps = variables if grid is not None else (*variables, ELAPSED)
    for field in kinds:
        if field not in of_steps:
            fix = f"choose from {', '.join(get_close_matches(str(field), of_steps, n=3) or of_steps[:8])}"
            raise InputError("A field that is given a kind must be a variable.", "kinds", repr(field), fix)
    wished = {name: kind for name, kind in known.items() if name in variables} | dict(kinds)
    unit = _unit(table, grid)
    return Plan(columns, variables, table.axis, grid, unit, window, stride, fields, name, tuple(wished.items()))


def _grid(table: Laid, columns: Columns, step: str | float | None) -> Grid | None:
    if columns.time is None:
        return grids.Even(1)
    if step is None:
        return grids.detected(table.ticks, table.firsts, table.axis)
    if step == "irregular":
        return None
    asked = grids.asked(step, table.axis)
    if isinstance(asked, grids.Months):  # which may be counted from their first days or from their last
        return next((grid for grid in (asked, replace(asked, last=True)) if _whole(grid, table)), asked)
    return asked


def _whole(grid: Grid, table: Laid) -> bool:
    places = grid.places(table.ticks, np.repeat(table.ticks[table.firsts], table.counts))
    return bool((places == np.round(places)).all())


def _unit(table: Laid, grid: Grid | None) -> float:
    """The largest unit of time of which all times between steps are whole numbers."""
    if grid is not None:
        return 0
    per = table.axis.per_second
    if per is None:
        return 1
    passed = np.diff(table.ticks)
    for size, _ in _UNITS:
        if size * per >= 1 and not (passed % round(size * per)).any():
            return round(size * per)
    return 1
