"""A fitted variational autoencoder: estimates likelihoods, completes records, encodes and decodes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Limit, Mixed
from ensample.families.base import Distribution, Guarantee
from ensample.families.layout import Layout, given_flat
from ensample.families.vae.latents import Latents
from ensample.nets.emissions import Emission
from ensample.nets.machine import careful_products

BLOCK = 64
"""Rows of one pass of an estimate: always the same, so that a row's result does not depend on its company."""
SETS = 8
"""Independent sets of points behind an estimate; their spread gives its interval."""
PARTICLES = 64
"""Proposals that one completion of a record is chosen from."""
AT_ONCE = 2_048
"""Rows completed or sampled at once."""
FARTHEST = 8.0
"""Standardised numbers are cut here before the encoder; beyond, its proposals matter little."""


class VaeDistribution(nn.Module, Distribution):
    """p(x) = integral of p(z) p(x | z) dz, with an encoder q(z | x) that says where the integral has its mass.

    Given z, the spans are independent: what is not known drops out, so marginal likelihoods need no more work.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {
        "sample": "exact",
        "log_prob": "estimate",
        "draw": "estimate",
        "encode": "estimate",
    }

    def __init__(
        self,
        event: Mixed,
        given: Mixed | None,
        encoder: nn.Module,
        latents: Latents,
        decoder: nn.Module,
        emission: Emission,
        points: int,
    ) -> None:
        super().__init__()
        self.event, self.given, self.layout, self.points = event, given, Layout(event), points
        self.encoder, self.latents, self.decoder, self.emission = encoder, latents, decoder, emission
        self.latent_width = latents.dims

    def features(self, batch: Batch) -> Tensor:
        """The encoder's output [rows, features]."""
        flat = torch.cat([self.layout.flat(batch).clamp(-FARTHEST, FARTHEST), given_flat(self.given, batch)], 1)
        out: Tensor = self.encoder(flat)
        return out

    def parameters_of(self, z: Tensor, context: Tensor) -> Tensor:
        """Of the distribution of a record, [..., rows, outputs], given z [..., rows, width]."""
        seen = torch.cat([z, context.expand(*z.shape[:-1], -1)], -1)
        out: Tensor = self.emission(self.decoder(seen.flatten(0, -2)).unflatten(0, seen.shape[:-1]))
        return out

    def bound(self, batch: Batch, seen: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """What learning lowers: a bound of -log p of each record, and what is paid beside it; nats [rows].

        `seen` bool [rows, spans]: the encoder and the bound know these coordinates only.
        """
        known = Batch(torch.where(seen, batch.cells, 0), seen, batch.cond)
        context = given_flat(self.given, batch)
        score = functools.partial(self._score, batch=known, context=context)
        return self.latents.learn(self.features(known), context, score, generator)

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Estimate of each record's log-probability, nats [rows] float64, always the same for the same record.

        `log mean_k p(x | z_k) p(z_k) / q(z_k)` over quasi-random points of the encoder's posterior, and some of the
        prior; too low on average, by less the better the encoder is. Unset coordinates are integrated out exactly.
        """
        parts = [torch.logsumexp(w, 0) - math.log(len(w)) for w in self._weights(batch)]
        return torch.cat(parts)[: len(batch)] if parts else torch.zeros(0, dtype=torch.float64)

    @torch.no_grad()
    def log_prob_interval(self, batch: Batch, level: float = 0.95) -> Tensor:
        """Interval around `log_prob`, float64 [rows, 2], from the spread of `SETS` independent estimates (Student)."""
        from scipy.special import stdtrit

        times = float(stdtrit(SETS - 1, 0.5 + level / 2))
        parts = [interval(weights, times) for weights in self._weights(batch)]
        return torch.cat(parts)[: len(batch)] if parts else torch.zeros(0, 2, dtype=torch.float64)

    @torch.no_grad()
    def elbo(self, batch: Batch) -> Tensor:
        """Evidence lower bound of log p of each record, nats [rows] float64: the mean log weight of the posterior."""
        parts = [w.mean(0) for w in self._weights(batch, prior=False)]
        return torch.cat(parts)[: len(batch)] if parts else torch.zeros(0, dtype=torch.float64)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records: z from the prior, then a record given z."""
        return self._from_z(
            self.latents.sample(_uniform((n, self.latents.dims), generator), self._given(n, cond)), generator, cond
        )

    @torch.no_grad()
    def encode(self, batch: Batch) -> Tensor:
        """The middle of each record's posterior, float32 [rows, latent_width], in units of the prior."""
        out = torch.zeros(len(batch), self.latent_width)
        with careful_products():
            for start, rows in _blocks(batch):
                here = min(BLOCK, len(batch) - start)
                out[start : start + here] = self.latents.encode(self.features(rows), given_flat(self.given, rows))[
                    :here
                ]
        return out

    @torch.no_grad()
    def decode(self, latent: Tensor, generator: Generator, cond: Batch | None = None) -> Batch:
        """A record drawn given each place [rows, latent_width]."""
        return self._from_z(self.latents.decode(latent, self._given(len(latent), cond)), generator, cond)

    @torch.no_grad()
    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Complete records; see `Draws.draw`.

        Each takes one of `PARTICLES` points of posterior and prior in proportion to its weight given what is known
        (sampling importance resampling, Rubin 1987), then the rest is drawn given it. Weights come from limits alone.
        """
        cells, mask = batch.cells.clone(), batch.mask.clone()
        weight = torch.zeros(len(batch), dtype=torch.float64)
        for start in range(0, len(batch), AT_ONCE):
            here = slice(start, start + AT_ONCE)
            part = batch.take(here)
            parameters = self.parameters_of(self._posterior_draw(part, generator), given_flat(self.given, part))
            cells[here], mask[here], weight[here] = self._completed(part, parameters, generator, limits)
        return Batch(cells, mask, batch.cond), weight

    def arrays(self) -> dict[str, Tensor]:
        """All weights."""
        return dict(self.state_dict())

    def _score(self, z: Tensor, batch: Batch, context: Tensor) -> Tensor:
        """Log p(x | z) [times, rows] of what is known, at z [times, rows, width]."""
        return self.emission.log_prob(self.parameters_of(z, context), batch.cells, batch.mask).sum(-1)

    def _weights(self, batch: Batch, prior: bool = True) -> Iterator[Tensor]:
        """Log weights [points, BLOCK] float64 of each block of rows, posterior points before those of the prior."""
        count = self.points // SETS
        wide = max(1, int(count * self.latents.prior_share)) if prior else 0
        points = sobol(self.latents.dims, count - wide, 0)
        free = sobol(self.latents.dims, wide, SETS) if prior else None
        with careful_products():
            for _, rows in _blocks(batch):
                context = given_flat(self.given, rows)
                z, ratio = self.latents.propose(self.features(rows), context, points, free)
                yield (self._score(z, rows, context) + ratio).to(torch.float64)

    def _posterior_draw(self, batch: Batch, generator: Generator) -> Tensor:
        """One z for each row given what is known in it."""
        context, dims = given_flat(self.given, batch), self.latents.dims
        if not bool(batch.mask.any()):
            return self.latents.sample(_uniform((len(batch), dims), generator), context)
        half = (PARTICLES // 2, len(batch), dims)  # where little is known the prior proposes better than the encoder
        points, free = _uniform(half, generator), _uniform(half, generator)
        z, ratio = self.latents.propose(self.features(batch), context, points, free)
        weight = self._score(z, batch, context) + ratio
        chosen = torch.multinomial(weight.softmax(0).t(), 1, generator=generator)[:, 0]
        return z[chosen, torch.arange(len(batch))] if z.shape[1] > 1 else z[chosen, 0]

    def _completed(
        self, batch: Batch, parameters: Tensor, generator: Generator, limits: Sequence[Limit]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Cells, mask and log weights of rows whose unset spans are drawn given their parameters, within limits."""
        drawn, weight = self.emission.draw(parameters, generator).cells, torch.zeros(len(batch), dtype=torch.float64)
        cells, known = torch.where(batch.mask, batch.cells, drawn), batch.mask
        for limit in sorted(limits, key=lambda limit: limit.column):  # a state comes before what depends on it
            j = limit.column
            rows = (self.event.existing(cells, j) & ~known[:, j]).nonzero()[:, 0]
            own = parameters[rows, self.emission.of(j)]
            cells[rows, j], log_within = self.emission.draw_of(j, own, generator, limit.ranges)
            weight[rows] += log_within
        mask = torch.stack([self.event.existing(cells, j) for j in range(len(self.event))], 1)
        weight[(known & ~mask).any(1)] = -torch.inf  # a value needs a state
        return torch.where(mask, cells, 0), mask, weight

    def _from_z(self, z: Tensor, generator: Generator, cond: Batch | None) -> Batch:
        return self.emission.draw(self.parameters_of(z, self._given(len(z), cond)), generator, cond)

    def _given(self, rows: int, cond: Batch | None) -> Tensor:
        return given_flat(self.given, Batch(torch.zeros(rows, 0), torch.zeros(rows, 0), cond))


def interval(weights: Tensor, times: float) -> Tensor:
    """Ends [rows, 2] of the log mean of weights [points, rows] from the spread of the means of its sets."""
    middle = torch.logsumexp(weights, 0) - math.log(len(weights))
    if len(weights) % SETS:  # all codes: nothing is random
        return torch.stack([middle, middle], 1)
    means = torch.stack([torch.logsumexp(weights[s::SETS], 0) for s in range(SETS)]) + math.log(SETS / len(weights))
    relative = torch.exp(means - middle).std(0) / math.sqrt(SETS)
    return torch.stack([middle - times * relative, middle + times * relative], 1)


@functools.cache
def sobol(dims: int, count: int, seed: int) -> Tensor:
    """Quasi-random points [SETS x count, 1, dims] in (0, 1): set s holds points s, s + SETS, ...

    Each set is a Sobol sequence scrambled by its own seed (Owen 1998).
    """
    engines = [torch.quasirandom.SobolEngine(dims, True, seed + s) for s in range(SETS)]  # type: ignore[no-untyped-call]
    sets = [engine.draw(count, dtype=torch.float64) for engine in engines]
    return torch.stack(sets, 1).flatten(0, 1)[:, None].clamp(1e-9, 1 - 1e-9)


def _blocks(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Parts of `BLOCK` rows each and where they start, the last one filled up with its last row."""
    for start in range(0, len(batch), BLOCK):
        yield start, batch.take(torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1))


def _uniform(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
