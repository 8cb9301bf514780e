"""Principal components of windows: the numbers of all steps, turned so that none of them tells of another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from ensample.events import Continuous, Lattice, Mixed, Span
from ensample.kinds.records import ABSENT

FINE = 1e-4
"""Width of a cell of a component, in its standard deviations: so fine that rounding costs nothing."""
LEAST = 1e-6
"""Least variance of a component, as a share of the mean one: what varies less is not made larger than it is."""


@dataclass(frozen=True)
class Axes:
    """`z = (x - mean) turn`, x being numbers of a row as `Mixed.values` has them: about uncorrelated, of variance 1.

    `turn = V / sqrt(max(lambda, floor))` for eigenvectors V and eigenvalues lambda of the covariance (Pearson 1901),
    so that z tells all of x. Components are cells of width `FINE`.

    Arguments:
        columns: which columns of the row are turned, int64 [turned].
        mean: of these [turned] float64.
        turn: float64 [turned, turned].
        low, high: smallest and largest cell of each component in the training data, int64 [turned].
    """

    columns: Tensor
    mean: Tensor
    turn: Tensor
    low: Tensor
    high: Tensor

    @classmethod
    def fit(cls, event: Mixed, cells: Tensor) -> Self:
        """From training rows, cells [rows, spans] with `ABSENT` where nothing is: numbers that are always there."""
        always = (cells != ABSENT).all(0)
        numbers = [
            j
            for j, span in enumerate(event.spans)
            if isinstance(span.event, Continuous) and span.exists is None and bool(always[j])
        ]
        columns = torch.tensor(numbers, dtype=torch.int64)
        x = event.values(cells)[:, columns]
        mean = x.mean(0)
        variances, vectors = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        floor = LEAST * float(variances.mean()) if len(numbers) else 0.0
        turn = vectors / variances.clamp(min=max(floor, 1e-12)).sqrt()
        found = cls(columns, mean, turn, columns, columns)
        z = found.cells(x) if len(x) else torch.zeros(1, len(numbers), dtype=torch.int64)
        return cls(columns, mean, turn, z.amin(0), z.amax(0))

    def cells(self, x: Tensor) -> Tensor:
        """Cells [rows, turned] int64 of the components of numbers [rows, turned]."""
        return torch.round((x - self.mean) @ self.turn / FINE).to(torch.int64)

    def numbers(self, cells: Tensor) -> Tensor:
        """Inverse of `cells`, float64."""
        found: Tensor = torch.linalg.solve(self.turn.T, (cells.double() * FINE).T).T + self.mean
        return found

    def log_volume(self) -> float:
        """Log of |dz / dx|: what a density of z has to be multiplied with to be one of x."""
        return float(torch.linalg.slogdet(self.turn).logabsdet) if len(self.columns) else 0.0

    def row(self, event: Mixed) -> Mixed:
        """The event of a turned row: the columns that are not turned, then the components."""
        kept = self.kept(event)
        place = {old: new for new, old in enumerate(kept)}
        spans = []
        for j in kept:
            span = event.spans[j]
            exists = None if span.exists is None else (place[span.exists[0]], span.exists[1])
            spans.append(Span(span.name, span.event, exists))
        for i, (low, high) in enumerate(zip(self.low.tolist(), self.high.tolist(), strict=True)):
            spans.append(Span(f"component {i + 1}", Continuous(Lattice(low, high, scale=1.0 / FINE))))
        return Mixed(tuple(spans))

    def kept(self, event: Mixed) -> list[int]:
        """Columns that are not turned."""
        turned = set(self.columns.tolist())
        return [j for j in range(len(event)) if j not in turned]

    def arrays(self) -> dict[str, Tensor]:
        """All of it, as tensors to store."""
        return {f"axes.{name}": getattr(self, name) for name in ("columns", "mean", "turn", "low", "high")}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Self:
        """Inverse of `arrays`; what else is there is left alone."""
        return cls(*(arrays[f"axes.{name}"] for name in ("columns", "mean", "turn", "low", "high")))
