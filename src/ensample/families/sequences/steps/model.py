"""A fitted autoregressive network over series: scores, makes and completes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Batch, Limit, Mixed, Ragged, concatenate, unknown
from ensample.families.base import Guarantee, RaggedDistribution
from ensample.families.layout import given_flat, given_width
from ensample.families.sequences.autoregressive.sliding import Sliding
from ensample.families.sequences.steps.drawing import completed
from ensample.families.sequences.steps.network import StepNet
from ensample.nets.machine import careful_products, operations

SCORED = 2048
"""Steps of one pass of `log_prob`."""
AT_ONCE = 1024
"""Records drawn at once."""


class AutoregressiveSteps(nn.Module, RaggedDistribution):
    """p(x | given) = product over t of p(x_t | x_<t, given), and where lengths differ of p(end at t | x_<t, given).

    Each step is told from what lies before it in its window, see `Sliding`: of records that fit into the context from
    all of it. Draws go from the first step to the last: exact where nothing is known behind what is drawn; elsewhere,
    as where a record has to end at a certain step, weights tell how well what was drawn agrees with what follows.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "estimate"}
    sees_evidence = False
    missing: Tensor
    longest: Tensor

    def __init__(self, event: Ragged, given: Mixed | None, net: StepNet, sliding: Sliding, layers: int) -> None:
        super().__init__()
        self.event, self.given, self.net, self.sliding, self.layers = event, given, net, sliding, layers
        self.register_buffer("missing", torch.zeros((), dtype=torch.float64))
        self.register_buffer("longest", torch.zeros((), dtype=torch.int64))

    @property
    def operations_per_row(self) -> float:
        """Multiplications of a window's way through the network."""
        cells = torch.zeros(1, min(self.sliding.context, self.event.max_length), len(self.event.element)).long()
        window = Batch(cells, cells == 0, None, lengths=torch.tensor([cells.shape[1]]))
        return operations(lambda: self.log_p(window, torch.zeros(1, given_width(self.given))))

    def log_p(self, windows: Batch, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of windows: of steps [rows, steps], and of going on or ending before each and behind all.

        The latter [rows, steps + 1] is 0 where all records have one length. Windows whose first place is not `scored`
        were cut from a record that began earlier. What is behind their `lengths` means nothing.
        """
        net, begins = self.net, torch.ones(len(windows), dtype=torch.bool)
        if windows.scored is not None:
            begins = windows.scored[:, 0]
        features = net.lags.features(windows.cells, windows.mask)
        out = net.trunk(net.inputs(features, begins, cond), None)
        steps = net.log_p(out[:, :-1], features, windows.cells, windows.mask).sum(2)
        if self.event.fixed:
            return steps, torch.zeros(out.shape[:2])
        assert windows.lengths is not None
        logit = net.end(out)
        ends = torch.arange(out.shape[1]) == windows.lengths[:, None]
        return steps, torch.nn.functional.logsigmoid(torch.where(ends, logit, -logit))

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record, its end included, nats [rows] float64.

        A record of unknown length is integrated out, 0; of windows of one length so is what is unset at their end.

        Raises:
            InputError: something is unset before what is known; its integral has no closed form.
        """
        assert batch.lengths is not None
        self._check_whole(batch)
        total = torch.where(batch.lengths >= 0, torch.log1p(-self.missing), torch.log(self.missing))
        total = torch.where(batch.lengths == UNKNOWN_LENGTH, 0.0, total)
        there = (batch.lengths >= 0).nonzero()[:, 0]
        for record, steps, going, end in self._scores(batch.take(there)):
            total.index_add_(0, there[record], steps + going + end)
        return total

    @torch.no_grad()
    def log_ends(self, batch: Batch) -> Tensor:
        """Log-probability that each record ends where it does, given its steps, nats [rows] float64.

        A record of unknown length, or one that is missing, has 0.
        """
        assert batch.lengths is not None
        self._check_whole(batch)
        total, there = torch.zeros(len(batch), dtype=torch.float64), (batch.lengths >= 0).nonzero()[:, 0]
        for record, _, _, end in self._scores(batch.take(there)):
            total.index_add_(0, there[record], end)
        return total

    def _scores(self, batch: Batch) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Windows in blocks: of which records, and what their steps, going on and ending add, float64 [windows]."""
        assert batch.lengths is not None
        if not len(batch):
            return
        longest = max(batch.cells.shape[1], int(batch.lengths.max())) + self.sliding.context
        whole, cond = batch.padded(longest), given_flat(self.given, batch)
        for block in self.sliding.blocks(batch.lengths, SCORED):
            record, first = block.filled()
            place = first[:, None] + torch.arange(block.steps)
            length = batch.lengths[record][:, None]
            at, there = (record[:, None], place), place < length
            mask = whole.mask[at] & there[:, :, None]
            scored = torch.zeros(len(record), block.steps + 1, dtype=torch.bool)
            scored[:, 0] = first == 0
            cells, behind = torch.where(mask, whole.cells[at], 0), length[:, 0] - first
            with careful_products():
                steps, ends = self.log_p(Batch(cells, mask, lengths=behind, scored=scored), cond[record])
            own, ends = self.sliding.start(place) == first[:, None], ends[:, :-1]
            parts = ((steps, there), (ends, there), (ends, place == length))
            sums = [torch.where(own & part, values, 0.0).sum(1, dtype=torch.float64) for values, part in parts]
            count = len(block.record)
            yield block.record, sums[0][:count], sums[1][:count], sums[2][:count]

    def sees_all(self, batch: Batch) -> Tensor:
        """Whether nothing is known behind the first hole of a record, not even where it ends; [rows] bool."""
        hole, known = self.holes(batch)
        if not self.event.fixed:
            return ~hole.any(1)
        return ~(hole.cummax(1).values & known).any(1)

    @torch.no_grad()
    def lengthened(self, batch: Batch, generator: Generator, present: bool = True) -> Batch:
        """The batch with a length drawn for every record whose length is unknown; see `Lengthens`."""
        assert batch.lengths is not None
        lengths, open_ = batch.lengths.clone(), (batch.lengths == UNKNOWN_LENGTH).nonzero()[:, 0]
        if len(open_):
            cond = None if batch.cond is None else batch.cond.take(open_)
            drawn = self._made(len(open_), generator, cond).lengths
            assert drawn is not None
            gone = torch.rand(len(open_), generator=generator, dtype=torch.float64) < self.missing
            lengths[open_] = drawn if present else torch.where(gone, MISSING_LENGTH, drawn)
        longest = max(batch.cells.shape[1], int(lengths.max()) if len(lengths) else 0)
        return replace(batch.padded(longest), lengths=lengths)

    @torch.no_grad()
    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset coordinates of steps, first to last; see `Draws.draw`. Limits hold for every step."""
        batch = self.lengthened(batch, generator)
        return completed(self, batch, given_flat(self.given, batch), generator, limits)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records; those of open length have at most `longest` steps, and what is longer is cut there."""
        parts = []
        for start in range(0, n, AT_ONCE):
            count = min(AT_ONCE, n - start)
            own = None if cond is None else cond.take(slice(start, start + count))
            made = self._made(count, generator, own)
            gone = torch.rand(count, generator=generator, dtype=torch.float64) < self.missing
            assert made.lengths is not None
            there = ~gone[:, None, None]
            lengths = torch.where(gone, MISSING_LENGTH, made.lengths)
            parts.append(replace(made, cells=made.cells * there, mask=made.mask & there, lengths=lengths))
        return concatenate(parts) if parts else unknown(0, self.event, cond)

    def _made(self, n: int, generator: Generator, cond: Batch | None) -> Batch:
        """New records, none of them missing."""
        batch = unknown(n, self.event, cond)
        if self.event.fixed:
            batch = replace(batch.padded(self.event.max_length), lengths=torch.full((n,), self.event.max_length))
        else:
            batch = batch.padded(int(self.longest))
        return completed(self, batch, given_flat(self.given, batch), generator, ())[0]

    def holes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What exists and is unset, and what is known, bool [rows, steps x spans] in the order of the chain."""
        element, cells = self.event.element, batch.cells.flatten(0, 1)
        there = batch.steps()[:, :, None]
        exists = torch.stack([element.existing(cells, j) for j in range(len(element))], 1).view(batch.mask.shape)
        for j, span in enumerate(element.spans):
            if span.exists is not None:
                exists[..., j] &= batch.mask[..., span.exists[0]]
        return (exists & ~batch.mask & there).flatten(1), (batch.mask & there).flatten(1)

    def _check_whole(self, batch: Batch) -> None:
        hole, _ = self.holes(batch)
        if not bool(hole.any()):
            return
        inside = (~self.sees_all(batch)).nonzero()[:, 0]
        if len(inside):
            raise InputError(
                "A series is scored only where it is whole, or from its beginning on: it is a chain.",
                f"log_prob, record {int(inside[0])}",
                "a value that is unset before what is known" if self.event.fixed else "a value that is unset",
                "fill it first (`impute`), or use mixture or markov, which integrate it out",
            )

    def arrays(self) -> dict[str, Tensor]:
        """Weights, the autoregression, the share of missing records, and how long a drawn one may be."""
        return dict(self.state_dict())

    def facts(self) -> dict[str, Any]:
        """Sizes that were chosen by the records."""
        return {"context": self.sliding.context, "width": self.net.trunk.width, "layers": self.layers}
