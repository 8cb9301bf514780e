"""Precision, recall, density and coverage of made pictures, in a space of features."""

from __future__ import annotations

import numpy as np

from ensample.judge.manifold import compared, measure, radii
from ensample.judge.measure import Measure

NEAR, WIDE = 3, 5
"""Neighbours for precision and recall (Kynkäänniemi et al., 2019), for density and coverage (Naeem et al., 2020)."""


def precision_recall(made: np.ndarray, real: np.ndarray, neighbours: int = NEAR) -> tuple[np.ndarray, np.ndarray]:
    """Which made rows lie in a real row's ball [m], and which real rows lie in a made row's ball [n].

    A row's ball reaches to its k-th nearest neighbour on its own side.

    Example:
        >>> real = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> precision, recall = precision_recall(np.array([[0.5], [0.6], [9.0]]), real, 1)
        >>> precision.tolist(), recall.tolist()
        ([True, True, False], [False, True, True, True])
    """
    real, made = np.asarray(real, np.float64), np.asarray(made, np.float64)
    inside, reached, _ = compared(real, made, radii(real, neighbours), radii(made, neighbours))
    return inside > 0, reached


def density_coverage(made: np.ndarray, real: np.ndarray, neighbours: int = WIDE) -> tuple[np.ndarray, np.ndarray]:
    """Real balls that each made row lies in, divided by k, [m], and whether each real ball holds a made row, [n]."""
    real, made = np.asarray(real, np.float64), np.asarray(made, np.float64)
    inside, _, covered = compared(real, made, radii(real, neighbours), np.zeros(len(made)))
    return inside / neighbours, covered


def neighbourhoods(made: np.ndarray, real: np.ndarray, seed: int) -> tuple[Measure, ...]:
    """All four over equal numbers of made and held-out pictures; features [rows, d]."""
    precision, recall = precision_recall(made, real)
    density, coverage = density_coverage(made, real)
    return (
        measure("precision", precision, "of made pictures lie where real ones lie", seed + 1, NEAR),
        measure("recall", recall, "of real pictures lie where made ones lie", seed, NEAR),
        measure(
            "density", density, "is how densely made pictures lie among real ones (1: as real ones)", seed + 1, WIDE
        ),
        measure("coverage", coverage, "of real pictures have a made one among their nearest", seed, WIDE),
    )
