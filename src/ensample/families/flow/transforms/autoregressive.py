"""Autoregressive transforms: each coordinate by parameters that the coordinates before it give."""

from __future__ import annotations

import torch
from torch import Tensor

from ensample.families.flow.transforms.base import Transform, only, reordered
from ensample.families.flow.transforms.scalar import Scalar
from ensample.nets.staircase import Conditioner


class Autoregressive(Transform):
    """`y_i = f(x_i; theta_i(x_<i, context))` in some order of the coordinates (MAF: Papamakarios et al. 2017).

    Forwards all coordinates at once; backwards one after the other, each hidden unit computed once.

    Arguments:
        scalar: f.
        order: [dims] int64, coordinates from first to last.
        net: a causal conditioner of the reordered coordinates.
    """

    order: Tensor
    back: Tensor

    def __init__(self, scalar: Scalar, order: Tensor, net: Conditioner) -> None:
        super().__init__()
        self.scalar, self.net = scalar, net
        self.register_buffer("order", order)

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """One pass of the network."""
        back = self.order.argsort()
        x = reordered(x, self.order, back)
        y, log_slope = self.scalar.forward(x, self.net(x, context).view(len(x), self.scalar.each, -1))
        if exists is not None:
            y, log_slope = only(y, exists[self.order]), only(log_slope, exists[self.order])
        return reordered(y, back, self.order), log_slope.sum(0)

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Dims steps, each a few rows of the network's matrices."""
        stepper, total = self.net.stepper(context), y.new_zeros(y.shape[1])
        found: list[Tensor] = []
        for j in self.order.tolist():
            there = None if exists is None else exists[j : j + 1]
            x, log_slope = self.scalar.inverse(y[j : j + 1], stepper.theta()[None])
            x, total = only(x, there), total + only(log_slope, there)[0]
            stepper.push(x)
            found.append(x)
        return torch.cat(found)[self.order.argsort()], total


class Inverted(Transform):
    """A transform with its two directions exchanged: an inverse autoregressive flow (IAF: Kingma et al. 2016)."""

    def __init__(self, inner: Transform) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """The inner transform backwards."""
        return self.inner.inverse(x, exists, context)

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """The inner transform forwards."""
        out: tuple[Tensor, Tensor] = self.inner(y, exists, context)
        return out
