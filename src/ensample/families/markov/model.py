"""A fitted hidden Markov model: scores, samples, completes, expects, and decodes states."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ensample.events import UNKNOWN_LENGTH, Batch, Limit, Ragged, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.markov.emissions import Emissions
from ensample.families.markov.packing import Packing, similar
from ensample.families.markov.parameters import Parameters
from ensample.families.markov.trellis import best_path, forward, sampled_path, smooth, walk
from ensample.families.mixture.covariance import Covariance
from ensample.families.mixture.model import MixtureDistribution


class MarkovSequences(Distribution):
    """p(sequence) = p(length) sum over state paths of start(s_1) prod transition(s_t, s_t+1) prod p(step_t | s_t).

    `log_prob` counts cells: the density of each step is integrated over its cell under each state.
    """

    measure: ClassVar = "cells"
    guarantees: ClassVar[dict[str, Guarantee]] = {
        "sample": "exact",
        "log_prob": "estimate",
        "draw": "estimate",
        "states": "exact",
    }
    event: Ragged  # type: ignore[assignment]  # tables go to other families

    def __init__(self, event: Ragged, structure: Covariance, parameters: Parameters) -> None:
        self.event, self.given, self.structure, self.parameters = event, None, structure, parameters
        mixture = MixtureDistribution(event.element, None, structure, parameters.components)
        self.emissions = Emissions(mixture, parameters.states)

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of each record's cells, its length included, float64 [rows]; holes are integrated out."""
        assert batch.lengths is not None
        total = self.parameters.lengths.log_prob(batch.lengths)
        for rows, packing, steps in _parts(batch):
            b, top = _scaled(packing, self.emissions.log_prob(steps))
            _, scales = forward(self.parameters.chain, b)
            total[rows] += packing.sum(torch.cat(scales).log() + top, len(rows))
        return total

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records, lengths included."""
        batch = self.lengthened(unknown(n, self.event), generator, present=False)
        cells, mask = batch.cells.clone(), batch.mask.clone()
        for rows, packing, steps in _parts(batch):
            states = torch.cat(walk(self.parameters.chain, packing.sizes, generator))
            at = rows[packing.rows], packing.steps
            cells[at], mask[at], _ = self.emissions.fill(steps, states, (), generator)
        return replace(batch, cells=cells, mask=mask)

    def lengthened(self, batch: Batch, generator: Generator, present: bool = True) -> Batch:
        """The batch with a length drawn for every record whose length is unknown; see `LengthensRecords`."""
        assert batch.lengths is not None
        lengths = batch.lengths.clone()
        open_ = lengths == UNKNOWN_LENGTH
        lengths[open_] = self.parameters.lengths.sample(int(open_.sum()), generator, present or not self.event.missing)
        longest = max(batch.cells.shape[1], int(lengths.max()) if len(lengths) else 0)
        return replace(batch.padded(longest), lengths=lengths)

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset coordinates of steps, and records of unknown length; see `Draws.draw`.

        States are drawn from their posterior given all that is known of the sequence (forward filtering, backward
        sampling), then each step given its state and what is known of it. Limits hold for every step.
        """
        batch = self.lengthened(batch, generator)
        cells, mask = batch.cells.clone(), batch.mask.clone()
        weight = torch.zeros(len(batch), dtype=torch.float64)
        for rows, packing, steps in _parts(batch):
            b, top = _scaled(packing, self.emissions.log_prob(steps, limits))
            forward(self.parameters.chain, b)
            states = torch.cat(sampled_path(self.parameters.chain, b, generator))
            at = rows[packing.rows], packing.steps
            cells[at], mask[at], cost = self.emissions.fill(steps, states, limits, generator)
            possible = torch.where(torch.isfinite(top), cost, -torch.inf)
            weight[rows] = packing.sum(possible, len(rows))
        return replace(batch, cells=cells, mask=mask), weight

    def expect(self, batch: Batch, limits: Sequence[Limit] = ()) -> tuple[Tensor, Tensor]:
        """Conditional means (numbers, as cell positions) and most probable classes; see `Expects.expect`.

        The length of every record must be known.
        """
        values, mask = batch.cells.to(torch.float64), batch.mask.clone()
        for rows, packing, steps in _parts(batch):
            posterior = self._posterior(packing, steps, limits)
            at = rows[packing.rows], packing.steps
            values[at], mask[at] = self.emissions.expect(steps, posterior.clamp(min=1e-300).log(), limits)
        return values, mask

    def states(self, batch: Batch) -> Tensor:
        """The most probable path of hidden states (Viterbi), int64 [rows, steps]; -1 behind the end of a record."""
        path = torch.full(batch.cells.shape[:2], -1, dtype=torch.int64)
        for rows, packing, steps in _parts(batch):
            found, _ = best_path(self.parameters.chain, packing.by_step(self.emissions.log_prob(steps)))
            path[rows[packing.rows], packing.steps] = torch.cat(found)
        return path

    def state_probabilities(self, batch: Batch) -> Tensor:
        """Posterior p(state of each step | record), float64 [rows, steps, states]; 0 behind the end of a record."""
        out = torch.zeros(*batch.cells.shape[:2], self.parameters.states, dtype=torch.float64)
        for rows, packing, steps in _parts(batch):
            out[rows[packing.rows], packing.steps] = self._posterior(packing, steps, ())
        return out

    def _posterior(self, packing: Packing, steps: Batch, limits: Sequence[Limit]) -> Tensor:
        """[positions, states]."""
        b, _ = _scaled(packing, self.emissions.log_prob(steps, limits))
        predicted, _ = forward(self.parameters.chain, b)
        smooth(self.parameters.chain, b, predicted)
        return torch.cat([gamma.T for gamma in b])

    def arrays(self) -> dict[str, Tensor]:
        """Chain, weights, means, covariances, tables, counts of lengths."""
        chain, own, lengths = self.parameters.chain, self.parameters.components, self.parameters.lengths
        return {
            "start": chain.start,
            "transitions": chain.transitions,
            "lengths": lengths.counts,
            "log_weights": own.log_weights,
            "means": own.means,
            "covariances": own.covariances,
            **{f"table.{j}": table for j, table in own.tables.items()},
            **{f"share.{j}": share for j, share in own.shares.items()},
        }

    def facts(self) -> dict[str, Any]:
        """How many records were missing."""
        return {"missing": self.parameters.lengths.missing}


def _parts(batch: Batch) -> Iterator[tuple[Tensor, Packing, Batch]]:
    """Rows of similar length with their packed steps; those without steps are left out."""
    assert batch.lengths is not None
    there = (batch.lengths > 0).nonzero()[:, 0]
    for group in similar(batch.lengths[there]):
        rows = there[group]
        packing = Packing.of(batch.lengths[rows])
        at = rows[packing.rows], packing.steps
        yield rows, packing, Batch(batch.cells[at], batch.mask[at])


def _scaled(packing: Packing, log_b: Tensor) -> tuple[list[Tensor], Tensor]:
    """(b of every step, scaled to at most one, [states, sequences]; the logarithm that was taken off [positions])."""
    top = log_b.amax(1)
    possible = torch.isfinite(top)[:, None]
    b = torch.where(possible, torch.exp(log_b - top[:, None]), 1.0)
    return packing.by_step(b), top
