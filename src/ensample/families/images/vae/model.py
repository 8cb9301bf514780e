"""A fitted variational autoencoder of pictures: estimates likelihoods, makes, encodes and decodes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Continuous, Mixed
from ensample.families.base import ArrayDistribution, Guarantee
from ensample.families.images.vae.heads import Head
from ensample.families.layout import given_flat
from ensample.families.vae.latents import Latents
from ensample.families.vae.model import SETS, interval, sobol
from ensample.nets.machine import careful_products

BLOCK = 16
"""Pictures of one pass of an estimate: always the same, so that a picture's result does not depend on its company."""
NEAR, WIDE = 7 * SETS, SETS
"""Places that the encoder and the prior propose in one pass."""
AT_ONCE = 256
"""Pictures made at once."""


class PictureVae(nn.Module, ArrayDistribution):
    """p(x) = integral of p(z) p(x | z) dz, with an encoder q(z | x) that says where the integral has its mass.

    Given z the pixels are independent: what is not known drops out of p(x | z), and the encoder sees the mean there.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate", "encode": "estimate"}

    event: Continuous
    middle: Tensor
    taken: Tensor

    def __init__(
        self,
        event: Continuous,
        given: Mixed | None,
        encoder: nn.Module,
        latents: Latents,
        decoder: nn.Module,
        head: Head,
        points: int,
    ) -> None:
        super().__init__()
        self.event, self.given, self.points = event, given, points
        self.encoder, self.latents, self.decoder, self.head = encoder, latents, decoder, head
        self.latent_width = latents.dims
        self.register_buffer("middle", torch.zeros(event.shape))
        self.register_buffer("taken", torch.zeros(()))
        if not latents.integrated:
            self.guarantees = {**self.guarantees, "log_prob": "bound"}  # type: ignore[misc]  # of this one

    @torch.no_grad()
    def begin(self, batch: Batch, generator: Generator) -> None:
        """Set first weights from these pictures: the mean picture, each pixel by itself, codes."""
        self.middle.copy_(self._numbers(batch).mean(0))
        self.head.begin(batch.cells)
        self.latents.begin(self.features(batch), generator)

    def features(self, batch: Batch) -> Tensor:
        """What the encoder makes of the pictures, for `latents` to read."""
        x = torch.where(batch.mask, self._numbers(batch) - self.middle, 0.0)
        out: Tensor = self.encoder(x, given_flat(self.given, batch))
        return out

    def bound(self, batch: Batch, generator: Generator, share: float = 1.0) -> tuple[Tensor, Tensor]:
        """What learning lowers: a bound of -log p of each picture, and what is paid beside it; nats [rows].

        Of the divergence between posterior and prior only this share counts.
        """
        context = given_flat(self.given, batch)
        score = functools.partial(self.score, batch=batch, context=context)
        return self.latents.learn(self.features(batch), context, score, generator, share)

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Estimate of each picture's log-probability, nats [rows] float64, always the same for the same picture.

        `log mean_k p(x | z_k) p(z_k) / q(z_k)` over `points` quasi-random places of the encoder's posterior and some
        of the prior; too low on average, by less the better the encoder is. With codes it is the bound `log p(x, z)`
        at the nearest codes. Unset pixels are integrated out.
        """
        parts = [torch.logsumexp(w, 0) - math.log(len(w)) for w in self._weights(batch)]
        return torch.cat(parts)[: len(batch)] if parts else torch.zeros(0, dtype=torch.float64)

    @torch.no_grad()
    def log_prob_interval(self, batch: Batch, level: float = 0.95) -> Tensor:
        """Interval around `log_prob`, float64 [rows, 2], from the spread of `SETS` independent estimates (Student).

        With codes nothing is random: both ends are the bound.
        """
        from scipy.special import stdtrit

        times = float(stdtrit(SETS - 1, 0.5 + level / 2))
        parts = [interval(weights, times) for weights in self._weights(batch)]
        return torch.cat(parts)[: len(batch)] if parts else torch.zeros(0, 2, dtype=torch.float64)

    @torch.no_grad()
    def elbo(self, batch: Batch) -> Tensor:
        """Evidence lower bound of log p of each picture, nats [rows] float64: the mean log weight of the posterior."""
        parts = [w.mean(0) for w in self._weights(batch, prior=False)]
        return torch.cat(parts)[: len(batch)] if parts else torch.zeros(0, dtype=torch.float64)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new pictures: z from the prior, then every pixel given z."""
        return self._made(_uniform((n, self.latents.dims), generator), generator, cond)

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The middle of each picture's posterior, float32 [rows, latent_width], in units of the prior."""
        out = torch.zeros(len(batch), self.latent_width)
        with careful_products():
            for start, rows in _blocks(batch):
                here = slice(start, min(start + BLOCK, len(batch)))
                places = self.latents.encode(self.features(rows), given_flat(self.given, rows))
                out[here] = places[: here.stop - start]
        return out

    @torch.no_grad()
    def decode(self, latent: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """A picture drawn given each place [rows, latent_width]."""
        points = torch.special.ndtr(latent.to(torch.float64)).clamp(1e-15, 1 - 1e-15)
        return self._made(points, generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """All weights."""
        return dict(self.state_dict())

    def raw(self, z: Tensor, context: Tensor) -> Tensor:
        """Outputs of the decoder [..., rows, outputs, height, width] at what it sees of places z [..., rows, width]."""
        context = context.expand(*z.shape[:-1], -1).flatten(0, -2)
        out: Tensor = self.decoder(z.flatten(0, -2), context)
        return out.reshape(*z.shape[:-1], *out.shape[1:])

    def _numbers(self, batch: Batch) -> Tensor:
        """Levels as numbers in [-1, 1], float32."""
        lattice = self.event.lattice
        return batch.cells.to(torch.float32).sub_(lattice.shift).mul_(1 / lattice.scale)

    def score(self, z: Tensor, batch: Batch, context: Tensor) -> Tensor:
        """Log p(x | z) [times, rows] at z [times, rows, width]."""
        return self.head.log_prob(self.raw(z, context), batch.cells, batch.mask)

    def _weights(self, batch: Batch, prior: bool = True) -> Iterator[Tensor]:
        """Log weights [points, BLOCK] float64 of each block of rows."""
        passes = -(-self.points // (NEAR + WIDE)) if self.latents.integrated else 1
        points = torch.split(sobol(self.latents.dims, passes * NEAR // SETS, 0), NEAR)
        free = torch.split(sobol(self.latents.dims, passes * WIDE // SETS, SETS), WIDE)
        with careful_products():
            for _, rows in _blocks(batch):
                context, features, weights = given_flat(self.given, rows), self.features(rows), []
                for near, wide in zip(points, free, strict=True):
                    z, ratio = self.latents.propose(features, context, near, wide if prior else None)
                    weights.append((self.score(z, rows, context) + ratio).to(torch.float64))
                yield torch.cat(weights)

    def _made(self, points: Tensor, generator: Generator, cond: Batch | None) -> Batch:
        """Pictures of places [rows, dims] in (0, 1)."""
        context = self._context(len(points), cond)
        pairs = zip(torch.split(points, AT_ONCE), torch.split(context, AT_ONCE), strict=True)
        parts = [self.latents.sample(*pair) for pair in pairs]
        return self.drawn(torch.cat(parts) if parts else torch.zeros(0, self.latents.width), generator, cond)

    @torch.no_grad()
    def drawn(self, z: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """Pictures drawn given what the decoder sees of places, z [rows, width]."""
        cells, context = torch.zeros(len(z), *self.event.shape, dtype=torch.int64), self._context(len(z), cond)
        for start in range(0, len(z), AT_ONCE):
            here = slice(start, start + AT_ONCE)
            cells[here] = self.head.draw(self.raw(z[here], context[here]), generator)
        return Batch(cells, torch.ones_like(cells, dtype=torch.bool), cond)

    def _context(self, rows: int, cond: Batch | None) -> Tensor:
        return given_flat(self.given, Batch(torch.zeros(rows, 0), torch.zeros(rows, 0), cond))


def _blocks(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Parts of `BLOCK` rows each and where they start, the last one filled up with its last row."""
    for start in range(0, len(batch), BLOCK):
        yield start, batch.take(torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1))


def _uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
