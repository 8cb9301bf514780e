"""Numbers by a softmax over bins of cells that a training column gave."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from ensample.events import Mixed
from ensample.nets.emissions.base import ALL, Lattices, Numbers, uniform
from ensample.nets.emissions.columns import numbers_of

STRAY_ROWS = 1.0
"""Cells in no bin share the mass STRAY_ROWS / (rows + STRAY_ROWS)."""


class Binned(Numbers):
    """`p(k) = (1 - e) softmax_j / (cells in bin j) + e q(k)`, j the bin that holds k, q a Cauchy law over all cells.

    Bins hold about equal shares of the training column; a cell of more than that has a bin of its own. q is for scoring
    only: draws stay in bins.

    Arguments:
        event: whose numbers these are.
        pieces: most bins of each column.

    Example:
        >>> from ensample.events import Continuous, Lattice, Span
        >>> binned = Binned(Mixed((Span("a", Continuous(Lattice(0, 9))),)), pieces=4)
        >>> seen = torch.tensor([[0], [1], [1], [9]])
        >>> raw = binned.begin(seen, seen >= 0).expand(3, 1, -1)
        >>> [round(float(p), 2) for p in binned.log_prob(raw, torch.tensor([[0], [1], [9]])).exp()]
        [0.22, 0.37, 0.22]
    """

    first: Tensor
    last: Tensor
    stray: Tensor
    home: Tensor

    def __init__(self, event: Mixed, pieces: int = 64) -> None:
        super().__init__()
        self.lattices, self.outputs = Lattices(numbers_of(event)), pieces
        count = len(self.lattices)
        self.register_buffer("first", torch.zeros(count, pieces, dtype=torch.int64))
        self.register_buffer("last", torch.full((count, pieces), -1))  # an empty bin ends before it begins
        self.register_buffer("stray", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("home", torch.zeros(2, count, dtype=torch.float64))  # middle and spread of q, in cells

    def begin(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Bins of each column and their log shares."""
        start = torch.zeros(len(self.lattices), self.outputs)
        for j in range(len(start)):
            known = cells[mask[:, j], j]
            if not len(known):
                known = (0.5 * (self.lattices.low[j] + self.lattices.high[j])).to(torch.int64)[None]
            first, last, counts = _bins(known, self.outputs)
            bins = len(first)
            self.last[j] = -1
            self.first[j] = int(last[-1]) + 1
            self.first[j, :bins], self.last[j, :bins] = first, last
            start[j, :bins] = torch.log((counts + 0.5) / (counts + 0.5).sum())
            self.stray[j] = STRAY_ROWS / (len(known) + STRAY_ROWS)
            self.home[:, j] = torch.stack(
                [known.median().to(torch.float64), 1 + (last[-1] - first[0]).to(torch.float64)]
            )
        return start

    def log_prob(self, raw: Tensor, cells: Tensor, at: slice = ALL) -> Tensor:
        """The bin's share spread over its cells, and the stray mass."""
        log_share = self._log_share(raw, at)
        first, last = self.first[at], self.last[at]
        right = torch.searchsorted(first, cells.t().contiguous(), right=True) - 1  # [columns, rows]
        index = right.t().clamp(min=0)
        end, size = (part.gather(1, right.clamp(min=0)).t() for part in (last, (last - first + 1).clamp(min=1)))
        inside = (right.t() >= 0) & (cells <= end)
        chosen = index[..., None].expand(*log_share.shape[:-1], 1)
        binned = log_share.gather(-1, chosen)[..., 0] - torch.log(size.to(raw.dtype))
        binned = torch.where(inside, binned, -torch.inf)
        stray = self.stray[at]
        q = torch.log(stray) + self._log_q(cells, at)
        return torch.logaddexp(binned + torch.log1p(-stray).to(raw.dtype), q.to(raw.dtype))

    def log_within(self, raw: Tensor, low: Tensor, high: Tensor, at: slice = ALL) -> Tensor:
        """Bins by the share of their cells that lie within; no stray mass."""
        return torch.logsumexp(self._log_share(raw, at) + self._overlap(low, high, at)[2].log().to(raw.dtype), -1)

    def draw(self, raw: Tensor, low: Tensor, high: Tensor, generator: Generator, at: slice = ALL) -> Tensor:
        """A bin, then one of its cells within, each as probable as the next."""
        begin, end, share = self._overlap(low, high, at)
        logits = self._log_share(raw, at).to(torch.float64) + share.log()
        chosen = (logits - torch.log(-torch.log(uniform(logits, generator)))).argmax(-1, keepdim=True)
        begin, end = begin.gather(-1, chosen)[..., 0], end.gather(-1, chosen)[..., 0]
        return begin + (uniform(begin, generator) * (end - begin + 1)).to(torch.int64)

    def mean(self, raw: Tensor, at: slice = ALL) -> Tensor:
        """Shares times the middles of the bins."""
        middle = 0.5 * (self.first[at] + torch.maximum(self.first[at], self.last[at])).to(torch.float64)
        x = self.lattices.encode(middle.t(), at).t()
        return (self._log_share(raw, at).exp() * x.to(raw.dtype)).sum(-1)

    def _log_share(self, raw: Tensor, at: slice) -> Tensor:
        return raw.masked_fill(self.last[at] < self.first[at], -torch.inf).log_softmax(-1)

    def _overlap(self, low: Tensor, high: Tensor, at: slice) -> tuple[Tensor, Tensor, Tensor]:
        """Of each bin [rows, columns, bins]: first and last cell within, and the share of its cells that are."""
        first, last = self.first[at], self.last[at]
        begin, end = torch.maximum(first, low[..., None]), torch.minimum(last, high[..., None])
        share = (end - begin + 1).clamp(min=0).to(torch.float64) / (last - first + 1).clamp(min=1)
        return begin, end, share

    def _log_q(self, cells: Tensor, at: slice) -> Tensor:
        """Cauchy law over all cells: `[atan(b) - atan(a)] / pi = atan((b - a) / (1 + ab)) / pi`, in units of spread."""
        middle, spread = self.home[:, at]
        z = (cells.to(torch.float64) - middle) / spread.clamp(min=1.0)
        half = 0.5 / spread.clamp(min=1.0)
        return torch.log(torch.atan2(2 * half, 1 + (z - half) * (z + half)) / math.pi)


def _bins(cells: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """First and last cell of at most `most` bins, ascending, and how many of the cells each holds."""
    values, counts = torch.unique(cells, return_counts=True)
    group = torch.arange(len(values))
    if len(values) > most:
        alone = counts * most >= counts.sum()
        room = max(1, most - 2 * int(alone.sum()) - 1)
        rest = torch.where(alone, 0, counts).cumsum(0).to(torch.float64)
        level = (rest / rest[-1].clamp(min=1) * room * (1 - 1e-12)).to(torch.int64)
        fresh = alone | torch.cat([torch.zeros(1, dtype=torch.bool), alone[:-1]])
        fresh[1:] |= level.diff() > 0
        fresh[0] = False
        group = fresh.cumsum(0)
    starts = torch.cat([torch.ones(1, dtype=torch.bool), group.diff() > 0]).nonzero()[:, 0]
    ends = torch.cat([starts[1:], torch.tensor([len(values)])]) - 1
    return values[starts], values[ends], torch.bincount(group, weights=counts.to(torch.float64))
