"""A fitted field over a table: how records are drawn, completed and scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.field.network import Conditional, FieldNet, Seen
from ensample.families.field.parameterisation import Parameterisation
from ensample.families.field.score import log_p_classes, log_p_numbers
from ensample.families.field.warp import Scale, Warp
from ensample.families.layout import FAR, Layout, given_flat
from ensample.solvers.masked import in_order, unmask
from ensample.solvers.paths import Path
from ensample.solvers.steps import Solver

DRAWN = 8192
"""Rows drawn in one pass."""


@dataclass(frozen=True)
class Way:
    """How the field is followed: objects behind the options of `Field`."""

    path: Path
    parameterisation: Parameterisation
    solver: Solver
    steps: int
    guidance: float
    together: bool
    integration: int


class FieldColumns(nn.Module, Distribution):
    """Classes one after another, then all numbers by the flow of an ODE from noise: `p(classes) p(numbers | classes)`.

    All from one network. Each class is drawn given those before it in the standing order and nothing of the numbers,
    so the log-probability of the classes is the sum of those of single classes; that of the numbers is the integral of
    the divergence along the ODE. Evidence enters as clean inputs, for which the network is trained too: such draws,
    and the score of a part of a record, are estimates.
    """

    measure = "cells"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate", "log_prob": "estimate", "draw": "estimate"}

    def __init__(
        self, event: Mixed, given: Mixed | None, scales: tuple[Scale, ...], fine: bool, net: FieldNet, way: Way
    ) -> None:
        super().__init__()
        self.event, self.given, self.scales, self.fine = event, given, scales, fine
        self.net, self.way, self.layout = net, way, Layout(event)

    def arrays(self) -> dict[str, Tensor]:
        """Weights and knots."""
        state = {f"weights.{name}": value for name, value in self.net.state_dict().items()}
        for i, scale in enumerate(self.scales):
            if isinstance(scale, Warp):
                state |= {f"knots.{i}": scale.knots, f"shares.{i}": scale.shares}
        return {**state, "fine": torch.tensor(self.fine)}

    def seen(self, batch: Batch, offset: Tensor | float = 0.0) -> Seen:
        """All that a batch holds, with numbers at a place inside their cells: [spans] or [rows, spans] in +-1/2."""
        known, shown = self.layout.exists(batch), self.layout.known(batch)
        where = batch.cells.to(torch.float64) + offset
        columns = [scale.score(where[:, j]) for j, scale in zip(self.layout.numbers, self.scales, strict=True)]
        values = torch.stack(columns, 1).to(torch.float32) if columns else torch.zeros(len(batch), 0)
        flat = given_flat(self.given, batch)
        given = torch.cat([flat, torch.ones(len(batch), 1)], 1) if flat.shape[1] else flat
        return Seen(
            torch.where(known, values, 0.0), known, torch.zeros_like(known), self.layout.codes(batch), shown, given
        )

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
            seen, allowed = self.seen(part, offset), self._allowed(part, limits)
            if self.way.together and seen.codes.shape[1] and seen.values.shape[1]:
                seen, values = self._together(seen, allowed, generator)
            else:
                codes, shown, weight[here] = self._classes(seen, allowed, generator)
                seen = self._enlivened(seen.with_classes(codes, shown))
                values = self._numbers(seen, generator)
            cells[here], mask[here] = self._cells(part, seen.codes, values)
        for limit in limits:
            out = ~limit.contains(cells[:, limit.column]) & mask[:, limit.column] & ~batch.mask[:, limit.column]
            weight = torch.where(out, -torch.inf, weight)
        return Batch(cells, mask, batch.cond), weight

    def _classes(self, seen: Seen, allowed: Sequence[Tensor], generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Classes [rows, classes], what is shown of them (all), and the log chance of what limits allow [rows]."""
        chance = torch.zeros(len(seen), dtype=torch.float64)

        def logits(codes: Tensor, shown: Tensor, j: int) -> Tensor:
            log_p = self.log_class(seen.with_classes(codes, shown), j)
            within = torch.where(allowed[j], log_p, -torch.inf)
            chance.add_(torch.where(shown[:, j], 0.0, torch.logsumexp(within, 1).clamp(max=0.0)))
            return torch.where(torch.isfinite(within).any(1, keepdim=True), within, log_p)

        order = range(seen.codes.shape[1])
        codes, shown = in_order(logits, seen.codes, seen.shown, order, generator)
        return codes, shown, chance

    def log_class(self, seen: Seen, j: int) -> Tensor:
        """Log-probabilities [rows, classes] float64 of one class, before any number moves."""
        t = torch.ones(1)
        nothing = torch.zeros_like(seen.values)
        log_p: Tensor = self.field(seen).logits(nothing, t)[j].to(torch.float64).log_softmax(1)
        return log_p

    def _enlivened(self, seen: Seen) -> Seen:
        """The same with every number alive that exists under the classes and is not known."""
        return replace(seen, alive=self._existing(seen.codes) & ~seen.known)

    def _existing(self, codes: Tensor) -> Tensor:
        """Which numbers exist under these classes, bool [rows, numbers]."""
        cells = torch.zeros(len(codes), len(self.event), dtype=torch.int64)
        cells[:, list(self.layout.classes)] = codes
        columns = [self.event.existing(cells, j) for j in self.layout.numbers]
        return torch.stack(columns, 1) if columns else torch.zeros(len(codes), 0, dtype=torch.bool)

    def _numbers(self, seen: Seen, generator: Generator) -> Tensor:
        """Numbers [rows, numbers] from noise, at the end of the grid."""
        x = torch.randn(seen.values.shape, generator=generator) * self.way.path.spread(torch.ones(1))
        if not seen.values.shape[1]:
            return x
        grid = self.way.path.grid(self.way.steps)
        return self.way.solver(self.field(seen), x, grid, generator)

    def _together(self, seen: Seen, allowed: Sequence[Tensor], generator: Generator) -> tuple[Seen, Tensor]:
        """Classes and numbers at one time: the classes still masked are shown while the numbers come out of noise.

        A class is shown between two times with the chance of its share of noise there; what a step shows is drawn
        independently. Numbers whose state is not shown yet move as if they existed.
        """
        way = self.way
        grid, share = way.path.grid(way.steps), torch.linspace(1.0, 0.0, way.steps + 1).tolist()
        x = torch.randn(seen.values.shape, generator=generator) * way.path.spread(torch.ones(1))
        for i in range(way.steps):
            may = self._existing(seen.codes) | ~self._decided(seen.shown)
            seen = replace(seen, alive=may & ~seen.known)
            field, t = self.field(seen), grid[i : i + 1].to(x.dtype)
            logits = [torch.where(ok, part, -torch.inf) for part, ok in zip(field.logits(x, t), allowed, strict=True)]
            codes, shown = unmask(logits, seen.codes, seen.shown, share[i], share[i + 1], generator)
            x = way.solver(field, x, grid[i : i + 2], generator)
            seen = seen.with_classes(codes, shown)
        return seen, x

    def _decided(self, shown: Tensor) -> Tensor:
        """Numbers of which the classes shown tell whether they exist, bool [rows, numbers]."""
        place = {j: i for i, j in enumerate(self.layout.classes)}
        parents = [self.event.spans[j].exists for j in self.layout.numbers]
        columns = [torch.ones(len(shown), dtype=torch.bool) if p is None else shown[:, place[p[0]]] for p in parents]
        return torch.stack(columns, 1) if columns else shown[:, :0]

    def _allowed(self, batch: Batch, limits: Sequence[Limit]) -> list[Tensor]:
        """Classes [rows, classes] that limits and known numbers leave to each class column."""
        out = []
        for j, size in zip(self.layout.classes, self.layout.sizes, strict=True):
            allowed = torch.ones(len(batch), size, dtype=torch.bool)
            for limit in (limit for limit in limits if limit.column == j):
                allowed &= limit.contains(torch.arange(size))
            for k, span in enumerate(self.event.spans):
                if span.exists is not None and span.exists[0] == j:
                    there = torch.isin(torch.arange(size), torch.tensor(span.exists[1]))
                    allowed &= there | ~batch.mask[:, k : k + 1]
            out.append(allowed)
        return out

    def _cells(self, batch: Batch, codes: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Cells and mask of completed rows; what was known stays."""
        cells = batch.cells.clone()
        for i, j in enumerate(self.layout.classes):
            cells[:, j] = torch.where(batch.mask[:, j], cells[:, j], codes[:, i])
        for i, j in enumerate(self.layout.numbers):
            position = self.scales[i].position(values[:, i]).nan_to_num(0.0, FAR, -FAR).clamp(-FAR, FAR)
            cells[:, j] = torch.where(batch.mask[:, j], cells[:, j], torch.round(position).to(torch.int64))
        mask = torch.stack([self.event.existing(cells, j) for j in range(len(self.event))], 1) | batch.mask
        return torch.where(mask, cells, 0), mask
