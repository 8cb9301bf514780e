"""EM for a circuit: messages up and down the hidden tree, additive statistics, and their maximiser.

With the latents `h_v` of the nodes v a circuit is

    p(x) = sum_h p(h_0) p(x_0 | h_0) prod_v p(h_v | h_parent(v)) p(x_v | h_v)

and both the likelihood and the expected counts of every pair (h_parent, h_v) come from one pass up the tree and one
down (Pearl 1988; Dempster, Laird and Rubin 1977), each a matrix product of rows by states a node.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ensample.families.base import Statistics
from ensample.families.circuit.plan import Coded, Known, Plan
from ensample.families.mixture.forms import Dense

SMALL = 8192
"""Below this number of rows a pass is done in float64: nothing to gain from less."""

FEWEST = 5.0
"""A latent state of fewer rows is dropped: the mean of one that holds a single row would be that row."""

CHUNK = 2**22
"""Numbers of one temporary matrix."""

FORM = Dense()
_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Parameters:
    """All that is learned, float64: log-probabilities and Gaussians.

    `root` [states of node 0]; `edges[v]` [states of the parent, states of v]; `tables[j]` [states, bins]; `means`
    [states of node 0, numbers] and `covariances` [states of node 0, numbers, numbers]. Prior: `shares[j]` [bins] is
    what tables are smoothed towards, `scatter` [numbers, numbers] what covariances are.
    """

    root: Tensor
    edges: dict[int, Tensor]
    tables: dict[int, Tensor]
    means: Tensor
    covariances: Tensor
    shares: dict[int, Tensor]
    scatter: Tensor

    def states(self, node: int) -> int:
        """Number of latent states of a node."""
        return len(self.root) if node == 0 else self.edges[node].shape[1]

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        return {
            "root": self.root,
            "means": self.means,
            "covariances": self.covariances,
            "scatter": self.scatter,
            **{f"edge.{v}": edge for v, edge in self.edges.items()},
            **{f"table.{j}": table for j, table in self.tables.items()},
            **{f"share.{j}": share for j, share in self.shares.items()},
        }

    @classmethod
    def restore(cls, plan: Plan, arrays: dict[str, Tensor]) -> Parameters:
        """Inverse of `arrays`."""
        return cls(
            arrays["root"],
            {v: arrays[f"edge.{v}"] for v in range(1, len(plan.nodes))},
            {j: arrays[f"table.{j}"] for j in plan.bins},
            arrays["means"],
            arrays["covariances"],
            {j: arrays[f"share.{j}"] for j in plan.bins},
            arrays["scatter"],
        )


@dataclass(frozen=True)
class Prior:
    """Strength of the prior: rows of overall shares that each state has seen besides, and rows of overall scatter."""

    smoothing: float
    scatter: float = 3.0

    def log_density(self, current: Parameters) -> float:
        """Dirichlet and inverse-Wishart log-density of the parameters, up to a constant."""
        total = sum(float((table * current.shares[j]).sum()) for j, table in current.tables.items()) * self.smoothing
        total += sum(float(edge.mean(1).sum()) for edge in current.edges.values()) * self.smoothing
        if current.means.shape[1]:
            factor = torch.linalg.cholesky(current.covariances)
            spread = torch.cholesky_solve(current.scatter.expand_as(factor), factor)
            log_det = 2.0 * torch.diagonal(factor, dim1=1, dim2=2).log().sum(1)
            trace = torch.diagonal(spread, dim1=1, dim2=2).sum(1)
            total -= 0.5 * self.scatter * float((log_det + trace).sum())
        return total


def expected_statistics(plan: Plan, current: Parameters, data: Coded) -> Statistics:
    """The E step: additive statistics of a batch, holes completed by their expectation under each state.

    "log_prob" is the log-likelihood with the density of the numbers averaged over their noise (a lower bound that EM
    raises, as in `mixture`). Rows are gone through in parts that fit into the processor's cache; densities and moments
    are two products of one matrix, the rows' numbers and their products by pairs, with the states.
    """
    dtype = torch.float32 if len(data.constant) >= SMALL else torch.float64
    step = max(256, CHUNK // max(1, len(current.root) * 4))
    total, sweep = _nothing(plan, current), _Sweep(plan, current, dtype)
    for pattern in data.patterns:
        weights, base = quadratic(current, pattern.known)
        sums = torch.zeros(len(current.root), len(weights) + 1, dtype=torch.float64)
        for start in range(0, len(pattern.rows), step):
            here = slice(start, start + step)
            points = _monomials(pattern, here)
            log = torch.addmm(base, points, weights).to(dtype)
            posterior = sweep.passed(log, {j: code[pattern.rows[here]] for j, code in data.codes.items()}, total)
            exact = posterior.to(torch.float64)
            sums[:, :-1] += exact.T @ points
            sums[:, -1] += exact.sum(0)
        _add(current, pattern.known, sums, total)
    total["log_prob"] += data.constant.sum()
    total["rows"] += float(len(data.constant))
    return total


def _nothing(plan: Plan, current: Parameters) -> Statistics:
    return {
        "log_prob": torch.zeros((), dtype=torch.float64),
        "rows": torch.zeros((), dtype=torch.float64),
        "root": torch.zeros_like(current.root),
        "count": torch.zeros_like(current.means),
        "first": torch.zeros_like(current.means),
        "second": torch.zeros_like(current.covariances),
        **{f"edge.{v}": torch.zeros_like(edge) for v, edge in current.edges.items()},
        **{f"table.{j}": torch.zeros_like(table) for j, table in current.tables.items()},
    }


class _Sweep:
    """Up and down the tree, for rows after rows: what all of them share is made ready once."""

    def __init__(self, plan: Plan, current: Parameters, dtype: torch.dtype) -> None:
        self.plan, self.dtype, self.root = plan, dtype, current.root.to(dtype)
        self.edges = {v: edge.exp().to(dtype) for v, edge in current.edges.items()}
        self.tables = {j: padded(table).to(dtype) for j, table in current.tables.items()}

    def passed(self, log: Tensor, codes: dict[int, Tensor], total: Statistics) -> Tensor:
        """Adds to the statistics; gives the posterior of node 0 [rows, states] from its Gaussians' `log`."""
        plan, last = self.plan, len(self.plan.nodes) - 1
        local: dict[int, Tensor] = {}
        upward: dict[int, Tensor] = {}
        scale: dict[int, Tensor] = {}
        log = log.add_(self.root)
        top = log
        for v in range(last, -1, -1):
            here = log if v == 0 else torch.zeros(1, 1, dtype=self.dtype)
            for j in plan.nodes[v]:
                if j in codes:
                    here = here + self.tables[j][codes[j]]
            for u in plan.children[v]:
                here = here + upward[u].log() + scale[u]
            top = here.amax(1, keepdim=True)
            local[v] = (here - top).exp_()
            if v > 0:
                upward[v], scale[v] = (local[v] @ self.edges[v].T).clamp_(min=1e-37), top
        mass = local[0].sum(1, keepdim=True)
        total["log_prob"] += (mass.to(torch.float64).log() + top).sum()
        posterior = {0: local[0] / mass}
        total["root"] += posterior[0].sum(0, dtype=torch.float64)
        for v in range(1, last + 1):
            ratio = posterior[plan.parents[v]] / upward[v]
            total[f"edge.{v}"] += (self.edges[v] * (ratio.T @ local[v])).to(torch.float64)
            posterior[v] = local[v] * (ratio @ self.edges[v])
        for v, columns in enumerate(plan.nodes):
            for j in columns:
                if j in codes:
                    counts = torch.zeros_like(self.tables[j]).index_add_(0, codes[j], posterior[v])
                    total[f"table.{j}"] += counts[:-1].T.to(torch.float64)
        return posterior[0]


