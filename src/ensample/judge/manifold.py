"""Precision, recall, density and coverage on manifolds of nearest neighbours."""

from __future__ import annotations

import numpy as np

from ensample.judge.measure import Measure, mean_draws, spread
from ensample.judge.neighbours import CHUNK, space, squared
from ensample.judge.reference import Made, Reference

NEIGHBOURS = 5
WIDER = 1.6
"""Rows share neighbours, which a bootstrap does not see: simulated deviations are 1.3 to 1.6 times its own."""


def manifold(reference: Reference, made: Made) -> tuple[Measure, ...]:
    """Precision, recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al., 2020), k = 5.

    Equal numbers of real held-out and made rows, in the space of `neighbours.Space`. Intervals by bootstrap of the rows
    that each number is a mean over, widened because rows share neighbours.
    """
    count = min(reference.sizes.neighbours, len(reference.test), len(made.frame))
    real = reference.once(real_points, count)
    fake = reference.once(space).points(made.frame.sample(count, reference.seed + 1))
    ball, other = reference.once(real_radii, count), radii(fake)
    inside, reached, covered = np.zeros(count), np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for start in range(0, count, CHUNK):
        rows = slice(start, start + CHUNK)
        apart = squared(real[rows], fake)
        within = apart <= ball[rows, None]
        inside += within.sum(0)
        covered[rows] = within.any(1)
        reached[rows] = (apart <= other).any(1)
    rows_of = {
        "precision": (inside > 0, "of made rows lie where real rows lie"),
        "recall": (reached, "of real rows lie where made rows lie"),
        "density": (inside / NEIGHBOURS, "is how densely made rows lie among real rows, 1 is as real rows do"),
        "coverage": (covered, "of real rows have a made row among their nearest"),
    }
    return tuple(_measure(reference, name, each, words) for name, (each, words) in rows_of.items())


def _measure(reference: Reference, name: str, each: np.ndarray, words: str) -> Measure:
    each = each.astype(np.float64)
    value, draws = float(each.mean()), mean_draws(each, reference.seed)
    draws = value + WIDER * (draws - draws.mean())
    low, high = spread(value, draws, (0.0, np.inf if name == "density" else 1.0))
    shown = f"{value:.2f}" if name == "density" else f"{value:.1%}"
    how = f"bootstrap of {len(each):,} rows, {NEIGHBOURS} neighbours, widened {WIDER} times"
    better = "nearer" if name == "density" else "higher"
    return Measure(name, value, low, high, better, 1.0, f"{shown} {words}", how, draws=draws)  # type: ignore[arg-type]


def radii(points: np.ndarray) -> np.ndarray:
    """Squared distance of each row to its fifth nearest other row, [rows]."""
    out = np.empty(len(points))
    last = min(NEIGHBOURS, len(points) - 1)
    for start in range(0, len(points), CHUNK):
        apart = squared(points[start : start + CHUNK], points)
        out[start : start + CHUNK] = np.partition(apart, last, axis=1)[:, last]
    return out


def real_points(reference: Reference, count: int) -> np.ndarray:
    """Points of `count` held-out rows."""
    return reference.once(space).points(reference.test.sample(count, reference.seed))


def real_radii(reference: Reference, count: int) -> np.ndarray:
    """Their radii."""
    return radii(reference.once(real_points, count))
