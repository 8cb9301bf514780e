"""A bump on a grid: one shape, moved and stretched by each row, reweighted so that its margin is the column's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

REACH, STEPS = 12.0, 384
"""The shape is a histogram of standardised residuals from -REACH to REACH in STEPS steps."""
PRIOR_ROWS = 5.0
"""A leaf's centre and scale are averaged with those of the whole column, which count as this many rows."""
CHUNK = 2048
"""Rows whose tables are made at once: they should fit in the cache."""


@dataclass(frozen=True)
class Bump:
    """p(bin | centre, scale) in proportion to popularity(bin) * mass of the shape between the bin's edges.

    `edges` [bins + 1] float64 ascend in the scale of the residuals, `cumulative` [STEPS + 1] float64 is the shape's
    distribution function, `popularity` [bins] float64 holds what a smooth bump cannot: favourite values and bounds.
    """

    edges: Tensor
    cumulative: Tensor
    popularity: Tensor

    @classmethod
    def fit(cls, residual: np.ndarray, edges: np.ndarray) -> Bump:
        """The shape of standardised residuals [rows], with every bin equally popular."""
        inside = np.clip(residual, -REACH * (1 - 1e-9), REACH * (1 - 1e-9))
        counts = np.histogram(inside, STEPS, (-REACH, REACH))[0].astype(np.float64)
        kernel = np.exp(-0.5 * (np.arange(-8, 9) / 2.0) ** 2)
        smooth = np.convolve(counts, kernel / kernel.sum(), "same") + (1e-3 * len(residual) + 1.0) / STEPS
        cumulative = np.r_[0.0, np.cumsum(smooth) / smooth.sum()]
        bins = len(edges) - 1
        return cls(torch.from_numpy(edges), torch.from_numpy(cumulative), torch.ones(bins, dtype=torch.float64))

    def matched(self, center: Tensor, scale: Tensor, margin: Tensor, rounds: int = 2) -> Bump:
        """The same bump with popularity such that the mean over these rows is nearly `margin` [bins].

        One dimension of iterative proportional fitting (Deming and Stephan, 1940).
        """
        bump = self
        for _ in range(rounds):
            mean = bump.table(center, scale).mean(0)
            popularity = bump.popularity * margin / (mean + 1e-6 / len(margin))
            bump = Bump(self.edges, self.cumulative, popularity / popularity.max())
        return bump

    def table(self, center: Tensor, scale: Tensor) -> Tensor:
        """Probabilities [rows, bins] float64, for centres and scales [rows] float64."""
        out = torch.empty(len(center), len(self.popularity), dtype=torch.float64)
        for start in range(0, len(center), CHUNK):
            part = slice(start, start + CHUNK)
            self._fill(out[part], center[part, None], scale[part, None])
        return out

    def _fill(self, out: Tensor, center: Tensor, scale: Tensor) -> None:
        place = (self.edges - center).div_(scale * (2 * REACH / STEPS)).add_(STEPS / 2).clamp_(0, STEPS * (1 - 1e-12))
        step = place.to(torch.int32)
        place -= step
        slope = self.cumulative.diff()
        at = self.cumulative[step].addcmul_(place, slope[step])
        torch.sub(at[:, 1:], at[:, :-1], out=out)
        out.add_(1e-6 / len(self.popularity)).mul_(self.popularity)
        out.div_(out.sum(1, keepdim=True))

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        return {"edges": self.edges, "cumulative": self.cumulative, "popularity": self.popularity}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Bump:
        """Inverse of `arrays`."""
        return cls(arrays["edges"], arrays["cumulative"], arrays["popularity"])


def leaf_moments(leaf: np.ndarray, nodes: int, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre and scale of the residuals in each leaf, and each row's residual standardised without its own help.

    Arguments:
        leaf: [rows] int64, the node that holds each row.
        nodes: number of nodes.
        residual: [rows] float64.

    Returns (centre [nodes], scale [nodes], standardised [rows]). Residuals are clipped at six typical sizes and leaves
    shrunk toward the column; leaving a row out of its own leaf's moments keeps the shape honest.
    """
    typical = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    bound = 6.0 * typical or 3.0 * float(residual.std()) or 1e-9
    clipped = np.clip(residual, -bound, bound)
    counts = np.bincount(leaf, minlength=nodes).astype(np.float64)
    center, own_center = _shrunk(leaf, counts, clipped)
    scale, own_scale = _shrunk(leaf, counts, np.abs(clipped - own_center))
    floor = 1e-3 * max(typical, 1e-9)
    return center, np.maximum(scale, floor), (residual - own_center) / np.maximum(own_scale, floor)


def _shrunk(leaf: np.ndarray, counts: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean [nodes] of each leaf with the prior, and [rows] the same without the row itself."""
    prior = PRIOR_ROWS * float(values.mean())
    sums = np.bincount(leaf, weights=values, minlength=len(counts))
    every = (sums + prior) / (counts + PRIOR_ROWS)
    return every, (sums[leaf] - values + prior) / (counts[leaf] - 1 + PRIOR_ROWS)
