"""Records and what they are: an Arrow table, or a file that is read again on each pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from ensample.data import marks, show
from ensample.data.missing import no_nan
from ensample.data.pictures.buffer import in_file
from ensample.data.rows import row_numbers
from ensample.data.series.split import apart_in_time
from ensample.data.split import halves
from ensample.data.store import Memory, Projection, Side, Store, rebatch
from ensample.data.texts.split import is_one_text, torn
from ensample.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from ensample.data.schema import Schema


class Dataset:
    """A table of records. Missing values are Arrow nulls, whatever their spelling was where they came from.

    `schema` says what the fields are (None until they have been guessed), `source` names where the records came from,
    `notes` holds remarks of the reader ("column 'age' mixes numbers and text: read as text"). A data set that `streams`
    is larger than memory: `batches` reads its source again on each pass, and a split of it holds no rows. `column`,
    `to_arrow`, `to_pandas` and `to_polars` bring what they return into memory all the same.

    Example:
        >>> people = Dataset.from_arrow(pa.table({"age": [39, 50, None], "sex": ["m", "f", "f"]}))
        >>> len(people), people.names
        (3, ['age', 'sex'])
        >>> people.column("age").null_count
        1
    """

    def __init__(self, store: Store, schema: Schema | None = None, source: str = "", notes: Sequence[str] = ()) -> None:
        self._store = store
        self.schema = schema
        self.source = source
        self.notes = tuple(notes)

    @classmethod
    def from_arrow(cls, table: pa.Table, schema: Schema | None = None, source: str = "") -> Dataset:
        """A data set of a table whose missing values are null or NaN already; use `read` for any other spelling.

        Raises:
            InputError: two columns have the same name.
        """
        refuse_twins(table.column_names, source or "table")
        columns = [no_nan(column) for column in table.columns]
        return cls(Memory(pa.Table.from_arrays(columns, schema=table.schema)), schema, source)

    def __len__(self) -> int:
        return self._store.rows

    @property
    def names(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self._store.arrow.names)

    @property
    def arrow_schema(self) -> pa.Schema:
        """Arrow types of the columns; known without a pass over the rows."""
        return self._store.arrow

    @property
    def streams(self) -> bool:
        """Whether each pass reads the source again."""
        return not isinstance(self._store, Memory)

    @property
    def spellings(self) -> dict[str, str]:
        """How the source spells a missing value, by column; saving as CSV or TSV writes it again."""
        return {f.name: s for f in self._store.arrow if (s := marks.spelling(f, self.schema)) is not None}

    def batches(self, rows: int | None = 65_536, names: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
        """All records in order, `rows` at a time (the last batch may be shorter); `names` limits the columns.

        With None they come as they lie or are read, without a copy: of long texts a fixed number may be too many.

        Raises:
            InputError: a name is unknown, or `rows` is not positive.
            FormatError: the source vanished or changed since it was opened.
        """
        if rows is not None and rows < 1:
            raise InputError("A batch has at least one record.", "batches", f"rows={rows}", "ask for 1 or more")
        wanted = self.names if names is None else self._checked(names)
        yield from self._store.read(wanted) if rows is None else rebatch(self._store.read(wanted), rows)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column, in memory."""
        return self.select([name]).to_arrow().column(0)

    def to_arrow(self) -> pa.Table:
        """The whole table, in memory."""
        if isinstance(self._store, Memory):
            return self._store.table
        return pa.Table.from_batches(self._store.read(self.names), self._store.arrow)

    def to_pandas(self) -> pd.DataFrame:
        """As pandas; integers and truths with missing values become its nullable types, never floats."""
        from ensample.data.frames import to_pandas

        return to_pandas(self.to_arrow())

    def to_polars(self) -> pl.DataFrame:
        """As polars."""
        from ensample.data.frames import to_polars

        return to_polars(self.to_arrow())

    def select(self, names: Sequence[str]) -> Dataset:
        """These columns, in this order.

        Raises:
            InputError: a name is unknown or comes twice.
        """
        chosen = self._checked(names)
        schema = self.schema
        if schema is not None:
            schema = schema.select(name for name in chosen if name in schema)
        return Dataset(_select(self._store, chosen), schema, self.source, self.notes)

    def take(self, rows: np.ndarray | Sequence[int]) -> Dataset:
        """The records with these numbers (from 0), in this order, in memory; a bool array of all rows chooses as well.

        Raises:
            InputError: a number is out of range, or the array is not one of whole numbers.
        """
        index = row_numbers(np.asarray(rows), len(self))
        if isinstance(self._store, Memory):
            return self._with(self._store.table.take(pa.array(index)))
        order = np.argsort(index, kind="stable")
        wanted, start, found = index[order], 0, []
        for batch in self._store.read(self.names):
            low, high = np.searchsorted(wanted, (start, start + batch.num_rows))
            if high > low:
                found.append(batch.take(pa.array(wanted[low:high] - start)))
            start += batch.num_rows
        table = pa.Table.from_batches(found, self._store.arrow)
        return self._with(table.take(pa.array(np.argsort(order, kind="stable"))))

    def head(self, n: int = 5) -> Dataset:
        """The first `n` records, in memory."""
        if n < 0:
            raise InputError("A number of records is not negative.", "head", str(n), "ask for 0 or more")
        first = next(self.batches(n), None) if n else None
        return self._with(pa.Table.from_batches([] if first is None else [first], self._store.arrow))

    def split(self, test: float = 0.2, seed: int = 0, time: str | None = None) -> tuple[Dataset, Dataset]:
        """(train, test): disjoint and together whole, both in the order of the source.

        `test` is a share between 0 and 1 or a number of records. Which record goes where depends on the seed and the
        record's number alone, so a file gives the same split whether it streams or not. Of one text the test part is
        its end, cut near that share between paragraphs, lines or words. With a column `time`, it is the last share in
        time; of windows of series that share steps the last ones, and those that reach into them are left out.

        Raises:
            InputError: the share or number is not sensible, or a part would be empty.

        Example:
            >>> train, test = Dataset.from_arrow(pa.table({"x": range(10)})).split(test=3, seed=1)
            >>> len(train), len(test)
            (7, 3)
        """
        if is_one_text(self):
            start, end = torn(self, test)
            return self._with(start), self._with(end)
        if (before := apart_in_time(self, test, time)) is not None:
            return self.take(before[0]), self.take(before[1])
        train, held, count = halves(test, seed, len(self))
        if isinstance(self._store, Memory) and not in_file(self._store.table):
            chosen = held.contains(np.arange(len(self), dtype=np.uint64))
            table = self._store.table
            return self._with(table.filter(pa.array(~chosen))), self._with(table.filter(pa.array(chosen)))
        return (
            Dataset(Side(self._store, train, len(self) - count), self.schema, self.source, self.notes),
            Dataset(Side(self._store, held, count), self.schema, self.source, self.notes),
        )

    def sequences(
        self, by: str | Sequence[str], order: str | None = None, keep: Sequence[str] = (), name: str = "steps"
    ) -> Dataset:
        """One record for each group of rows: the rows of a group become the steps of a sequence, in memory.

        Arguments:
            by: the column, or columns, that say which sequence a row belongs to; they stay beside the steps.
            order: the column by which steps are sorted (equal ones stay in order); it is then left out, since the place
                of a step says it. None takes rows as they come.
            keep: columns that are the same in all rows of a sequence and stay beside the steps.
            name: of the new column, a list of structs of all other columns.

        Raises:
            InputError: a column is unknown, one of these has missing values, or a kept one varies within a sequence.

        Example:
            >>> long = Dataset.from_arrow(pa.table({"id": [7, 8, 7], "t": [2, 1, 1], "x": [0.5, 0.1, 0.2]}))
            >>> long.sequences(by="id", order="t").to_arrow().to_pylist()
            [{'id': 7, 'steps': [{'x': 0.2}, {'x': 0.5}]}, {'id': 8, 'steps': [{'x': 0.1}]}]
        """
        from ensample.data.grouping import grouped

        source = f"{self.source or 'table'}, grouped by {by if isinstance(by, str) else ', '.join(by)}"
        return Dataset(Memory(grouped(self, by, order, keep, name)), None, source, self.notes)

    def series(
        self,
        window: int | None = None,
        *,
        time: str | None = None,
        by: str | Sequence[str] = (),
        variable: str | None = None,
        value: str | None = None,
        stride: int = 1,
        step: str | float | None = None,
        calendar: bool | Sequence[str] = False,
        keep: str | Sequence[str] = (),
        duplicates: Literal["refuse", "first", "last"] = "refuse",
        name: str = "series",
        kinds: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Records that are time series, in memory: one for each unit, or windows of one length.

        A wide table has a row for each time and a column for each variable; a long one a row for each value, with the
        name of its variable beside. The steps of a regular series are found (`notes` tell them), and missing ones are
        inserted without values, so that a place in a window says the time. Steps of an irregular series have a field
        `elapsed`: the time since the step before, 0 in the first one. Windows overlap where `stride` is less than
        `window`: split the table by time before you cut them, or let `split` do it.

        Arguments:
            window: steps of a record; None for whole series.
            time: the column of dates, times or numbers, by which rows are sorted; None for the one of dates or times
                that there is, or for rows in their order where there is none. It becomes the time of a record's first
                step (a column "row" that counts rows where there are no times).
            by: the column, or columns, that say which unit a row belongs to; they stay beside the series.
            variable: of a long table, the column that holds the name of a variable.
            value: of a long table, the column that holds its value.
            stride: steps between the beginnings of two windows.
            step: "15min", "1h", "1d", "1b" (working days), "1mo", a number of units of time, "irregular"; None: found.
            calendar: fields of the first step beside the series: "hour", "weekday", "month"; True for those that vary.
            keep: columns that are the same in all rows of a unit and stay beside the series.
            duplicates: what is done with two rows of one time: "refuse" them, or take the "first" or the "last".
            name: of the new column, a list of structs of the variables.
            kinds: overrules by variable: `{"holiday": "category"}`; those said of the columns of the table hold, too.

        Raises:
            InputError: a column is unknown, a time is missing, comes twice or is off the steps, or no window is whole.

        Example:
            >>> import datetime
            >>> hours = [datetime.datetime(2024, 5, 3, hour) for hour in (6, 7, 9)]
            >>> load = Dataset.from_arrow(pa.table({"time": hours, "x": [0.5, 0.1, 0.2]})).series(window=3)
            >>> load.column("series").to_pylist()
            [[{'x': 0.5}, {'x': 0.1}, {'x': None}], [{'x': 0.1}, {'x': None}, {'x': 0.2}]]
            >>> load.notes
            ('steps of 1 hour, windows of 3', 'missing steps inserted as empty ones: 1')
        """
        from ensample.data.series import Columns, made

        units, kept = [by] if isinstance(by, str) else by, [keep] if isinstance(keep, str) else keep
        columns = Columns(time, tuple(units), variable, value, tuple(kept), duplicates)
        table, notes = made(self, window, stride, columns, step, calendar, name, kinds or {})
        return Dataset(Memory(table), None, self.source, (*self.notes, *notes))

    def with_schema(self, schema: Schema | None) -> Dataset:
        """The same records under another schema."""
        return Dataset(self._store, schema, self.source, self.notes)

    def save(self, path: str | Path) -> Path:
        """Write the records to a file; its suffix says the format, as for `read`.

        Pictures become one contact sheet (.png, .jpg, .webp), a film of one frame a record (.gif), or, where the path
        has no suffix, a folder with one PNG a record and `metadata.csv`, which `read` opens again.
        Texts become a .txt file: one as it is, several on a line each, or with a blank line between them.
        CSV and TSV spell missing values and write numbers and dates as the source did. The file is written to a
        temporary name and renamed, so it is whole or not there.

        Raises:
            InputError: the suffix is none of those that can be written.
            FormatError: the file cannot be written.
        """
        from ensample.data.writers import save

        return save(self, Path(path))

    def __repr__(self) -> str:
        return show.text(self)

    def _repr_html_(self) -> str:
        return show.html(self)

    def _with(self, table: pa.Table) -> Dataset:
        return Dataset(Memory(table), self.schema, self.source, self.notes)

    def _checked(self, names: Sequence[str]) -> list[str]:
        wanted = [names] if isinstance(names, str) else list(names)
        unknown = [name for name in wanted if name not in self.names]
        if unknown:
            raise InputError(
                "The columns must exist.",
                self.source or "data set",
                ", ".join(map(repr, unknown)),
                "choose from " + ", ".join(map(repr, self.names)),
            )
        refuse_twins(wanted, "the columns asked for")
        return wanted


def refuse_twins(names: Sequence[Any], place: str) -> None:
    """Raise InputError if a column name comes twice."""
    twins = sorted({str(name) for name in names if list(names).count(name) > 1})
    if twins:
        raise InputError(
            "Column names must differ.", place, f"more than one {', '.join(map(repr, twins))}", "rename the columns"
        )


def _select(store: Store, names: Sequence[str]) -> Store:
    if isinstance(store, Memory):
        return Memory(store.table.select(list(names)))
    return Projection(store, tuple(names))
