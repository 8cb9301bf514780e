"""Windows of series as rows of a table, so that every family of tables can learn them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import UNKNOWN_LENGTH, Batch, Limit, Mixed, Ragged, Span
from ensample.families.abilities import Scores
from ensample.families.base import Distribution, Guarantee, RaggedDistribution
from ensample.kinds.records import ABSENT, Records
from ensample.kinds.sequences import Sequences


class RowWindows(RaggedDistribution):
    """A distribution over rows, asked about windows: `row` is that distribution, `rows` turns windows into its rows."""

    def __init__(self, event: Ragged, row: Distribution) -> None:
        self.event, self.given, self.row = event, row.given, row
        self.guarantees = row_guarantees(row)  # type: ignore[misc]  # of this one; those of the class are of any

    def rows(self, batch: Batch) -> Batch:
        """Windows as rows of the table: the spans of the first step, then those of the second, ...

        A window of unknown length has all its steps, and nothing of them is known.

        Raises:
            InputError: a window has another number of steps.
        """
        assert batch.lengths is not None
        steps = self.event.max_length
        other = ((batch.lengths != steps) & (batch.lengths != UNKNOWN_LENGTH)).nonzero()[:, 0]
        if len(other):
            raise InputError(
                "Windows must be of the length that was learned.",
                f"record {int(other[0])}",
                f"{int(batch.lengths[other[0]])} steps",
                f"give {steps} steps, unknown ones as missing values",
            )
        there = batch.padded(max(steps, batch.cells.shape[1]))
        cells, mask = there.cells[:, :steps].flatten(1), there.mask[:, :steps].flatten(1)
        return replace(batch, cells=cells, mask=mask, lengths=None)

    def arrays_of(self, batch: Batch) -> Batch:
        """Inverse of `rows`; all windows are whole then."""
        shape = (len(batch), self.event.max_length, len(self.event.element))
        lengths = torch.full((len(batch),), self.event.max_length)
        return replace(batch, cells=batch.cells.reshape(shape), mask=batch.mask.reshape(shape), lengths=lengths)

    def row_limits(self, limits: Sequence[Limit]) -> list[Limit]:
        """Limits of the spans of a step, which every step has to meet."""
        width = len(self.event.element)
        firsts = [step * width for step in range(self.event.max_length)]
        return [replace(limit, column=first + limit.column) for first in firsts for limit in limits]

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """Samples of the row."""
        return self.arrays_of(self.row.sample(n, generator, cond))

    def arrays(self) -> dict[str, Tensor]:
        """Those of the row."""
        return self.row.arrays()

    def facts(self) -> dict[str, Any]:
        """Those of the row."""
        return self.row.facts()


class RowWindowsScores(RowWindows):
    """`RowWindows` over rows that have a likelihood."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    @property
    def measure(self) -> Any:  # type: ignore[override]
        """That of the row."""
        return self.row.measure

    def log_prob(self, batch: Batch) -> Tensor:
        """What the row says, float64 [rows]; a density is for `infer.likelihood` to integrate."""
        return cast(Scores, self.row).log_prob(self.rows(batch)).to(torch.float64)


def row_guarantees(row: Distribution) -> dict[str, Guarantee]:
    """What records that are rows guarantee: what integrates a density over cells is an estimate."""
    whole = row.measure == "cells"
    return {name: sort if whole or name == "sample" else "estimate" for name, sort in row.guarantees.items()}


def windows_of(event: Ragged, row: Distribution) -> RowWindows:
    """Windows by a distribution of their rows."""
    return (RowWindowsScores if isinstance(row, Scores) else RowWindows)(event, row)


def window_row(event: Ragged) -> Mixed:
    """The event of a row with the spans of every step; what exists under a span does so under that of its own step.

    Example:
        >>> from ensample.events import Continuous, Discrete, Lattice
        >>> step = Mixed((Span("rain", Discrete(2)), Span("amount", Continuous(Lattice(0, 9)), (0, (1,)))))
        >>> [(span.name, span.exists) for span in window_row(Ragged(step, 2, fixed=True)).spans][1::2]
        [('amount, step 1', (0, (1,))), ('amount, step 2', (2, (1,)))]
    """
    width, spans = len(event.element), []
    for step in range(event.max_length):
        for span in event.element.spans:
            under = span.exists
            exists = None if under is None else (step * width + under[0], under[1])
            spans.append(Span(f"{span.name}, step {step + 1}", span.event, exists))
    return Mixed(tuple(spans))


def window_records(records: Sequences) -> Records:
    """Windows as the records of `window_row`; one of unknown length is a row of which nothing is known."""
    there = records.lengths == records.event.max_length
    width = records.event.max_length * len(records.event.element)
    steps = np.asarray(records.table[:])
    table = steps.reshape(-1, width) if there.all() else np.full((len(there), width), ABSENT)
    if not there.all():
        table[there] = steps.reshape(-1, width)
    return Records(window_row(records.event), table, records.given, records.given_table, near=records.near)
