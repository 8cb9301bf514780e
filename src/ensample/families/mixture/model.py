"""A fitted mixture: scores, samples, completes and expects."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit, Mixed, unknown
from ensample.families.base import Distribution, Guarantee
from ensample.families.mixture.components import Components, Layout, by_pattern, joint_log_density
from ensample.families.mixture.conditionals import complete_pattern
from ensample.families.mixture.covariance import Covariance
from ensample.families.mixture.evidence import Evidence
from ensample.families.mixture.expectations import expect_pattern

CHUNK = 2**22
"""Rows are handled in parts such that rows x components x numbers stays below this."""


class MixtureDistribution(Distribution):
    """p(x) = sum over k of weight_k N(numbers; mean_k, covariance_k) prod Categorical(class; table_k).

    Over given and modelled spans jointly; with given fields, `p(x | given) = p(x, given) / p(given)`.
    """

    measure: ClassVar[Literal["cells", "density"]] = "density"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "exact"}

    def __init__(self, event: Mixed, given: Mixed | None, structure: Covariance, components: Components) -> None:
        self.event, self.given, self.structure, self.components = event, given, structure, components
        self.layout = Layout.of(event, given)

    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-density [rows] float64 of `event.values(cells, offset)`; unset coordinates are integrated out."""
        rows = max(1, CHUNK // (len(self.components) * max(1, len(self.layout.event))))
        parts = []
        for start in range(0, len(batch), rows):
            parts.append(self._log_prob(batch.take(slice(start, start + rows))))
        return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)

    def _log_prob(self, batch: Batch) -> Tensor:
        joint = self.layout.join(batch)
        values = self.layout.event.values(joint.cells, joint.offset)
        total = self.log_joint(values, joint).logsumexp(1)
        if batch.cond is None:
            return total
        joint.mask[:, self.layout.start :] = False
        return total - self.log_joint(values, joint).logsumexp(1)

    def log_joint(self, values: Tensor, joint: Batch) -> Tensor:
        """Log of `weight * p(known coordinates)` [rows, k] of each row and component."""
        total = values.new_empty(len(values), len(self.components))
        numbers = self.layout.numbers
        for rows, mask in by_pattern(joint.mask):
            known = torch.tensor([i for i, j in enumerate(numbers) if mask[j]], dtype=torch.int64)
            codes = {j: joint.cells[rows, j] for j in self.layout.classes if mask[j]}
            total[rows] = self.log_known(joint.take(rows), values[rows], known, codes)
        return total

    def log_known(self, joint: Batch, values: Tensor, known: Tensor, codes: dict[int, Tensor]) -> Tensor:
        """Log of `weight * p(known coordinates)` [rows, k] of rows of one pattern.

        `known` are positions among the numbers, `codes` the known classes by column.
        """
        at = torch.tensor([self.layout.numbers[i] for i in known.tolist()], dtype=torch.int64)
        return joint_log_density(self.structure, self.components, values[:, at], known, codes)

    def cell_width(self, batch: Batch) -> Tensor:
        """Width of the widest known cell of each row [rows], in standard deviations of the narrowest component.

        The deviation is that of a number given all others, so that no section of the density is narrower.
        """
        joint, numbers = self.layout.join(batch), self.layout.numbers
        if not numbers:
            return torch.zeros(len(batch), dtype=torch.float64)
        slopes = [
            self.layout.event.spans[j].event.lattice.log_slope(joint.cells[:, j])  # type: ignore[union-attr]
            for j in numbers
        ]
        width = torch.stack(slopes, 1).exp() / self._narrowest
        return torch.where(joint.mask[:, numbers], width, 0.0).amax(1)

    @cached_property
    def _narrowest(self) -> Tensor:
        """Smallest conditional standard deviation [d] of each number among the components."""
        covariances = self.components.covariances
        if self.structure.independent:
            return covariances.sqrt().amin(0)
        precision = torch.cholesky_inverse(torch.linalg.cholesky(covariances))
        return self.structure.form.diagonal(precision).rsqrt().amin(0)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records; with `cond` one for each of its rows."""
        return self.draw(unknown(n, self.event, cond), generator)[0]

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset coordinates; see `Draws.draw`.

        Evidence and limits on classes are exact (weight 0), and so are limits on numbers if the covariance is diagonal
        or spherical, or if only one number is limited. Several limited numbers with full or tied covariance are drawn
        one after the other, each inside its limit; the weight is what the later ones had to be cut by.
        """
        joint = self.layout.join(batch)
        bounds = {limit.column + self.layout.start: limit for limit in limits}
        cells, mask = joint.cells.clone(), joint.mask.clone()
        weight = torch.zeros(len(joint), dtype=torch.float64)
        for rows in self._chunks(joint):
            cells[rows], mask[rows], weight[rows] = complete_pattern(self, joint.take(rows), bounds, generator)
        return self.layout.part(Batch(cells, mask), batch.cond), weight

    def log_within(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        """Log-density of the known coordinates, the given ones, and the limits that `draw` meets without a weight."""
        joint = self.layout.join(batch)
        bounds = {limit.column + self.layout.start: limit for limit in limits}
        total = torch.zeros(len(joint), dtype=torch.float64)
        for rows in self._chunks(joint):
            total[rows] = Evidence(self, joint.take(rows), bounds).logits.logsumexp(1)
        return total

    def expect(self, batch: Batch, limits: Sequence[Limit] = ()) -> tuple[Tensor, Tensor]:
        """Conditional means (numbers, as cell positions) and most probable classes; see `Expects.expect`.

        Limits on classes are honoured exactly. A limit on a number is honoured by cutting that number's distribution in
        each component; with full covariance the other numbers then follow through the weights of the components alone.
        """
        joint = self.layout.join(batch)
        bounds = {limit.column + self.layout.start: limit for limit in limits}
        values = torch.zeros(joint.cells.shape, dtype=torch.float64)
        mask = joint.mask.clone()
        for rows in self._chunks(joint):
            values[rows], mask[rows] = expect_pattern(self, joint.take(rows), bounds)
        return values[:, self.layout.start :], mask[:, self.layout.start :]

    def _chunks(self, joint: Batch) -> list[Tensor]:
        """Row numbers of parts with one pattern each."""
        size = max(1, CHUNK // (len(self.components) * max(1, len(self.layout.event))))
        return [part for rows, _ in by_pattern(joint.mask) for part in torch.split(rows, size)]

    def arrays(self) -> dict[str, Tensor]:
        """Weights, means, covariances, tables."""
        own = self.components
        return {
            "log_weights": own.log_weights,
            "means": own.means,
            "covariances": own.covariances,
            **{f"table.{j}": table for j, table in own.tables.items()},
            **{f"share.{j}": share for j, share in own.shares.items()},
        }
