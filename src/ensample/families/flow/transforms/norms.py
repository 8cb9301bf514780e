"""Normalisations between transforms: learned once from data (actnorm) or from every batch (batch norm)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ensample.families.flow.transforms.base import Transform, only

SMALLEST = 1e-5
"""Added to variances."""


class ActNorm(Transform):
    """`y = exp(s) x + b`, started so that the data have mean 0 and variance 1 (Kingma and Dhariwal 2018)."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(dims, 1)), nn.Parameter(torch.zeros(dims, 1))

    @torch.no_grad()
    def start(self, x: Tensor, exists: Tensor | None) -> None:
        """From the mean and the variance of what exists."""
        mean, variance = moments(x, exists)
        self.log_scale.copy_(-0.5 * torch.log(variance + SMALLEST))
        self.shift.copy_(-mean * self.log_scale.exp())

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift."""
        log_det = only(self.log_scale.expand_as(x), exists).sum(0)
        return only(x * self.log_scale.exp() + self.shift, exists), log_det

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and scale back."""
        log_det = only(-self.log_scale.expand_as(y), exists).sum(0)
        return only((y - self.shift) * (-self.log_scale).exp(), exists), log_det


class BatchNorm(Transform):
    """`y = exp(s) (x - m) / sqrt(v + eps) + b`: m and v of the batch in learning, running means afterwards.

    Dinh et al. 2017, section 3.7: the batch's own statistics count as constants of the map, so `log |det|` is
    `s - log(v + eps) / 2` a coordinate.
    """

    mean: Tensor
    variance: Tensor
    MOMENTUM = 0.05

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(dims, 1)), nn.Parameter(torch.zeros(dims, 1))
        self.register_buffer("mean", torch.zeros(dims, 1))
        self.register_buffer("variance", torch.ones(dims, 1))

    @torch.no_grad()
    def start(self, x: Tensor, exists: Tensor | None) -> None:
        """Running means from the first rows."""
        for running, value in zip((self.mean, self.variance), moments(x, exists), strict=True):
            running.copy_(value)

    def forward(self, x: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise, scale and shift."""
        mean, variance = self.mean, self.variance
        if self.training:
            mean, variance = moments(x, exists)
            with torch.no_grad():
                self.mean.lerp_(mean, self.MOMENTUM)
                self.variance.lerp_(variance, self.MOMENTUM)
        log_scale = self.log_scale - 0.5 * torch.log(variance + SMALLEST)
        y = only((x - mean) * log_scale.exp() + self.shift, exists)
        return y, only(log_scale.expand_as(x), exists).sum(0)

    def inverse(self, y: Tensor, exists: Tensor | None, context: Tensor) -> tuple[Tensor, Tensor]:
        """By the running means."""
        log_scale = self.log_scale - 0.5 * torch.log(self.variance + SMALLEST)
        x = only((y - self.shift) * (-log_scale).exp() + self.mean, exists)
        return x, only(-log_scale.expand_as(y), exists).sum(0)


def moments(x: Tensor, exists: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and variance [dims, 1] of the coordinates that exist; 0 and 1 for fewer than two."""
    there = torch.ones_like(x) if exists is None else exists.to(x.dtype)
    count = there.sum(1, keepdim=True)
    mean = (x * there).sum(1, keepdim=True) / count.clamp(min=1)
    variance = ((x - mean).square() * there).sum(1, keepdim=True) / count.clamp(min=1)
    return torch.where(count > 1, mean, 0.0), torch.where(count > 1, variance, 1.0)
