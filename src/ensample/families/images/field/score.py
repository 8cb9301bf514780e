"""Log-probabilities of pictures: the probability-flow ODE from a place inside the cells to noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ensample.events import Batch
from ensample.families.images.field.network import Guide
from ensample.solvers.density import Divergence, log_density
from ensample.solvers.paths import MOST, polynomial

if TYPE_CHECKING:
    from ensample.families.images.field.fitted import FieldPictures

REACH = 3.0
"""Standard deviations of the last noise from the middle of a cell to its edge, if the path comes so near to the data.
"""

MIX = (-0x61C8864680B583EB, -0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)
"""The odd numbers of splitmix64 (Steele et al. 2014), as signed integers."""


def log_density_of_cells(model: FieldPictures, batch: Batch) -> Tensor:
    """Log-probability of the cells [rows] float64, nats: `log p_t(x) - log q(x | cells)`, not guided.

    The ODE is thought to end at the time t where noise has a third of a cell's half width, and a picture to be the
    cells that hold it there. Then `x = alpha (middle + ratio e)` with e normal, but inside the cell, has a density q,
    and the difference is in the mean over q a lower bound (truncated-normal dequantisation: Zheng et al. 2023). The e
    and the directions of the divergence are drawn anew for each picture, from nothing but its cells.
    """
    width, probes, path = math.prod(model.event.shape), model.way.probes, model.way.path
    uniform = keyed(batch.cells.flatten(1), (1 + probes) * width)
    half, first = 0.5 * model.pixels.width, torch.tensor([path.first], dtype=torch.float64)
    ratio = max(half / REACH, float(path.sigma(first) / path.alpha(first)))
    inside = math.erf(half / ratio / math.sqrt(2))
    e: Tensor = torch.special.ndtri(0.5 + inside * (uniform[:, :width] - 0.5))
    grid = polynomial(path, model.way.integration + 1, ratio, MOST)[:-1].flip(0)
    alpha = path.alpha(grid[:1])
    x = (alpha * (model.pixels.numbers(batch.cells) + ratio * e)).to(torch.float32)
    divergence = Divergence(torch.eye(width))
    if probes < width:
        signs = (uniform[:, width:] < 0.5).to(torch.float32) * 2 - 1
        divergence = Divergence(signs.view(len(batch), probes, width).transpose(0, 1), 1 / probes)
    alive = torch.ones(x.shape, dtype=torch.bool)
    log_q = -0.5 * (e.square() + math.log(2 * math.pi)).sum(1) - width * math.log(inside * ratio * float(alpha))
    log_p = log_density(model.field(batch, Guide()), x, grid, alive, divergence)
    return log_p - log_q


def keyed(cells: Tensor, count: int) -> Tensor:
    """Random numbers in [0, 1) that depend on each row of cells alone, [rows, count] float64.

    Example:
        >>> rows = torch.tensor([[1, 2], [2, 1], [1, 2]])
        >>> a, b, c = keyed(rows, 3).tolist()
        >>> a == c, a == b
        (True, False)
    """
    places = _mixed(torch.arange(1, cells.shape[1] + 1))
    keys = _mixed((_mixed(cells + 1) * places).sum(1, keepdim=True))
    bits = _mixed(keys + MIX[0] * torch.arange(1, count + 1))
    return ((bits >> 11) & ((1 << 53) - 1)).to(torch.float64) / 2**53


def _mixed(z: Tensor) -> Tensor:
    """The finaliser of splitmix64, in integers that wrap around."""
    z = (z ^ ((z >> 30) & ((1 << 34) - 1))) * MIX[1]
    z = (z ^ ((z >> 27) & ((1 << 37) - 1))) * MIX[2]
    return z ^ ((z >> 31) & ((1 << 33) - 1))
