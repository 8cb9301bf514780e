"""A fitted field over a table: how records are drawn, completed and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.field.network import Conditional, FieldNet, Seen
from ensample.families.field.parameterisation import Parameterisation
from ensample.families.field.score import log_p_classes, log_p_numbers
from ensample.families.field.view import View
from ensample.families.field.warp import Warp
from ensample.families.layout import given_flat
from ensample.solvers.masked import in_order, unmask
from ensample.solvers.paths import Path
from ensample.solvers.steps import Solver

DRAWN = 8192
"""Rows drawn in one pass."""


@dataclass(frozen=True)
class Way:
    """How the field is followed: objects behind the options of `Field`.

    `churn` of classes shown in parallel, see `solvers.masked.unmask`; None shows them one after another.
    """

    path: Path
    parameterisation: Parameterisation
    solver: Solver
    steps: int
    guidance: float
    together: bool
    integration: int
    churn: float | None


class FieldColumns(nn.Module, Distribution):
    """Classes one after another, then all numbers by the flow of an ODE from noise: `p(classes) p(numbers | classes)`.

    All from one network. Each class is drawn given those before it and nothing of the moving numbers, so the
    log-probability of the classes is the sum of those of single classes; that of the numbers is the integral of the
    divergence along the ODE. Evidence enters as clean inputs, for which the network is trained too: such draws, and
    the score of a part of a record, are estimates.
    """

    measure = "cells"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate", "log_prob": "estimate", "draw": "estimate"}

    def __init__(self, view: View, given: Mixed | None, fine: bool, net: FieldNet, way: Way) -> None:
        super().__init__()
        self.event, self.given, self.view, self.fine, self.net, self.way = view.event, given, view, fine, net, way

    def arrays(self) -> dict[str, Tensor]:
        """Weights, knots and bins."""
        state = {f"weights.{name}": value for name, value in self.net.state_dict().items()}
        for i, scale in enumerate(self.view.scales):
            if isinstance(scale, Warp):
                state |= {f"knots.{i}": scale.knots, f"shares.{i}": scale.shares}
        for j, bins in self.view.bins.items():
            state |= {f"bins.{j}.{name}": value for name, value in bins.arrays().items()}
        return {**state, "fine": torch.tensor(self.fine)}

    def seen(self, batch: Batch, offset: Tensor | float = 0.0) -> Seen:
        """All that a batch holds, with numbers at a place inside their cells: [spans] or [rows, spans] in +-1/2."""
        known = self.view.known(batch)
        flat = given_flat(self.given, batch)
        given = torch.cat([flat, torch.ones(len(batch), 1)], 1) if flat.shape[1] else flat
        codes, shown = self.view.codes(batch), self.view.shown(batch)
        return Seen(self.view.values(batch, offset), known, torch.zeros_like(known), codes, shown, given)

    def field(self, seen: Seen) -> Conditional:
        """The field of the alive numbers of these rows."""
        return Conditional(self.net, self.way.path, self.way.parameterisation, seen, self.way.guidance)

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of each record's cell, float64 [rows]; what is not known is left out, as in learning."""
        return log_p_classes(self, batch) + log_p_numbers(self, batch)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """See `Distribution.sample`."""
        return self.draw(unknown(n, self.event, cond), generator)[0]

    @torch.no_grad()
    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """See `Draws.draw`: classes keep to their limits and weigh, numbers outside theirs weigh minus infinity."""
        cells, mask = batch.cells.clone(), batch.mask.clone()
        weight = torch.zeros(len(batch), dtype=torch.float64)
        for start in range(0, len(batch), DRAWN):
            here = slice(start, start + DRAWN)
            part = batch.take(here)
            offset = torch.rand(part.cells.shape, generator=generator, dtype=torch.float64) - 0.5
            seen, allowed = self.seen(part, offset), self.view.log_allowed(part, limits)
            values = torch.randn(seen.values.shape, generator=generator) * self.way.path.spread(torch.ones(1))
            if self.way.together and seen.codes.shape[1] and seen.values.shape[1]:
                seen, values = self._together(seen, values, allowed, generator)
            seen, weight[here] = self._classes(seen, allowed, generator)
            if not self.way.together and seen.values.shape[1]:
                alive = self.view.existing(seen.codes, self.view.numbers) & ~seen.known
                field = self.field(replace(seen, alive=alive))
                values = self.way.solver(field, values, self.way.path.grid(self.way.steps), generator)
            cells[here], mask[here] = self.view.complete(part, seen.codes, values, generator, limits)
        for limit in limits:
            out = ~limit.contains(cells[:, limit.column]) & mask[:, limit.column] & ~batch.mask[:, limit.column]
            weight = torch.where(out, -torch.inf, weight)
        return Batch(cells, mask, batch.cond), weight

    def log_class(self, seen: Seen, column: int) -> Tensor:
        """Log-probabilities [rows, classes] float64 of one class, before any number moves."""
        still = replace(seen, alive=torch.zeros_like(seen.alive))
        logits = self.field(still).logits(torch.zeros_like(seen.values), torch.ones(1))[column]
        log_p: Tensor = logits.to(torch.float64).log_softmax(1)
        return log_p

    def _classes(self, seen: Seen, allowed: Sequence[Tensor], generator: Generator) -> tuple[Seen, Tensor]:
        """All classes that exist, and the log chance of what limits allow of those drawn here [rows].

        Numbers whose state is not known are left aside till it is, as in learning; it can only be one that they allow.
        """
        view, whole = self.view, seen
        seen = replace(seen, known=seen.known & view.decided(seen.shown, view.numbers))
        seen = seen.with_classes(seen.codes, seen.shown & view.decided(seen.shown, view.classes))
        chance = torch.zeros(len(seen), dtype=torch.float64)

        def exists(codes: Tensor, column: int) -> Tensor:
            return self.view.existing(codes, self.view.classes[column : column + 1]).squeeze(1)

        def logits(codes: Tensor, shown: Tensor, column: int) -> Tensor:
            log_p = self.log_class(seen.with_classes(codes, shown), column)
            within = log_p + allowed[column]
            drawn = ~shown[:, column] & exists(codes, column)
            chance.add_(torch.where(drawn, torch.logsumexp(within, 1).clamp(max=0.0), 0.0))
            return torch.where(torch.isfinite(within).any(1, keepdim=True), within, log_p)

        if self.way.churn is not None:
            seen, chance = self._in_parallel(seen, allowed, generator)
        codes, shown = in_order(logits, seen.codes, seen.shown, generator, exists)
        codes = torch.where(whole.shown, whole.codes, codes)
        return whole.with_classes(codes, shown | whole.shown), chance

    def _in_parallel(self, seen: Seen, allowed: Sequence[Tensor], generator: Generator) -> tuple[Seen, Tensor]:
        """Classes shown several at a time over the solver's steps, before any number moves, and as in `_classes`."""
        chance, free = torch.zeros(len(seen), dtype=torch.float64), ~seen.shown
        share, nothing = torch.linspace(1.0, 0.0, self.way.steps + 1).tolist(), torch.zeros_like(seen.alive)
        for now, later in pairwise(share):
            still = self.field(replace(seen, alive=nothing))
            logits = still.logits(torch.zeros_like(seen.values), torch.ones(1))
            seen, told = self._show(seen, logits, allowed, free, now, later, generator)
            chance += told
        return seen, chance

    def _together(self, seen: Seen, x: Tensor, allowed: Sequence[Tensor], generator: Generator) -> tuple[Seen, Tensor]:
        """Classes and numbers at one time: the classes still masked are shown while the numbers come out of noise.

        A class is shown between two times with the chance of its share of noise there; what a step shows is drawn
        independently. Numbers whose state is not shown yet move as if they existed.
        """
        way, view, free = self.way, self.view, ~seen.shown
        grid, share = way.path.grid(way.steps), torch.linspace(1.0, 0.0, way.steps + 1).tolist()
        for i in range(way.steps):
            may = view.existing(seen.codes, view.numbers) | ~view.decided(seen.shown, view.numbers)
            seen = replace(seen, alive=may & ~seen.known)
            field = self.field(seen)
            logits = field.logits(x, grid[i : i + 1].to(x.dtype))
            x = way.solver(field, x, grid[i : i + 2], generator)
            seen, _ = self._show(seen, logits, allowed, free, share[i], share[i + 1], generator)
        return seen, x

    def _show(
        self,
        seen: Seen,
        logits: Sequence[Tensor],
        allowed: Sequence[Tensor],
        free: Tensor,
        now: float,
        later: float,
        generator: Generator,
    ) -> tuple[Seen, Tensor]:
        """One step of `unmask` inside the limits, for columns that are known to exist; and its log chance [rows]."""
        view = self.view
        log_p = [part.to(torch.float64).log_softmax(1) for part in logits]
        within = [part + ok for part, ok in zip(log_p, allowed, strict=True)]
        drawn = [torch.where(torch.isfinite(a).any(1, keepdim=True), a, b) for a, b in zip(within, log_p, strict=True)]
        churn = self.way.churn or 0.0
        codes, shown = unmask(drawn, seen.codes, seen.shown, now, later, generator, free=free, churn=churn)
        there = view.existing(seen.codes, view.classes) & view.decided(seen.shown, view.classes)
        shown &= seen.shown | there
        shown &= view.decided(shown, view.classes) | ~free
        told = torch.stack([torch.logsumexp(part, 1) for part in within], 1).clamp(max=0.0)
        return seen.with_classes(codes, shown), torch.where(shown & ~seen.shown, told, 0.0).sum(1)
