"""Mode-specific normalisation: a number as the mode that it belongs to and its place within the mode.

Xu et al. 2019 (CTGAN): a column with several peaks is hard for a generator that must jump between them, and easy for
one that chooses a peak as it chooses a class.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor, nn

LEAST = 0.005
"""A mode with a smaller share of the rows is left out."""
STEPS = 60
"""EM steps from equal slices."""


class Modes(nn.Module):
    """A mixture of Gaussians for each number: `p(x) = sum_k w_k N(x; mean_k, scale_k)`.

    Arguments:
        log_weight, mean, scale: [numbers, modes]; a log weight of minus infinity is a mode that is not used. Modes in
            use come first.
    """

    log_weight: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, log_weight: Tensor, mean: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("log_weight", log_weight)
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Modes in use of each number."""
        return tuple(int(n) for n in torch.isfinite(self.log_weight).sum(1))

    def split(self, values: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mode [rows, numbers] int64, drawn in proportion to `p(mode | x)`, and place `(x - mean) / scale` within."""
        joint = log_joint(values, self.log_weight, self.mean, self.scale)
        mode = (joint + gumbel(joint.shape, generator)).argmax(2)
        return mode, (values - _at(self.mean, mode)) / _at(self.scale, mode)

    def join(self, mode: Tensor, place: Tensor) -> Tensor:
        """Inverse of `split`: numbers [rows, numbers]."""
        return _at(self.mean, mode) + _at(self.scale, mode) * place


def gumbel(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Gumbel noise: the largest of logits and this noise is a draw from their softmax."""
    return -torch.log(-torch.log(torch.rand(shape, generator=generator).clamp(1e-12, 1 - 1e-7)))


def _at(table: Tensor, mode: Tensor) -> Tensor:
    return torch.gather(table.expand(len(mode), -1, -1), 2, mode[:, :, None])[:, :, 0]


def log_joint(values: Tensor, log_weight: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """`log w_k N(x; mean_k, scale_k)` of each number, [rows, numbers, modes]."""
    z = (values[:, :, None] - mean) / scale
    return log_weight - 0.5 * z.square() - scale.log() - 0.5 * math.log(2 * math.pi)


def fit_modes(values: Tensor, exists: Tensor, modes: int) -> Modes:
    """The mixture of every column by EM from equal slices of its sorted rows; columns side by side.

    Arguments:
        values: [rows, numbers].
        exists: which are there, bool [rows, numbers].
        modes: most modes of a number; 1 standardises.

    Example:
        >>> x = torch.cat([torch.randn(500, 1, generator=Generator().manual_seed(0)) * 0.1 + c for c in (-1.0, 1.0)])
        >>> fitted = fit_modes(x, torch.ones_like(x, dtype=torch.bool), 2)
        >>> (fitted.mean * 10).round().tolist(), fitted.sizes
        ([[-10.0, 10.0]], (2,))
    """
    there = exists.to(torch.float64)
    values = torch.where(exists, values, 0.0).to(torch.float64)
    floor = 1e-3 * _spread(values, there)[:, None]
    rank = torch.where(exists, values, torch.inf).argsort(0).argsort(0)
    portion = (rank * modes / there.sum(0).clamp(min=1)).to(torch.int64).clamp(max=modes - 1)
    share = nn.functional.one_hot(portion, modes) * there[:, :, None]
    for step in range(STEPS if modes > 1 else 1):
        weight, mean, scale = _maximise(values, share, floor)
        if step < STEPS - 1:
            share = log_joint(values, weight.log(), mean, scale).softmax(2).nan_to_num(0.0) * there[:, :, None]
    used = weight >= LEAST
    used |= nn.functional.one_hot(weight.argmax(1), modes) > 0
    order = torch.argsort((~used).to(torch.int64), dim=1, stable=True)
    log_weight = torch.where(used, weight.clamp(min=1e-9).log(), -torch.inf)
    return Modes(*(torch.gather(t, 1, order).to(torch.float32) for t in (log_weight, mean, scale)))


def _spread(values: Tensor, there: Tensor) -> Tensor:
    """Standard deviation of each column, [numbers]; 1 where nothing varies."""
    count = there.sum(0).clamp(min=1)
    mean = values.sum(0) / count
    spread = (((values - mean).square() * there).sum(0) / count).sqrt()
    return torch.where(spread > 1e-6, spread, 1.0)


def _maximise(values: Tensor, share: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights, means and scales [numbers, modes] of rows with these shares [rows, numbers, modes]."""
    count = share.sum(0)
    mean = (share * values[:, :, None]).sum(0) / count.clamp(min=1e-9)
    square = (share * (values[:, :, None] - mean).square()).sum(0) / count.clamp(min=1e-9)
    weight = count / count.sum(1, keepdim=True).clamp(min=1e-9)
    return weight, mean, square.sqrt().maximum(floor)
