"""Kernel distance between two sets of features (Binkowski et al., 2018)."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Chooses(Protocol):
    """What draws subsets: numpy's generators."""

    def choice(self, a: int, size: int, replace: bool) -> np.ndarray:
        """`size` of the numbers 0 .. a - 1."""
        ...


def kernel_distances(
    made: np.ndarray, real: np.ndarray, subsets: int, size: int, made_rng: Chooses, real_rng: Chooses
) -> np.ndarray:
    """Unbiased estimates of the squared maximum mean discrepancy, one a pair of subsets, float64 [subsets].

    The kernel is `(x'y / d + 1)^3`. Their mean is the kernel distance; it is 0 on average for equal distributions,
    whatever the size, and may be negative.

    Arguments:
        made: features [rows, d].
        real: the same of real pictures.
        subsets: how many pairs of subsets.
        size: rows of each.
        made_rng: draws the subsets of `made`; `np.random.default_rng(seed)` or alike.
        real_rng: draws those of `real`; it may be the same object, which then does both in turn.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(400, 2))
        >>> rng = np.random.default_rng(1)
        >>> bool(abs(kernel_distances(x[:200], x[200:], 20, 100, rng, rng).mean()) < 0.2)
        True
    """
    out = np.empty(subsets)
    for k in range(subsets):
        x = np.asarray(made[made_rng.choice(len(made), size, replace=False)], np.float64)
        y = np.asarray(real[real_rng.choice(len(real), size, replace=False)], np.float64)
        within = sum(cubic(z, z).sum() - (((z * z).mean(1) + 1) ** 3).sum() for z in (x, y))
        out[k] = within / (size * (size - 1)) - 2 * cubic(x, y).mean()
    return out


def cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The kernel of all pairs, [rows of x, rows of y]."""
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)
