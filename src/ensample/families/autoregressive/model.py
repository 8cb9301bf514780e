"""The fitted autoregressive model: a network over ordered columns, and what it says of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Limit, Mixed
from ensample.families.autoregressive.cells import Reader
from ensample.families.autoregressive.networks import NETWORKS, SCALES
from ensample.families.autoregressive.outlets import Outlets
from ensample.families.base import Guarantee
from ensample.families.bins import Bins
from ensample.families.chain import Chain, Seen, pick
from ensample.nets.ordered import Embedding, Ordered, Trunk

if TYPE_CHECKING:
    from ensample.families.autoregressive.family import Autoregressive

BLOCK = 256
"""Rows of one pass of `log_prob`: always the same, so that a row's result does not depend on its company."""


class AutoregressiveColumns(nn.Module, Chain):
    """A network that predicts each span from a set of known spans and the given fields.

    Draws are estimates of the conditionals of `log_prob`: in a fixed order late evidence can only weigh draws, and a
    network of every order learns each conditional for itself, near to those of the joint but not equal.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "estimate"}

    order: tuple[int, ...]
    standing: Tensor

    def __init__(
        self,
        event: Mixed,
        given: Mixed | None,
        bins: tuple[Bins, ...],
        given_bins: tuple[Bins, ...],
        order: tuple[int, ...],
        log_shares: tuple[Tensor, ...],
        options: Autoregressive,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.event, self.given, self.bins, self.given_bins = event, given, bins, given_bins
        self.any_order, self.order, self.smoothing = options.any_order, order, options.label_smoothing
        self.inputs = list(order if options.any_order and len(order) > 1 else order[:-1])
        self.targets = Reader(event.spans, bins)
        self.sources = Reader(
            (*(event.spans[j] for j in self.inputs), *(given.spans if given is not None else ())),
            (*(bins[j] for j in self.inputs), *given_bins),
        )
        self.register_buffer("standing", torch.tensor(order).argsort(), persistent=False)  # place of each span
        count = len(self.inputs) + len(given_bins)
        slots = [self.inputs.index(j) if j in self.inputs else -1 for j in range(len(event))]
        scale = SCALES[options.network](max(1, count))
        self.embedding = Embedding(self.sources.middles, options.width, scale, generator)
        self.net = NETWORKS[options.network](options, slots, count, generator)
        self.outlets = Outlets(
            event,
            options.head,
            bins,
            options.pieces,
            self.targets.middles,
            log_shares,
            width=options.width,
            inputs=count,
            bumps=options.bumps,
            generator=generator,
        )

    def loss(self, batch: Batch, places: Tensor, seen: Batch | None = None) -> Tensor:
        """Mean nats per row, a scalar; `places` [rows, spans] says in which order each row's spans are looked at.

        With `seen`, the network looks at those cells instead of the batch's own.
        """
        rows, values = self._ordered(batch if seen is None else seen, places)
        weight = batch.mask.to(torch.float32) / len(batch)
        index = self.targets.index(batch.cells)
        return self.outlets.loss(self._net().states(rows), values, batch.cells, index, weight, self.smoothing)

    @torch.no_grad()
    def nats(self, batch: Batch, places: Tensor) -> Tensor:
        """Nats [rows] of each row's bins, of its cells where a span has no bins; float64."""
        rows, values = self._ordered(batch, places)
        states, index = self._net().states(rows), self.targets.index(batch.cells)
        log_p = self.outlets.log_p(states, values, batch.cells, index)
        return -torch.where(batch.mask, log_p, 0.0).sum(1, dtype=torch.float64)

    @torch.no_grad()
    def redrawn(self, batch: Batch, places: Tensor, share: float, generator: Generator) -> Batch:
        """A share of the known cells replaced by what the model itself would draw there after the true ones."""
        rows, values = self._ordered(batch, places)
        states, cells = self._net().states(rows), batch.cells.clone()
        swap = (torch.rand(cells.shape, generator=generator) < share) & batch.mask
        for j in range(len(self.event)):
            if j in self.outlets.cellwise:
                drawn = self.outlets.draw(j, states[j], generator, None)[0]
            else:
                index = pick(self.outlets.table(j, states[j], values[j]), generator)
                drawn = self.bins[j].draw_inside(index, generator)
            cells[:, j] = torch.where(swap[:, j], drawn, cells[:, j])
        return Batch(cells, batch.mask, batch.cond)

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record's cell in the standing order, nats [rows] float64.

        All spans in one pass; rows in blocks of one size, so that the same row gives the same number in any batch.
        """
        index = self.targets.index(batch.cells)
        total = torch.zeros(len(batch), dtype=torch.float64)
        for j in self.outlets.binned:
            inside = self.bins[j].log_inside(batch.cells[:, j], index[:, j])
            total += torch.where(batch.mask[:, j], inside, 0.0)
        for start in range(0, len(batch), BLOCK):
            rows = torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1)
            block = -self.nats(batch.take(rows), self.standing.expand(BLOCK, -1))
            total[start : start + BLOCK] += block[: len(batch) - start]
        return total

    @torch.no_grad()
    def table(self, column: int, seen: Seen) -> Tensor:
        """Log-probabilities of a binned span's bins [rows, bins] given what is seen."""
        return self.outlets.table(column, *self._state(column, seen))

    @torch.no_grad()
    def score_cells(self, column: int, cells: Tensor, seen: Seen) -> Tensor:
        """By the span's bins, or by its distribution over cells."""
        if column in self.outlets.cellwise:
            return self.outlets.score(column, self._state(column, seen)[0], cells)
        return super().score_cells(column, cells, seen)

    @torch.no_grad()
    def draw_cells(self, column: int, seen: Seen, generator: Generator, limit: Limit | None) -> tuple[Tensor, Tensor]:
        """By the span's bins, or by its distribution over cells."""
        if column in self.outlets.cellwise:
            ranges = None if limit is None else limit.ranges
            return self.outlets.draw(column, self._state(column, seen)[0], generator, ranges)
        return super().draw_cells(column, seen, generator, limit)

    def arrays(self) -> dict[str, Tensor]:
        """Weights and bins."""
        state = {f"weights.{name}": value for name, value in self.state_dict().items()}
        state["order"] = torch.tensor(self.order)
        for kind, group in (("bins", self.bins), ("given", self.given_bins)):
            state |= {f"{kind}.{j}.{name}": a for j, bins in enumerate(group) for name, a in bins.arrays().items()}
        return state

    def _net(self) -> Trunk:
        return cast(Trunk, self.net)

    def _state(self, column: int, seen: Seen) -> tuple[Tensor, Tensor]:
        """Hidden state [rows, width] of a span, and the known values that it sees [rows, inputs]."""
        rows, values = self._inputs(Batch(seen.cells, seen.known, seen.cond), self._places(column, seen))
        return self._net().state(column, rows), rows.use_of(column) * values

    def _places(self, column: int, seen: Seen) -> Tensor:
        """Order [rows, spans] in which a span is predicted from what is seen: the standing one, or settled spans first.

        A span is settled if it is known, or known not to exist.
        """
        if not self.any_order:
            return self.standing.expand(len(seen.cells), -1)
        settled = seen.known.clone()
        for j, span in enumerate(self.event.spans):
            if span.exists is not None:
                settled[:, j] |= seen.known[:, span.exists[0]] & ~self.event.existing(seen.cells, j)
        size = len(self.event)
        key = self.standing + torch.where(settled, 0, 2 * size)
        key[:, column] = size
        return key.argsort(1).argsort(1)

    def _ordered(self, batch: Batch, places: Tensor) -> tuple[Ordered, Tensor]:
        """What the network is given, and the known values [spans, rows, inputs] that each span sees."""
        rows, values = self._inputs(batch, places)
        return rows, rows.use().transpose(0, 1) * values

    def _inputs(self, batch: Batch, places: Tensor) -> tuple[Ordered, Tensor]:
        """What the network is given, and the values of its inputs [rows, inputs], whatever they are where not known."""
        cells, mask, seen_at = batch.cells[:, self.inputs], batch.mask[:, self.inputs], places[:, self.inputs]
        if self.given is not None and batch.cond is not None:
            cells, mask = torch.cat([cells, batch.cond.cells], 1), torch.cat([mask, batch.cond.mask], 1)
            seen_at = torch.cat([seen_at, seen_at.new_full(batch.cond.cells.shape, -1)], 1)
        values = self.sources.values(cells)
        embedded = self.embedding(self.sources.index(cells), values)
        return Ordered(embedded, mask.to(torch.float32), seen_at, places), values
