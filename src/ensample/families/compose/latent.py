"""A fitted autoencoder as codec: another family learns its latent space."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Batch, Continuous, Lattice, Mixed, Span
from ensample.families.abilities import Scores
from ensample.families.base import Distribution, Family, Guarantee
from ensample.families.compose.parts import refused
from ensample.families.independent import part
from ensample.families.layout import given_flat
from ensample.families.mixture.family import Mixture
from ensample.families.vae.family import Vae
from ensample.families.vae.latents import Gaussian
from ensample.families.vae.model import SETS, VaeDistribution, sobol
from ensample.kinds.records import ABSENT, Records
from ensample.run import Run

STEP = 1e-3
"""Width of the cells that latent numbers lie in: fine against any posterior."""
WIDE = 0.25
"""Share of the points of an estimate that the prior proposes."""
BLOCK = 64
"""Rows of one pass of an estimate: always the same, so that a row's result does not depend on its company."""


class LatentDistribution(Distribution):
    """p(x) = integral of p_of(z) p(x | z) dz: the decoder of an autoencoder over a prior that was learned after it."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    def __init__(self, codec: VaeDistribution, prior: Distribution) -> None:
        self.codec, self.prior = codec, prior
        self.event, self.given = codec.event, codec.given

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Importance-sampled estimate, nats [rows] float64, always the same for the same record.

        `log mean_k p(x | z_k) p_of(z_k) / q(z_k)` over quasi-random points of the encoder's posterior and, wherever the
        encoder errs, `WIDE` of the points by p_of itself; q is the mixture of both.
        """
        out = torch.zeros(len(batch), dtype=torch.float64)
        count = self.codec.points
        points = sobol(self.codec.latents.dims, round(count * (1 - WIDE)) // SETS, 0)
        for start in range(0, len(batch), BLOCK):
            here = min(BLOCK, len(batch) - start)
            rows = batch.take(torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1))
            weights = self._weights(rows, points, round(count * WIDE))
            out[start : start + here] = (torch.logsumexp(weights, 0) - math.log(len(weights)))[:here]
        return out

    def _weights(self, rows: Batch, points: Tensor, wide: int) -> Tensor:
        """Log p(x | z) p_of(z) / q(z), float64 [points + wide, rows]."""
        codec, latents, context = self.codec, cast(Gaussian, self.codec.latents), given_flat(self.given, rows)
        features = codec.features(rows)
        near, _ = latents.propose(features, context, points)
        z = torch.cat([near, self._wide(rows, wide)])
        score = codec.emission.log_prob(codec.parameters_of(z, context), rows.cells, rows.mask).sum(-1)
        log_p, log_q = self._log_density(z, rows.cond), latents.log_posterior(z, features).to(torch.float64)
        share = wide / len(z)
        return score.to(torch.float64) + log_p - torch.logaddexp(log_q + math.log1p(-share), log_p + math.log(share))

    def _wide(self, rows: Batch, count: int) -> Tensor:
        """Places by the prior [count, rows, dims], the same for the same given fields."""
        generator = Generator().manual_seed(0)
        if rows.cond is None:
            cells = self.prior.sample(count, generator).cells[:, None].expand(-1, len(rows), -1)
        else:
            each = [
                self.prior.sample(count, generator.manual_seed(0), rows.cond.take(slice(i, i + 1)).repeat(count))
                for i in range(len(rows))
            ]
            cells = torch.stack([made.cells for made in each], 1)
        return (cells * STEP).to(torch.float32)

    def _log_density(self, z: Tensor, cond: Batch | None) -> Tensor:
        """Log p_of(z) of z [points, rows, dims], float64 [points, rows], from the cells that hold it."""
        points, rows, dims = z.shape
        cells = torch.round(z.to(torch.float64).flatten(0, 1) / STEP).to(torch.int64)
        again = None if cond is None else cond.take(torch.arange(rows).repeat(points))
        batch = Batch(cells, torch.ones_like(cells, dtype=torch.bool), again)
        total = cast(Scores, self.prior).log_prob(batch).to(torch.float64)
        if self.prior.measure == "density":
            total = total + self.prior.event.log_slope(cells, batch.mask)
        return (total - dims * math.log(STEP)).reshape(points, rows)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """A place by the prior, a record by the decoder."""
        z = (self.prior.sample(n, generator, cond).cells * STEP).to(torch.float32)
        blank = Batch(torch.zeros(n, 0), torch.zeros(n, 0), cond)
        parameters = self.codec.parameters_of(z, given_flat(self.given, blank))
        return self.codec.emission.draw(parameters, generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Those of codec and prior."""
        both = (("codec", self.codec), ("prior", self.prior))
        return {f"{name}.{key}": array for name, own in both for key, array in own.arrays().items()}

    def facts(self) -> dict[str, Any]:
        """Those of codec and prior, and the scale of the latent numbers."""
        grids = [[g.low, g.high, g.shift, g.scale] for g in map(lattice_of, self.prior.event.spans)]
        return {"codec": self.codec.facts(), "prior": self.prior.facts(), "lattices": grids}


@dataclass(frozen=True)
class Latent:
    """p(x) = integral of p_of(z) p(x | z) dz: an autoencoder first, then any family over its latent numbers.

    The prior of an autoencoder is where its records rarely all lie; a second model of where they do lie makes samples
    sharper without a larger decoder (Rombach et al. 2022 for images; Dai and Wipf 2019). Given fields condition both.

    Arguments:
        codec: the autoencoder, with gaussian latents.
        of: the family that learns the latent space, which needs a likelihood.

    Example:
        >>> Latent(codec=Vae(dims=2)).of.name
        'mixture'
    """

    codec: Vae = Vae(beta=0.5, samples=1)  # noqa: RUF009
    of: Family = Mixture()  # noqa: RUF009

    name: ClassVar[str] = "latent"
    distribution: ClassVar[type[Distribution]] = LatentDistribution

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """What its codec or its family refuses; codebooks."""
        if self.codec.latents != "gaussian":
            return "its codec must have gaussian latents"
        return self.codec.refuses(event, given) or refused(self.of, latent_event([(0, 1, 0.0, 1.0)]), given)

    def fit(self, records: Records, seed: int, run: Run) -> LatentDistribution:
        """The codec with half of the time, then the family over a place of each record drawn from its posterior."""
        codec = run.part("codec", 0.5).learn(self.codec, records, seed)
        cells = np.concatenate([_places(codec, batch, seed, i) for i, batch in enumerate(records.batches(4_096))])
        event = latent_event([scale_of(cells[:, j]) for j in range(cells.shape[1])])
        latent = Records(event, cells, records.given, records.given_table)
        return LatentDistribution(codec, run.part("prior", 1.0).learn(self.of, latent, seed))

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> LatentDistribution:
        """Inverse of `LatentDistribution.arrays` and `facts`."""
        codec = self.codec.restore(event, given, part(arrays, "codec"), facts["codec"])
        latent = latent_event([(int(low), int(high), shift, scale) for low, high, shift, scale in facts["lattices"]])
        return LatentDistribution(codec, self.of.restore(latent, given, part(arrays, "prior"), facts["prior"]))


@torch.no_grad()
def _places(codec: VaeDistribution, batch: Batch, seed: int, number: int) -> np.ndarray:
    """A place of each record drawn from its posterior, as cells int64 [rows, dims]."""
    generator = Generator().manual_seed(seed * 1_000_003 + number)
    points = torch.rand(1, len(batch), codec.latents.dims, generator=generator, dtype=torch.float64)
    context = given_flat(codec.given, batch)
    z, _ = codec.latents.propose(codec.features(batch), context, points.clamp(1e-9, 1 - 1e-9))
    cells: np.ndarray = torch.round(z[0].to(torch.float64) / STEP).to(torch.int64).numpy()
    assert not (cells == ABSENT).any()
    return cells


def scale_of(cells: np.ndarray) -> tuple[int, int, float, float]:
    """Lowest and highest cell, mean and standard deviation of one latent number."""
    return int(cells.min()), int(cells.max()), float(cells.mean()), float(max(cells.std(), 1.0))


def latent_event(grids: list[tuple[int, int, float, float]]) -> Mixed:
    """The latent space as an event: a number for each coordinate."""
    return Mixed(tuple(Span(f"z{j}", Continuous(Lattice(*grid))) for j, grid in enumerate(grids)))


def lattice_of(span: Span) -> Lattice:
    """The lattice of a latent number."""
    assert isinstance(span.event, Continuous)
    return span.event.lattice
