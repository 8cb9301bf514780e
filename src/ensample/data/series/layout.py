"""A table of a series as rows in the order of time, unit by unit; long tables are made wide first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data.grouping import check_constant, codes_of, one
from ensample.data.pictures.column import is_pictures
from ensample.data.series.times import Axis, moments
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

ROW = "row"
"""What says where a record begins in a table without times: the number of its first row."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of series are.

    Arguments:
        time: the column of times; None takes rows as they come.
        by: the columns that say which unit a row is of; none for one series.
        variable, value: in a long table, the columns with the name of a variable and with its value.
        keep: columns that are the same in all rows of a unit and stay beside the steps.
        duplicates: what is done where a unit has two rows of one time: "refuse", or take the "first" or the "last".
    """

    time: str | None
    by: tuple[str, ...] = ()
    variable: str | None = None
    value: str | None = None
    keep: tuple[str, ...] = ()
    duplicates: str = "refuse"

    @property
    def beside(self) -> list[str]:
        """Columns that are no variables of a step."""
        named = (self.time, *self.by, *self.keep, self.variable, self.value)
        return [name for name in named if name is not None]

    @property
    def start(self) -> str:
        """The column of a record that says when it begins."""
        return self.time or ROW


@dataclass(frozen=True)
class Laid:
    """Rows in order: by unit, and within it by time.

    Attributes:
        steps: the variables of each row.
        beside: the units' columns and those that are kept, of each row.
        ticks: time of each row, ascending within a unit; int64 or float64 [rows].
        firsts: row at which each unit begins, int64 [units].
        axis: what ticks are.
    """

    steps: pa.Table
    beside: pa.Table
    ticks: np.ndarray
    firsts: np.ndarray
    axis: Axis

    @property
    def counts(self) -> np.ndarray:
        """Rows of each unit."""
        return np.diff(np.append(self.firsts, len(self.ticks)))


def laid(data: Dataset, columns: Columns, variables: Sequence[str] | None = None, axis: Axis | None = None) -> Laid:
    """The rows of a data set in order.

    Arguments:
        data: the table.
        columns: what its columns are.
        variables: those of a step, in order; None takes all other columns.
        axis: what times shall be; None for what they are.

    Raises:
        InputError: a column is unknown, a time or unit is missing or comes twice, or a variable is no plain value.
    """
    _check(data, columns)
    table = data.to_arrow()
    if not len(table):
        raise InputError("A series must have a step.", data.source or "table", "no rows", "add rows")
    codes = codes_of(table, list(columns.by))
    axis, ticks = _ticks(table, columns, axis)
    if columns.variable is not None and columns.value is not None:
        return _of_long(table, columns, variables, codes, ticks, axis)
    inside = [name for name in table.column_names if name not in columns.beside]
    if variables is not None:
        inside = _known(variables, inside, data.source)
    if not inside:
        raise InputError("A step must have a variable.", "series", "no other column", "keep a column of values")
    rows = _sorted_rows(codes, ticks, columns)
    steps = [one(table.column(name).take(pa.array(rows))) for name in inside]
    return _placed(pa.table(steps, names=inside), table, columns, codes, ticks, rows, axis)


def _check(data: Dataset, columns: Columns) -> None:
    data.select(columns.beside)  # says which columns there are, and that none comes twice
    for f in data.arrow_schema:
        if pa.types.is_nested(f.type) or is_pictures(f.type):
            fix = "leave it out: data.select([...]).series(...)"
            raise InputError("A step of a series holds plain values.", f"column {f.name!r}", str(f.type), fix)
    for name in (*columns.by, *((columns.variable,) if columns.variable else ())):
        if gone := data.column(name).null_count:
            fix = "fill them, or leave these rows out"
            raise InputError(
                "Every row must say what it belongs to.", f"column {name!r}", f"{gone:,} missing values", fix
            )


def _ticks(table: pa.Table, columns: Columns, axis: Axis | None) -> tuple[Axis, np.ndarray]:
    """Times as numbers; rows of a unit are counted where there are none."""
    if columns.time is not None:
        times = moments(table.column(columns.time), columns.time)
        axis = axis or Axis(times.type)
        try:
            return axis, axis.ticks(times)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            rule, fix = "Times must be of the sort that was learned from.", f"turn them into {axis.dtype}"
            raise InputError(rule, f"column {columns.time!r}", str(times.type), fix) from error
    codes = codes_of(table, list(columns.by))
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    number = np.empty(len(codes), np.int64)
    number[order] = np.arange(len(codes)) - np.repeat(counts.cumsum() - counts, counts)
    return Axis(pa.int64()), number


def _sorted_rows(codes: np.ndarray, ticks: np.ndarray, columns: Columns) -> np.ndarray:
    """Numbers of the rows in order, one for each time of a unit."""
    rows = np.lexsort((ticks, codes))
    same = (np.diff(codes[rows]) == 0) & (np.diff(ticks[rows]) == 0)
    if not same.any():
        return rows
    if columns.duplicates == "refuse":
        _refuse(columns, rows[1:][same])
    drop = np.append(False, same) if columns.duplicates == "first" else np.append(same, False)
    return np.asarray(rows[~drop])


def _refuse(columns: Columns, again: np.ndarray) -> None:
    what = "time" if columns.variable is None else f"{columns.variable} and time"
    more = f", and {len(again) - 1:,} more rows" if len(again) > 1 else ""
    raise InputError(
        f"A series has one row for each {what}.",
        f"column {columns.start!r}, row {int(again.min())}",
        f"the time of an earlier row{more}",
        'name the column of units (by=...), or say duplicates="first" or "last"',
    )


def _known(variables: Sequence[str], there: Sequence[str], source: str) -> list[str]:
    if lacking := [name for name in variables if name not in there]:
        seen = f"no {', '.join(map(repr, lacking))} among {', '.join(map(repr, there))}"
        fix = "add the column (null where it is not known)"
        raise InputError("A series must have the variables of learning.", source or "columns", seen, fix)
    return list(variables)


def _placed(
    steps: pa.Table,
    table: pa.Table,
    columns: Columns,
    codes: np.ndarray,
    ticks: np.ndarray,
    rows: np.ndarray,
    axis: Axis,
) -> Laid:
    """Steps of these rows, with what stands beside them and where units begin."""
    firsts = np.unique(codes, return_index=True)[1]
    for name in columns.keep:
        check_constant(table.column(name), name, np.arange(len(codes)), firsts[codes])
    beside = table.select([*columns.by, *columns.keep]).take(pa.array(rows))
    return Laid(steps, beside, ticks[rows], np.flatnonzero(np.diff(codes[rows], prepend=-1)), axis)


def _of_long(
    table: pa.Table,
    columns: Columns,
    variables: Sequence[str] | None,
    codes: np.ndarray,
    ticks: np.ndarray,
    axis: Axis,
) -> Laid:
    """Rows of one variable each as rows of all of them."""
    assert columns.variable is not None and columns.value is not None
    named = one(table.column(columns.variable))
    named = named if pa.types.is_dictionary(named.type) else named.dictionary_encode()
    names, which = named.dictionary.cast(pa.string()).to_pylist(), np.asarray(named.indices).astype(np.int64)
    _refuse_twins(names, columns)
    order = np.lexsort((ticks, codes))
    new = (np.diff(codes[order], prepend=-1) != 0) | (np.diff(ticks[order], prepend=ticks[order[0]]) != 0)
    step = np.empty(len(order), np.int64)
    step[order] = new.cumsum() - 1
    kept = _sorted_rows(step, which, columns)
    values, wanted = one(table.column(columns.value)), names if variables is None else list(variables)
    made = []
    for name in wanted:
        own = kept[which[kept] == names.index(name)] if name in names else kept[:0]
        place = np.full(int(new.sum()), -1)
        place[step[own]] = own
        made.append(_numbers(values.take(pa.array(place, mask=place < 0))))
    return _placed(pa.table(made, names=wanted), table, columns, codes, ticks, order[new], axis)


def _refuse_twins(names: list[str], columns: Columns) -> None:
    if both := sorted(set(names) & {*columns.by, *columns.keep, columns.start}):
        fix = "rename the column of the table"
        raise InputError("Names of variables and columns must differ.", f"column {columns.variable!r}", both[0], fix)


def _numbers(values: pa.Array) -> pa.Array:
    """Texts that are all numbers as such: a long table may hold numbers and words in one column."""
    if not pa.types.is_string(values.type):
        return values
    try:
        return values.cast(pa.float64())
    except pa.ArrowInvalid:
        return values
