"""A fitted network over sequences of classes: scores, makes and continues them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Batch, Mixed, Ragged, concatenate
from ensample.families.base import Distribution, Guarantee
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.autoregressive.rearranging import NEW, around
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.autoregressive.writing import Written
from ensample.nets.machine import careful_products, operations
from ensample.nets.sequences.tokens import TokenNet

SCORED = 2048
"""Tokens of one pass of `log_prob`."""
AT_ONCE = 256
"""Records drawn at once."""


class AutoregressiveSequences(nn.Module, Distribution):
    """p(x | given) = product over t of p(x_t | x_<t, given), with the end of the record as its last factor.

    Each class is told from what lies before it in its window, see `Sliding`: of records that fit into the context from
    all of it. `sample` cuts what does not end within `longest` classes: such a record is only the beginning of a draw.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact"}
    event: Ragged  # type: ignore[assignment]  # tables go to other families
    missing: Tensor
    longest: Tensor

    def __init__(self, event: Ragged, given: Mixed | None, net: TokenNet, sliding: Sliding, layers: int) -> None:
        super().__init__()
        self.event, self.given, self.net, self.sliding, self.layers = event, given, net, sliding, layers
        self.register_buffer("missing", torch.zeros((), dtype=torch.float64))
        self.register_buffer("longest", torch.zeros((), dtype=torch.int64))

    @property
    def operations_per_row(self) -> float:
        """Multiplications of a window's way through the network."""
        tokens = torch.zeros(1, self.sliding.context, dtype=torch.int64)
        return operations(lambda: self.net(tokens, torch.zeros(1, given_width(self.given))))

    def told(self, batch: Batch) -> Tensor:
        """What the network is told of each record beside its classes: the given fields, [rows, width]."""
        return given_flat(self.given, batch)

    def log_p(self, windows: Batch) -> tuple[Tensor, Tensor]:
        """Log-probabilities [rows, steps, classes + 1] of the next class at each place of windows, and which it is.

        The latter is int64 [rows, steps], -1 where there is none that counts. Windows are those of
        `ensample.kinds.windows`.
        """
        logits = self.net(windows.cells[:, :-1, 0], self.told(windows))
        return logits.log_softmax(2), targets_of(windows)

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record, its end included, nats [rows] float64.

        A record of unknown length is integrated out, 0. Where records are partly given, the scored steps count alone.

        Raises:
            InputError: a step inside a record is unset; its integral has no closed form.
        """
        assert batch.lengths is not None
        check_whole(batch)
        total = torch.where(batch.lengths >= 0, torch.log1p(-self.missing), torch.log(self.missing))
        given = batch.lengths == UNKNOWN_LENGTH if batch.scored is None else torch.ones_like(batch.lengths, dtype=bool)
        total = torch.where(given, 0.0, total)
        there = (batch.lengths >= 0).nonzero()[:, 0]
        for record, score in self._scores(batch.take(there)):
            total.index_add_(0, there[record], score)
        return total

    def _scores(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """Window after window: records and what their targets of the window add, float64."""
        assert batch.lengths is not None
        cells, cond = F.pad(batch.cells[:, :, 0], (0, 1)), self.told(batch)
        scored = torch.ones_like(cells, dtype=torch.bool) if batch.scored is None else batch.scored
        for block in self.sliding.blocks(batch.lengths, SCORED):
            record, first = block.filled()
            place = first[:, None] + torch.arange(block.steps)
            length = batch.lengths[record][:, None]
            at = (record[:, None], place.clamp(max=cells.shape[1] - 1))
            targets = torch.where(place < length, cells[at], self.net.mark)
            earlier = cells[at[0], (at[1] - 1).clamp(min=0)]
            inputs = torch.where(place == 0, self.net.mark, torch.where(place > length, 0, earlier))
            with careful_products():
                logits = self.net(inputs, cond[record])
            log_p = logits.log_softmax(2).gather(2, targets[:, :, None])[:, :, 0]
            counts = (self.sliding.start(place) == first[:, None]) & (place <= length) & scored[at]
            yield block.record, torch.where(counts, log_p, 0.0).sum(1, dtype=torch.float64)[: len(block.record)]

    @torch.no_grad()
    def continuation(self, prompts: Batch) -> Written:
        """Records that begin with these, whose last half contexts alone are read where they are longer.

        Raises:
            InputError: a step inside a prompt is unset.
        """
        check_whole(prompts)
        return Written.of(self.net, self.sliding, prompts, self.told(prompts))

    @property
    def fills_in(self) -> bool:
        """Whether it was taught to write what stands between a beginning and an end."""
        return self.net.more == NEW

    @torch.no_grad()
    def between(self, before: Batch, after: Batch, room: int) -> Written:
        """What stands between these, which ends where it meets what comes after; see `FillsIn.between`.

        Raises:
            InputError: a step inside a record is unset.
        """
        check_whole(before)
        check_whole(after)
        prompts = around(before, after, self.net.mark, self.sliding.context, room)
        return Written.of(self.net, self.sliding, prompts, self.told(before))

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records, drawn class after class until they end, or have `longest` classes."""
        parts = []
        for start in range(0, n, AT_ONCE):
            rows = slice(start, min(n, start + AT_ONCE))
            parts.append(self._drawn(rows.stop - start, generator, None if cond is None else cond.take(rows)))
        return concatenate(parts) if parts else self._empty(0, cond)

    def _empty(self, rows: int, cond: Batch | None) -> Batch:
        cells = torch.zeros(rows, 0, 1, dtype=torch.int64)
        return Batch(cells, cells.bool(), cond, lengths=torch.zeros(rows, dtype=torch.int64))

    def _drawn(self, rows: int, generator: Generator, cond: Batch | None) -> Batch:
        written, alive, most = self.continuation(self._empty(rows, cond)), torch.arange(rows), int(self.longest)
        lengths, steps = torch.full((rows,), most), []
        gone = torch.rand(rows, generator=generator, dtype=torch.float64) < self.missing
        for step in range(most + 1):
            drawn = one_of(written.logits(), generator)
            ended = drawn == self.net.mark
            lengths[alive[ended]] = lengths[alive[ended]].clamp(max=step)
            open_ = lengths[alive] > step
            if step == most or not bool(open_.any()):
                break
            steps.append(torch.zeros(rows, dtype=torch.int64))
            steps[-1][alive] = torch.where(open_, drawn, 0)
            if int(open_.sum()) <= len(alive) // 2:  # half of what is computed would be for nothing
                keep = open_.nonzero()[:, 0]
                written, alive, drawn = written.take(keep), alive[keep], drawn[keep]
            written.append(drawn.where(drawn != self.net.mark, 0))
        lengths[gone] = MISSING_LENGTH
        cells = torch.stack(steps, 1)[:, :, None] if steps else torch.zeros(rows, 0, 1, dtype=torch.int64)
        made = Batch(cells, torch.zeros_like(cells, dtype=torch.bool), cond, lengths=lengths)
        there = made.steps()[:, :, None]
        return Batch(torch.where(there, cells, 0), there, cond, lengths=lengths)

    def arrays(self) -> dict[str, Tensor]:
        """Weights, the share of missing records, and how long a drawn one may be."""
        return dict(self.state_dict())

    def facts(self) -> dict[str, Any]:
        """Sizes that were chosen by the records."""
        return {"context": self.sliding.context, "width": self.net.trunk.width, "layers": self.layers}


def targets_of(windows: Batch) -> Tensor:
    """What windows tell next at each of their places, int64 [rows, steps]; -1 where there is none that counts."""
    there = windows.mask[:, 1:, 0]
    if windows.scored is not None:
        there = there & windows.scored[:, 1:-1]
    return torch.where(there, windows.cells[:, 1:, 0], -1)


def one_of(logits: Tensor, generator: Generator) -> Tensor:
    """A class drawn for each row of logits [rows, classes], int64 [rows], by one uniform number a row."""
    share = logits.to(torch.float64).softmax(1).cumsum(1)
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64) * share[:, -1:]
    return torch.searchsorted(share, uniform, right=True)[:, 0].clamp(max=logits.shape[1] - 1)


def check_whole(batch: Batch) -> None:
    """Raise InputError if a step inside a record is unset."""
    if bool((batch.steps() & ~batch.mask[:, :, 0]).any()):
        raise InputError(
            "A sequence is scored and continued only where it is whole: it is a chain.",
            "log_prob, continuation",
            "a step that is unset",
            "leave the record out",
        )
