"""Synthetic minority oversampling: new rows between a training row and one of its nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Continuous, Discrete, Mixed, unknown
from ensample.families.base import Distribution, Guarantee, at_least
from ensample.families.mixture.components import Layout
from ensample.families.mixture.conditionals import to_cells
from ensample.families.neighbours.kernels import never_stored
from ensample.kinds.records import Records
from ensample.run import Run

CELLS = 2**22
"""Rows are handled in parts such that rows x training rows stays below this."""


class Interpolation(Distribution):
    """Rows between training rows. It has no likelihood, and is never stored, since it holds training rows."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact"}
    storable: ClassVar[bool] = False

    def __init__(self, records: Records, neighbours: int) -> None:
        self.event, self.given = records.event, records.given
        self.layout = Layout.of(records.event, records.given)
        self.rows = self.layout.join(records.batch())
        self.neighbours = min(neighbours, max(1, len(records) - 1))
        self.places = _places(self.layout, self.rows)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records; with `cond` each starts from a training row that is nearest in the given fields."""
        parts = []
        step = max(1, CELLS // len(self.rows))
        for at in range(0, n, step):
            some = None if cond is None else cond.take(slice(at, at + step))
            parts.append(self._sample(min(step, n - at), generator, some))
        cells, mask = torch.cat([part.cells for part in parts]), torch.cat([part.mask for part in parts])
        return self.layout.part(Batch(cells, mask), cond)

    def _sample(self, n: int, generator: Generator, cond: Batch | None) -> Batch:
        first = (
            torch.randint(len(self.rows), (n,), generator=generator) if cond is None else self._like(cond, generator)
        )
        near = self._near(first)
        pick = torch.randint(near.shape[1], (n,), generator=generator)
        second = near[torch.arange(n), pick]
        u = torch.rand(n, 1, generator=generator, dtype=torch.float64)
        cells = torch.zeros(n, len(self.layout.event), dtype=torch.int64)
        for j, size in self.layout.classes.items():
            cells[:, j] = self._vote(near, j, size, generator)
        a, b = (self.layout.event.values(self.rows.cells[rows]) for rows in (first, second))
        for i in self.layout.numbers:
            span = self.layout.event.spans[i].event
            assert isinstance(span, Continuous)
            here, there = self.rows.mask[first, i], self.rows.mask[second, i]
            start = torch.where(here, a[:, i], b[:, i])
            end = torch.where(there, b[:, i], start)
            value = torch.where(here | there, start + u[:, 0] * (end - start), self._typical(near, i))
            cells[:, i] = to_cells(span.lattice, value)
        mask = torch.stack([self.layout.event.existing(cells, j) for j in range(len(self.layout.event))], 1)
        return Batch(torch.where(mask, cells, 0), mask)

    def _like(self, cond: Batch, generator: Generator) -> Tensor:
        """A training row [rows] that is nearest in the given fields; equally near ones by chance."""
        columns = self.places.of_given
        wanted = self.places.of(self.layout, self.layout.join(unknown(len(cond), self.event, cond)))[:, columns]
        distance = torch.cdist(wanted, self.places.points[:, columns])
        nearest = distance <= distance.amin(1, keepdim=True) + 1e-9
        return torch.multinomial(nearest.to(torch.float64), 1, generator=generator)[:, 0]

    def _near(self, rows: Tensor) -> Tensor:
        """The nearest neighbours [rows, neighbours] of training rows, without themselves."""
        points = self.places.points
        distance = torch.cdist(points[rows], points)
        if len(points) > 1:
            distance[torch.arange(len(rows)), rows] = torch.inf
        return distance.topk(self.neighbours, largest=False).indices

    def _vote(self, near: Tensor, j: int, size: int, generator: Generator) -> Tensor:
        """The most frequent class [rows] among the neighbours, ties by chance; any class where none is known."""
        votes = torch.zeros(len(near), size, dtype=torch.float64)
        votes.scatter_add_(1, self.rows.cells[near, j], self.rows.mask[near, j].to(torch.float64))
        return (votes + 0.5 * torch.rand(votes.shape, generator=generator, dtype=torch.float64)).argmax(1)

    def _typical(self, near: Tensor, i: int) -> Tensor:
        """Mean of a number [rows] among the neighbours that have it, or among all rows."""
        values, mask = self.layout.event.values(self.rows.cells)[:, i], self.rows.mask[:, i].to(torch.float64)
        overall = float((values * mask).sum() / mask.sum().clamp(min=1.0))
        count = mask[near].sum(1)
        return torch.where(count > 0, (values * mask)[near].sum(1) / count.clamp(min=1.0), overall)

    def arrays(self) -> dict[str, Tensor]:
        """Nothing: training rows are never written."""
        return {}


@dataclass(frozen=True)
class _Places:
    """Rows as points [rows, coordinates], and how numbers and classes become coordinates."""

    points: Tensor
    means: dict[int, float]
    scales: dict[int, float]
    of_given: Tensor

    def of(self, layout: Layout, joint: Batch) -> Tensor:
        """Coordinates of rows: numbers in standard deviations, a difference of class as long as one of them."""
        return _points(layout, joint, self.means, self.scales)


def _places(layout: Layout, joint: Batch) -> _Places:
    values = layout.event.values(joint.cells)
    means, scales = {}, {}
    for j in layout.numbers:
        seen = values[joint.mask[:, j], j]
        means[j] = float(seen.mean()) if len(seen) else 0.0
        scales[j] = max(float(seen.std(correction=0)), 1e-12) if len(seen) else 1.0
    points = _points(layout, joint, means, scales)
    wide = [1 if j in scales else layout.classes[j] for j in range(len(layout.event))]
    first = sum(wide[: layout.start])
    return _Places(points, means, scales, torch.arange(first))


def _points(layout: Layout, joint: Batch, means: dict[int, float], scales: dict[int, float]) -> Tensor:
    values, parts = layout.event.values(joint.cells), []
    for j, span in enumerate(layout.event.spans):
        known = joint.mask[:, j, None]
        if isinstance(span.event, Discrete):
            hot = torch.nn.functional.one_hot(joint.cells[:, j], span.event.classes).to(torch.float64)
            parts.append(hot * known * 0.5**0.5)
        else:
            parts.append(torch.where(known, (values[:, j, None] - means[j]) / scales[j], 0.0))
    return torch.cat(parts, 1)


@dataclass(frozen=True)
class Smote:
    """New rows on the line between a training row and one of its nearest neighbours (Chawla et al. 2002, SMOTE-NC).

    A number is `x + u (x' - x)` with the neighbour's x' and u uniform in (0, 1); a class is the most frequent one among
    the neighbours. Distances are Euclidean over standardised numbers; another class counts as one standard deviation.

    Use it as the baseline that it is: rows look real one by one, but lie on lines between training rows, which blurs
    relations, shrinks spread and rare classes, and gives training rows away (a model of it is not saved). There is no
    likelihood; conditions are met by rejection.

    Arguments:
        neighbours: nearest rows that are voters and partners.
        rows: most training rows kept; of more a random sample is taken.

    Example:
        >>> Smote(neighbours=3)
        Smote(neighbours=3, rows=20000)
    """

    neighbours: int = 5
    rows: int = 20_000

    name: ClassVar[str] = "smote"
    distribution: ClassVar[type[Distribution]] = Interpolation

    def __post_init__(self) -> None:
        at_least(self, neighbours=1, rows=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event, and any given fields."""
        return None if isinstance(event, Mixed) else "interpolation needs a table of fields"

    def fit(self, records: Records, seed: int, run: Run) -> Interpolation:
        """Keep the rows."""
        return Interpolation(records.sample(self.rows, seed), self.neighbours)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> Interpolation:
        """Refused: there is nothing stored to restore.

        Raises:
            CapabilityError: always.
        """
        raise never_stored(self.name)