def padded(table: Tensor) -> Tensor:
    """Log-probabilities [bins + 1, states]: a last row of zeros stands for the unknown."""
    return torch.cat([table.T, torch.zeros(1, len(table), dtype=table.dtype)])


def quadratic(current: Parameters, known: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [numbers + pairs, states] and base [states] of the log-density of known numbers in their monomials.

    In float64: a product of narrow relations and far rows leaves 1e-5 of a nat to rounding, at worst.
    """
    d = len(known)
    factor = torch.linalg.cholesky(FORM.marginal(current.covariances, known))
    precision = torch.cholesky_inverse(factor)
    means = current.means[:, known]
    linear = (precision @ means[:, :, None])[:, :, 0]
    upper = torch.triu_indices(d, d)
    pairs = -precision[:, upper[0], upper[1]] * torch.where(upper[0] == upper[1], 0.5, 1.0)
    base = -torch.diagonal(factor, dim1=1, dim2=2).log().sum(1) - 0.5 * (d * _LOG_2PI + (linear * means).sum(1))
    return torch.cat([linear, pairs], 1).T.contiguous(), base


def _monomials(pattern: Known, here: slice) -> Tensor:
    """Known numbers and their expected products by pairs, [rows, numbers + pairs]."""
    x = pattern.x[here]
    upper = torch.triu_indices(x.shape[1], x.shape[1])
    products = x[:, upper[0]] * x[:, upper[1]]
    products[:, (upper[0] == upper[1]).nonzero()[:, 0]] += pattern.noise[here]
    return torch.cat([x, products], 1)


def add_moments(current: Parameters, pattern: Known, posterior: Tensor, total: Statistics) -> None:
    """Add weighted sums of the numbers and their products by pairs; `posterior` [rows, states] of all rows."""
    weight = posterior[pattern.rows].to(torch.float64)
    sums = weight.T @ _monomials(pattern, slice(None))
    _add(current, pattern.known, torch.cat([sums, weight.sum(0)[:, None]], 1), total)


def _add(current: Parameters, known: Tensor, sums: Tensor, total: Statistics) -> None:
    """Add sums [states, numbers + pairs + 1] of the known monomials, unknown numbers completed by regression."""
    d = len(known)
    if not d:
        return
    upper = torch.triu_indices(d, d)
    second = torch.zeros(len(sums), d, d, dtype=torch.float64)
    second[:, upper[0], upper[1]] = sums[:, d:-1]
    second[:, upper[1], upper[0]] = sums[:, d:-1]
    parts = sums[:, -1], sums[:, :d], second
    observed, first, second = FORM.complete(parts, current.means, current.covariances, known)
    total["count"] += observed
    total["first"] += first
    total["second"] += second


def most_likely(plan: Plan, current: Parameters, statistics: Statistics, prior: Prior) -> Parameters:
    """The M step: the maximum of the expected log-likelihood plus the log prior; states of few rows are dropped."""
    root = statistics["root"] / statistics["root"].sum()
    edges = {
        v: normalised(statistics[f"edge.{v}"] + prior.smoothing / edge.shape[1]) for v, edge in current.edges.items()
    }
    tables = {j: normalised(statistics[f"table.{j}"] + prior.smoothing * share) for j, share in current.shares.items()}
    count = statistics["count"]
    seen = count[:, :1].clamp(min=1e-12) if count.shape[1] else torch.ones(len(count), 1, dtype=torch.float64)
    means = torch.where(count > 1e-9, statistics["first"] / seen, current.means)
    within = statistics["second"] - seen[:, :, None] * means[:, :, None] * means[:, None, :]
    scatter = (within + prior.scatter * current.scatter) / (seen[:, :, None] + prior.scatter)
    covariances = torch.where(count[:, :1, None] > 1e-9, scatter, current.covariances) if count.shape[1] else scatter
    found = Parameters(root.clamp(min=1e-300).log(), edges, tables, means, covariances, current.shares, current.scatter)
    counts = {0: statistics["root"], **{v: statistics[f"edge.{v}"].sum(0) for v in edges}}
    return _of_several(plan, found, counts)


def normalised(counts: Tensor) -> Tensor:
    """Log of the rows of counts over their sums."""
    return torch.log(counts / counts.sum(1, keepdim=True))


def _of_several(plan: Plan, found: Parameters, counts: dict[int, Tensor]) -> Parameters:
    """The states of every node that hold at least `FEWEST` rows, or the largest alone."""
    kept = {v: count >= torch.minimum(count.max(), torch.tensor(FEWEST).to(count)) for v, count in counts.items()}
    if all(bool(mask.all()) for mask in kept.values()):
        return found
    edges = {v: edge[kept[plan.parents[v]]][:, kept[v]] for v, edge in found.edges.items()}
    tables = {j: found.tables[j][kept[v]] for v, columns in enumerate(plan.nodes) for j in columns if j in found.tables}
    return replace(
        found,
        root=torch.log_softmax(found.root[kept[0]], 0),
        edges={v: torch.log_softmax(edge, 1) for v, edge in edges.items()},
        tables=tables,
        means=found.means[kept[0]],
        covariances=found.covariances[kept[0]],
    )
