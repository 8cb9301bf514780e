"""The real side when series are judged: training series, held-out series, and what the measures work out about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data.nested import is_sequence
from ensample.errors import InputError
from ensample.judge.frame import Coding
from ensample.judge.real import LEAST, Real, enough
from ensample.judge.series.side import Side, step_table

if TYPE_CHECKING:
    from ensample.data.schema import Schema
    from ensample.judge.subject import Subject

MORE = "hold out more, sample more, or cut long series into windows"
"""What to do about too few series."""

MADE_STEPS = 100_000
"""Steps that are made for judging, about; fewer series are made where they are long."""


@dataclass(frozen=True)
class Sizes:
    """Most series, or steps of a series, that each measure looks at; stated beside the numbers.

    Arguments:
        records: series a side.
        steps: of a series; of longer ones a stretch is looked at.
        read: series a side that networks learn from and are asked about.
        windows: stretches of training series that copies are looked for in.
        forecasts: held-out series that are forecast.
        scored: held-out series that a likelihood is asked of.
        updates: steps in which each network learns.
    """

    records: int = 4_000
    steps: int = 128
    read: int = 2_000
    windows: int = 30_000
    forecasts: int = 200
    scored: int = 2_000
    updates: int = 300


class SeriesReference(Real):
    """Training series, held-out series, and what the measures work out about them.

    Arguments:
        train: records that the models learned from (or a sample of them). None if they are not at hand: then half of
            the held-out ones stand in for them, and nothing is said about copies.
        test: records held out from learning.
        schema: the fields.
        series: name of the field of lists.
        steps: schema of a step.
        given: fields that the models were given; made series are asked for with those of the held-out records.
        sizes: most series that each measure looks at.
        seed: of every random choice here.

    Raises:
        InputError: fewer than 20 series on one of the sides, no steps, or nothing in a step that can be judged.
    """

    def __init__(
        self,
        train: pa.Table | None,
        test: pa.Table,
        schema: Schema,
        *,
        series: str,
        steps: Schema,
        given: tuple[str, ...] = (),
        sizes: Sizes | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(train, test, schema, given, seed)
        self.series, self.sizes = series, sizes or Sizes()
        for sort, table in (("training", self.train_table), ("held-out", self.test_table)):
            enough(sort, "series", table.num_rows, MORE)
        self.coding = Coding.fit(step_table(self._lists(self.train_table)), steps)
        if not self.coding.names:
            rule, fix = "Judging needs a variable that is neither constant nor an identifier.", "say the kinds"
            raise InputError(rule, f"steps of {series!r}", f"{len(steps)} fields, none of them", fix)
        self.train, self.test = (self.side(table) for table in (self.train_table, self.test_table))
        for sort, side in (("training", self.train), ("held-out", self.test)):
            if not side.steps:
                raise InputError("Series are judged by their steps.", f"{sort} series", "all are empty", "give others")

    @property
    def subject(self) -> Subject:
        """How series are judged and shown."""
        from ensample.judge.series.subject import SERIES

        mean = max(float(self.train.lengths.mean()), 1.0)
        return replace(SERIES, made=max(4 * LEAST, min(SERIES.made, int(MADE_STEPS / mean))))

    def side(self, table: pa.Table) -> Side:
        """The series of a table. Raises InputError if it has no such field, or its steps lack one."""
        return Side.of(self._lists(table), self.coding)

    def _lists(self, table: pa.Table) -> pa.ChunkedArray:
        if self.series not in table.column_names or not is_sequence(table.column(self.series).type):
            rule, fix = "Real and made records have the same field of series.", "pass the whole table"
            raise InputError(rule, f"column {self.series!r}", "no such lists in the table", fix)
        return table.column(self.series)

    def held_out(self, count: int) -> Side:
        """So many held-out series, at random and always the same."""
        return self.test.take(self.held_out_rows(count))

    @property
    def names(self) -> tuple[str, ...]:
        """The variables of a step that are judged."""
        return self.coding.names

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Which of them are numbers."""
        return self.train.frame.numbers

    @cached_property
    def categories(self) -> tuple[int, ...]:
        """Which of them are classes."""
        return self.train.frame.categories

    @cached_property
    def scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each number over all training steps; 1 where it never moves."""
        values = self.train.frame.matrix[:, list(self.numbers)]
        mean, deviation = (_known(part, values) for part in (np.nanmean, np.nanstd))
        return mean, np.where(deviation > 0, deviation, 1.0)

    @cached_property
    def scored(self) -> pa.Table:
        """The held-out records that a likelihood is asked of."""
        return self.held_out_records(self.sizes.scored)


def _known(what: object, values: np.ndarray) -> np.ndarray:
    """A summary of each column, 0 where nothing is known."""
    there = ~np.isnan(values).all(0)
    out = np.zeros(values.shape[1])
    out[there] = what(values[:, there], axis=0)  # type: ignore[operator]
    return out
