"""What is known of some rows, and what it says about components, classes and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ensample.events import Batch, Continuous, Discrete, Limit
from ensample.families.mixture.truncated import Cut

if TYPE_CHECKING:
    from ensample.families.mixture.model import MixtureDistribution


class Evidence:
    """The posterior over components of rows [n] with one pattern of known coordinates, under limits on the others.

    `logits` [n, k] holds log of `weight * p(known, limits)` with every limit that is exact. `classes[j]`
    [1 or n, k, classes] are the log-probabilities of an unknown Discrete column within its limits, not normalised.
    `unknown` are the positions among the numbers that are to be filled, those with a limit first.
    """

    def __init__(self, model: MixtureDistribution, joint: Batch, bounds: dict[int, Limit]) -> None:
        self.model, self.joint = model, joint
        self.mask = joint.mask[0]
        layout, own, form = model.layout, model.components, model.structure.form
        self.spans = layout.event.spans
        numbers = layout.numbers
        self.bounds = {j: limit for j, limit in bounds.items() if not self.mask[j]}
        self.known = torch.tensor([i for i, j in enumerate(numbers) if self.mask[j]], dtype=torch.int64)
        free = [i for i, j in enumerate(numbers) if not self.mask[j]]
        free.sort(key=lambda i: numbers[i] not in self.bounds)
        self.unknown = torch.tensor(free, dtype=torch.int64)
        self.columns = [numbers[i] for i in free]
        self.limited = sum(j in self.bounds for j in self.columns)
        values = layout.event.values(joint.cells, joint.offset)
        self.x = values[:, numbers][:, self.known]
        self.slopes, self.rest = form.regression(own.covariances, self.known, self.unknown)
        codes = {j: joint.cells[:, j] for j in layout.classes if self.mask[j]}
        self.logits = model.log_known(joint, values, self.known, codes).clone()
        self.classes: dict[int, Tensor] = {}
        self._order_limits()
        self._weigh_limits()

    @property
    def exact(self) -> int:
        """How many of the limited numbers, from the first, are in `logits` already."""
        return self.limited if self.slopes is None else min(self.limited, 1)

    def mean(self, component: int, rows: Tensor | slice = slice(None)) -> Tensor:
        """Conditional mean [rows, unknown] of the unknown numbers in one component."""
        means = self.model.components.means[component]
        base = means[self.unknown].expand(len(self.x[rows]), -1)
        if self.slopes is None:
            return base
        return base + (self.x[rows] - means[self.known]) @ self.slopes[component].T

    def means_of(self, i: int) -> Tensor:
        """Conditional mean [n, k] of unknown number i in every component."""
        means = self.model.components.means
        base = means[:, self.unknown[i]].expand(len(self.x), -1)
        if self.slopes is None:
            return base
        slope = self.slopes[:, i]  # [k, known]
        return base + self.x @ slope.T - (means[:, self.known] * slope).sum(1)

    def deviations_of(self, i: int) -> Tensor:
        """Conditional standard deviation [k] of unknown number i."""
        return self.model.structure.form.diagonal(self.rest)[:, i].clamp(min=1e-300).sqrt()

    def cut(self, i: int) -> Cut | None:
        """The limit of unknown number i in every component [n, k, ranges], None if there is none."""
        column = self.columns[i]
        if column not in self.bounds:
            return None
        event = self.spans[column].event
        assert isinstance(event, Continuous)
        mean = self.means_of(i)
        return Cut.of(event.lattice, self.bounds[column].ranges, mean, self.deviations_of(i).expand_as(mean))

    def _order_limits(self) -> None:
        """The tightest limit first: with full covariance only that is exact, later ones cost rejected draws."""
        if self.limited < 2 or self.slopes is None:
            return
        masses = [float(self._allowed(i).mean()) for i in range(self.limited)]
        order = sorted(range(len(self.columns)), key=lambda i: masses[i] if i < self.limited else 1.0)
        index = torch.tensor(order)
        self.unknown, self.columns = self.unknown[index], [self.columns[i] for i in order]
        self.slopes = self.slopes[:, index]
        self.rest = self.model.structure.form.marginal(self.rest, index)

    def _allowed(self, i: int) -> Tensor:
        """Log-probability [n, k] that unknown number i is within its limit."""
        cut = self.cut(i)
        assert cut is not None
        return cut.log_mass()

    def _weigh_limits(self) -> None:
        """From the last column to the first: the chance of each limit, carried to the class that it depends on."""
        allowed = {self.columns[i]: self._allowed(i) for i in range(self.exact)}
        for j in reversed(range(len(self.spans))):
            if not self.mask[j] and isinstance(self.spans[j].event, Discrete):
                self._weigh_classes(j, allowed)
        for j, chance in allowed.items():
            parent = self.spans[j].exists
            if parent is None or self.mask[parent[0]]:
                exists = self.model.layout.event.existing(self.joint.cells, j)
                self.logits += torch.where(exists[:, None], chance, 0.0)
        for j in range(len(self.spans)):
            parent = self.spans[j].exists
            if parent is not None and self.mask[j] and self.mask[parent[0]]:
                self.logits[~self.model.layout.event.existing(self.joint.cells, j)] = -torch.inf  # it cannot be there

    def _weigh_classes(self, j: int, allowed: dict[int, Tensor]) -> None:
        table = self.model.components.tables[j][None]  # [1, k, classes]
        numbers = torch.arange(table.shape[2])
        bound = j in self.bounds
        if bound:
            table = torch.where(self.bounds[j].contains(numbers), table, -torch.inf)
        for child, span in enumerate(self.spans):
            if span.exists is None or span.exists[0] != j:
                continue
            inside = torch.isin(numbers, torch.tensor(span.exists[1]))
            if self.mask[child]:  # there is a value, so the class must be one that has a value
                table, bound = torch.where(inside, table, -torch.inf), True
            elif child in allowed:
                table, bound = table + torch.where(inside, allowed[child][:, :, None], 0.0), True
        self.classes[j] = table
        if bound:
            allowed[j] = table.logsumexp(2)
