"""Editing with a field of pictures: what is missing given what is there, and new pictures from a rough one.

One trained model serves inpainting, outpainting, super-resolution, colourisation, deblurring (`restore`) and
image-to-image editing (`vary`): only the measurement differs, see `ensample.solvers.measured`.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Mixed, unknown
from ensample.solvers.measured import Mask, Measured, Measurement, travelled

STEPS = 50
"""Times of the chain that restores."""


@runtime_checkable
class Flows(Protocol):
    """A distribution of pictures behind which is a field of their pixels."""

    event: Continuous
    given: Mixed | None
    pixels: Any
    """The scale of the field's numbers: `families.images.field.pixels.Pixels`."""

    def field(self, batch: Batch) -> Any:
        """The field of these rows, see `solvers.field.Field`."""
        ...

    def grid(self, steps: int) -> Tensor:
        """Times falling from noise to data."""
        ...


@torch.no_grad()
def restore(
    distribution: Flows,
    measurement: Measurement,
    measured: Tensor,
    generator: Generator,
    cond: Batch | None = None,
    *,
    noise: float = 0.0,
    travel: int = 1,
    steps: int = STEPS,
) -> Batch:
    """Pictures that a measurement may have been taken of: draws near to `p(x | A x = measured)`.

    Arguments:
        distribution: a fitted `image-field`.
        measurement: A; one of `Mask`, `Downsample`, `Grey`, `Blur`.
        measured: [rows, ...] as `measurement.of` gives it, of pictures whose numbers are in [-1, 1].
        generator: of all noise.
        cond: the given fields, a row for each.
        noise: standard deviation of errors in `measured`, in the same units; 0 takes it at its word.
        travel: times that each step is taken; more make what is new fit better, at that many times the cost.
        steps: of the chain.
    """
    batch = unknown(len(measured), distribution.event, cond)
    pixels = distribution.pixels
    y = pixels.standard(measured).to(torch.float32)
    if isinstance(measurement, Mask):
        y = y * measurement.known
    field = Measured(distribution.field(batch), measurement, y, distribution.event.shape, noise / float(pixels.spread))
    grid = distribution.grid(steps)
    spread = field.path.spread(grid[:1]).to(torch.float32)
    x = spread * torch.randn(len(batch), math.prod(distribution.event.shape), generator=generator)
    cells = pixels.cells(travelled(field, x, grid, generator, travel))
    return Batch(cells, torch.ones_like(cells, dtype=torch.bool), cond)


@torch.no_grad()
def vary(
    distribution: Flows,
    batch: Batch,
    strength: float,
    generator: Generator,
    *,
    steps: int = STEPS,
) -> Batch:
    """New pictures from rough ones (SDEdit: Meng et al. 2022): noise is put in, and taken out by the field.

    Arguments:
        distribution: a fitted `image-field`.
        batch: the pictures and their given fields; with other given fields than they have, they turn into what is
            given. Pixels that are not known are redrawn, those that are known are varied.
        strength: share of the way to noise, in (0, 1]: 1 keeps nothing, little keeps nearly all.
        generator: of all noise.
        steps: of the whole way; `strength` of them are taken.

    Raises:
        InputError: `strength` is out of its range.
    """
    if not 0.0 < strength <= 1.0:
        raise InputError("A strength is a share.", "strength", str(strength), "choose a number above 0, at most 1")
    grid = distribution.grid(steps)
    grid = grid[min(round((1.0 - strength) * steps), steps - 1) :]
    field, t = distribution.field(batch), grid[:1].to(torch.float32)
    start = distribution.pixels.numbers(batch.cells) * batch.mask.flatten(1)
    x = field.path.alpha(t) * start + field.path.sigma(t) * torch.randn(start.shape, generator=generator)
    cells = distribution.pixels.cells(travelled(field, x, grid, generator))
    return Batch(cells, torch.ones_like(batch.mask), batch.cond)
