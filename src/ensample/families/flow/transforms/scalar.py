"""Monotonic maps of one number with given parameters: what couplings and autoregressive transforms are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from ensample.nets.spline import inverse_spline, parameters, spline


class Scalar(Protocol):
    """A monotonic map with `each` parameters; all 0 is the identity.

    Shapes: x, y and the log slope [dims, rows], theta [dims, each, rows].
    """

    @property
    def each(self) -> int:
        """Parameters of a number."""
        ...

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """(y, log dy/dx)."""
        ...

    def inverse(self, y: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """(x, log dx/dy)."""
        ...


@dataclass(frozen=True)
class Affine:
    """`y = exp(a) x + b`, with `a = raw / (1 + |raw| / most)` so that no slope leaves exp(-most), exp(most)."""

    most: float = 5.0
    each: int = 2

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        a = self._log_scale(theta)
        return x * a.exp() + theta[:, 1], a

    def inverse(self, y: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        a = self._log_scale(theta)
        return (y - theta[:, 1]) * (-a).exp(), -a

    def _log_scale(self, theta: Tensor) -> Tensor:
        raw = theta[:, 0]
        return raw / (1 + raw.abs() / self.most)


@dataclass(frozen=True)
class Spline:
    """Rational-quadratic spline of `bins` bins inside (-bound, bound), the identity outside; see `nets.spline`."""

    bins: int = 8
    bound: float = 5.0

    @property
    def each(self) -> int:
        """Widths, heights, slopes."""
        return parameters(self.bins)

    def forward(self, x: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The spline."""
        return spline(x, theta, self.bins, self.bound)

    def inverse(self, y: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Its inverse."""
        x, log_slope = inverse_spline(y, theta, self.bins, self.bound)
        return x, -log_slope
