"""Series completed step by step, and inside a step span by span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.events import UNKNOWN_LENGTH, Batch, Limit

if TYPE_CHECKING:
    from ensample.families.sequences.steps.model import AutoregressiveSteps
    from ensample.nets.sequences.trunk import Memory


def completed(
    model: AutoregressiveSteps, batch: Batch, cond: Tensor, generator: Generator, limits: Sequence[Limit]
) -> tuple[Batch, Tensor]:
    """Fill every coordinate that is unset and exists, and weigh the result; see `Draws.draw`.

    Arguments:
        model: a fitted one.
        batch: records; those of unknown length end where the model ends them, or with the steps that there is room for.
        cond: given fields [rows, width].
        generator: of the draws.
        limits: of the spans of a step, for every step.
    """
    making = Making(model, batch, cond, generator, {limit.column: limit for limit in limits})
    assert batch.lengths is not None
    longest = int(torch.where(making.open, batch.cells.shape[1], batch.lengths).max()) if len(batch) else 0
    for step in range(making.begin(), longest + (0 if model.event.fixed else 1)):
        making.read(step)
        if not model.event.fixed:
            making.end(step)
        if step == longest or not bool((making.lengths > step).any()):
            break
        making.fill(step)
    return making.done()


class Making:
    """Records in the making, all of them at the same step.

    What was known all along, up to the first hole of any record, is read at once. A window that is full goes on with
    its last half, which is read anew, as `Sliding` has it.
    """

    def __init__(
        self, model: AutoregressiveSteps, batch: Batch, cond: Tensor, generator: Generator, limits: dict[int, Limit]
    ) -> None:
        assert batch.lengths is not None
        self.model, self.net, self.cond, self.generator, self.limits = model, model.net, cond, generator, limits
        self.batch, self.event = batch, model.event.element
        self.open = batch.lengths == UNKNOWN_LENGTH
        self.lengths = torch.where(self.open, batch.cells.shape[1], batch.lengths)
        self.cells, self.mask = batch.cells.clone(), batch.mask & batch.steps()[:, :, None]
        if bool(self.open.any()):
            self.mask[self.open] = False
        self.features = self.net.lags.features(self.cells, self.mask)
        self.weight = torch.zeros(len(batch), dtype=torch.float64)
        self.begun = torch.zeros(len(batch), dtype=torch.bool)  # rows of which something has been drawn
        self.out, self.first = torch.empty(0), 0
        self.memory: Memory | None = None

    def begin(self) -> int:
        """The first step of which something is unset, in any record."""
        hole = self.model.holes(self.batch)[0].any(0).view(-1, len(self.event)).any(1)
        if bool(self.open.any()):
            return 0
        return int(hole.to(torch.int8).argmax()) if bool(hole.any()) else self.cells.shape[1] + 1

    def read(self, step: int) -> None:
        """Have the network's output before a step."""
        first = int(self.model.sliding.start(torch.tensor(step)))
        if self.memory is not None and first == self.first:
            seen = self._seen(step - 1)
            self.out = self.memory.step(self.net.later(seen, self.cond))
            return
        self.first = first
        begins = torch.full((len(self.cells),), first == 0)
        inputs = self.net.inputs(self.features[:, first:step], begins, self.cond)
        self.out, self.memory = self.net.trunk.read(inputs, torch.full((len(inputs),), inputs.shape[1]))

    def end(self, step: int) -> None:
        """Let records of open length end before a step; weigh the ends of those that are known."""
        logit = self.net.end(self.out)
        ends = torch.rand(len(logit), generator=self.generator) < torch.sigmoid(logit)
        self.lengths = torch.where(self.open & ends & (self.lengths > step), step, self.lengths)
        known = ~self.open & (self.lengths >= step) & self.begun
        log_p = F.logsigmoid(torch.where(self.lengths == step, logit, -logit)).double()
        self.weight += torch.where(known, log_p, 0.0)

    def fill(self, step: int) -> None:
        """Draw what is unset of a step."""
        there = self.lengths > step
        for j in range(len(self.event)):
            exists = self.event.existing(self.cells[:, step], j) & there
            exists &= self._under(j, step)
            known = self.mask[:, step, j] & there
            self.weight[known & ~exists] = -torch.inf
            late = (known & self.begun).nonzero()[:, 0]
            if len(late):
                cells = self.cells[late, step, j]
                self.weight[late] += self.net.score(j, self.out[late], self._seen(step)[late], cells)
            rows = (exists & ~known).nonzero()[:, 0]
            if len(rows):
                seen, limit = self._seen(step)[rows], self.limits.get(j)
                made, extra = self.net.draw(j, self.out[rows], seen, self.generator, limit)
                self.cells[rows, step, j], self.mask[rows, step, j] = made, True
                self.weight[rows] += extra
                self.begun[rows] = True
                self.features[:, step] = self.net.lags.features(self.cells[:, step], self.mask[:, step])

    def done(self) -> tuple[Batch, Tensor]:
        """The records, and their log weights."""
        longest = int(self.lengths.max()) if bool(self.open.any()) else self.cells.shape[1]
        made = Batch(self.cells[:, :longest], self.mask[:, :longest], self.batch.cond, lengths=self.lengths)
        there = made.steps()[:, :, None]
        return replace(made, cells=torch.where(there & made.mask, made.cells, 0), mask=made.mask & there), self.weight

    def _under(self, j: int, step: int) -> Tensor:
        """Whether the span that span j depends on is there."""
        under = self.event.spans[j].exists
        return torch.ones(len(self.cells), dtype=torch.bool) if under is None else self.mask[:, step, under[0]]

    def _seen(self, step: int) -> Tensor:
        """Features of a step and of the last ones before it that can be seen, [rows, steps, features]."""
        return self.features[:, max(self.first, step - self.net.lags.lags) : step + 1]
