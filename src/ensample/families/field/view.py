"""A table as a field sees it: classes, few-valued numbers as classes too, and numbers that move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Batch, Continuous, Discrete, Limit, Mixed
from ensample.families.bins import Bins
from ensample.families.field.warp import Scale
from ensample.families.layout import FAR


@dataclass(frozen=True)
class View:
    """Which spans are drawn as classes and which as moving numbers, and the way to both and back.

    Arguments:
        event: the table's.
        bins: of each span that is a number drawn as a class, by span; a class is then a bin.
        scales: of each moving number, in the order of `numbers`.
    """

    event: Mixed
    bins: dict[int, Bins]
    scales: tuple[Scale, ...]

    @property
    def classes(self) -> tuple[int, ...]:
        """Spans drawn as classes."""
        spans = enumerate(self.event.spans)
        return tuple(j for j, span in spans if isinstance(span.event, Discrete) or j in self.bins)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Spans that move."""
        return tuple(j for j in range(len(self.event)) if j not in self.classes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of classes of each of `classes`."""
        return tuple(self._size(j) for j in self.classes)

    def _size(self, span: int) -> int:
        event = self.event.spans[span].event
        return event.classes if isinstance(event, Discrete) else len(self.bins[span])

    def codes(self, batch: Batch) -> Tensor:
        """Classes [rows, classes] int64, 0 where the mask is unset."""
        out = batch.cells[:, list(self.classes)]
        for i, j in enumerate(self.classes):
            if j in self.bins:
                out[:, i] = torch.where(batch.mask[:, j], self.bins[j].index(batch.cells[:, j]), 0)
        return out

    def shown(self, batch: Batch) -> Tensor:
        """Which classes are known, bool [rows, classes]."""
        return batch.mask[:, list(self.classes)]

    def known(self, batch: Batch) -> Tensor:
        """Which numbers are known, bool [rows, numbers]."""
        return batch.mask[:, list(self.numbers)]

    def values(self, batch: Batch, offset: Tensor | float) -> Tensor:
        """Moving numbers [rows, numbers] float32 at a place inside their cells, 0 where not known."""
        where = batch.cells.to(torch.float64) + offset
        columns = [scale.score(where[:, j]) for j, scale in zip(self.numbers, self.scales, strict=True)]
        out = torch.stack(columns, 1).to(torch.float32) if columns else torch.zeros(len(batch), 0)
        return torch.where(self.known(batch), out, 0.0)

    def log_inside(self, batch: Batch, column: int, code: Tensor) -> Tensor | float:
        """Log-probability of a cell given its class, number `column` of `classes`: 0 but for numbers in bins."""
        j = self.classes[column]
        return self.bins[j].log_inside(batch.cells[:, j], code) if j in self.bins else 0.0

    def existing(self, codes: Tensor, spans: Sequence[int]) -> Tensor:
        """Which of these spans exist under the classes, bool [rows, spans]."""
        cells = torch.zeros(len(codes), len(self.event), dtype=torch.int64)
        cells[:, list(self.classes)] = codes
        columns = [self.event.existing(cells, j) for j in spans]
        return torch.stack(columns, 1) if columns else torch.zeros(len(codes), 0, dtype=torch.bool)

    def decided(self, shown: Tensor, spans: Sequence[int]) -> Tensor:
        """Spans of which the classes shown tell whether they exist, bool [rows, spans]."""
        place = {j: i for i, j in enumerate(self.classes)}
        parents = [self.event.spans[j].exists for j in spans]
        columns = [torch.ones(len(shown), dtype=torch.bool) if p is None else shown[:, place[p[0]]] for p in parents]
        return torch.stack(columns, 1) if columns else shown[:, :0]

    def log_allowed(self, batch: Batch, limits: Sequence[Limit]) -> list[Tensor]:
        """Log of the part of each class [rows, classes] that limits and known numbers leave, for each class column."""
        out = []
        for j, size in zip(self.classes, self.sizes, strict=True):
            share = torch.ones(len(batch), size, dtype=torch.float64)
            for limit in (limit for limit in limits if limit.column == j):
                inside = self.bins[j].share(limit.ranges) if j in self.bins else limit.contains(torch.arange(size))
                share = share * inside
            for k, span in enumerate(self.event.spans):
                if span.exists is not None and span.exists[0] == j:
                    there = torch.isin(torch.arange(size), torch.tensor(span.exists[1]))
                    share = share * (there | ~batch.mask[:, k : k + 1])
            out.append(torch.log(share))
        return out

    def complete(
        self, batch: Batch, codes: Tensor, values: Tensor, generator: Generator, limits: Sequence[Limit]
    ) -> tuple[Tensor, Tensor]:
        """Cells and mask of completed rows; what was known stays."""
        cells = batch.cells.clone()
        for i, j in enumerate(self.classes):
            made = codes[:, i]
            if j in self.bins:
                ranges = [limit.ranges for limit in limits if limit.column == j]
                made = self.bins[j].draw_inside(made, generator, ranges[0] if ranges else None)
            cells[:, j] = torch.where(batch.mask[:, j], cells[:, j], made)
        for i, j in enumerate(self.numbers):
            position = self.scales[i].position(values[:, i]).nan_to_num(0.0, FAR, -FAR).clamp(-FAR, FAR)
            cells[:, j] = torch.where(batch.mask[:, j], cells[:, j], torch.round(position).to(torch.int64))
        mask = torch.stack([self.event.existing(cells, j) for j in range(len(self.event))], 1) | batch.mask
        return torch.where(mask, cells, 0), mask


def few_valued(event: Mixed, columns: Sequence[np.ndarray], most: int) -> dict[int, Bins]:
    """Bins of the numbers that take at most so many different values in training, by span."""
    found = {}
    for j, (span, cells) in enumerate(zip(event.spans, columns, strict=True)):
        if isinstance(span.event, Continuous) and len(np.unique(cells)) <= most:
            found[j] = Bins.fit(span.event, cells, max(1, most))
    return found
