"""Visible units of an energy model: a softmax unit for each span, which is silent where the span does not exist.

Given the hidden units the spans are independent but for one thing: whether a span exists hangs on the class of an
earlier one. So sums over all records are sums over a forest, taken from the leaves to the roots.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.events import Batch, Limit, Mixed
from ensample.families.autoregressive.cells import Reader
from ensample.families.bins import Bins


class Units(nn.Module):
    """Which column of a flat vector stands for which bin of which span.

    `width` is the number of bins of all spans together, `start` [spans] where each span begins. Tables [rows, spans,
    most] hold one number for each bin, minus infinity past a span's last bin.
    """

    start: Tensor
    padded: Tensor

    def __init__(self, event: Mixed, bins: tuple[Bins, ...]) -> None:
        super().__init__()
        self.event, self.bins, self.reader = event, bins, Reader(event.spans, bins)
        sizes = [len(b) for b in bins]
        start = torch.tensor([0, *sizes]).cumsum(0)
        self.width, most = int(start[-1]), max(sizes)
        column = start[:-1, None] + torch.arange(most)
        self.register_buffer("start", start[:-1], persistent=False)
        inside = torch.arange(most) < torch.tensor(sizes)[:, None]
        self.register_buffer("padded", torch.where(inside, column, self.width), persistent=False)
        self.dependents = [(j, *span.exists) for j, span in enumerate(event.spans) if span.exists is not None]
        self.roots = [j for j, span in enumerate(event.spans) if span.exists is None]

    def index(self, batch: Batch) -> Tensor:
        """Flat columns [rows, spans] int64 of the bins of each record; `width` where the mask is unset."""
        return torch.where(batch.mask, self.reader.index(batch.cells) + self.start, self.width)

    def gather(self, weights: Tensor, index: Tensor) -> Tensor:
        """Sum over spans of the rows of `weights` [width, n] that flat columns name, [rows, n]."""
        padded = torch.cat([weights, weights.new_zeros(1, weights.shape[1])])
        return F.embedding_bag(index, padded, mode="sum")

    def table(self, flat: Tensor) -> Tensor:
        """A table [rows, spans, most] from flat numbers [rows, width]."""
        return torch.cat([flat, flat.new_full((len(flat), 1), -torch.inf)], 1)[:, self.padded]

    def allowed(self, batch: Batch, limits: Sequence[Limit] = ()) -> Tensor:
        """Log weights of every bin under evidence and limits, a table [rows, spans, most].

        A known bin has 0 and the others minus infinity; where nothing is known a limit gives the log share of each bin
        that it allows. The parent of a known span is in a class under which the span exists.
        """
        most = self.padded.shape[1]
        out = torch.zeros(len(batch), len(self.bins), most)
        for limit in limits:
            share = self.bins[limit.column].share(limit.ranges).log().to(torch.float32)
            out[:, limit.column, : len(share)] = share
        bins = self.reader.index(batch.cells)
        known = torch.where(F.one_hot(bins.clamp(max=most - 1), most) > 0, 0.0, -torch.inf)
        out = torch.where(batch.mask[:, :, None], known, out)
        for j, parent, classes in reversed(self.dependents):
            elsewhere = torch.full((most,), -torch.inf)
            elsewhere[list(classes)] = 0.0
            out[:, parent] += torch.where(batch.mask[:, j, None], elsewhere, 0.0)
        return out

    def fold(self, table: Tensor) -> Tensor:
        """Add what hangs on each class to its log weight: sums over children, [rows, spans, most]."""
        table = table.clone()
        for j, parent, classes in reversed(self.dependents):
            table[:, parent, list(classes)] += table[:, j].logsumexp(1, keepdim=True)
        return table

    def total(self, table: Tensor) -> Tensor:
        """Log sum over all records of exp of what their bins weigh, [rows]."""
        return self.fold(table)[:, self.roots].logsumexp(2).sum(1)

    def draw(self, table: Tensor, generator: Generator) -> Tensor:
        """Flat columns [rows, spans] of records drawn in proportion to exp of what their bins weigh."""
        folded = self.fold(table)
        top = folded.amax(2, keepdim=True).clamp(min=-1e30)
        cumulative = folded.sub(top).exp_().cumsum(2)
        u = torch.rand(*folded.shape[:2], 1, generator=generator) * cumulative[:, :, -1:] * (1 - 1e-6)
        chosen = (cumulative <= u).sum(2).clamp(max=folded.shape[2] - 1)
        there = torch.ones_like(chosen, dtype=torch.bool)
        for j, parent, classes in self.dependents:
            there[:, j] = torch.isin(chosen[:, parent], torch.tensor(classes)) & there[:, parent]
        return torch.where(there, self.padded.gather(1, chosen.T).T, self.width)

    def cells(self, index: Tensor, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> Batch:
        """Records of these flat columns; what `batch` knows stays, the rest is drawn inside its bin."""
        ranges = {limit.column: limit.ranges for limit in limits}
        mask = index < self.width
        cells = torch.zeros_like(index)
        for j, bins in enumerate(self.bins):
            rows = mask[:, j].nonzero()[:, 0]
            cells[rows, j] = bins.draw_inside(index[rows, j] - self.start[j], generator, ranges.get(j))
        return Batch(torch.where(batch.mask, batch.cells, cells), mask, batch.cond)

    def log_inside(self, batch: Batch) -> Tensor:
        """Log-probability of the cells of each record given their bins, [rows] float64."""
        index, total = self.reader.index(batch.cells), torch.zeros(len(batch), dtype=torch.float64)
        for j, bins in enumerate(self.bins):
            total += torch.where(batch.mask[:, j], bins.log_inside(batch.cells[:, j], index[:, j]), 0.0)
        return total

    def complete(self, batch: Batch) -> Tensor:
        """Which rows have a value at every span that exists, bool [rows]."""
        there = [batch.mask[:, j] | known_absent(self.event, batch, j) for j in range(len(self.bins))]
        return torch.stack(there, 1).all(1)


def known_absent(event: Mixed, batch: Batch, column: int) -> Tensor:
    """Rows of which it is known that the span does not exist, bool [rows]."""
    exists = event.spans[column].exists
    if exists is None:
        return torch.zeros(len(batch), dtype=torch.bool)
    parent = exists[0]
    return (batch.mask[:, parent] & ~event.existing(batch.cells, column)) | known_absent(event, batch, parent)
