"""Each coordinate by a spline of its own, the same for all rows: towards normal margins."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ensample.families.flow.transforms.base import Transform, only
from ensample.nets.spline import parameters, shared_spline, through_quantiles

ROOM = 1.1
"""Half the width of the box in units of the largest number of the data, where that lies outside."""
WIDEST = 10.0
"""Largest scale: bins have a least width, so a box must not be wider than a few outliers are worth."""


class Margins(Transform):
    """`y_i = f_i(x_i / s_i)`, started at the map of the data's quantiles to normal ones (Chen and Gopinath 2000).

    Many bins see what networks smooth over: gaps, spikes, favourite values. The scales `s_i`, at least 1, bring the
    extremes of the data into the box of the spline: beyond it tails would be those of a normal.

    Arguments:
        dims: coordinates.
        bins, bound: of each spline.
    """

    scale: Tensor

    def __init__(self, dims: int, bins: int, bound: float) -> None:
        super().__init__()
        self.bins, self.bound = bins, bound
        self.register_buffer("scale", torch.ones(dims, 1))
        self.theta = nn.Parameter(torch.zeros(dims, parameters(bins)))

    @torch.no_grad()
    def start(self, x: Tensor, exists: Tensor | None) -> None:
        """From the quantiles of what exists."""
        self.scale.copy_((x.abs().amax(1, keepdim=True) * (ROOM / self.bound)).clamp(1.0, WIDEST))
        for i, row in enumerate(x / self.scale):
            self.theta[i] = through_quantiles(row if exists is None else row[exists[i]], self.bins, self.bound)

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """The splines."""
        y, log_slope = shared_spline(x / self.scale, self.theta, self.bins, self.bound)
        return only(y, exists), only(log_slope - self.scale.log(), exists).sum(0)

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Their inverses."""
        x, log_slope = shared_spline(y, self.theta, self.bins, self.bound, inverse=True)
        return only(x * self.scale, exists), only(self.scale.log() - log_slope, exists).sum(0)
