"""A fitted flow of pictures: bounds likelihoods, makes, encodes and decodes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.errors import CapabilityError
from ensample.events import Batch, Continuous, Mixed
from ensample.families.base import ArrayDistribution, Guarantee
from ensample.families.images.flow.scales import Scales
from ensample.families.layout import given_flat
from ensample.nets.machine import careful_products

BLOCK = 32
"""Pictures of one pass: always the same, so that a picture's result does not depend on its company."""
AT_ONCE = 256
"""Pictures decoded at once."""


class PictureFlow(nn.Module, ArrayDistribution):
    """p(cell) = integral over the cell of N(f(y); 0, I) |det df/dy|, y the level spread evenly over its cell.

    Every picture has a place, and every place a picture; decoding is the inverse of encoding.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "bound"}

    event: Continuous

    def __init__(self, event: Continuous, given: Mixed | None, flow: Scales, offsets: int) -> None:
        super().__init__()
        self.event, self.given, self.flow, self.offsets = event, given, flow, offsets
        self.latent_width = math.prod(event.shape)

    def begin(self, batch: Batch, generator: Generator) -> None:
        """Set first weights from these pictures."""
        self.flow.start(self._numbers(batch, _uniform(batch, generator)), given_flat(self.given, batch))

    def nats(self, batch: Batch, generator: Generator) -> Tensor:
        """A bound of -log p of each picture [rows], at a random place in each cell (Theis, van den Oord, Bethge 2016).

        `-log p(cell) <= -E log [volume p(y)]`, y uniform in the cell.
        """
        return self._nats(batch, _uniform(batch, generator))

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Bound of each picture's log-probability, nats [rows] float64, always the same for the same picture.

        `log mean_k [volume p(y_k)]` over `offsets` quasi-random places in the cell: on average below the integral over
        the cell, by less the more there are (the importance-weighted bound: Burda et al. 2016).

        Raises:
            CapabilityError: a pixel is missing.
        """
        if not bool(batch.mask.all()):
            raise CapabilityError(
                "A flow scores whole pictures.",
                "log_prob",
                "a picture with missing pixels",
                "fill them, or fit image-vae or image-autoregressive",
            )
        out = torch.zeros(len(batch), dtype=torch.float64)
        with careful_products():
            for here, part in _blocks(batch):
                nats = [self._nats(part, place).to(torch.float64) for place in places(self.event.shape, self.offsets)]
                out[here] = (torch.logsumexp(-torch.stack(nats), 0) - math.log(len(nats)))[: here.stop - here.start]
        return out

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new pictures, by decoding standard normal places; with `cond` one for each of its rows."""
        return self.decode(torch.randn(n, self.latent_width, generator=generator), generator, cond)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """Place of the middle of each picture's cell, float32 [rows, channels x height x width]."""
        out = torch.zeros(len(batch), self.latent_width)
        with careful_products():
            for here, part in _blocks(batch):
                numbers = self._numbers(part, torch.zeros(()))
                out[here] = self.flow(numbers, given_flat(self.given, part))[0][: here.stop - here.start]
        return out

    @torch.no_grad()
    def decode(self, latent: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """The picture of each place [rows, latent_width]; the places decide all, the generator is not used."""
        cells = torch.zeros(len(latent), *self.event.shape, dtype=torch.int64)
        blank = Batch(torch.zeros(len(latent), 0), torch.zeros(len(latent), 0), cond)
        high = self.event.lattice.high
        with careful_products():
            for start in range(0, len(latent), AT_ONCE):
                here = slice(start, start + AT_ONCE)
                numbers, _ = self.flow.inverse(latent[here], given_flat(self.given, blank.take(here)))
                position = (numbers.nan_to_num(0.0) + 1) * (0.5 * (high + 1)) - 0.5
                cells[here] = position.clamp(0, high).round().to(torch.int64)
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), cond)

    def arrays(self) -> dict[str, Tensor]:
        """All weights."""
        return dict(self.state_dict())

    def _nats(self, batch: Batch, place: Tensor) -> Tensor:
        z, log_det = self.flow(self._numbers(batch, place), given_flat(self.given, batch))
        base = 0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        volume = self.latent_width * math.log(2 / (self.event.lattice.high + 1))
        nats: Tensor = base - log_det - volume
        return nats

    def _numbers(self, batch: Batch, place: Tensor) -> Tensor:
        """Levels as numbers in (-1, 1), each at a place in (-1/2, 1/2) of its cell of width 2 / levels."""
        return (batch.cells.to(torch.float32) + place + 0.5) * (2 / (self.event.lattice.high + 1)) - 1


@functools.cache
def places(shape: tuple[int, ...], count: int) -> Tensor:
    """Quasi-random places in (-1/2, 1/2) of the cells of a picture, [count, *shape] (scrambled Sobol points)."""
    engine = torch.quasirandom.SobolEngine(math.prod(shape), True, 0)  # type: ignore[no-untyped-call]
    points: Tensor = engine.draw(count) - 0.5
    return points.reshape(count, *shape)


def _uniform(batch: Batch, generator: Generator) -> Tensor:
    return torch.rand(batch.cells.shape, generator=generator) - 0.5


def _blocks(batch: Batch) -> Iterator[tuple[slice, Batch]]:
    """Parts of `BLOCK` rows each, the last one filled up with its last row."""
    for start in range(0, len(batch), BLOCK):
        rows = torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1)
        yield slice(start, min(start + BLOCK, len(batch))), batch.take(rows)
