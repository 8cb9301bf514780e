"""Pictures as tiles side by side, and a distribution that makes each tile on its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.errors import CapabilityError
from ensample.events import Array, Batch, Continuous, Limit, coordinates, unknown
from ensample.families.base import ArrayDistribution, Guarantee
from ensample.families.images.patches.restoration import restored
from ensample.families.mixture.components import Components
from ensample.families.mixture.model import MixtureDistribution
from ensample.families.quadrature import POINTS, lattice_rule

AT_ONCE = 2**23
"""Most numbers of overlapping patches that are restored at once."""


class Tiles:
    """How pictures are cut into tiles of `height` by `width` pixels; those beyond the edges have unknown pixels.

    Example:
        >>> tiles = Tiles((1, 3, 4), 2, 2)
        >>> tiles.count, tiles.cut(torch.arange(12).view(1, 1, 3, 4))[1].tolist()
        (4, [2, 3, 6, 7])
    """

    def __init__(self, shape: Sequence[int], height: int, width: int) -> None:
        self.shape, self.height, self.width = tuple(shape), height, width
        self.down, self.across = -(-self.shape[1] // height), -(-self.shape[2] // width)
        self.count = self.down * self.across

    def cut(self, pictures: Tensor) -> Tensor:
        """Pictures [rows, channels, height, width] -> tiles [rows * tiles, pixels]; 0 beyond the edges."""
        below, beside = self.down * self.height - self.shape[1], self.across * self.width - self.shape[2]
        x = F.pad(pictures, (0, beside, 0, below))
        x = x.reshape(len(x), self.shape[0], self.down, self.height, self.across, self.width)
        return x.permute(0, 2, 4, 1, 3, 5).reshape(len(x) * self.count, -1)

    def join(self, tiles: Tensor) -> Tensor:
        """Inverse of `cut`."""
        x = tiles.reshape(-1, self.down, self.across, self.shape[0], self.height, self.width).permute(0, 3, 1, 4, 2, 5)
        return x.reshape(len(x), self.shape[0], self.down * self.height, -1)[:, :, : self.shape[1], : self.shape[2]]

    def batch(self, batch: Batch) -> Batch:
        """A batch of pictures as a batch of tiles, each with what is given for its picture."""
        cond = None if batch.cond is None else batch.cond.repeat(self.count)
        return Batch(self.cut(batch.cells), self.cut(batch.mask), cond)


class TiledPictures(ArrayDistribution):
    """p(picture) = product over its tiles of p(tile), of a mixture over patches; tiles beyond an edge are integrated.

    Exactly one tile is a density of the whole picture. Of larger ones it is an honest but poor likelihood, since it
    knows nothing across the edges of tiles; `denoise` and `fill` look at all patches that overlap.
    """

    measure: ClassVar[Any] = "cells"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate", "draw": "estimate"}

    def __init__(self, event: Array, size: tuple[int, int], patch: MixtureDistribution) -> None:
        self.event, self.given, self.patch = event, patch.given, patch
        self.tiles = Tiles(event.shape, *size)

    def log_prob(self, batch: Batch) -> Tensor:
        """Nats of the cells [rows] float64: densities of tiles, integrated over their cells by a lattice rule."""
        each = cell_nats(self.patch, self.tiles.batch(batch))
        return each.view(len(batch), self.tiles.count).sum(1)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N pictures of tiles that know nothing of each other; with `cond` one for each of its rows."""
        return self.draw(unknown(n, self.event, cond), generator)[0]

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """Fill unknown pixels of each tile given its known ones; see `Draws.draw`."""
        tiles = self.tiles.batch(batch)
        cells = self.tiles.join(self.patch.draw(tiles, generator)[0].cells)
        cells = torch.where(batch.mask, batch.cells, cells.clamp(0, self._most))
        done = replace(batch, cells=cells, mask=torch.ones_like(batch.mask))
        return done, torch.zeros(len(batch), dtype=torch.float64)

    def denoise(self, noisy: Tensor, deviation: float) -> Tensor:
        """Most probable pictures behind noisy ones, by expected patch log-likelihood; see `restored`.

        Arguments:
            noisy: [rows, channels, height, width] in levels, real numbers.
            deviation: standard deviation of the noise, in levels.

        Returns:
            Levels as real numbers, float64, of the same shape.
        """
        return self._restored(noisy, torch.ones(noisy.shape, dtype=torch.bool), deviation)

    def fill(self, batch: Batch) -> Tensor:
        """Probable levels of unknown pixels, as real numbers float64, from all patches that overlap them."""
        return self._restored(batch.cells.to(torch.float64), batch.mask, 0.0)

    def arrays(self) -> dict[str, Tensor]:
        """Those of the mixture."""
        return self.patch.arrays()

    def facts(self) -> dict[str, Any]:
        """Those of the mixture."""
        return self.patch.facts()

    @property
    def _most(self) -> int:
        return self.event.lattice.high if isinstance(self.event, Continuous) else self.event.classes - 1

    def _restored(self, levels: Tensor, known: Tensor, deviation: float) -> Tensor:
        own = gaussians(self.patch)
        if not isinstance(self.event, Continuous) or own.means.shape[1] != len(self.patch.event):
            raise CapabilityError(
                "Restoring by patches works on grey levels.", "image-patches", "two levels", "use `draw` to fill holes"
            )
        lattice = self.event.lattice
        numbers = lattice.encode(levels)
        size = (self.tiles.height, self.tiles.width)
        rows = max(1, AT_ONCE // (coordinates(self.event) * own.means.shape[1]))
        parts = [
            restored(own, x, there, deviation / lattice.scale, size)
            for x, there in zip(torch.split(numbers, rows), torch.split(known, rows), strict=True)
        ]
        return lattice.position(torch.cat(parts))


def gaussians(patch: MixtureDistribution) -> Components:
    """The Gaussians of a patch's numbers alone, whatever is given beside it."""
    own = patch.components
    start = sum(column < patch.layout.start for column in patch.layout.numbers)
    return Components(own.log_weights, own.means[:, start:], own.covariances[:, start:, start:], {}, {})


def cell_nats(patch: MixtureDistribution, batch: Batch) -> Tensor:
    """Log-probability of the known cells of each row, nats [rows] float64; densities are integrated by a rule."""
    if patch.measure == "cells":
        return patch.log_prob(batch)
    terms = []
    for shift in lattice_rule(POINTS, len(patch.event)):
        density = patch.log_prob(replace(batch, offset=shift))
        terms.append(density + patch.event.log_slope(batch.cells, batch.mask, shift))
    return torch.stack(terms).logsumexp(0) - math.log(POINTS)
