"""Mixtures of Gaussians over patches: options and learning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from ensample.events import Array, Continuous, Mixed
from ensample.families.base import Distribution, at_least
from ensample.families.compose.flat import flattened
from ensample.families.images.patches.tiles import TiledPictures
from ensample.families.mixture.family import Mixture
from ensample.families.mixture.model import MixtureDistribution
from ensample.kinds.records import Records
from ensample.run import Run

PATCH_STREAM = 0x9A
"""Keeps the choice of patches apart from others made with the same seed."""
MOST_COLUMNS = 256
"""Pixels times channels of a patch, at most: a covariance has a number for each pair of them."""


@dataclass(frozen=True)
class ImagePatches:
    """p(patch) = sum_k weight_k N(patch; mean_k, covariance_k) with full covariances (Zoran and Weiss 2011).

    Learned from patches at random places of the pictures by EM. Pictures of the size of a patch have that density.
    Larger ones are taken as tiles that know nothing of each other; what they are good for is restoring: `denoise` and
    `fill` of the fitted distribution weigh every overlapping patch (expected patch log-likelihood).

    Use it to take noise from photographs or fill small holes with little training, as a strong density of small
    patches, and as a floor for larger pictures. Do not use it to make larger pictures: their tiles do not fit.

    Arguments:
        size: side of a patch in pixels; no longer than the sides of the pictures.
        components: of the mixture.
        patches: how many are learned from, at most.

    Example:
        >>> ImagePatches(size=4, components=8).patches
        60000
    """

    size: int = 8
    components: int = 48
    patches: int = 60_000

    name: ClassVar[str] = "image-patches"
    distribution: ClassVar[type[Distribution]] = TiledPictures

    def __post_init__(self) -> None:
        at_least(self, size=1, components=1, patches=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "patches are parts of pictures; `mixture` learns tables"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Refuses arrays that are no pictures of levels, and patches of too many numbers."""
        if not isinstance(event, Continuous) or len(event.shape) != 3:
            return "patches are of pictures of levels, and these are arrays of classes"
        height, width = self._sides(event)
        columns = event.shape[0] * height * width
        if columns > MOST_COLUMNS:
            return f"a patch of {columns} numbers is too wide for covariances; choose a smaller `size`"
        return self._mixture().refuses(flattened(self._patch(event)), given)

    def fit(self, records: Records, seed: int, run: Run) -> TiledPictures:
        """Learn the mixture from patches with the whole budget."""
        event: Array = records.event  # type: ignore[assignment]  # `refuses_arrays` let arrays through alone
        table, rows = self._cut(records, event, seed)
        given = None if records.given_table is None else records.given_table[rows]
        patches = Records(flattened(self._patch(event)), table, records.given, given)
        learned: MixtureDistribution = run.part("patch", 1.0).learn(self._mixture(), patches, seed)
        return TiledPictures(event, self._sides(event), learned)

    def restore(
        self, event: Array, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> TiledPictures:
        """Inverse of `TiledPictures.arrays`."""
        own = self._mixture().restore(flattened(self._patch(event)), given, arrays, facts)
        return TiledPictures(event, self._sides(event), own)

    def _mixture(self) -> Mixture:
        return Mixture(components=self.components)

    def _sides(self, event: Array) -> tuple[int, int]:
        return min(self.size, event.shape[1]), min(self.size, event.shape[2])

    def _patch(self, event: Array) -> Array:
        return type(event)(_scale(event), (event.shape[0], *self._sides(event)))

    def _cut(self, records: Records, event: Array, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Patches [patches, pixels] int64 at random places, and the row of each; every picture itself if they fit."""
        channels, height, width = event.shape
        down, across = self._sides(event)
        rng = np.random.default_rng((seed, PATCH_STREAM))
        if (down, across) == (height, width):
            rows = np.sort(rng.permutation(len(records))[: self.patches])
            return records.table[rows].reshape(len(rows), -1).astype(np.int64), rows
        rows = np.sort(rng.integers(0, len(records), self.patches))
        top, left = rng.integers(0, height - down + 1, len(rows)), rng.integers(0, width - across + 1, len(rows))
        i = (top[:, None] + np.arange(down))[:, None, :, None]
        j = (left[:, None] + np.arange(across))[:, None, None, :]
        cut = records.table[rows[:, None, None, None], np.arange(channels)[None, :, None, None], i, j]
        return cut.reshape(len(rows), -1).astype(np.int64), rows


def _scale(event: Array) -> Any:
    return event.lattice if isinstance(event, Continuous) else event.classes
