"""Kernel density estimation over mixed rows: a bump around every training row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from ensample.errors import CapabilityError
from ensample.events import Batch, Continuous, Mixed
from ensample.families.base import Distribution, at_least
from ensample.families.mixture.cells import CellMixture, log_cells
from ensample.families.mixture.components import Components, Layout, shares_of
from ensample.families.mixture.conditionals import draw_classes, to_cells
from ensample.families.mixture.covariance import STRUCTURES
from ensample.kinds.records import Records
from ensample.run import Progress, Run

WIDTHS = 2.0 ** torch.arange(-7, 2.5, 0.5, dtype=torch.float64)
"""Bandwidths that are tried for each column: of a number in its standard deviations, of a class as a share of even."""

CHOSEN_ON, AGAINST = 400, 2_000
"""Rows left out one by one to choose bandwidths, and kernels that they are scored by."""

COMPARING, FEWEST = 0.6, 40
"""Share of the time in which bandwidths are compared, and the fewest rows left out where it is short."""

SWEEPS = 2
"""Rounds over the columns, each bandwidth chosen given all others."""

MOST_CLASSES = 2**24
"""Kernels x classes of all columns stay below this."""


class KernelDensity(CellMixture):
    """The density of Gaussian and Aitchison-Aitken kernels around training rows; exact in all that a mixture is.

    It is never stored, since it holds training rows.
    """

    storable: ClassVar[bool] = False

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records: a training row for each, moved by its kernel; with `cond` weighed by what is given."""
        if cond is not None:
            return super().sample(n, generator, cond)
        own, event = self.components, self.event
        row = torch.randint(len(own), (n,), generator=generator)
        cells = torch.zeros(n, len(event), dtype=torch.int64)
        for j in self.layout.classes:
            cells[:, j] = draw_classes(own.tables[j][None], row, generator)
        z = torch.randn(n, len(self.layout.numbers), generator=generator, dtype=torch.float64)
        values = own.means[row] + own.covariances[row].sqrt() * z
        for i, j in enumerate(self.layout.numbers):
            span = event.spans[j].event
            assert isinstance(span, Continuous)
            cells[:, j] = to_cells(span.lattice, values[:, i])
        mask = torch.stack([event.existing(cells, j) for j in range(len(event))], 1)
        return Batch(torch.where(mask, cells, 0), mask)

    def arrays(self) -> dict[str, Tensor]:
        """Nothing: training rows are never written."""
        return {}


