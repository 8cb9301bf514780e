"""Log-probabilities of pictures: the probability-flow ODE from a place inside the cells to noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from ensample.events import Batch
from ensample.families.images.field.network import Guide
from ensample.solvers.density import Divergence, log_density

if TYPE_CHECKING:
    from ensample.families.images.field.fitted import FieldPictures

EXACT = 16
"""Coordinates up to which the divergence is the exact trace."""


def log_density_of_cells(model: FieldPictures, batch: Batch) -> Tensor:
    """Log-probability of the cells [rows] float64, nats: `log p(x + u) + log(volume)` for one u uniform in the cell.

    In the mean over u a lower bound of the log-probability (Theis et al. 2016), of the field without guidance. The u
    and the directions of the divergence are the same for every picture and every call.
    """
    width = math.prod(model.event.shape)
    generator = Generator().manual_seed(0)
    offset = torch.rand(model.event.shape, generator=generator, dtype=torch.float64) - 0.5
    divergence = Divergence(torch.eye(width))
    if width > EXACT:
        signs = torch.randint(2, (model.way.probes, width), generator=generator)
        divergence = Divergence(signs.to(torch.float32) * 2 - 1, 1 / model.way.probes)
    x = model.pixels.numbers(batch.cells, offset)
    alive = torch.ones(x.shape, dtype=torch.bool)
    field = model.field(batch, Guide())
    return log_density(field, x, model.way.integration, alive, divergence) + width * model.pixels.log_cell
