"""Warps: monotone maps from cell positions to real numbers in which a spiky column is smooth.

Prices end in 99, carats at round tenths: the counts of neighbouring cells differ by factors that no Gaussian follows.
A warp keeps the coarse course of a lattice and stretches, inside windows of it, every cell by its share of the rows.
A smooth density of the warped number is then a density with all these spikes, and a change of variables is always
normalised: the probability of a cell is the integral over its stretched width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ensample.events import Lattice

MOST_WINDOWS = 4096
"""More windows than this are not laid over a column: a far outlier must not cost memory."""


@dataclass(frozen=True)
class Warp:
    """`x = phi(position)`: piecewise linear between `knots`, the lattice itself beyond both ends.

    `knots` and `images` [knots] float64 ascend; at both ends `images = lattice.encode(knots)`. Without knots the warp
    is the lattice.

    Example:
        >>> cells = np.repeat([0, 1, 2, 3, 4], [1, 1, 96, 1, 1])
        >>> warp = Warp.fit(Lattice(0, 4), cells, window=10.0)
        >>> warp.encode(torch.tensor([-0.5, 1.5, 2.5, 4.5])).round(decimals=1).tolist()
        [-0.5, -0.4, 4.4, 4.5]
        >>> warp.position(torch.tensor([2.0])).round().tolist()
        [2.0]
    """

    lattice: Lattice
    knots: Tensor
    images: Tensor

    @classmethod
    def fit(cls, lattice: Lattice, cells: np.ndarray, window: float) -> Warp:
        """From the known cells of a training column; `window` is in units of the lattice's x, 0 for no stretching.

        In each window a repeated cell keeps what it was met beyond once, and the rest is even (absolute discounting:
        Ney, Essen and Kneser 1994), so that a value met once is not stored.
        """
        empty = torch.zeros(0, dtype=torch.float64)
        if window <= 0.0 or len(cells) == 0:
            return cls(lattice, empty, empty)
        values, counts = np.unique(cells, return_counts=True)
        edges = _windows(lattice, int(values[0]), int(values[-1]), window)
        place = np.searchsorted(edges, values, side="right") - 1
        total = np.bincount(place, counts, len(edges) - 1)
        extra = counts - 1.0
        even = 1.0 - np.bincount(place, extra, len(edges) - 1) / (total + 1.0)
        repeated = counts > 1
        spikes = values[repeated]
        knots = np.unique(np.concatenate([edges, spikes - 0.5, spikes + 0.5]))
        middle = (knots[1:] + knots[:-1]) / 2
        inside = np.searchsorted(edges, middle, side="right") - 1
        mass = even[inside] * np.diff(knots) / np.diff(edges)[inside]
        mass[np.searchsorted(knots, spikes - 0.5)] += extra[repeated] / (total[place[repeated]] + 1.0)
        images = lattice.encode(torch.from_numpy(edges)).numpy()
        share = mass / np.bincount(inside, mass)[inside]
        steps = share * np.diff(images)[inside]
        before = np.cumsum(steps) - np.cumsum(np.bincount(inside, steps))[inside] + np.diff(images)[inside]
        after = images[inside] + before  # within its window, so that rounding does not add up over all of them
        return cls(lattice, torch.from_numpy(knots), torch.from_numpy(np.concatenate([images[:1], after])))

    def encode(self, position: Tensor) -> Tensor:
        """Warped number of a cell position, float64; `k` is the middle of cell k."""
        position = position.to(torch.float64)
        return self._moved(position, self.lattice.encode(position), self.knots, self.images, position)

    def position(self, x: Tensor) -> Tensor:
        """Inverse of `encode`, float64."""
        return self._moved(x, self.lattice.position(x), self.images, self.knots, x)

    def log_width(self, cells: Tensor) -> Tensor:
        """Logarithm of the warped width of each cell, float64."""
        middle = self.encode(cells)
        half = torch.maximum(self.encode(cells + 0.5) - middle, middle - self.encode(cells - 0.5))
        width = self.encode(cells + 0.5) - self.encode(cells - 0.5)
        return torch.log(torch.where(width > 0, width, half).clamp(min=1e-300))

    def _moved(self, at: Tensor, beyond: Tensor, source: Tensor, target: Tensor, x: Tensor) -> Tensor:
        if not len(source):
            return beyond
        right = torch.searchsorted(source, at.contiguous()).clamp(1, len(source) - 1)
        low, high = source[right - 1], source[right]
        share = (at - low) / (high - low).clamp(min=1e-300)
        inner = target[right - 1] + share * (target[right] - target[right - 1])
        return torch.where((x > source[0]) & (x < source[-1]), inner, beyond)

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        own = self.lattice
        facts = [own.low, own.high, own.shift, own.scale, own.center, own.knee, own.zero]
        return {"knots": self.knots, "images": self.images, "lattice": torch.tensor(facts, dtype=torch.float64)}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Warp:
        """Inverse of `arrays`."""
        low, high, *rest = arrays["lattice"].tolist()
        return cls(Lattice(int(low), int(high), *rest), arrays["knots"], arrays["images"])


def logarithmic(lattice: Lattice, cells: np.ndarray) -> Lattice:
    """The lattice of a logarithm where nearly all values are above zero, else the one there is.

    In logarithms products and ratios are sums: a volume, a price per unit, a percentage are linear relations.
    """
    above = cells[cells > lattice.zero]
    if len(cells) == 0 or len(above) < 0.99 * len(cells):
        return lattice
    knee = max(1.0, float(np.quantile(above - lattice.zero, 0.001)) / 4.0)
    bare = Lattice(0, 0, center=lattice.zero, knee=knee)
    low, middle, high = np.quantile(bare.encode(torch.from_numpy(cells)).numpy(), [0.05, 0.5, 0.95])
    scale = float(high - low) / 3.3
    if scale <= 0.0:
        return lattice
    return Lattice(lattice.low, lattice.high, float(middle), scale, lattice.zero, knee, lattice.zero)


def _windows(lattice: Lattice, low: int, high: int, window: float) -> np.ndarray:
    """Edges between windows, positions between two cells each, ascending."""
    ends = lattice.encode(torch.tensor([low - 0.5, high + 0.5]))
    count = min(MOST_WINDOWS, max(1, math.floor(float(ends[1] - ends[0]) / window)))
    places = lattice.position(torch.linspace(float(ends[0]), float(ends[1]), count + 1, dtype=torch.float64))
    edges = np.unique(np.ceil(places.numpy()[1:-1]) - 0.5)
    return np.concatenate([[low - 0.5], edges[(edges > low - 0.5) & (edges < high + 0.5)], [high + 0.5]])
