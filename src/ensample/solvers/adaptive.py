"""An embedded Runge-Kutta pair that chooses the steps of every row by itself (Dormand and Prince 1980)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.solvers.field import Field, velocity
from ensample.solvers.steps import Solver

NODES = (0.2, 0.3, 0.8, 8 / 9, 1.0)
SLOPES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
FIFTH = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
"""Weights of the slopes in the step; the seventh slope, at its end, serves only the error."""
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
"""Weights of the slopes in the difference from the step of fourth order."""

SHRINK, GROW, SAFETY = 0.2, 5.0, 0.9
MOST_STEPS = 10_000


@dataclass(frozen=True)
class DormandPrince(Solver):
    """Steps as long as the local error allows: `error <= tolerance (1 + |x|)`, root mean square over a row.

    Only the ends of the grid and its number of steps, for the first guess, are looked at. Every row has its own time
    and leaves when it is done, so a row's result does not depend on the others.
    """

    tolerance: float = 1e-4
    order = 5
    evaluations = 7

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`. Steps that the rounding of the state's type would swallow are taken as they are."""
        out, rows = x.clone(), torch.arange(len(x))
        end, whole = float(grid[-1]), float(grid[-1] - grid[0])
        t = torch.full((len(x), 1), float(grid[0]), dtype=x.dtype)
        h = torch.full_like(t, whole / max(1, len(grid) - 1))
        least = abs(whole) * 16 * torch.finfo(x.dtype).eps
        for _ in range(MOST_STEPS):
            last = (h.abs() >= (end - t).abs()).squeeze(1)
            h = torch.where(last[:, None], end - t, h)
            moved, error = _step(field, x, t, h)
            size = self.tolerance * (1 + torch.maximum(x.abs(), moved.abs()))
            ratio = (error / size).square().mean(1, keepdim=True).sqrt()
            good = (ratio <= 1) | (h.abs() <= least)
            x, t = torch.where(good, moved, x), torch.where(good, t + h, t)
            h = h * (SAFETY * ratio.clamp(min=1e-10) ** -0.2).nan_to_num(SHRINK).clamp(SHRINK, GROW)
            done = last & good.squeeze(1)
            out[rows[done]] = x[done]
            x, t, h, rows = x[~done], t[~done], h[~done], rows[~done]
            if not len(rows):
                return out
        out[rows] = x
        return out


def _step(field: Field, x: Tensor, t: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """(the state after a step of fifth order, its estimated error), each [rows, columns]."""
    slopes = [velocity(field, x, t)]
    for node, weights in zip(NODES, SLOPES, strict=True):
        slopes.append(velocity(field, x + h * _sum(weights, slopes), t + node * h))
    moved = x + h * _sum(FIFTH, slopes)
    slopes.append(velocity(field, moved, t + h))
    return moved, h * _sum(ERROR, slopes)


def _sum(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    total = torch.zeros_like(slopes[0])
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            total = torch.add(total, slope, alpha=weight)
    return total
