"""Components of a mixture over mixed rows: Gaussian over the Continuous spans, categorical over the Discrete ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.events import Batch, Continuous, Discrete, Mixed
from ensample.families.base import Statistics
from ensample.families.mixture.covariance import Covariance, Moments
from ensample.families.mixture.kernels import Rows, accumulate, kernel_settings
from ensample.kinds.base import shifted

SMALL = 8192
"""Below this number of rows a pass is done in float64: nothing to gain from less."""

FEWEST = 5.0
"""A component of fewer rows is dropped: the mean of one that holds a single row would be that row."""

RESOLVED = 1e-13
"""Smallest variance over squared mean that sums in float64 can tell from nothing."""


@dataclass(frozen=True)
class Layout:
    """Which coordinates are numbers and which are classes, over the given spans followed by the modelled ones."""

    event: Mixed
    start: int

    @classmethod
    def of(cls, event: Mixed, given: Mixed | None) -> Layout:
        """Of a joint event."""
        if given is None:
            return cls(event, 0)
        return cls(Mixed((*given.spans, *shifted(event.spans, len(given)))), len(given))

    @property
    def numbers(self) -> list[int]:
        """Columns of the Continuous spans."""
        return [j for j, span in enumerate(self.event.spans) if isinstance(span.event, Continuous)]

    @property
    def classes(self) -> dict[int, int]:
        """Number of classes of each Discrete column."""
        return {j: span.event.classes for j, span in enumerate(self.event.spans) if isinstance(span.event, Discrete)}

    def join(self, batch: Batch) -> Batch:
        """Given and modelled coordinates side by side."""
        if batch.cond is None:
            return batch
        offset = batch.offset
        if isinstance(offset, Tensor):  # given fields stay in the middle of their cells
            offset = torch.cat([torch.zeros(self.start, dtype=offset.dtype), offset])
        cells, mask = torch.cat([batch.cond.cells, batch.cells], 1), torch.cat([batch.cond.mask, batch.mask], 1)
        return Batch(cells, mask, offset=offset)

    def part(self, batch: Batch, cond: Batch | None) -> Batch:
        """The modelled coordinates of a joint batch."""
        return Batch(batch.cells[:, self.start :], batch.mask[:, self.start :], cond)


@dataclass(frozen=True)
class Components:
    """Parameters, float64: log weights [k], means [k, d], covariances in the structure's form.

    `tables` holds log-probabilities [k, classes] by Discrete column, `shares` [classes] what they are smoothed towards.
    """

    log_weights: Tensor
    means: Tensor
    covariances: Tensor
    tables: dict[int, Tensor]
    shares: dict[int, Tensor]

    def __len__(self) -> int:
        return len(self.log_weights)


@dataclass
class Pattern:
    """Rows of a batch in which the same coordinates are known."""

    rows: Tensor
    known: Tensor  # positions among the numbers
    columns: tuple[int, ...]  # Discrete columns
    data: Rows


@dataclass
class Prepared:
    """A batch sorted by what is known in each row; `nbytes` is the memory that it takes in use."""

    patterns: list[Pattern]
    nbytes: int


def prepare(layout: Layout, joint: Batch, ridge: float) -> Prepared:
    """Encode a joint batch; the noise of a number is the variance of a uniform value in its cell, plus the ridge."""
    numbers = layout.numbers
    values, noise = layout.event.values(joint.cells), cell_noise(layout, joint.cells, ridge)
    patterns, size = [], 0
    for rows, mask in by_pattern(joint.mask):
        known = [i for i, j in enumerate(numbers) if mask[j]]
        columns = tuple(j for j in layout.classes if mask[j])
        at = [numbers[i] for i in known]
        codes = tuple(joint.cells[rows, j] for j in columns)
        data = Rows(values[rows[:, None], torch.tensor(at, dtype=torch.int64)], noise[rows][:, known], codes)
        patterns.append(Pattern(rows, torch.tensor(known, dtype=torch.int64), columns, data))
        size += len(rows) * (32 * len(known) + 8 * len(codes))
    return Prepared(patterns, size)


def cell_noise(layout: Layout, cells: Tensor, ridge: float) -> Tensor:
    """Variance [rows, d] of each number inside its cell, plus the ridge."""
    noise = torch.full((len(cells), len(layout.numbers)), ridge, dtype=torch.float64)
    for i, j in enumerate(layout.numbers):
        span = layout.event.spans[j].event
        assert isinstance(span, Continuous)
        noise[:, i] += (2.0 * span.lattice.log_volume(cells[:, j])).exp() / 12.0
    return noise


def by_pattern(mask: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Row numbers of each distinct mask, with the mask."""
    if mask.shape[1] <= 62:  # one integer a row sorts much faster than a row of bits
        keys = (mask * (1 << torch.arange(mask.shape[1]))).sum(1)
        group = torch.unique(keys, return_inverse=True)[1]
    else:
        group = torch.unique(mask, dim=0, return_inverse=True)[1]
    order = torch.argsort(group, stable=True)
    for rows in torch.split(order, torch.bincount(group).tolist()):
        yield rows, mask[rows[0]]


