"""Conditional draws for families that have a likelihood but no conditionals of their own.

A mixture is fitted to samples of the model itself; its exact conditionals propose completions, and the family's own
likelihood weighs them (sampling importance resampling, Rubin 1987). The better the mixture follows the model, the more
of the proposals count; in the limit of many proposals the draws are those of the model whatever the mixture is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ensample.budget import Budget, Clock
from ensample.events import Batch, Limit
from ensample.families.abilities import Draws, Scores
from ensample.families.base import ArrayDistribution, Distribution, RaggedDistribution
from ensample.families.mixture.family import Mixture
from ensample.families.mixture.model import MixtureDistribution
from ensample.infer.likelihood import cell_log_prob, inside_cells
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run
from ensample.train import learn

SAMPLES = 8_000
"""Samples of the model that its mixture is fitted to."""
COMPONENTS, STEPS = 32, 20
"""Components and steps of that fit: proposals of a better one would not count for more, and it would cost most."""


class Proposed(Distribution):
    """A distribution with a likelihood, and mixtures of its own samples that complete records for it.

    Weights of `draw` are relative: they compare the completions of one row, and may be positive.
    """

    sees_evidence = False

    def __init__(self, distribution: Distribution) -> None:
        self.target, self.event, self.given = distribution, distribution.event, distribution.given
        self._fitted: tuple[Tensor, MixtureDistribution] | None = None

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """Samples of the model itself."""
        return self.target.sample(n, generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Those of the model."""
        return self.target.arrays()

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Completions by the mixture; see `Draws.draw`. Log weight: what the model gives them over what it does."""
        mixture = self.mixture(batch.cond)
        cells, mask = batch.cells.clone(), batch.mask.clone()
        weight = torch.zeros(len(batch), dtype=torch.float64)
        for rows, located in inside_cells(mixture, batch, generator, limits):
            made, weight[rows] = mixture.draw(located, generator, limits)
            cells[rows], mask[rows] = made.cells, made.mask
        filled = Batch(cells, mask, batch.cond)
        possible = torch.isfinite(weight).nonzero()[:, 0]
        here = filled.take(possible)
        weight[possible] += cell_log_prob(self.target, here) - cell_log_prob(mixture, here)
        return filled, torch.where(torch.isnan(weight), -torch.inf, weight)

    def mixture(self, cond: Batch | None = None) -> MixtureDistribution:
        """The mixture of this model, always the same; with given fields that of the model under these rows of them.

        The last one is kept, for the same values of the given fields.
        """
        key = torch.zeros(0) if cond is None else torch.unique(_table(cond), dim=0)
        if self._fitted is None or not torch.equal(self._fitted[0], key):
            self._fitted = key, self._fit(cond)
        return self._fitted[1]

    def _fit(self, cond: Batch | None) -> MixtureDistribution:
        generator, rows = Generator().manual_seed(0), None
        if cond is not None:
            rows = cond.take(torch.arange(SAMPLES) * len(cond) // SAMPLES)
        table = _table(self.target.sample(SAMPLES, generator, rows)).numpy()
        records = Records(self.event, table, self.given, None if rows is None else _table(rows).numpy())
        fitted = learn(Mixture(components=COMPONENTS), records, 0, Run(Clock(Budget(steps=STEPS))))
        assert isinstance(fitted, MixtureDistribution)
        return fitted


def completing(distribution: Distribution) -> Distribution:
    """What completes records: the distribution itself, or a `Proposed` if it has a likelihood but no `draw`."""
    alone = Draws | ArrayDistribution | RaggedDistribution
    if isinstance(distribution, alone) or not isinstance(distribution, Scores):
        return distribution
    return Proposed(distribution)


def _table(batch: Batch) -> Tensor:
    return torch.where(batch.mask, batch.cells, ABSENT)
