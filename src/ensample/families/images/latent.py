"""A fitted autoencoder of pictures as codec: another family learns its latent space, as in latent diffusion."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Array, Batch, Continuous, Lattice, Mixed
from ensample.families.abilities import Scores
from ensample.families.base import ArrayDistribution, Distribution, Family, Guarantee, at_least, refusal
from ensample.families.compose.latent import STEP, WIDE, latent_event, lattice_of, scale_of
from ensample.families.field.family import Field
from ensample.families.images.vae.family import ImageVae
from ensample.families.images.vae.model import BLOCK, PictureVae
from ensample.families.independent import part
from ensample.families.layout import given_flat
from ensample.families.vae.latents import Gaussian
from ensample.families.vae.model import SETS, sobol
from ensample.kinds.images import Images
from ensample.kinds.records import Records
from ensample.run import Run

FARTHEST = 32.0
"""Places of a map are cut here: no posterior means so much."""


class Space(ABC):
    """Latent numbers z [rows, width] as cells of an event that another family learns, `STEP` apart. Abstract."""

    event: Any

    @abstractmethod
    def cells(self, z: Tensor) -> Tensor:
        """Cells [rows, ...] int64 that hold z."""

    @abstractmethod
    def z(self, cells: Tensor) -> Tensor:
        """Inverse of `cells`, float32."""

    @abstractmethod
    def records(self, cells: Tensor, given: Mixed | None, given_table: np.ndarray | None) -> Records:
        """Cells as records to learn from."""

    @abstractmethod
    def facts(self) -> list[list[float]]:
        """What makes the same space again."""


class RowSpace(Space):
    """A row of numbers, each on its own lattice: for families of tables."""

    def __init__(self, grids: list[list[float]]) -> None:
        self.event = latent_event([(int(low), int(high), shift, scale) for low, high, shift, scale in grids])

    @classmethod
    def of(cls, z: Tensor, shape: tuple[int, ...]) -> RowSpace:
        """The space of places like these."""
        cells = torch.round(z.to(torch.float64) / STEP).to(torch.int64).numpy()
        return cls([list(scale_of(cells[:, j])) for j in range(cells.shape[1])])

    def cells(self, z: Tensor) -> Tensor:
        """See `Space.cells`."""
        return torch.round(z.to(torch.float64) / STEP).to(torch.int64)

    def z(self, cells: Tensor) -> Tensor:
        """See `Space.z`."""
        return (cells * STEP).to(torch.float32)

    def records(self, cells: Tensor, given: Mixed | None, given_table: np.ndarray | None) -> Records:
        """See `Space.records`."""
        return Records(self.event, cells.numpy(), given, given_table)

    def facts(self) -> list[list[float]]:
        """The lattice of each number."""
        return [[g.low, g.high, g.shift, g.scale] for g in map(lattice_of, self.event.spans)]


class MapSpace(Space):
    """A picture of latent numbers [channels, height, width], all on one lattice: for families of pictures."""

    def __init__(self, grids: list[list[float]]) -> None:
        ((middle, *shape),) = grids
        self.middle = int(middle)
        channels, height, width = (int(side) for side in shape)
        lattice = Lattice(0, 2 * self.middle, shift=float(self.middle), scale=float(self.middle))
        self.event = Continuous(lattice, (channels, height, width))

    @classmethod
    def of(cls, z: Tensor, shape: tuple[int, ...]) -> MapSpace:
        """The space of places like these."""
        reach = min(1.05 * float(z.abs().max()), FARTHEST)
        return cls([[max(1, round(reach / STEP)), *shape]])

    def cells(self, z: Tensor) -> Tensor:
        """See `Space.cells`; what lies outside goes to the edge."""
        cells = torch.round(z.to(torch.float64) / STEP).to(torch.int64) + self.middle
        return cells.clamp(0, 2 * self.middle).view(-1, *self.event.shape)

    def z(self, cells: Tensor) -> Tensor:
        """See `Space.z`."""
        return ((cells - self.middle) * STEP).to(torch.float32).flatten(1)

    def records(self, cells: Tensor, given: Mixed | None, given_table: np.ndarray | None) -> Records:
        """See `Space.records`."""
        return Images(self.event, cells.numpy().astype(np.uint16), given, given_table)

    def facts(self) -> list[list[float]]:
        """Half the number of levels, and the shape."""
        return [[self.middle, *self.event.shape]]


SPACES: dict[str, type[RowSpace] | type[MapSpace]] = {"vector": RowSpace, "grid": MapSpace}
"""By the latents of the codec."""


class LatentPictures(ArrayDistribution):
    """p(x) = integral of p_of(z) p(x | z) dz: the decoder of an autoencoder over a prior that was learned after it."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    event: Continuous

    def __init__(self, codec: PictureVae, prior: Distribution, space: Space, points: int) -> None:
        self.codec, self.prior, self.space, self.points = codec, prior, space, points
        self.event, self.given = codec.event, codec.given

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Importance-sampled estimate, nats [rows] float64, always the same for the same picture.

        `log mean_k p(x | z_k) p_of(z_k) / q(z_k)` over quasi-random points of the encoder's posterior and, wherever the
        encoder errs, `WIDE` of the points by p_of itself; q is the mixture of both.
        """
        out = torch.zeros(len(batch), dtype=torch.float64)
        for start in range(0, len(batch), BLOCK):
            here = min(BLOCK, len(batch) - start)
            weights = self._weights(batch.take(torch.arange(start, start + BLOCK).clamp(max=len(batch) - 1)))
            out[start : start + here] = (torch.logsumexp(weights, 0) - math.log(len(weights)))[:here]
        return out

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """A place by the prior, a picture by the decoder."""
        made = self.prior.sample(n, generator, cond)
        return self.codec.drawn(self.space.z(made.cells), generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Those of codec and prior."""
        both = (("codec", self.codec), ("prior", self.prior))
        return {f"{name}.{key}": array for name, own in both for key, array in own.arrays().items()}

    def facts(self) -> dict[str, Any]:
        """Those of codec and prior, and the space between."""
        return {"codec": self.codec.facts(), "prior": self.prior.facts(), "space": self.space.facts()}

    def _weights(self, rows: Batch) -> Tensor:
        """Log p(x | z) p_of(z) / q(z), float64 [points, rows]."""
        latents, context = cast(Gaussian, self.codec.latents), given_flat(self.given, rows)
        features, wide = self.codec.features(rows), max(1, round(self.points * WIDE))
        points = sobol(latents.dims, max(1, (self.points - wide) // SETS), 0)
        near, _ = latents.propose(features, context, points)
        z = torch.cat([near, self._wide(rows, wide)])
        score = self.codec.score(z, rows, context).to(torch.float64)
        log_p, log_q = self._log_density(z, rows.cond), latents.log_posterior(z, features).to(torch.float64)
        share = wide / len(z)
        return score + log_p - torch.logaddexp(log_q + math.log1p(-share), log_p + math.log(share))

    def _wide(self, rows: Batch, count: int) -> Tensor:
        """Places by the prior [count, rows, dims], the same for the same given fields."""
        if rows.cond is None:
            made = self.prior.sample(count, Generator().manual_seed(0)).cells
            return self.space.z(made)[:, None].expand(-1, len(rows), -1)
        each = [rows.cond.take(slice(i, i + 1)).repeat(count) for i in range(len(rows))]
        return torch.stack(
            [self.space.z(self.prior.sample(count, Generator().manual_seed(0), cond).cells) for cond in each], 1
        )

    def _log_density(self, z: Tensor, cond: Batch | None) -> Tensor:
        """Log p_of(z) of z [points, rows, dims], float64 [points, rows], from the cells that hold it."""
        points, rows, dims = z.shape
        cells = self.space.cells(z.flatten(0, 1))
        again = None if cond is None else cond.take(torch.arange(rows).repeat(points))
        batch = Batch(cells, torch.ones_like(cells, dtype=torch.bool), again)
        total = cast(Scores, self.prior).log_prob(batch).to(torch.float64)
        if self.prior.measure == "density":
            total = total + self.prior.event.log_slope(cells, batch.mask)
        return (total - dims * math.log(STEP)).reshape(points, rows)


@dataclass(frozen=True)
class ImageLatent:
    """p(x) = integral of p_of(z) p(x | z) dz over pictures: an autoencoder first, then any family over its places.

    With a vector field over the places that is latent diffusion (Rombach et al. 2022): the autoencoder spares the field
    the pixels, which it draws at once. Places of a "vector" are learned by a family of tables (`Field`), those of a
    "grid" by one of pictures (`ImageField`). Given fields condition both.

    Use it for large pictures on small budgets, and for sharper samples than the autoencoder's own prior makes. What
    the autoencoder blurs stays blurred.

    Arguments:
        codec: the autoencoder, of latents "vector" or "grid"; a small `beta` keeps what a picture shows.
        of: the family that learns the latent space, which needs a likelihood.
        points: of an estimate of log p.

    Example:
        >>> ImageLatent(codec=ImageVae(dims=2)).of.name
        'field'
    """

    codec: ImageVae = ImageVae(dims=32, beta=0.5)  # noqa: RUF009
    of: Family = Field()  # noqa: RUF009
    points: int = 64

    name: ClassVar[str] = "image-latent"
    distribution: ClassVar[type[Distribution]] = LatentPictures

    def __post_init__(self) -> None:
        at_least(self, points=16)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this composite learns pictures; `latent` learns tables"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """What its codec or its family refuses; latents that have a prior of their own."""
        if self.codec.latents not in SPACES:
            return f"its codec must have latents {' or '.join(SPACES)}"
        if (reason := self.codec.refuses_arrays(event, given)) is not None:
            return reason
        if not issubclass(self.of.distribution, Scores):
            return f"{self.of.name} has no likelihood, which the latent space needs"
        space = SPACES[self.codec.latents].of(torch.ones(2, 4), (1, 2, 2))
        return refusal(self.of, space.event, given)

    def fit(self, records: Records, seed: int, run: Run) -> LatentPictures:
        """The codec with half of the time, then the family over a place of each picture drawn from its posterior."""
        codec = run.part("codec", 0.5).learn(self.codec, records, seed)
        z = torch.cat([_drawn(codec, batch, seed, i) for i, batch in enumerate(records.batches(1_024))])
        space = SPACES[self.codec.latents].of(z, getattr(codec.decoder, "grid", ()))
        latent = space.records(space.cells(z), records.given, records.given_table)
        return LatentPictures(codec, run.part("prior", 1.0).learn(self.of, latent, seed), space, self.points)

    def restore(
        self, event: Continuous, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> LatentPictures:
        """Inverse of `LatentPictures.arrays` and `facts`."""
        codec = self.codec.restore(event, given, part(arrays, "codec"), facts["codec"])
        space = SPACES[self.codec.latents](facts["space"])
        prior = self.of.restore(space.event, given, part(arrays, "prior"), facts["prior"])
        return LatentPictures(codec, prior, space, self.points)


@torch.no_grad()
def _drawn(codec: PictureVae, batch: Batch, seed: int, number: int) -> Tensor:
    """A place of each picture drawn from its posterior [rows, dims]."""
    generator = Generator().manual_seed(seed * 1_000_003 + number)
    points = torch.rand(1, len(batch), codec.latents.dims, generator=generator, dtype=torch.float64)
    z, _ = codec.latents.propose(codec.features(batch), given_flat(codec.given, batch), points.clamp(1e-9, 1 - 1e-9))
    return z[0]
