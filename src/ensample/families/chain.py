"""Chains: families that predict one span at a time from the spans before it, by the product rule.

`log p(x) = sum_j log p(x_j | what is seen before j)`. All of them share how a likelihood is summed, how records are
drawn, how evidence and limits are honoured; a family supplies the distribution of one span over its bins.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit
from ensample.families.base import Distribution
from ensample.families.bins import Bins


@dataclass
class Seen:
    """What a prediction may look at: cells [rows, spans] int64, which of them are known, and the given fields."""

    cells: Tensor
    known: Tensor
    cond: Batch | None

    def take(self, rows: Tensor) -> Seen:
        """These rows alone (ascending and distinct, so that all of them are the whole)."""
        if len(rows) == len(self.cells):
            return self
        return Seen(self.cells[rows], self.known[rows], None if self.cond is None else self.cond.take(rows))


class Chain(Distribution):
    """p(x) as a product over spans. Abstract: a leaf supplies `table`, and may supply faster `score` and `choose`.

    `any_order` says that a span can be predicted from any set of others, so that evidence is looked at first and draws
    are exact; otherwise spans are predicted in one order (`order`, or that of the event) and later evidence becomes a
    weight.

    A leaf that serves some spans by other distributions than bins replaces `score_cells` and `draw_cells` for them.
    """

    any_order = False
    order: Sequence[int] | None = None
    bins: tuple[Bins, ...]

    @property
    def sees_evidence(self) -> bool:  # type: ignore[override]
        """A fixed order meets later evidence only after it has drawn."""
        return self.any_order

    @abstractmethod
    def table(self, column: int, seen: Seen) -> Tensor:
        """Log-probabilities [rows, bins] of this span's bins, float64 or float32, each row summing to one."""

    def score(self, column: int, index: Tensor, seen: Seen) -> Tensor:
        """Log-probability [rows] of these bins."""
        return self.table(column, seen).gather(1, index[:, None])[:, 0].to(torch.float64)

    def choose(self, column: int, seen: Seen, generator: Generator) -> Tensor:
        """Draw bins [rows]."""
        return pick(self.table(column, seen), generator)

    def choose_within(self, column: int, share: Tensor, seen: Seen, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw bins of which the share [bins] is allowed: (bins [rows], log-probability [rows] of being allowed)."""
        logits = self.table(column, seen).to(torch.float64) + share.log()
        weight = logits.logsumexp(1).clamp(max=0.0)
        return pick(torch.where(torch.isfinite(weight)[:, None], logits, 0.0), generator), weight

    def score_cells(self, column: int, cells: Tensor, seen: Seen) -> Tensor:
        """Log-probability [rows] float64 of these cells [rows] of a span, given what is seen."""
        index = self.bins[column].index(cells)
        return self.score(column, index, seen) + self.bins[column].log_inside(cells, index)

    def draw_cells(self, column: int, seen: Seen, generator: Generator, limit: Limit | None) -> tuple[Tensor, Tensor]:
        """Draw cells [rows] of a span within the limit; log-probability [rows] float64 that it had been met anyway."""
        bins = self.bins[column]
        if limit is None:
            index = self.choose(column, seen, generator)
            return bins.draw_inside(index, generator), torch.zeros(len(index), dtype=torch.float64)
        index, weight = self.choose_within(column, bins.share(limit.ranges), seen, generator)
        possible = torch.isfinite(weight)
        cells = torch.zeros_like(index)
        cells[possible] = bins.draw_inside(index[possible], generator, limit.ranges)
        return cells, weight

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record's cell, nats [rows] float64.

        A fixed order integrates out what is unset at the end of the order, and treats what is unset before a known
        coordinate as not existing; an any-order chain predicts each known coordinate from the known ones before it.
        """
        seen = Seen(batch.cells, torch.zeros_like(batch.mask), batch.cond)
        total = torch.zeros(len(batch), dtype=torch.float64)
        for j in self._order():
            rows = batch.mask[:, j].nonzero()[:, 0]
            if len(rows):
                total[rows] += self.score_cells(j, batch.cells[rows, j], seen.take(rows))
            seen.known[:, j] = batch.mask[:, j]
        return total

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records."""
        shape = (n, len(self.event))
        nothing = Batch(torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool), cond)
        return self.draw(nothing, generator)[0]

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset coordinates; see `Draws.draw`. Weights come from limits and, in a fixed order, later evidence."""
        bounds = {limit.column: limit for limit in limits}
        cells, weight = batch.cells.clone(), torch.zeros(len(batch), dtype=torch.float64)
        known = batch.mask.clone() if self.any_order else torch.zeros_like(batch.mask)
        seen = Seen(cells, known, batch.cond)
        for j in self._drawing_order(bounds):
            exists = self._exists(j, seen, batch)
            evidence = batch.mask[:, j]
            if not self.any_order and bool(evidence.any()):
                rows = evidence.nonzero()[:, 0]
                weight[rows] += self.score_cells(j, cells[rows, j], seen.take(rows))
            weight[evidence & ~self.event.existing(cells, j)] = -torch.inf  # a value needs a state
            rows = (exists & ~evidence).nonzero()[:, 0]
            if len(rows):
                cells[rows, j], extra = self.draw_cells(j, seen.take(rows), generator, bounds.get(j))
                weight[rows] += extra
            known[:, j] = exists
        return Batch(cells, known, batch.cond), weight

    def _exists(self, column: int, seen: Seen, batch: Batch) -> Tensor:
        exists = self.event.existing(seen.cells, column)
        return exists | batch.mask[:, column] if self.any_order else exists

    def _drawing_order(self, bounds: dict[int, Limit]) -> list[int]:
        """Limited spans first where the order is free, each after the span that it depends on."""
        if not self.any_order:
            return self._order()
        parents = {s.exists[0] for j, s in enumerate(self.event.spans) if j in bounds and s.exists is not None}
        first = set(bounds) | parents
        return sorted(self._order(), key=lambda j: j not in first)

    def _order(self) -> list[int]:
        return list(range(len(self.event)) if self.order is None else self.order)


def pick(logits: Tensor, generator: Generator) -> Tensor:
    """One category a row, in proportion to exp(logits) [rows, categories]; int64 [rows]."""
    top = logits.amax(1, keepdim=True)
    cumulative = torch.exp(logits - top).to(torch.float64).cumsum(1)
    u = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, u, right=True)[:, 0].clamp(max=logits.shape[1] - 1)