@dataclass(frozen=True)
class Kernels:
    """Kernel density estimation: p(x) = (1/n) sum_i prod_j K_j(x_j, x_ij) over training rows i.

    K is Gaussian on standardised numbers (integrated over the cell) and `1 - l` for the same class, `l / (classes - 1)`
    for another (Aitchison and Aitken 1976). Each column's bandwidth is the one under which rows left out one by one are
    most probable, given the others (cross-validation: Li and Racine 2003); a column may so be smoothed away.

    Use it as a baseline on few columns and rows. Its cost is rows x kernels, it blurs what is narrow, and it holds
    training rows, so a model of it is not saved.

    Arguments:
        bandwidth: of every column, in standard deviations (of classes: as a share of even odds); None chooses.
        rows: most kernels; of more rows a random sample is taken.

    Example:
        >>> Kernels(bandwidth=0.2)
        Kernels(bandwidth=0.2, rows=5000)
    """

    bandwidth: float | None = None
    rows: int = 5_000

    name: ClassVar[str] = "kernels"
    distribution: ClassVar[type[Distribution]] = KernelDensity

    def __post_init__(self) -> None:
        at_least(self, bandwidth=1e-9, rows=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event, and any given fields."""
        return None if isinstance(event, Mixed) else "kernels need a table of fields"

    def fit(self, records: Records, seed: int, run: Run) -> KernelDensity:
        """Choose bandwidths on a sample, and keep the rows."""
        layout = Layout.of(records.event, records.given)
        most = max(1, min(self.rows, MOST_CLASSES // max(1, sum(layout.classes.values()))))
        kept = layout.join(records.sample(most, seed).batch())
        if self.bandwidth is None:
            widths = _chosen(layout, layout.join(records.sample(min(most, AGAINST), seed).batch()), run)
        else:
            widths = {j: self.bandwidth for j in (*layout.numbers, *layout.classes)}
        components = _components(layout, kept, widths)
        return KernelDensity(records.event, records.given, STRUCTURES["diagonal"], components)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> KernelDensity:
        """Refused: there is nothing stored to restore.

        Raises:
            CapabilityError: always.
        """
        raise never_stored(self.name)


def never_stored(name: str) -> CapabilityError:
    """What a family made of training rows says when a file of it is wanted."""
    return CapabilityError(
        "What is made of training rows is never stored, since the file would hold them.",
        "model file",
        f"family {name}",
        "fit it again from the training data",
    )


def _components(layout: Layout, joint: Batch, widths: dict[int, float]) -> Components:
    """A component for each row; one that lacks a coordinate says of it what the whole column says."""
    values, n = layout.event.values(joint.cells), len(joint)
    means, variances = (torch.empty(n, len(layout.numbers), dtype=torch.float64) for _ in range(2))
    for i, j in enumerate(layout.numbers):
        known = joint.mask[:, j]
        mean, deviation = _spread(values[:, j], known, layout, j)
        means[:, i] = torch.where(known, values[:, j], mean)
        variances[:, i] = torch.where(known, (widths[j] * deviation) ** 2, deviation**2)
    shares = {j: shares_of(joint.cells[:, j], joint.mask[:, j], size) for j, size in layout.classes.items()}
    tables = {j: _table(joint, j, share, widths[j]) for j, share in shares.items()}
    return Components(torch.full((n,), -math.log(n), dtype=torch.float64), means, variances, tables, shares)


def _spread(values: Tensor, known: Tensor, layout: Layout, j: int) -> tuple[float, float]:
    """Mean and standard deviation of a column, which is at least that of a cell."""
    span = layout.event.spans[j].event
    assert isinstance(span, Continuous)
    if not bool(known.any()):
        return 0.0, 1.0
    seen = values[known]
    middle = torch.round(span.lattice.position(seen.mean()[None])).to(torch.int64)
    cell = float(span.lattice.log_slope(middle).exp()) / math.sqrt(12.0)
    return float(seen.mean()), max(float(seen.std(correction=0)), cell)


def _table(joint: Batch, j: int, share: Tensor, width: float) -> Tensor:
    """Log-probabilities [rows, classes]: the row's own class or, with chance l, one of the others."""
    size = len(share)
    other = min(width, 1.0) * (size - 1) / size  # 1 is even odds
    own = torch.nn.functional.one_hot(joint.cells[:, j], size).to(torch.float64)
    p = own * (1.0 - other) + (1.0 - own) * other / max(size - 1, 1)
    return torch.where(joint.mask[:, j, None], p, share).log()


def _chosen(layout: Layout, joint: Batch, run: Run) -> dict[int, float]:
    """The bandwidth of each column by leave-one-out likelihood, one column at a time given the others."""
    columns = [*layout.numbers, *layout.classes]
    tables = _tables(layout, joint, columns, run)
    start = int((WIDTHS - 0.25).abs().argmin())
    best = dict.fromkeys(columns, start)
    shape = (next(iter(tables.values())).shape[1] if tables else 1, len(joint))
    total = torch.stack([table[start] for table in tables.values()]).sum(0) if tables else torch.zeros(shape)
    total = total.masked_fill(torch.eye(*shape, dtype=torch.bool), -torch.inf if len(joint) > 1 else 0.0)
    for j in list(tables) * SWEEPS:
        if run.clock.over():
            break
        rest = total - tables[j][best[j]]
        scores = [float((rest + table).logsumexp(1).mean()) for table in tables[j]]
        best[j] = max(range(len(scores)), key=scores.__getitem__)
        total = rest + tables[j][best[j]]
    return {j: float(WIDTHS[i]) for j, i in best.items()}


def _tables(layout: Layout, joint: Batch, columns: list[int], run: Run) -> dict[int, Tensor]:
    """Log K_j [widths, rows, kernels] by column, of as many rows left out, and of as many columns, as there is time."""
    rows, tables = joint.take(slice(0, min(CHOSEN_ON, len(joint)))), {}
    began = run.clock.seconds
    for done, j in enumerate(columns, 1):
        tables[j] = torch.stack([_log_kernel(layout, rows, joint, j, float(width)) for width in WIDTHS])
        run.report(Progress("kernels", done / len(columns)))
        left = COMPARING * run.clock.budget.seconds - run.clock.seconds
        ahead = (run.clock.seconds - began) / done * (len(columns) - done)
        if left <= 0.0:
            break
        if ahead > left:
            fewer = max(min(FEWEST, len(rows)), int(len(rows) * left / ahead))
            rows, tables = rows.take(slice(0, fewer)), {i: table[:, :fewer].clone() for i, table in tables.items()}
    return tables


def _log_kernel(layout: Layout, rows: Batch, joint: Batch, j: int, width: float) -> Tensor:
    """Log K_j [rows, kernels] at one bandwidth; 0 where the row has no value."""
    if j in layout.classes:
        share = shares_of(joint.cells[:, j], joint.mask[:, j], layout.classes[j])
        logs = _table(joint, j, share, width).T[rows.cells[:, j]]
    else:
        span = layout.event.spans[j].event
        assert isinstance(span, Continuous)
        values = layout.event.values(joint.cells)[:, j]
        known = joint.mask[:, j]
        mean, deviation = _spread(values, known, layout, j)
        spread = torch.where(known, width * deviation, deviation)
        logs = log_cells(span.lattice, rows.cells[:, j], torch.where(known, values, mean), spread)
    return torch.where(rows.mask[:, j, None], logs, 0.0)
