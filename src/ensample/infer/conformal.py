"""Bands that are made wide enough for what they missed before: split conformal calibration of drawn paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

LEVELS = (0.5, 0.9)
"""Masses of the central bands whose widths are learned; between them a factor is interpolated."""

FEWEST = 20
"""Values that must have come before a width is learned."""


@dataclass(frozen=True)
class Widths:
    """By what the distance of a path from the median is multiplied, at each of `LEVELS`.

    Of a band of level l around the median m with the end e on the side of what came, y, the score is |y - m| / |e - m|.
    The factor is the l-quantile of the scores of n values: the smallest of rank at least (n + 1) l, so that widened
    bands hold a share l of what comes next, were it exchangeable with these values (Papadopoulos et al. 2002). Series
    are so at best nearly (Xu and Xie 2021). Medians, and the order of the paths, stay.

    Arguments:
        factors: of each level.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> came, paths = 2 * rng.normal(size=(500, 1)), rng.normal(size=(500, 99, 1))
        >>> [round(factor) for factor in Widths.learned(paths, came).factors]
        [2, 2]
    """

    factors: tuple[float, ...]

    @classmethod
    def learned(cls, paths: np.ndarray, came: np.ndarray) -> Self:
        """From paths [series, draws, steps] and what came [series, steps]; NaN is not known.

        A level is left as it is where fewer than `FEWEST` values have come, or nearly no band has a width.
        """
        middle, found = np.median(paths, 1), []
        for level in LEVELS:
            low, high = np.quantile(paths, ((1 - level) / 2, (1 + level) / 2), axis=1)
            width = np.where(came >= middle, high - middle, middle - low)
            there = ~np.isnan(came) & (width > 0)
            scores = np.sort(np.abs(came - middle)[there] / width[there])
            rank = int(np.ceil((len(scores) + 1) * level))
            found.append(float(scores[rank - 1]) if len(scores) >= FEWEST else 1.0)
        return cls(tuple(found))

    def of(self, paths: np.ndarray) -> np.ndarray:
        """Paths [series, draws, steps] at their new distance from the median; missing values stay."""
        draws = paths.shape[1]
        middle = np.nanmedian(paths, 1, keepdims=True)
        order = np.argsort(np.argsort(paths, 1), 1)
        level = np.abs(2 * (order + 0.5) / draws - 1)
        return np.asarray(middle + np.interp(level, LEVELS, self.factors) * (paths - middle))
