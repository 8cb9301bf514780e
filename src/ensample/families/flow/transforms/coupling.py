"""Coupling transforms: one half of the coordinates stays and gives the parameters of the other."""

from __future__ import annotations

import torch
from torch import Tensor

from ensample.families.flow.transforms.base import Transform, only, reordered
from ensample.families.flow.transforms.scalar import Scalar
from ensample.nets.staircase import Conditioner


class Coupling(Transform):
    """`y_kept = x_kept`, `y_moved = f(x_moved; theta(x_kept, context))` (RealNVP: Dinh et al. 2017).

    Arguments:
        scalar: f.
        order: [dims] int64; the first `keeps` of it are kept, the rest moves.
        keeps: may be 0: then all move by the context alone.
        net: a conditioner from the kept to the moved.
    """

    order: Tensor

    def __init__(self, scalar: Scalar, order: Tensor, keeps: int, net: Conditioner) -> None:
        super().__init__()
        self.scalar, self.net, self.keeps = scalar, net, keeps
        self.register_buffer("order", order)

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """One pass of the network."""
        kept, moved = reordered(x, self.order, self.order.argsort()).tensor_split([self.keeps])
        return self._joined(kept, *self.scalar.forward(moved, self._theta(kept, context)), exists)

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """One pass of the network."""
        kept, moved = reordered(y, self.order, self.order.argsort()).tensor_split([self.keeps])
        return self._joined(kept, *self.scalar.inverse(moved, self._theta(kept, context)), exists)

    def _theta(self, kept: Tensor, context: Tensor) -> Tensor:
        theta: Tensor = self.net(kept, context)
        return theta.view(-1, self.scalar.each, theta.shape[1])

    def _joined(self, kept: Tensor, moved: Tensor, log_slope: Tensor, exists: Tensor | None) -> tuple[Tensor, Tensor]:
        there = None if exists is None else exists[self.order[self.keeps :]]
        out = reordered(torch.cat([kept, only(moved, there)]), self.order.argsort(), self.order)
        return out, only(log_slope, there).sum(0)
