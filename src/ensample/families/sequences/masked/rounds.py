"""In which windows, and in what order, the classes of a record are shown."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SHORTEST = 16
"""Windows are computed in lengths of this, twice, four times ... this."""


@functools.lru_cache(maxsize=4096)
def rounds_of(count: int, rounds: int, number: int) -> Tensor:
    """The round in which each of so many places is shown, int64 [count]: all about as many, places at random.

    Example:
        >>> sorted(rounds_of(5, 3, 0).tolist())
        [0, 0, 1, 1, 2]
    """
    order = np.random.default_rng([number, count]).permutation(count)
    made = np.empty(count, np.int64)
    made[order] = np.sort(np.arange(count) % max(1, min(rounds, count)))
    return torch.from_numpy(made)


@dataclass(frozen=True)
class Blocks:
    """Parts of records, each of which is shown in a window of its own.

    Place 0 of a record is its first mark, its classes follow, and then its last mark.

    Arguments:
        record: of each block, int64 [blocks].
        begin, end: places of its classes, [blocks].
        first, stop: places of its window, [blocks]; what lies behind `end` is the last mark, if anything.
    """

    record: Tensor
    begin: Tensor
    end: Tensor
    first: Tensor
    stop: Tensor

    def take(self, rows: Tensor) -> Blocks:
        """These blocks."""
        return Blocks(*(part[rows] for part in (self.record, self.begin, self.end, self.first, self.stop)))

    def rounds(self, rounds: int, number: int, width: int) -> Tensor:
        """The round of each place of windows of this width, int64 [blocks, width]; -1 for what is shown already."""
        made = torch.full((len(self.record), width), -1)
        begin, count = self.begin - self.first, self.end - self.begin
        for row, (start, places) in enumerate(torch.stack([begin, count], 1).tolist()):
            made[row, start : start + places] = rounds_of(places, rounds, number)
        return made


@dataclass(frozen=True)
class Layout:
    """Records that fit into the context are one block; longer ones are shown half a context after the other.

    A block sees what was shown before it, as much as the context holds.

    Example:
        >>> blocks = Layout(8).blocks(torch.tensor([3, 9]))
        >>> blocks.begin.tolist(), blocks.end.tolist(), blocks.first.tolist(), blocks.stop.tolist()
        ([1, 1, 5, 9], [4, 5, 9, 10], [0, 0, 2, 6], [5, 5, 9, 11])
    """

    context: int

    @property
    def stride(self) -> int:
        """Classes of a block of a long record."""
        return self.context // 2

    def fits(self, lengths: Tensor) -> Tensor:
        """Which records of these lengths are one block."""
        return lengths + 2 <= self.context

    def blocks(self, lengths: Tensor) -> Blocks:
        """All blocks of records of these lengths [rows], each at least 0; empty records have none."""
        size = torch.where(self.fits(lengths), lengths.clamp(min=1), self.stride)
        count = -(-lengths // size)
        record = torch.arange(len(lengths)).repeat_interleave(count)
        number = torch.arange(len(record)) - (count.cumsum(0) - count)[record]
        begin = 1 + number * size[record]
        end = torch.minimum(begin + size[record], lengths[record] + 1)
        first = torch.where(self.fits(lengths)[record], 0, (begin - (self.context - self.stride - 1)).clamp(min=0))
        stop = torch.where(end == lengths[record] + 1, end + 1, end)
        return Blocks(record, begin, end, first, stop)

    def alike(self, blocks: Blocks, tokens: int) -> Iterator[tuple[Blocks, int, int]]:
        """Blocks whose windows are computed in the same width, so many tokens at once; the width, and how many rows.

        In which width a window is computed depends on its own record alone.
        """
        width = torch.full_like(blocks.first, SHORTEST)
        while bool((width < blocks.stop - blocks.first).any()):
            width = torch.where(width < blocks.stop - blocks.first, 2 * width, width)
        width = width.clamp(max=self.context)
        for size in sorted(set(width.tolist())):
            for part in (width == size).nonzero()[:, 0].split(max(1, tokens // size)):
                yield blocks.take(part), size, max(1, tokens // size)
