"""Small pictures and windows of series as rows of a table, so that every family of tables can learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from ensample.events import Array, Batch, Continuous, Discrete, Limit, Mixed, Ragged, Span, coordinates
from ensample.families.abilities import Scores
from ensample.families.base import ArrayDistribution, Distribution, Family, Guarantee, at_least
from ensample.families.compose.windows import (
    RowWindows,
    RowWindowsScores,
    row_guarantees,
    window_records,
    window_row,
    windows_of,
)
from ensample.families.independent import Independent
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.run import Run


class Flattened(ArrayDistribution):
    """A distribution over rows, asked about arrays: `row` is that distribution, `rows` turns arrays into its rows."""

    def __init__(self, event: Array, row: Distribution) -> None:
        self.event, self.given, self.row = event, row.given, row
        self.guarantees = row_guarantees(row)  # type: ignore[misc]  # of this one; those of the class are of any

    def rows(self, batch: Batch) -> Batch:
        """Arrays as rows of the table."""
        return replace(batch, cells=batch.cells.flatten(1), mask=batch.mask.flatten(1))

    def arrays_of(self, batch: Batch) -> Batch:
        """Inverse of `rows`; cells beyond the levels go to the nearest level."""
        most = self.event.classes - 1 if isinstance(self.event, Discrete) else self.event.lattice.high
        shape = (len(batch), *self.event.shape)
        cells = batch.cells.clamp(0, most).reshape(shape)
        return replace(batch, cells=cells, mask=batch.mask.reshape(shape))

    def row_limits(self, limits: Sequence[Limit]) -> list[Limit]:
        """Pictures have none."""
        return list(limits)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """Samples of the row."""
        return self.arrays_of(self.row.sample(n, generator, cond))

    def arrays(self) -> dict[str, Tensor]:
        """Those of the row."""
        return self.row.arrays()

    def facts(self) -> dict[str, Any]:
        """Those of the row."""
        return self.row.facts()


class FlattenedScores(Flattened):
    """`Flattened` over rows that have a likelihood."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    @property
    def measure(self) -> Any:  # type: ignore[override]
        """That of the row."""
        return self.row.measure

    def log_prob(self, batch: Batch) -> Tensor:
        """What the row says, float64 [rows]; a density is for `infer.likelihood` to integrate."""
        return cast(Scores, self.row).log_prob(self.rows(batch)).to(torch.float64)


@dataclass(frozen=True)
class Flat:
    """p(picture) or p(window) = p(row), a column for each pixel, or for each value of each step.

    So any family of tables learns small pictures, and windows of series that all have the same number of steps. What
    holds for its rows holds here: likelihoods, closed-form conditionals, and imputation of steps and values, which
    forecasts where the last steps are unknown.

    The honest floor under every family of pictures (`independent`: each pixel on its own), restricted Boltzmann
    machines on binary pictures, and mixtures, circuits or kernels on pictures of a few hundred pixels. On windows of
    some hundred values they are more than a floor: a mixture of full Gaussians or a field knows how steps hang
    together. Nothing tells the family which pixels or steps are neighbours; where records are larger, families made for
    them learn more in less time.

    Arguments:
        of: the family of tables.
        most: columns beyond which it refuses, pixels times channels or steps times spans of a step.

    Example:
        >>> Flat(of=Independent(bins=8)).most
        1024
    """

    of: Family = Independent()  # noqa: RUF009
    most: int = 1024

    name: ClassVar[str] = "flat"
    distribution: ClassVar[type[Distribution]] = FlattenedScores
    windows: ClassVar[type[Distribution]] = RowWindowsScores

    def __post_init__(self) -> None:
        at_least(self, most=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Tables: they are flat."""
        return "flat turns pictures and windows of series into rows of a table, and here records are such rows already"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Large pictures, and what its family refuses of rows."""
        if (size := coordinates(event)) > self.most:
            return f"each pixel would be a column, and {size:,} are more than {self.most:,} (option `most`)"
        return self._refuses_rows(flattened(event), given)

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Records of different lengths, long windows, and what its family refuses of rows."""
        if not event.fixed:
            return "rows of a table need records that all have the same number of steps: take windows"
        if event.missing:
            return "whole records are missing, which no value of a row tells: leave them out"
        if (size := coordinates(event)) > self.most:
            return f"each value would be a column, and {size:,} are more than {self.most:,} (option `most`)"
        return self._refuses_rows(window_row(event), given)

    def fit(self, records: Records, seed: int, run: Run) -> Flattened | RowWindows:
        """Learn the rows with the whole budget."""
        part = run.part("row", 1.0)
        if isinstance(records, Sequences):
            return windows_of(records.event, part.learn(self.of, window_records(records), seed))
        event: Array = records.event  # type: ignore[assignment]  # `refuses_arrays` let arrays through alone
        table = records.table.reshape(len(records), -1).astype("int64")
        rows = Records(flattened(event), table, records.given, records.given_table)
        return _arrays_of(event, part.learn(self.of, rows, seed))

    def restore(
        self, event: Array | Ragged, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> Flattened | RowWindows:
        """Inverse of `Flattened.arrays`, `RowWindows.arrays`."""
        if isinstance(event, Ragged):
            return windows_of(event, self.of.restore(window_row(event), given, arrays, facts))
        return _arrays_of(event, self.of.restore(flattened(event), given, arrays, facts))

    def _refuses_rows(self, event: Mixed, given: Mixed | None) -> str | None:
        if not self.of.distribution.storable:
            return f"its rows must be learned, and {self.of.name} is made of training rows"
        return self.of.refuses(event, given)


def _arrays_of(event: Array, row: Distribution) -> Flattened:
    return (FlattenedScores if isinstance(row, Scores) else Flattened)(event, row)


def flattened(event: Array) -> Mixed:
    """The event of a row with a column for each coordinate; two levels are classes.

    Example:
        >>> len(flattened(Discrete(2, (1, 8, 8))))
        64
    """
    own: Continuous | Discrete = replace(event, shape=())
    if isinstance(own, Continuous) and (own.lattice.low, own.lattice.high) == (0, 1):
        own = Discrete(2)
    return Mixed(tuple(Span(f"pixel {i}", own) for i in range(coordinates(event))))
