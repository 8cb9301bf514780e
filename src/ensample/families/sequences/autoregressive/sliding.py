"""Which part of a long record each of its classes is told from: windows that slide by half their length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

SHORTEST = 16
"""Windows are computed in lengths of this, twice, four times ... this: few sizes, and little padding."""


@dataclass(frozen=True)
class Block:
    """Windows that are computed together: their records, their first inputs [windows] int64, and in how many steps.

    `rows` is how many windows are always computed together, so that company changes no result.
    """

    record: Tensor
    first: Tensor
    steps: int
    rows: int

    def filled(self) -> tuple[Tensor, Tensor]:
        """Records and first inputs [rows], the last window again and again at the end."""
        chosen = torch.arange(self.rows).clamp(max=len(self.record) - 1)
        return self.record[chosen], self.first[chosen]


@dataclass(frozen=True)
class Sliding:
    """Windows of `context` inputs over a record whose inputs are its mark and its classes.

    Target t of a record (its class number t, or behind the last its end) is told from inputs `start(t)` to t: all of
    them while t < context, and from then on at least half a context. So the conditional of each place is a function of
    the place alone, and a network that writes on can slide in the same way.

    Example:
        >>> Sliding(8).start(torch.tensor([0, 7, 8, 11, 12])).tolist()
        [0, 0, 4, 4, 8]
    """

    context: int

    @property
    def stride(self) -> int:
        """By how much a window moves on."""
        return self.context // 2

    def start(self, target: Tensor) -> Tensor:
        """First input that tells this target, int64 of the same shape."""
        return (target - self.context).div(self.stride, rounding_mode="floor").add(1).clamp(min=0) * self.stride

    def windows(self, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """All windows of records of these lengths [rows], each at least 0: record and first input, int64 [windows]."""
        count = self.start(lengths) // self.stride + 1
        record = torch.arange(len(lengths)).repeat_interleave(count)
        number = torch.arange(len(record)) - (count.cumsum(0) - count)[record]
        return record, number * self.stride

    def blocks(self, lengths: Tensor, tokens: int) -> Iterator[Block]:
        """All windows of records of these lengths [rows], those of similar length together, `tokens` inputs at once.

        In how many steps a window is computed depends on its own record alone.
        """
        record, first = self.windows(lengths)
        steps = self._steps((lengths[record] + 1 - first).clamp(max=self.context))
        for size in sorted(set(steps.tolist())):
            numbers = (steps == size).nonzero()[:, 0]
            for part in numbers.split(max(1, tokens // size)):
                yield Block(record[part], first[part], size, max(1, tokens // size))

    def _steps(self, lengths: Tensor) -> Tensor:
        """Steps in which windows with so many inputs are computed."""
        size = torch.full_like(lengths, SHORTEST)
        while bool((size < lengths).any()):
            size = torch.where(size < lengths, 2 * size, size)
        return size.clamp(max=self.context)
