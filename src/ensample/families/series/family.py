"""Windows of series by their principal components: any family of tables learns these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ensample.events import Mixed, Ragged, coordinates
from ensample.families.base import Distribution, Family, at_least
from ensample.families.compose.windows import window_records, window_row
from ensample.families.field.family import Field
from ensample.families.independent import part
from ensample.families.series.axes import Axes
from ensample.families.series.model import ComponentWindows, ComponentWindowsScores, component_windows
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.run import Run


@dataclass(frozen=True)
class Components:
    """p(window) = p(z) |dz / dx|, z the principal components of all numbers of all steps, each of variance 1.

    Steps of a series and variables that move together make windows that fill a thin sheet: on stock prices one
    direction holds nearly all variance and most a millionth of it. A network that sees the columns themselves needs
    that precision everywhere; in the components, which are waves in time and sums and differences of variables, nothing
    is thin. A field or an adversarial network then makes windows that others can hardly tell from real ones.

    Use it for diffusion (`field`) and adversarial networks (`gan`) over windows: their names mean this where records
    are windows. Do not use it to forecast or to fill gaps, which it cannot: what is known of a window is no component
    of it. Classes, and numbers that may be missing, stay columns of their own beside the components.

    Arguments:
        of: the family of tables that learns the row.
        most: columns beyond which it refuses, steps times spans of a step.

    Example:
        >>> Components(of=Field(width=64)).most
        1024
    """

    of: Family = Field()  # noqa: RUF009
    most: int = 1024

    name: ClassVar[str] = "components"
    distribution: ClassVar[type[Distribution]] = ComponentWindowsScores

    def __post_init__(self) -> None:
        at_least(self, most=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Tables."""
        return "components are those of windows of series; a table has no steps"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Records of different lengths, long windows, and what its family refuses of rows."""
        if not event.fixed:
            return "components need records that all have the same number of steps: take windows"
        if event.missing:
            return "whole records are missing, which no component tells: leave them out"
        if (size := coordinates(event)) > self.most:
            return f"each value would be a column, and {size:,} are more than {self.most:,} (option `most`)"
        if not self.of.distribution.storable:
            return f"its rows must be learned, and {self.of.name} is made of training rows"
        return self.of.refuses(window_row(event), given)

    def fit(self, records: Records, seed: int, run: Run) -> ComponentWindows:
        """Find the components, then learn their rows with the whole budget."""
        assert isinstance(records, Sequences)
        rows = window_records(records)
        cells = torch.from_numpy(rows.table)
        axes = Axes.fit(rows.event, cells)
        kept = cells[:, axes.kept(rows.event)]
        z = axes.cells(rows.event.values(cells)[:, axes.columns])
        table = torch.cat([kept, z], 1).numpy()
        told = rows.given_of(slice(None))
        turned = Records(axes.row(rows.event), table, rows.given, **told, near=rows.near)
        return component_windows(records.event, run.part("row", 1.0).learn(self.of, turned, seed), axes)

    def restore(
        self, event: Ragged, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> ComponentWindows:
        """Inverse of `ComponentWindows.arrays`."""
        axes = Axes.restore(arrays)
        row = self.of.restore(axes.row(window_row(event)), given, part(arrays, "row"), facts)
        return component_windows(event, row, axes)
