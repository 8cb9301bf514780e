"""The distribution of a column around its location: a starting guess for every digit, learned from all rows at once.

With residual distribution F and location c, a digit that splits the run [low, high) at `middle` has
P(upper half) = (F(high - c) - F(middle - c)) / (F(high - c) - F(low - c)). A digit alone sees few rows near its
boundary; F has seen them all, so relations that are exact to a fraction of a cell stay exact in every digit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

KNOTS = 513
"""Quantiles that the distribution is remembered by."""
TAIL = 0.01
"""Mass of the wide logistic that keeps every run possible."""
FLOOR = 1e-7
"""Added to both sides of a decision, so that none is certain."""


@dataclass(frozen=True)
class Residual:
    """Empirical distribution with `knots` [KNOTS] float64 at equal steps of probability, and a logistic tail."""

    knots: np.ndarray
    scale: float

    @classmethod
    def fit(cls, residuals: np.ndarray) -> Residual:
        """From the residuals of the training rows, at least one."""
        knots = np.quantile(residuals, np.linspace(0, 1, KNOTS))
        return cls(knots, float(max(residuals.std(), 1e-9)))

    def cumulative(self, x: np.ndarray) -> np.ndarray:
        """F(x), elementwise; infinite x too."""
        body = np.interp(x, self.knots, np.linspace(0, 1, KNOTS), left=0.0, right=1.0)
        tail = 0.5 + 0.5 * np.tanh(0.5 * x / self.scale)
        out: np.ndarray = (1 - TAIL) * body + TAIL * tail
        return out

    def logit(self, low: np.ndarray, middle: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Log-odds of the upper half of runs whose ends are given as distances from the location."""
        below, at, above = self.cumulative(low), self.cumulative(middle), self.cumulative(high)
        out: np.ndarray = np.log(above - at + FLOOR) - np.log(at - below + FLOOR)
        return out

    def array(self) -> Tensor:
        """State as one tensor; `restore` is the inverse."""
        return torch.from_numpy(np.append(self.knots, self.scale))

    @classmethod
    def restore(cls, array: Tensor) -> Residual:
        """Inverse of `array`."""
        return cls(array.numpy()[:-1], float(array[-1]))
