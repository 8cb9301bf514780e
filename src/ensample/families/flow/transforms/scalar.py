"""Monotonic maps of one number with given parameters: what couplings and autoregressive transforms are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

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
        out: tuple[Tensor, Tensor] = _Affine.apply(x, theta, self.most)  # type: ignore[no-untyped-call]
        return out

    def inverse(self, y: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        a = theta[:, 0] / (1 + theta[:, 0].abs() / self.most)
        return (y - theta[:, 1]) * (-a).exp(), -a


class _Affine(torch.autograd.Function):
    """Forward and backward in as few passes over the rows as can be."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, theta: Tensor, most: float) -> tuple[Tensor, Tensor]:
        shrink = theta[:, 0].abs().mul_(1 / most).add_(1).reciprocal_()
        a = theta[:, 0] * shrink
        scale = torch.exp2(a * math.log2(math.e))
        ctx.save_for_backward(x, scale, shrink)
        return torch.addcmul(theta[:, 1], x, scale), a

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_y: Tensor, of_log: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shrink = ctx.saved_tensors
        of_x = of_y * scale
        grad = x.new_empty(len(x), 2, x.shape[1])
        torch.mul(torch.addcmul(of_log, of_x, x), shrink.square(), out=grad[:, 0])
        grad[:, 1] = of_y
        return of_x, grad, None


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
