"""What the digits of a column look at: its inputs, the bin being decided, and its boundary minus each location."""

from __future__ import annotations

import numpy as np

from ensample.families.boosted.adaptive import Adaptive
from ensample.families.boosted.digits import Level
from ensample.families.location import Location

NEAR = 6.0
"""Typical residuals within which the boundary minus a location is looked at closely."""


class Features:
    """Features of some rows `x` [rows, inputs] float64, NaN for absent, of a column with bins between `edges`.

    Boosting sorts a feature into 255 bins of equal frequency, too coarse for the few rows that lie near a boundary.
    A copy that is cut off at `NEAR` typical residuals resolves them. A `strict` location is absent where one of its
    inputs is.
    """

    def __init__(
        self, x: np.ndarray, edges: np.ndarray, locations: tuple[Location | Adaptive, ...], strict: bool
    ) -> None:
        self.x = x.astype(np.float32)
        self.around = [(*_around(location, x, strict), location.warp(edges)) for location in locations]

    def of(self, level: Level, rows: np.ndarray) -> np.ndarray:
        """[rows, features] float32 of one level."""
        width = self.x.shape[1]
        out = np.empty((len(rows), width + 1 + 2 * len(self.around)), dtype=np.float32)
        middle = level.middle[rows]
        out[:, :width] = self.x[rows]
        out[:, width] = middle
        for i, (center, spread, edges) in enumerate(self.around):
            away = edges[middle] - center[rows]
            out[:, width + 1 + 2 * i] = away
            out[:, width + 2 + 2 * i] = (away / spread[rows]).clip(-NEAR, NEAR)
        return out

    def ends(self, level: Level, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ends and middle of a level's runs in typical residuals from the first location; outer ends infinite."""
        center, spread, edges = self.around[0]
        edges = np.concatenate([[-np.inf], edges[1:-1], [np.inf]])
        center, spread = center[rows], spread[rows]
        low, middle, high = ((edges[end[rows]] - center) / spread for end in (level.low, level.middle, level.high))
        return low, middle, high


def _around(location: Location | Adaptive, x: np.ndarray, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    center, spread = location.around(x)
    if strict and isinstance(location, Location):
        center[np.isnan(x[:, location.needs]).any(1)] = np.nan
    return center, spread
