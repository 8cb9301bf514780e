"""A fitted distribution over windows of series that knows their principal components."""

from __future__ import annotations

import math
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Batch, Ragged
from ensample.families.abilities import Scores
from ensample.families.base import Distribution, Guarantee, RaggedDistribution
from ensample.families.compose.windows import RowWindows, window_row
from ensample.families.series.axes import FINE, Axes


class ComponentWindows(RaggedDistribution):
    """A distribution over turned rows, asked about windows: `row` is that distribution, `axes` says how they turn."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate"}

    def __init__(self, event: Ragged, row: Distribution, axes: Axes) -> None:
        self.event, self.given, self.row, self.axes = event, row.given, row, axes
        self.flat, self.windows = window_row(event), RowWindows(event, row)

    def turned(self, batch: Batch) -> Batch:
        """Windows as turned rows.

        Raises:
            InputError: a number that was always there in training is not.
        """
        rows = self.windows.rows(batch)
        there = rows.mask[:, self.axes.columns].all(1)
        if not bool(there.all()):
            lacking = int((~there).nonzero()[0])
            raise InputError(
                "Windows are turned to their principal components only where they are whole.",
                f"record {lacking}",
                "a number that is missing",
                "leave the record out, or learn windows by `mixture`",
            )
        kept = self.axes.kept(self.flat)
        z = self.axes.cells(self.flat.values(rows.cells)[:, self.axes.columns])
        there = torch.ones_like(z, dtype=torch.bool)
        cells, mask = torch.cat([rows.cells[:, kept], z], 1), torch.cat([rows.mask[:, kept], there], 1)
        return Batch(cells, mask, rows.cond)

    def back(self, batch: Batch) -> Batch:
        """Inverse of `turned`; numbers fall into the cells that hold them."""
        kept, columns = self.axes.kept(self.flat), self.axes.columns
        values = torch.zeros(len(batch), len(self.flat), dtype=torch.float64)
        values[:, columns] = self.axes.numbers(batch.cells[:, len(kept) :])
        cells, mask = self.flat.cells(values), torch.ones(len(batch), len(self.flat), dtype=torch.bool)
        cells[:, kept], mask[:, kept] = batch.cells[:, : len(kept)], batch.mask[:, : len(kept)]
        return self.windows.arrays_of(Batch(torch.where(mask, cells, 0), mask, batch.cond))

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """Samples of the row, turned back."""
        return self.back(self.row.sample(n, generator, cond))

    def arrays(self) -> dict[str, Tensor]:
        """Those of the row, and the axes."""
        return {**{f"row.{name}": value for name, value in self.row.arrays().items()}, **self.axes.arrays()}

    def facts(self) -> dict[str, Any]:
        """Those of the row."""
        return self.row.facts()


class ComponentWindowsScores(ComponentWindows):
    """`ComponentWindows` over rows that have a likelihood."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate", "log_prob": "estimate"}

    def log_prob(self, batch: Batch) -> Tensor:
        """Density of the components at the middle of each window's cell times the volume of the cell, [rows] float64.

        `log p(z) + log |dz / dx| + log |dx / d cell|`: an estimate, good where cells are fine against the density.
        """
        turned, rows = self.turned(batch), self.windows.rows(batch)
        density = cast(Scores, self.row).log_prob(turned).to(torch.float64)
        if self.row.measure == "cells":
            density = density - len(self.axes.columns) * math.log(FINE)
        else:  # columns that are not turned are cells of their own
            kept = torch.zeros_like(turned.mask)
            kept[:, : len(self.axes.kept(self.flat))] = True
            density = density + self.row.event.log_slope(turned.cells, turned.mask & kept)
        mask = torch.zeros_like(rows.mask)
        mask[:, self.axes.columns] = True
        return density + self.axes.log_volume() + self.flat.log_slope(rows.cells, mask)


def component_windows(event: Ragged, row: Distribution, axes: Axes) -> ComponentWindows:
    """Windows by a distribution of their turned rows."""
    return (ComponentWindowsScores if isinstance(row, Scores) else ComponentWindows)(event, row, axes)
