"""A fitted network over sequences of classes: scores, makes and continues them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.errors import InputError
from ensample.events import UNKNOWN_LENGTH, Batch, Mixed, Ragged
from ensample.families.abilities import Steps
from ensample.families.base import Distribution, Guarantee
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.autoregressive.rearranging import NEW, around
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.autoregressive.writing import Written
from ensample.families.sequences.drawing import drawn
from ensample.families.sequences.sureness import SURENESS, sureness
from ensample.nets.machine import careful_products, operations
from ensample.nets.sequences.tokens import TokenNet

SCORED = 2048
"""Tokens of one pass of `log_prob`."""


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
        total = torch.where(batch.lengths == UNKNOWN_LENGTH, 0.0, total)
        total = total if batch.scored is None else torch.zeros_like(total)
        there = (batch.lengths >= 0).nonzero()[:, 0]
        for record, score in self._scores(batch.take(there)):
            total.index_add_(0, there[record], score)
        return total

    def _scores(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor]]:
        """Window after window: records and what their targets of the window add, float64."""
        for told in self._windows(batch):
            score = torch.where(told.counts, told.own(), 0.0).sum(1, dtype=torch.float64)
            yield told.record[: told.windows], score[: told.windows]

    def _windows(self, batch: Batch) -> Iterator[Window]:
        """The windows of whole records, computed in blocks."""
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
            counts = (self.sliding.start(place) == first[:, None]) & (place <= length) & scored[at]
            yield Window(record, place, targets, counts, logits.log_softmax(2), len(block.record))

    @torch.no_grad()
    def steps_of(self, batch: Batch) -> Steps:
        """Log-probabilities of all steps; clues are how sure the network is. See `ScoresSteps`."""
        check_whole(batch)
        rows, steps = batch.cells.shape[:2]
        log_p = torch.zeros(rows, steps + 1, dtype=torch.float64)
        clues = torch.zeros(rows, steps + 1, SURENESS)
        for told in self._windows(replace(batch, scored=None)):
            at = told.record[:, None].expand_as(told.place)[told.counts], told.place[told.counts]
            log_p[at] = told.own()[told.counts].double()
            clues[at] = sureness(told.log_p[told.counts])
        return Steps(log_p, clues)

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

    @property
    def longest_between(self) -> int:
        """Half of what is looked back on: the other half shows what stands around."""
        return self.sliding.context // 2

    @torch.no_grad()
    def between(self, before: Batch, after: Batch | None, room: int) -> Written:
        """What stands between these, which ends where it meets what comes after; see `FillsIn.between`.

        Raises:
            InputError: a step inside a record is unset.
        """
        if after is None:
            return self.continuation(before)
        check_whole(before)
        check_whole(after)
        prompts = around(before, after, self.net.mark, self.sliding.context, room)
        return Written.of(self.net, self.sliding, prompts, self.told(before))

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records, drawn class after class until they end, or have `longest` classes."""
        return drawn(self, n, int(self.longest), float(self.missing), generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Weights, the share of missing records, and how long a drawn one may be."""
        return dict(self.state_dict())

    def facts(self) -> dict[str, Any]:
        """Sizes that were chosen by the records."""
        return {"context": self.sliding.context, "width": self.net.trunk.width, "layers": self.layers}


@dataclass(frozen=True)
class Window:
    """Windows that were computed together, the last one repeated; `windows` says how many are not.

    `record` [rows], `place` of each target, `targets` and whether each `counts` [rows, steps], and log-probabilities of
    all classes there, `log_p` [rows, steps, classes + 1].
    """

    record: Tensor
    place: Tensor
    targets: Tensor
    counts: Tensor
    log_p: Tensor
    windows: int

    def own(self) -> Tensor:
        """Log-probability of each target, [rows, steps]."""
        return self.log_p.gather(2, self.targets[:, :, None])[:, :, 0]


def targets_of(windows: Batch) -> Tensor:
    """What windows tell next at each of their places, int64 [rows, steps]; -1 where there is none that counts."""
    there = windows.mask[:, 1:, 0]
    if windows.scored is not None:
        there = there & windows.scored[:, 1:-1]
    return torch.where(there, windows.cells[:, 1:, 0], -1)


def check_whole(batch: Batch) -> None:
    """Raise InputError if a step inside a record is unset."""
    if bool((batch.steps() & ~batch.mask[:, :, 0]).any()):
        raise InputError(
            "A sequence is scored and continued only where it is whole: it is a chain.",
            "log_prob, continuation",
            "a step that is unset",
            "leave the record out",
        )
