"""A fitted masked diffusion over sequences of classes: scores, makes and completes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Batch, Limit, Mixed, Ragged, concatenate, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.layout import given_flat, given_width
from ensample.families.markov.lengths import LengthLaw
from ensample.families.sequences.autoregressive.model import check_whole
from ensample.families.sequences.masked.between import Frame, Gaps
from ensample.families.sequences.masked.network import MaskedNet
from ensample.families.sequences.masked.rounds import Blocks, Layout
from ensample.nets.machine import careful_products, operations

SCORED = 2048
"""Tokens of one pass of `log_prob`."""
AT_ONCE = 256
"""Records drawn at once."""


class MaskedSequences(nn.Module, Distribution):
    """p(x | given) = p(length) mean over orders of product over rounds of product over i of p(x_i | earlier rounds).

    Which classes are shown in which round is fixed by the length (`rounds_of`), so that this is the law of what
    `sample` draws: `log_prob` is exact, and no more than the bound of the diffusion is a surprise. Long records are
    shown block after block, see `Layout`. `draw` tells what is unknown from all that is known: the conditionals of one
    network in different orders need not agree, so it is an estimate of the conditionals of `log_prob`.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {
        "sample": "exact", "log_prob": "exact", "draw": "estimate", "generate": "estimate",
    }  # fmt: skip
    event: Ragged  # type: ignore[assignment]  # tables go to other families
    values: Tensor
    counts: Tensor
    missing: Tensor
    longest: Tensor
    rounds: Tensor
    orders: Tensor

    def __init__(self, event: Ragged, given: Mixed | None, net: MaskedNet, layout: Layout, known: int) -> None:
        super().__init__()
        self.event, self.given, self.net, self.layout = event, given, net, layout
        self.register_buffer("values", torch.zeros(known, dtype=torch.int64))  # lengths that were met, and how often
        self.register_buffer("counts", torch.zeros(known, dtype=torch.float64))
        self.register_buffer("missing", torch.zeros((), dtype=torch.float64))
        for name in ("longest", "rounds", "orders"):
            self.register_buffer(name, torch.ones((), dtype=torch.int64))

    @property
    def lengths(self) -> LengthLaw:
        """How long records are."""
        counts = torch.zeros(int(self.values.max()) + 1, dtype=torch.float64)
        counts[self.values] = self.counts
        return LengthLaw.summed(counts, int(self.missing))

    @property
    def operations_per_row(self) -> float:
        """Multiplications of a window's way through the network."""
        tokens, width = torch.zeros(1, self.layout.context, dtype=torch.int64), given_width(self.given)
        return operations(lambda: self.net(tokens, torch.tensor([tokens.shape[1]]), torch.zeros(1, width)))

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of each record, its length included, nats [rows] float64; exact for what `sample` draws.

        A record of unknown length is integrated out, 0.

        Raises:
            InputError: a step inside a record is unset.
        """
        assert batch.lengths is not None
        check_whole(batch)
        scores = [self._log_ordered(batch, number) for number in range(int(self.orders))]
        there = batch.lengths >= 0
        told = torch.logsumexp(torch.stack(scores), 0) - torch.log(self.orders.to(torch.float64))
        return self.lengths.log_prob(batch.lengths) + torch.where(there, told, 0.0)

    def _log_ordered(self, batch: Batch, number: int) -> Tensor:
        """Log p(classes | length, one order) of each record, float64 [rows]."""
        assert batch.lengths is not None
        total, cond = torch.zeros(len(batch), dtype=torch.float64), given_flat(self.given, batch)
        blocks = self.layout.blocks(batch.lengths.clamp(min=0))
        for part, width, rows in self.layout.alike(blocks, SCORED):
            filled = part.take(torch.arange(rows).clamp(max=len(part.record) - 1))
            tokens, rounds = self._tokens(batch, filled, width), filled.rounds(int(self.rounds), number, width)
            scores = torch.zeros(rows, dtype=torch.float64)
            for step in range(int(rounds.max()) + 1):
                shown = torch.where(rounds >= step, self.net.hidden, tokens)
                with careful_products():
                    logits = self.net(shown, filled.stop - filled.first, cond[filled.record])
                now = rounds == step
                targets = torch.where(now, tokens, 0)[:, :, None]
                log_p = logits.log_softmax(2).gather(2, targets)[:, :, 0]
                scores += torch.where(now, log_p, 0.0).sum(1, dtype=torch.float64)
            total.index_add_(0, part.record, scores[: len(part.record)])
        return total

    def _tokens(self, batch: Batch, blocks: Blocks, width: int) -> Tensor:
        """Marks and classes of the windows of blocks, hidden where unknown, int64 [blocks, width]; 0 behind them."""
        assert batch.lengths is not None
        place = blocks.first[:, None] + torch.arange(width)
        record, length = blocks.record[:, None], batch.lengths[blocks.record][:, None]
        at = (place - 1).clamp(0, max(0, batch.cells.shape[1] - 1))
        tokens = torch.where(batch.mask[record, at, 0], batch.cells[record, at, 0], self.net.hidden)
        tokens = torch.where((place == 0) | (place == length + 1), self.net.mark, tokens)
        return torch.where(place < blocks.stop[:, None], tokens, 0)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records: a length, an order, and classes round by round; no more than `longest` of them."""
        parts = []
        for start in range(0, n, AT_ONCE):
            rows = slice(start, min(n, start + AT_ONCE))
            batch = unknown(rows.stop - start, self.event, None if cond is None else cond.take(rows))
            batch = self.lengthened(batch, generator, present=False)
            parts.append(self._filled(batch, generator))
        return concatenate(parts) if parts else unknown(0, self.event, cond)

    def lengthened(self, batch: Batch, generator: Generator, present: bool = True) -> Batch:
        """The batch with a length drawn for every record whose length is unknown, none above `longest`."""
        assert batch.lengths is not None
        open_ = batch.lengths == UNKNOWN_LENGTH
        drawn = self.lengths.sample(int(open_.sum()), generator, present).clamp(max=int(self.longest))
        lengths = batch.lengths.clone()
        lengths[open_] = drawn
        steps = max([batch.cells.shape[1], *lengths.tolist()])
        return replace(batch.padded(steps), lengths=lengths)

    def _filled(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> Batch:
        """Records with classes for all that are unknown."""
        assert batch.lengths is not None
        cells, known = batch.cells.clone(), batch.mask & batch.steps()[:, :, None]
        number = torch.randint(int(self.orders), (len(batch),), generator=generator)
        cond = given_flat(self.given, batch)
        barred = torch.zeros(self.net.mark, dtype=torch.float64)
        for limit in limits:
            barred.masked_fill_(~limit.contains(torch.arange(self.net.mark)), -torch.inf)
        for blocks, orders in self._stages(batch.lengths, number):
            width = int((blocks.stop - blocks.first).max())
            rounds = torch.stack([blocks.take(torch.tensor([i])).rounds(int(self.rounds), order, width)[0]
                                  for i, order in enumerate(orders)])  # fmt: skip
            for step in range(int(rounds.max()) + 1):
                now = replace(batch, cells=cells, mask=known)
                tokens = self._tokens(now, blocks, width)
                row, column = ((rounds == step) & (tokens == self.net.hidden)).nonzero(as_tuple=True)
                if not len(row):
                    continue
                logits = self.net(tokens, blocks.stop - blocks.first, cond[blocks.record])[row, column]
                drawn = torch.multinomial((logits.double() + barred).softmax(1), 1, generator=generator)
                record, place = blocks.record[row], blocks.first[row] + column - 1
                cells[record, place, 0], known[record, place, 0] = drawn[:, 0], True
        mask = batch.steps()[:, :, None]
        return replace(batch, cells=torch.where(mask, cells, 0), mask=mask)

    def _stages(self, lengths: Tensor, number: Tensor) -> Iterator[tuple[Blocks, list[int]]]:
        """First blocks of all records, then second ones, and so on; and the order of each."""
        blocks = self.layout.blocks(lengths.clamp(min=0))
        stage = (blocks.begin - 1) // self.layout.stride
        stage[self.layout.fits(lengths)[blocks.record]] = 0
        for at in range(int(stage.max()) + 1 if len(stage) else 0):
            part = blocks.take((stage == at).nonzero()[:, 0])
            yield part, number[part.record].tolist()

    @torch.no_grad()
    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset classes from all that is known around them; see `Draws.draw`. All weights are 0.

        What is drawn follows the network's own conditionals, which agree with `log_prob` as far as it has learned.
        """
        made = self._filled(batch, generator, limits)
        return made, torch.zeros(len(batch), dtype=torch.float64)

    @property
    def fills_in(self) -> bool:
        """It does, whatever it learned."""
        return True

    @property
    def longest_between(self) -> int:
        """Half of what the network sees: the other half shows what stands around."""
        return self.layout.context // 2

    @torch.no_grad()
    def between(self, before: Batch, after: Batch | None, room: int) -> Gaps:
        """What stands between these; see `FillsIn.between`.

        Raises:
            InputError: a step inside a record is unset.
        """
        for batch in (before, after) if after is not None else (before,):
            check_whole(batch)
        if bool((before.lengths == MISSING_LENGTH).any()):  # type: ignore[union-attr]  # ragged batches have lengths
            raise InputError("A prompt is a text.", "generate, prompts", "a missing one", 'say "" for an empty one')
        short = self.event.max_length + 2 <= self.layout.context
        frame = Frame(self.layout.context, room, self.lengths if short else None, short)
        return Gaps.of(self.net, given_flat(self.given, before), frame, before, after)

    def arrays(self) -> dict[str, Tensor]:
        """Weights, the lengths that were met, and how records are drawn."""
        return dict(self.state_dict())

    def facts(self) -> dict[str, Any]:
        """Sizes that were chosen by the records."""
        blocks = self.net.encoder.blocks
        return {
            "context": self.layout.context, "width": self.net.width, "layers": len(blocks), "known": len(self.values)
        }  # fmt: skip
