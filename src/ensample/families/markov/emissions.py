"""Steps under the hidden states: their probability, how to fill them, what to expect of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit
from ensample.families.mixture.components import by_pattern
from ensample.families.mixture.conditionals import complete
from ensample.families.mixture.evidence import Evidence
from ensample.families.mixture.expectations import expected
from ensample.families.mixture.model import MixtureDistribution
from ensample.families.quadrature import POINTS, lattice_rule

CHUNK = 2**22
"""Steps are handled in parts such that steps x components x spans stays below this."""


@dataclass(frozen=True)
class Emissions:
    """p(step | state): each state emits a step from a mixture of its own.

    All states together are one mixture over steps, of which `families.mixture` knows everything: component k belongs to
    state `k // each`, and its weight is that within its state.

    Arguments:
        mixture: the components of all states, state after state.
        states: how many.
    """

    mixture: MixtureDistribution
    states: int

    @property
    def each(self) -> int:
        """Components of a state."""
        return len(self.mixture.components) // self.states

    def log_prob(self, steps: Batch, limits: Sequence[Limit] = ()) -> Tensor:
        """Log-probability of the cells of each step under each state, float64 [steps, states].

        Unset coordinates are integrated out, within the limits. The integral of a density over its cell is taken step
        by step (`families.quadrature`), since steps are independent given the states.
        """
        out = torch.empty(len(steps), self.states, dtype=torch.float64)
        for rows in self._parts(torch.arange(len(steps))):
            has_number = steps.mask[rows][:, self.mixture.layout.numbers].any(1)
            for here, points in ((rows[has_number], POINTS), (rows[~has_number], 1)):
                if len(here):
                    terms = self._terms(steps.take(here), limits, points)
                    out[here] = self._by_state(terms.logsumexp(0)) - math.log(points)
        return out

    def fill(
        self, steps: Batch, states: Tensor, limits: Sequence[Limit], generator: Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fill the unset coordinates of steps in known states [steps]: (cells, mask, log weights); see `Draws.draw`."""
        cells, mask = steps.cells.clone(), steps.mask.clone()
        weight = torch.zeros(len(steps), dtype=torch.float64)
        bounds = {limit.column: limit for limit in limits}
        for rows in self._parts(self._open(steps)):
            inside = states[rows, None] == torch.arange(self.states).repeat_interleave(self.each)
            offset = self._points(steps.take(rows), limits, inside, generator)
            for chosen, _ in by_pattern(mask[rows]):
                here = rows[chosen]
                located = Batch(steps.cells[here], steps.mask[here], offset=offset[chosen])
                evidence = Evidence(self.mixture, located, bounds)
                evidence.logits = torch.where(inside[chosen], evidence.logits, -torch.inf)
                cells[here], mask[here], weight[here] = complete(evidence, generator)
        return cells, mask, weight

    def expect(self, steps: Batch, log_posterior: Tensor, limits: Sequence[Limit]) -> tuple[Tensor, Tensor]:
        """Conditional means and most probable classes of unset coordinates; see `Expects.expect`.

        Arguments:
            steps: as they are known.
            log_posterior: of the states of each step given whole sequences, float64 [steps, states].
            limits: on unset coordinates.
        """
        values, mask = steps.cells.to(torch.float64), steps.mask.clone()
        bounds = {limit.column: limit for limit in limits}
        for rows in self._parts(self._open(steps)):
            for chosen, _ in by_pattern(mask[rows]):
                here = rows[chosen]
                evidence = Evidence(self.mixture, steps.take(here), bounds)
                share = log_posterior[here] - self._by_state(evidence.logits)
                evidence.logits = evidence.logits + share.repeat_interleave(self.each, 1)
                values[here], mask[here] = expected(evidence)
        return values, mask

    def _terms(self, steps: Batch, limits: Sequence[Limit], points: int) -> Tensor:
        """Log-probability per cell width [points, steps, components] at each point of the rule."""
        bounds = {limit.column: limit for limit in limits}
        event = self.mixture.event
        terms = []
        for shift in lattice_rule(points, len(event)):
            located = Batch(steps.cells, steps.mask, offset=shift)
            density = self._limited(located, bounds) if bounds else self._free(located)
            terms.append(density + event.log_slope(steps.cells, steps.mask, shift)[:, None])
        return torch.stack(terms)

    def _free(self, located: Batch) -> Tensor:
        values = self.mixture.layout.event.values(located.cells, located.offset)
        return self.mixture.log_joint(values, located)

    def _limited(self, located: Batch, bounds: dict[int, Limit]) -> Tensor:
        out = torch.empty(len(located), len(self.mixture.components), dtype=torch.float64)
        for rows, _ in by_pattern(located.mask):
            out[rows] = Evidence(self.mixture, located.take(rows), bounds).logits
        return out

    def _points(self, steps: Batch, limits: Sequence[Limit], inside: Tensor, generator: Generator) -> Tensor:
        """A place [steps, spans] in the cell of each step, drawn from its state's own distribution within the cell."""
        rule = lattice_rule(POINTS, len(self.mixture.event))
        terms = self._terms(steps, limits, POINTS)
        weights = torch.where(inside, terms, -torch.inf).logsumexp(2).T  # [steps, points]
        possible = torch.isfinite(weights.amax(1, keepdim=True))
        shares = torch.softmax(torch.where(possible, weights, 0.0), 1)
        return rule[torch.multinomial(shares, 1, generator=generator)[:, 0]]

    def _by_state(self, logits: Tensor) -> Tensor:
        """From components [steps, components] to states [steps, states]."""
        return logits.view(len(logits), self.states, self.each).logsumexp(2)

    def _open(self, steps: Batch) -> Tensor:
        """Numbers of the steps in which some coordinate is unset though it may exist."""
        event = self.mixture.event
        free = torch.zeros(len(steps), dtype=torch.bool)
        for j, span in enumerate(event.spans):
            may_exist = event.existing(steps.cells, j)
            if span.exists is not None:
                may_exist |= ~steps.mask[:, span.exists[0]]
            free |= ~steps.mask[:, j] & may_exist
        return free.nonzero()[:, 0]

    def _parts(self, rows: Tensor) -> tuple[Tensor, ...]:
        size = max(1, CHUNK // (len(self.mixture.components) * max(1, len(self.mixture.event))))
        return torch.split(rows, size) if len(rows) else ()
