"""Langevin dynamics: samples of a density from the gradient of its logarithm."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

LogDensity = Callable[[Tensor], tuple[Tensor, Tensor]]
"""x [rows, columns] -> log density up to a constant [rows] and its gradient [rows, columns]."""

ACCEPTANCE = 0.574
"""Share of moves to accept at which Metropolis-adjusted steps travel furthest (Roberts and Rosenthal 1998)."""
ADAPT = 0.1
"""How fast the logarithm of the step follows the acceptance."""


def langevin(density: LogDensity, x: Tensor, step: float, steps: int, generator: Generator) -> Tensor:
    """Unadjusted Langevin: `x <- x + step grad log p(x) + sqrt(2 step) noise`, some times over; [rows, columns].

    Its stationary density is p up to an error of the order of the step (Roberts and Tweedie 1996).
    """
    for _ in range(steps):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        x = x + step * density(x)[1] + (2 * step) ** 0.5 * noise
    return x


@dataclass
class Adjusted:
    """Metropolis-adjusted Langevin (Besag 1994): each move is accepted so that the density itself is stationary.

    Log density `plain(x) + heat * costly(x)`: while the heat rises the costly part need not be looked at again. The
    step length follows the acceptance. Coordinates that are not `free` (a mask [rows, columns] of 0 and 1) stay.

    Example:
        >>> normal = lambda x: (-0.5 * x.square().sum(1), -x)
        >>> generator = Generator().manual_seed(0)
        >>> chain = Adjusted.start(flat, normal, torch.zeros(4000, 1), 0.5)
        >>> for _ in range(50):
        ...     chain.move(generator)
        >>> round(float(chain.x.var()), 1)
        1.0
    """

    plain: LogDensity
    costly: LogDensity
    x: Tensor
    value: Tensor
    slope: Tensor
    step: float
    free: Tensor | None = None

    @classmethod
    def start(
        cls, plain: LogDensity, costly: LogDensity, x: Tensor, step: float, free: Tensor | None = None
    ) -> Adjusted:
        """A chain at x [rows, columns]; `value` and `slope` are those of the costly part."""
        return cls(plain, costly, x, *costly(x), step, free)

    def move(self, generator: Generator, heat: float = 1.0) -> None:
        """One move of every row."""
        value, slope = self._whole(self.x, self.value, self.slope, heat)
        noise = torch.randn(self.x.shape, generator=generator, dtype=self.x.dtype)
        drift = self.step * slope + (2 * self.step) ** 0.5 * noise
        there = self.x + (drift if self.free is None else drift * self.free)
        parts = self.costly(there)
        then, uphill = self._whole(there, *parts, heat)
        ratio = then - value + self._log_move(there, uphill, self.x) - self._log_move(self.x, slope, there)
        taken = torch.log(torch.rand(len(self.x), generator=generator, dtype=self.x.dtype)) < ratio
        self.x = torch.where(taken[:, None], there, self.x)
        self.value = torch.where(taken, parts[0], self.value)
        self.slope = torch.where(taken[:, None], parts[1], self.slope)
        self.step *= math.exp(ADAPT * (float(taken.to(torch.float64).mean()) - ACCEPTANCE))

    def _whole(self, x: Tensor, value: Tensor, slope: Tensor, heat: float) -> tuple[Tensor, Tensor]:
        cheap, lean = self.plain(x)
        return cheap + heat * value, lean + heat * slope

    def _log_move(self, start: Tensor, slope: Tensor, end: Tensor) -> Tensor:
        """Log density of the proposal from start to end, up to a constant, [rows]."""
        away = end - start - self.step * slope
        if self.free is not None:
            away = away * self.free
        return -away.square().sum(1) / (4 * self.step)


def flat(x: Tensor) -> tuple[Tensor, Tensor]:
    """The density that is the same everywhere: 0 and its gradient."""
    return x.new_zeros(len(x)), torch.zeros_like(x)
