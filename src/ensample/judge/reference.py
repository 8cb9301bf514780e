"""The real side of every comparison, worked out once and shared by all models that are judged against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from ensample.errors import InputError
from ensample.judge.frame import Coding, Frame
from ensample.judge.real import Real, enough

if TYPE_CHECKING:
    from ensample.data.schema import Schema
    from ensample.judge.subject import Subject


@dataclass(frozen=True)
class Sizes:
    """Most rows a side that each measure looks at; stated beside the numbers."""

    two_sample: int = 10_000
    pairs: int = 10_000
    utility: int = 10_000
    neighbours: int = 4_000
    copies: int = 10_000
    relations: int = 10_000


class Reference(Real):
    """Training rows, held-out rows, and what the measures work out about them.

    Arguments:
        train: the rows that the models learned from (or a sample of them). None if they are not at hand: then half of
            the held-out rows stand in for them, and nothing is said about copies.
        test: rows held out from learning.
        schema: the fields; constants and identifiers are not judged.
        given: fields that the models are given; made rows are asked for with those of the held-out ones.
        targets: columns to predict in the usefulness measure; chosen when None.
        sizes: most rows that each measure looks at.
        seed: of every random choice here.

    Raises:
        InputError: fewer than 20 rows on one of the sides, or no column to judge.
    """

    def __init__(
        self,
        train: pa.Table | None,
        test: pa.Table,
        schema: Schema,
        *,
        given: tuple[str, ...] = (),
        targets: tuple[str, ...] | None = None,
        sizes: Sizes | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(train, test, schema, given, seed)
        for sort, table in (("training", self.train_table), ("held-out", self.test_table)):
            enough(sort, "rows", table.num_rows, "hold out a larger share of the data")
        self.targets, self.sizes = targets, sizes or Sizes()
        self.coding = Coding.fit(self.train_table, schema)
        if not self.coding.names:
            raise InputError(
                "Judging needs a column that is neither constant nor an identifier.",
                "schema",
                f"{len(schema.fields)} columns, all constants or identifiers",
                "say the kinds of the columns, for example kinds={'name': 'category'}",
            )
        self.train: Frame = self.coding.frame(self.train_table)
        self.test: Frame = self.coding.frame(self.test_table)

    @property
    def subject(self) -> Subject:
        """How rows are judged and shown."""
        from ensample.judge.tables import ROWS

        return ROWS

    @property
    def scored(self) -> pa.Table:
        """The held-out rows that a likelihood is asked of: all."""
        return self.test_table


@dataclass(frozen=True)
class Made:
    """Rows that a model made: as they are, and coded like the real ones."""

    table: pa.Table
    frame: Frame

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def of(cls, reference: Reference, table: pa.Table) -> Made:
        """Code made rows. Raises InputError if there are fewer than 20 or a column is missing."""
        enough("made", "rows", table.num_rows, "sample more rows")
        return cls(table, reference.coding.frame(table))
