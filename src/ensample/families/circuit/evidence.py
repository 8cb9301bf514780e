"""What is known of some rows says about the latents of a circuit: exact evidence of values and limits, node by node."""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from ensample.events import Batch, Discrete, Limit
from ensample.families.circuit.learning import FORM, Parameters
from ensample.families.circuit.plan import Plan
from ensample.families.mixture.truncated import Cut, log_between
from ensample.families.quadrature import POINTS, lattice_rule

_LOG_2PI = math.log(2.0 * math.pi)


class Evidence:
    """Rows [n] with one pattern of known coordinates, under limits on the others.

    `logits[v]` [n, states] is the log-probability of all that is known at and below node v (cells, and every limit that
    `draw` meets without a weight) given its state. Within node 0 it is summed over points of the rule and over the
    classes of unknown contexts: `block` [n, points, combinations, states].
    """

    def __init__(self, plan: Plan, own: Parameters, joint: Batch, bounds: dict[int, Limit]) -> None:
        self.plan, self.own, self.joint = plan, own, joint
        self.mask = joint.mask[0]
        self.bounds = {j: limit for j, limit in bounds.items() if not self.mask[j]}
        numbers = self.plan.numbers
        self.known = [i for i, j in enumerate(numbers) if self.mask[j]]
        free = [i for i, j in enumerate(numbers) if not self.mask[j]]
        self.unknown = sorted(free, key=lambda i: numbers[i] not in self.bounds)
        self.limited = sum(numbers[i] in self.bounds for i in free)
        self.at_known = torch.tensor(self.known, dtype=torch.int64)
        self.at_unknown = torch.tensor(self.unknown, dtype=torch.int64)
        self.slopes, self.rest = FORM.regression(self.own.covariances, self.at_known, self.at_unknown)
        self._combine()
        self._place()
        self.classes: dict[int, Tensor] = {}
        self.logits: list[Tensor] = [torch.empty(0)] * len(self.plan.nodes)
        for v in range(len(self.plan.nodes) - 1, -1, -1):
            self._weigh(v)

    def __len__(self) -> int:
        return len(self.joint)

    @cached_property
    def total(self) -> Tensor:
        """Log-probability [n] of all that is known."""
        return (self.own.root + self.logits[0]).logsumexp(1)

    def _combine(self) -> None:
        """Classes of the contexts: known ones, and every combination of the unknown ones if numbers need them."""
        needed = bool(self.known) or self.limited > 0
        self.open = [j for j in self.plan.context if not self.mask[j] and needed]
        sizes = [torch.arange(len(self.plan.bins[j])) for j in self.open]
        grid = torch.cartesian_prod(*sizes).reshape(-1, len(sizes)) if sizes else torch.zeros(1, 0, dtype=torch.int64)
        self.grid = {j: grid[:, k] for k, j in enumerate(self.open)}
        self.combinations = len(grid)

    def _place(self) -> None:
        """Warped known numbers at every point of the rule: `x` [n, points, known], less no shift yet."""
        if not self.known:
            self.x = torch.zeros(len(self), 1, 0, dtype=torch.float64)
            return
        rule = lattice_rule(POINTS, len(self.known))
        self.x = torch.stack([self.plan.values(self.joint.cells, self.known, u) for u in rule], 1)

    def shift(self) -> Tensor:
        """What the contexts add to the numbers, [n or 1, combinations, numbers]."""
        total = torch.zeros(1, 1, len(self.plan.numbers), dtype=torch.float64)
        for j in self.plan.context:
            start, shifts = self.plan.starts[j], self.plan.shifts
            if self.mask[j]:
                total = total + shifts[:, start + self.joint.cells[:, j]].T[:, None, :]
            elif j in self.open:
                total = total + shifts[:, start + self.grid[j]].T[None]
        return total

    def _weigh(self, v: int) -> None:
        """Evidence of one node, and of the nodes below through their edges."""
        block = self._gaussian() if v == 0 else torch.zeros(1, 1, 1, self.own.states(v), dtype=torch.float64)
        allowed = self._limits_on_numbers(v)
        for j in sorted(self.plan.nodes[v], reverse=True):
            if j in self.plan.bins and not self.mask[j]:
                block = self._weigh_unknown(j, allowed, block)
        for j, chance in allowed.items():
            parent = self.plan.spans[j].exists
            if parent is None or self.mask[parent[0]]:
                exists = self.plan.layout.event.existing(self.joint.cells, j)
                block = block + torch.where(exists[:, None, None, None], chance, 0.0)
        for j in self.plan.nodes[v]:
            if self.mask[j]:
                block = block + self._known(j)[:, None, None, :]
        if v == 0:
            self.block = block.expand(len(self), -1, -1, -1)
        logits = block.logsumexp((1, 2)) - math.log(block.shape[1])
        for u in self.plan.children[v]:
            logits = logits + log_product(self.logits[u], self.own.edges[u].T)
        self.logits[v] = logits.expand(len(self), -1)

    def _known(self, j: int) -> Tensor:
        """Log-probability [n, states] of a known cell; for a number in the Gaussians only what is outside of them."""
        parent, cells = self.plan.spans[j].exists, self.joint.cells[:, j]
        if j in self.plan.bins:
            bins = self.plan.bins[j]
            index = bins.index(cells)
            log = self.own.tables[j].T[index] + bins.log_inside(cells, index)[:, None]
        else:
            i = self.plan.numbers.index(j)
            log = self.plan.log_widths(self.joint.cells, [i])
        if parent is not None and self.mask[parent[0]]:
            exists = self.plan.layout.event.existing(self.joint.cells, j)
            log = torch.where(exists[:, None], log, -torch.inf)  # a value needs a state
        return log

    def _gaussian(self) -> Tensor:
        """Log-density of the known numbers, [n, points, combinations, states]; zeros if none is known."""
        if not self.known:
            return torch.zeros(1, 1, self.combinations, len(self.own.root), dtype=torch.float64)
        factor = torch.linalg.cholesky(FORM.marginal(self.own.covariances, self.at_known))
        states, d = factor.shape[:2]
        eye = torch.eye(d, dtype=torch.float64).expand_as(factor)
        inverse = torch.linalg.solve_triangular(factor, eye, upper=False)
        white = inverse.permute(2, 0, 1).reshape(d, states * d)
        middle = self.own.means[:, self.at_known].mean(0)
        moved = (inverse @ (self.own.means[:, self.at_known] - middle)[:, :, None]).reshape(-1)
        at = self.x[:, :, None, :] - self.shift()[:, None, :, self.at_known] - middle
        z: Tensor = (at @ white - moved).reshape(*at.shape[:3], states, d)
        base: Tensor = -torch.diagonal(factor, dim1=1, dim2=2).log().sum(1) - 0.5 * d * _LOG_2PI
        log: Tensor = base - 0.5 * z.square().sum(4)
        return log

    def mean(self, i: int) -> Tensor:
        """Conditional mean of unknown number i (a position in `unknown`), [n, points, combinations, states]."""
        means, at = self.own.means, self.at_unknown[i]
        base = means[:, at]
        shift = self.shift()
        if self.slopes is not None and self.known:
            slope = self.slopes[:, i]  # [states, known]
            moved = self.x[:, :, None, :] - shift[:, None, :, self.at_known]
            base = base + moved @ slope.T - (means[:, self.at_known] * slope).sum(1)
        return base + shift[:, None, :, at, None]

    def deviation(self, i: int) -> Tensor:
        """Conditional standard deviation [states] of unknown number i."""
        return FORM.diagonal(self.rest)[:, i].clamp(min=1e-300).sqrt()

    def intervals(self, i: int) -> tuple[Tensor, Tensor]:
        """Ends [ranges] of the limit of unknown number i, warped."""
        number = self.unknown[i]
        ends = torch.tensor(self.bounds[self.plan.numbers[number]].ranges, dtype=torch.float64).reshape(-1, 2)
        warp = self.plan.warps[number]
        return warp.encode(ends[:, 0] - 0.5), warp.encode(ends[:, 1] + 0.5)

    def cut(self, i: int, mean: Tensor, deviation: Tensor) -> Cut:
        """The limit of unknown number i for normals of these means and deviations."""
        low, high = self.intervals(i)
        return Cut((low - mean[..., None]) / deviation[..., None], (high - mean[..., None]) / deviation[..., None])

    def _limits_on_numbers(self, v: int) -> dict[int, Tensor]:
        """Log-chance of each limit on a number of this node: all of tables, and the first of the Gaussians."""
        allowed = {}
        for j in self.plan.nodes[v]:
            if j not in self.bounds or isinstance(self.plan.spans[j].event, Discrete):
                continue
            if j in self.plan.bins:
                share = self.plan.bins[j].share(self.bounds[j].ranges).log()
                allowed[j] = (self.own.tables[j] + share).logsumexp(1)[None, None, None]
        if v == 0 and self.limited:
            mean = self.mean(0)
            low, high = self.intervals(0)
            deviation = self.deviation(0)[:, None]
            chance = log_between((low - mean[..., None]) / deviation, (high - mean[..., None]) / deviation)
            allowed[self.plan.numbers[self.unknown[0]]] = chance.logsumexp(-1)
        return allowed

    def _weigh_unknown(self, j: int, allowed: dict[int, Tensor], block: Tensor) -> Tensor:
        """The classes [.., states, classes] that an unknown column may have; adds what limits on it weigh."""
        table = self.own.tables[j][None, None, None]
        bound = j in self.bounds
        if bound:
            table = table + self.plan.bins[j].share(self.bounds[j].ranges).log()
        for child in self.plan.dependants(j):
            inside = torch.isin(torch.arange(table.shape[-1]), torch.tensor(self.plan.existing_in(child)))
            if self.mask[child]:  # there is a value, so the class must be one that has a value
                table, bound = torch.where(inside, table, -torch.inf), True
            elif child in allowed:
                table, bound = table + torch.where(inside, allowed[child][..., None], 0.0), True
        if j in self.open:
            return block + table[0, 0, 0].T[self.grid[j]][None, None]
        self.classes[j] = table
        if bound and isinstance(self.plan.spans[j].event, Discrete):
            allowed[j] = table.logsumexp(-1)
        return block


def log_product(logits: Tensor, edge: Tensor) -> Tensor:
    """Log of exp(logits) [n, a] times exp(edge) [a, b]; a row of nothing stays nothing."""
    top = logits.amax(1, keepdim=True)
    safe = torch.where(torch.isfinite(top), top, 0.0)
    return torch.log(torch.exp(logits - safe) @ edge.exp()) + safe
