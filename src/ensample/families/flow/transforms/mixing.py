"""A learned linear map of the coordinates: the invertible 1 x 1 convolution of Glow, for rows of a table."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ensample.families.flow.transforms.base import Transform, only, reordered


class Mixing(Transform):
    """`y = L U x` over the coordinates in some order, L with a unit diagonal (Kingma and Dhariwal 2018, eq. 10).

    Rows and columns of coordinates that do not exist are left out of both factors, which stay triangular and keep the
    rest of their diagonals: a bijection of what exists, with `log |det| = sum of log |U_ii|` over it.

    Arguments:
        order: [dims] int64; takes the place of the permutation of a full LU factorisation.
    """

    order: Tensor
    below: Tensor

    def __init__(self, order: Tensor) -> None:
        super().__init__()
        size = len(order)
        self.register_buffer("order", order)
        below = torch.tril_indices(size, size, -1)
        self.register_buffer("below", below, persistent=False)
        self.lower = nn.Parameter(torch.randn(below.shape[1]) * 0.1 * size**-0.5)
        self.upper = nn.Parameter(torch.randn(below.shape[1]) * 0.1 * size**-0.5)
        self.log_diagonal = nn.Parameter(torch.randn(size, 1) * 0.01)

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Two products; what does not exist is taken out between them."""
        there = None if exists is None else exists[self.order]
        back = self.order.argsort()
        x = reordered(x, self.order, back)
        t = only(self._triangle(self.upper).t() @ x + self.log_diagonal.exp() * x, there)
        y = only(t + self._triangle(self.lower) @ t, there)
        return reordered(y, back, self.order), self._log_det(x, there)

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Two triangular solves: by substitution where rows have different coordinates."""
        there = None if exists is None else exists[self.order]
        y, size = y[self.order], len(y)
        lower = self._triangle(self.lower)
        upper = self._triangle(self.upper).t() + torch.diag(self.log_diagonal.exp()[:, 0])
        if there is None:
            t = torch.linalg.solve_triangular(lower, y, upper=False, unitriangular=True)
            x = torch.linalg.solve_triangular(upper, t, upper=True)
        else:
            t, x = torch.zeros_like(y), torch.zeros_like(y)
            for i in range(size):
                t[i] = only(y[i] - lower[i, :i] @ t[:i], there[i])
            for i in reversed(range(size)):
                x[i] = only((t[i] - upper[i, i + 1 :] @ x[i + 1 :]) / upper[i, i], there[i])
        return x[self.order.argsort()], -self._log_det(x, there)

    def _triangle(self, entries: Tensor) -> Tensor:
        """A strictly lower triangular matrix [dims, dims]."""
        size = len(self.order)
        return entries.new_zeros(size, size).index_put(tuple(self.below), entries)

    def _log_det(self, x: Tensor, there: Tensor | None) -> Tensor:
        return only(self.log_diagonal.expand_as(x), there).sum(0)
