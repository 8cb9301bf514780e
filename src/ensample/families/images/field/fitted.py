"""A fitted field of pictures: how they are drawn, completed and scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.events import Batch, Continuous, Limit, Mixed, unknown
from ensample.families.base import ArrayDistribution, Guarantee
from ensample.families.field.parameterisation import Parameterisation
from ensample.families.images.field.network import Guide, PictureField
from ensample.families.images.field.pixels import Pixels
from ensample.families.images.field.score import log_density_of_cells
from ensample.families.layout import given_flat, given_width
from ensample.nets.machine import careful_products, operations
from ensample.solvers.measured import Mask, Measured, travelled
from ensample.solvers.paths import LEAST, MOST, Path, polynomial
from ensample.solvers.steps import Solver

DRAWN = 256
"""Pictures drawn, or scored, in one pass."""
TRAVEL = 4
"""Times that each step of a completion is taken, with noise put back between."""


@dataclass(frozen=True)
class Way:
    """How the field is followed: objects behind the options of `ImageField`.

    Arguments:
        path, parameterisation: of the field.
        solver: what draws.
        grid: the times that it goes through, falling.
        integration: steps of the ODE behind `log_prob`.
        probes: random directions of the estimated divergence.
        guide: how given fields pull draws.
        brief: whether pictures are drawn with products in bfloat16.
    """

    path: Path
    parameterisation: Parameterisation
    solver: Solver
    grid: Tensor
    integration: int
    probes: int
    guide: Guide
    brief: bool

    def products(self) -> AbstractContextManager[Any]:
        """The precision of products while pictures are drawn."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.brief)


class FieldPictures(nn.Module, ArrayDistribution):
    """Noise that flows into pictures along a learned field, `p(picture | given)`.

    The log-probability is an estimate: a lower bound (dequantisation) whose trace is estimated (Hutchinson 1989).
    Completions project what the field expects onto what is known (`ensample.infer.restore`), which is near to, but not
    the conditional distribution.
    """

    event: Continuous
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "estimate", "log_prob": "estimate", "draw": "estimate"}

    def __init__(self, pixels: Pixels, given: Mixed | None, told: int, net: nn.Module, way: Way) -> None:
        super().__init__()
        width = given_width(given)
        columns = width + (width > 0) + told
        self.told = told
        self.event, self.given, self.pixels, self.net, self.way = pixels.event, given, pixels, net, way
        times = 1 + way.parameterisation.jumps
        one = torch.zeros(1, *self.event.shape), torch.zeros(1, times), torch.zeros(1, columns)
        self.operations_per_row = operations(lambda: net(*one))

    def arrays(self) -> dict[str, Tensor]:
        """Weights, and the scale of the numbers."""
        state = {f"weights.{name}": value for name, value in self.net.state_dict().items()}
        return {**state, "centre": self.pixels.centre, "spread": self.pixels.spread}

    def field(self, batch: Batch, guide: Guide | None = None, told: Tensor | None = None) -> PictureField:
        """The field of as many rows as the batch has, with its given fields; guided as in draws unless said.

        `told` [rows, told] is how pictures were changed in learning; not at all if None.
        """
        flat = given_flat(self.given, batch)
        given = torch.cat([flat, torch.ones(len(flat), 1)], 1) if flat.shape[1] else flat
        told = torch.zeros(len(flat), self.told) if told is None else told
        way, shape, guide = self.way, self.event.shape, self.way.guide if guide is None else guide
        return PictureField(self.net, shape, way.path, way.parameterisation, given, told, guide)

    def grid(self, steps: int) -> Tensor:
        """Times falling from noise to data, fine where pictures take shape, whatever the options of drawing say."""
        return polynomial(self.way.path, steps, LEAST, MOST)

    def noise(self, rows: int, generator: Generator) -> Tensor:
        """States [rows, coordinates] at the first time of the grid."""
        x = torch.randn(rows, math.prod(self.event.shape), generator=generator)
        return x * self.way.path.spread(self.way.grid[:1]).to(x.dtype)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """See `Distribution.sample`."""
        empty, parts = unknown(n, self.event, cond), []
        for start in range(0, n, DRAWN):
            part = empty.take(slice(start, start + DRAWN))
            x = self.noise(len(part), generator)
            with self.way.products():
                x = self.way.solver(self.field(part), x, self.way.grid, generator)
            parts.append(self.pixels.cells(x))
        cells = torch.cat(parts) if parts else empty.cells
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), cond)

    @torch.no_grad()
    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unset pixels; the weights are 0. There are no limits on pixels. Rows without a hole stay as they are."""
        cells, holes = batch.cells.clone(), torch.nonzero(~batch.mask.flatten(1).all(1))[:, 0]
        for rows in torch.split(holes, DRAWN) if len(holes) else ():
            part = batch.take(rows)
            known = self.pixels.numbers(part.cells).view(part.cells.shape) * part.mask
            field = Measured(self.field(part), Mask(part.mask), known, self.event.shape)
            x = self.noise(len(part), generator)
            with self.way.products():
                x = travelled(field, x, self.way.grid, generator, TRAVEL)
            cells[rows] = torch.where(part.mask, part.cells, self.pixels.cells(x))
        return Batch(cells, torch.ones_like(batch.mask), batch.cond), torch.zeros(len(batch), dtype=torch.float64)

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of each picture, float64 [rows], estimated; the noise depends on the picture alone.

        Raises:
            InputError: a pixel is not known.
        """
        if not bool(batch.mask.all()):
            raise InputError("Only whole pictures are scored.", "log_prob", "a picture with holes", "impute it first")
        total = torch.zeros(len(batch), dtype=torch.float64)
        for start in range(0, len(batch), DRAWN):
            here = slice(start, start + DRAWN)
            with careful_products():
                total[here] = log_density_of_cells(self, batch.take(here))
        return total.clamp(max=0.0)
