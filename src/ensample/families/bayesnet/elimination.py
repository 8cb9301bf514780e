"""Exact inference by eliminating one variable at a time (Zhang and Poole 1996), for many rows at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Factor:
    """A function of some variables for each row: `values` [rows, states of the first, ...] in the order of `scope`."""

    scope: tuple[int, ...]
    values: Tensor


@dataclass(frozen=True)
class Eliminated:
    """What is left when all variables are gone: log of the total [rows], and the tables to draw from, last first."""

    log_total: Tensor
    tables: tuple[tuple[int, Factor], ...]

    def draw(self, rows: Tensor, generator: Generator) -> dict[int, Tensor]:
        """A joint state of the eliminated variables for each of these row numbers (repeats allowed): [rows] each."""
        drawn: dict[int, Tensor] = {}
        for variable, factor in reversed(self.tables):
            at = tuple(drawn[v] for v in factor.scope[:-1])
            drawn[variable] = choose(factor.values[(rows, *at)], generator)
        return drawn


def choose(weights: Tensor, generator: Generator) -> Tensor:
    """One column a row, in proportion to weights [rows, columns]; int64 [rows], 0 where all weights are 0."""
    cumulative = weights.cumsum(1)
    u = torch.rand(len(weights), 1, generator=generator, dtype=torch.float64) * cumulative[:, -1:]
    found = torch.searchsorted(cumulative, u, right=True)[:, 0]
    return torch.where(cumulative[:, -1] > 0, found.clamp(max=weights.shape[1] - 1), 0)


def eliminate(factors: Sequence[Factor], rows: int, sizes: Sequence[int], keep: Iterable[int] = ()) -> Eliminated:
    """Sum the product of factors over all variables but those to `keep`, cheapest first.

    The kept ones come last: their table, the last of `tables`, is the joint weight of all of them for each row (its
    scope ends with the first of them), and `log_total` has been summed over them too.
    """
    log_total = torch.zeros(rows, dtype=torch.float64)
    tables: list[tuple[int, Factor]] = []
    remaining = list(factors)
    for variable in elimination_order([set(f.scope) for f in factors], sizes, set(keep)):
        product = multiply([f for f in remaining if variable in f.scope], variable)
        tables.append((variable, product))
        summed = product.values.sum(-1)
        scale = summed.reshape(rows, -1).amax(1)
        log_total += scale.log()
        summed = summed / torch.where(scale > 0, scale, 1.0).reshape(-1, *[1] * (summed.dim() - 1))
        remaining = [f for f in remaining if variable not in f.scope] + [Factor(product.scope[:-1], summed)]
    for factor in remaining:
        log_total += factor.values.log()
    return Eliminated(log_total, tuple(tables))


def multiply(factors: Sequence[Factor], last: int) -> Factor:
    """The product of factors, over all their variables with `last` at the end."""
    scope = (*sorted({v for f in factors for v in f.scope} - {last}), last)
    total: Tensor | None = None
    for factor in factors:
        order = sorted(range(len(factor.scope)), key=lambda i: scope.index(factor.scope[i]))
        values = factor.values.permute(0, *(i + 1 for i in order))
        sizes = {v: factor.values.shape[i + 1] for i, v in enumerate(factor.scope)}
        values = values.reshape(len(values), *(sizes.get(v, 1) for v in scope))
        total = values if total is None else total * values
    assert total is not None
    return Factor(scope, total)


def elimination_order(scopes: Sequence[set[int]], sizes: Sequence[int], keep: Iterable[int] = ()) -> list[int]:
    """Variables in the order of the smallest table that taking each away makes; those to `keep` last."""
    return [variable for variable, _ in _plan(scopes, sizes, set(keep))]


def heaviest(scopes: Sequence[set[int]], sizes: Sequence[int]) -> int:
    """Cells of the largest table that elimination makes for one row.

    Example:
        >>> heaviest([{0, 1}, {1, 2}], (2, 3, 5))  # a path: never more than two variables at once
        15
    """
    return max((cells for _, cells in _plan(scopes, sizes, set())), default=1)


def _plan(scopes: Sequence[set[int]], sizes: Sequence[int], keep: set[int]) -> list[tuple[int, int]]:
    near: dict[int, set[int]] = {}
    for scope in scopes:
        for v in scope:
            near.setdefault(v, set()).update(scope)
    plan = []
    while near:
        free = [v for v in near if v not in keep] or list(near)
        cells = {v: math.prod(sizes[u] for u in near[v]) for v in free}
        variable = min(free, key=lambda v: (cells[v], v))
        plan.append((variable, cells[variable]))
        clique = near.pop(variable) - {variable}
        for u in clique:
            near[u] = (near[u] | clique) - {variable}
    return plan