def expected_statistics(structure: Covariance, current: Components, prepared: Prepared) -> Statistics:
    """The E step: additive statistics of a batch, holes completed by their expectation under each component.

    A record is its cell: each number is uniform inside it, with the ridge as more noise. "log_prob" is the lower bound
    of the likelihood in which every component's log-density is averaged over that noise; EM raises exactly this, and no
    covariance falls below the variance of a cell.
    """
    d = current.means.shape[1]
    total: Statistics = {
        "log_prob": torch.zeros((), dtype=torch.float64),
        "rows": torch.zeros((), dtype=torch.float64),
        "count": torch.zeros_like(current.log_weights),
        "observed": torch.zeros_like(current.means),
        "first": torch.zeros_like(current.means),
        "second": torch.zeros_like(current.covariances),
        **{f"classes.{j}": torch.zeros_like(table) for j, table in current.tables.items()},
    }
    form = structure.form
    with kernel_settings() as threads:
        for pattern in prepared.patterns:
            rows, known = pattern.data, pattern.known
            marginal = current.covariances if len(known) == d else form.marginal(current.covariances, known)
            natural = form.natural(current.log_weights, current.means[:, known], marginal)
            tables = [current.tables[j] for j in pattern.columns]
            dtype = torch.float32 if len(rows) >= SMALL else torch.float64
            sums = accumulate(rows, form, natural, tables, dtype, threads)
            moments = form.moments(sums.features, len(known))
            observed, first, second = form.complete(moments, current.means, current.covariances, known)
            parts = {"count": moments[0], "observed": observed, "first": first, "second": second}
            for name, part in parts.items():
                total[name] += part
            for j, counts in zip(pattern.columns, sums.classes, strict=True):
                total[f"classes.{j}"] += counts
            total["log_prob"] += sums.log_prob
            total["rows"] += len(rows)
    return total


def most_likely(
    structure: Covariance, current: Components, statistics: Statistics, smoothing: float, ridge: float
) -> Components:
    """The M step; tables are smoothed as if each component had seen `smoothing` more rows with the overall shares."""
    count = statistics["count"]
    moments = Moments(count, statistics["observed"], statistics["first"], statistics["second"])
    means = moments.means(current.means)
    no_ridge = torch.zeros(means.shape[1], dtype=torch.float64)  # the noise of each row holds it already
    covariances = structure.pool(moments, means, current.covariances, no_ridge)
    covariances = structure.form.at_least(covariances, ridge + RESOLVED * means.square())
    tables = {}
    for j, share in current.shares.items():
        counts = statistics[f"classes.{j}"] + smoothing * share
        tables[j] = torch.log(counts / counts.sum(1, keepdim=True))
    log_weights = torch.log((count / count.sum()).clamp(min=1e-300))
    return _of_several(Components(log_weights, means, covariances, tables, current.shares), count)


def _of_several(found: Components, count: Tensor) -> Components:
    """The components that hold at least `FEWEST` rows, or the largest alone."""
    kept = count >= torch.minimum(count.max(), torch.tensor(FEWEST, dtype=count.dtype))
    if bool(kept.all()):
        return found
    log_weights = found.log_weights[kept] - found.log_weights[kept].logsumexp(0)
    tables = {j: table[kept] for j, table in found.tables.items()}
    return Components(log_weights, found.means[kept], found.covariances[kept], tables, found.shares)


def log_prior(current: Components, smoothing: float) -> float:
    """Dirichlet log-density of the tables, up to a constant."""
    return sum(float(smoothing * (table * current.shares[j]).sum()) for j, table in current.tables.items())


def joint_log_density(
    structure: Covariance, current: Components, x: Tensor, known: Tensor, codes: dict[int, Tensor]
) -> Tensor:
    """Log of `weight * p(known coordinates)` of each row and component, [rows, k] float64, without cancellation."""
    total = current.log_weights.expand(len(x), -1)
    if len(known):
        marginal = structure.form.marginal(current.covariances, known)
        total = total + structure.form.log_density(x, current.means[:, known], marginal)
    for j, column in codes.items():
        total = total + current.tables[j].T[column]
    return total


def shares_of(cells: Tensor, mask: Tensor, classes: int) -> Tensor:
    """Shares [classes] of a column, half a row added to each class."""
    counts = torch.bincount(cells[mask], minlength=classes).to(torch.float64) + 0.5
    return counts / counts.sum()
