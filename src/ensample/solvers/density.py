"""Log-density of the flow of an ODE: `log p(x_0) = log p(x_1) + integral of div v dt` along x(t) (Chen et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.solvers.field import Field, velocity
from ensample.solvers.steps import pairs

EXACT = 16
"""Columns up to which the divergence is the exact trace."""
PROBES = 16
"""Directions of the estimate beyond."""


@dataclass(frozen=True)
class Divergence:
    """`sum_k w d_k . J d_k` over directions d: the trace of J, or Hutchinson's estimate of it.

    The directions are [directions, columns], or [directions, rows, columns] where each row has its own.

    Example:
        >>> Divergence.of(3).directions.tolist()[0]
        [1.0, 0.0, 0.0]
    """

    directions: Tensor
    weight: float = 1.0

    @classmethod
    def of(cls, columns: int) -> Divergence:
        """Exact for few columns; else random signs, the same for every row and call (Hutchinson 1989)."""
        if columns <= EXACT:
            return cls(torch.eye(columns))
        signs = torch.randint(2, (PROBES, columns), generator=Generator().manual_seed(0))
        return cls(signs.to(torch.float32) * 2 - 1, 1 / PROBES)

    def along(self, flow: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
        """(flow(x) [rows, columns], its divergence [rows]): a product with the transposed Jacobian a direction."""
        total = torch.zeros(len(x), dtype=x.dtype)
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            slope = flow(x)
            for k, direction in enumerate(self.directions.to(x.dtype)):
                more = k + 1 < len(self.directions)
                (row,) = torch.autograd.grad(slope, x, direction.expand_as(x), retain_graph=more)
                total += (row * direction).sum(1)
        return slope.detach(), self.weight * total


def log_density(field: Field, x: Tensor, grid: Tensor, alive: Tensor, divergence: Divergence) -> Tensor:
    """Log-density of states at the first time of a rising grid, float64 [rows], by the classical Runge-Kutta method.

    Where the grid ends the state is taken as normal with the spread of the path there.

    Arguments:
        field: whose columns that are not `alive` do not move.
        x: states [rows, columns].
        grid: times [steps + 1], rising to 1.
        alive: columns that count, bool [rows, columns].
        divergence: how the trace is taken.
    """
    total = torch.zeros(len(x), dtype=torch.float64)

    def slopes(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return divergence.along(lambda y: torch.where(alive, velocity(field, y, t), 0.0), x)

    for t, s in pairs(grid, x):
        h, middle = s - t, 0.5 * (s + t)
        k1, d1 = slopes(x, t)
        k2, d2 = slopes(x + 0.5 * h * k1, middle)
        k3, d3 = slopes(x + 0.5 * h * k2, middle)
        k4, d4 = slopes(x + h * k3, s)
        x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        total += (h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)).to(torch.float64)
    spread = float(field.path.spread(grid[-1]))
    squares = torch.where(alive, (x.to(torch.float64) / spread).square(), 0.0).sum(1)
    return total - 0.5 * squares - alive.sum(1) * (0.5 * math.log(2 * math.pi) + math.log(spread))
