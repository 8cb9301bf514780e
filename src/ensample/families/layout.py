"""A mixed event as networks see it: a block of real numbers, a block of classes, and what is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.events import Batch, Continuous, Discrete, Mixed

FAR = 2.0**50
"""Cells beyond this are as far as numbers go: rounding keeps them whole in float64."""


@dataclass(frozen=True)
class Layout:
    """Which spans of an event are numbers and which are classes, and how to get from a batch to tensors and back.

    Example:
        >>> from ensample.events import Lattice, Span
        >>> layout = Layout(Mixed((Span("a", Discrete(3)), Span("b", Continuous(Lattice(0, 9))))))
        >>> layout.numbers, layout.classes, layout.sizes
        ((1,), (0,), (3,))
    """

    event: Mixed

    @property
    def numbers(self) -> tuple[int, ...]:
        """Spans with real numbers."""
        return tuple(j for j, span in enumerate(self.event.spans) if isinstance(span.event, Continuous))

    @property
    def classes(self) -> tuple[int, ...]:
        """Spans with classes."""
        return tuple(j for j, span in enumerate(self.event.spans) if isinstance(span.event, Discrete))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of classes of each span of `classes`."""
        return tuple(span.event.classes for span in self.event.spans if isinstance(span.event, Discrete))

    @property
    def width(self) -> int:
        """Columns of `flat`."""
        return 2 * len(self.numbers) + sum(self.sizes)

    def values(self, batch: Batch, generator: Generator | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standardised numbers [rows, numbers], 0 where the mask is unset.

        With a generator each lies at a uniform place inside its own cell (dequantisation: Uria, Murray and Larochelle
        2013), for learning; without, at `batch.offset`.
        """
        offset = batch.offset
        if generator is not None:
            offset = torch.rand(batch.cells.shape, generator=generator, dtype=torch.float64) - 0.5
        values = self.event.values(batch.cells, offset)[:, list(self.numbers)]
        return torch.where(self.exists(batch), values, 0.0).to(dtype)

    def exists(self, batch: Batch) -> Tensor:
        """Which numbers are there, bool [rows, numbers]."""
        return batch.mask[:, list(self.numbers)]

    def codes(self, batch: Batch) -> Tensor:
        """Classes [rows, classes] int64, 0 where the mask is unset."""
        return batch.cells[:, list(self.classes)]

    def known(self, batch: Batch) -> Tensor:
        """Which classes are there, bool [rows, classes]."""
        return batch.mask[:, list(self.classes)]

    def one_hot(self, codes: Tensor, known: Tensor | None = None) -> Tensor:
        """Classes [rows, classes] as indicators [rows, sum of sizes] float32; all 0 for one that is not known."""
        parts = [F.one_hot(codes[:, i], size).to(torch.float32) for i, size in enumerate(self.sizes)]
        if known is not None:
            parts = [part * known[:, i : i + 1] for i, part in enumerate(parts)]
        return torch.cat(parts, 1) if parts else torch.zeros(len(codes), 0)

    def flat(self, batch: Batch, generator: Generator | None = None) -> Tensor:
        """All that is known as one matrix [rows, width] float32: numbers, whether they exist, class indicators."""
        exists = self.exists(batch).to(torch.float32)
        return torch.cat([self.values(batch, generator), exists, self.one_hot(self.codes(batch), self.known(batch))], 1)

    def batch(self, values: Tensor, codes: Tensor, cond: Batch | None = None) -> Batch:
        """Records from numbers [rows, numbers] and classes [rows, classes]: the cells that hold them.

        The mask is what exists under the classes drawn; numbers that do not exist are dropped.
        """
        cells = torch.zeros(len(values), len(self.event), dtype=torch.int64)
        cells[:, list(self.classes)] = codes
        for i, j in enumerate(self.numbers):
            event = self.event.spans[j].event
            assert isinstance(event, Continuous)
            position = event.lattice.position(values[:, i]).nan_to_num(0.0, FAR, -FAR).clamp(-FAR, FAR)
            cells[:, j] = torch.round(position).to(torch.int64)
        mask = torch.stack([self.event.existing(cells, j) for j in range(len(self.event))], 1)
        return Batch(torch.where(mask, cells, 0), mask, cond)


def given_flat(given: Mixed | None, batch: Batch) -> Tensor:
    """The given fields of a batch as one matrix [rows, width] float32; no columns where nothing is given."""
    if given is None or batch.cond is None:
        return torch.zeros(len(batch), 0)
    return Layout(given).flat(batch.cond)


def given_width(given: Mixed | None) -> int:
    """Columns of `given_flat`."""
    return 0 if given is None else Layout(given).width
