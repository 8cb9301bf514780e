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
    inside, reached, covered = compared(real, fake, reference.once(real_radii, count), radii(fake))
    rows_of = {
        "precision": (inside > 0, "of made rows lie where real rows lie"),
        "recall": (reached, "of real rows lie where made rows lie"),
        "density": (inside / NEIGHBOURS, "is how densely made rows lie among real rows, 1 is as real rows do"),
        "coverage": (covered, "of real rows have a made row among their nearest"),
    }
    return tuple(_measure(reference, name, each, words) for name, (each, words) in rows_of.items())


def compared(
    real: np.ndarray, fake: np.ndarray, real_ball: np.ndarray, fake_ball: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which points lie in whose balls.

    Arguments:
        real: points [n, d].
        fake: points [m, d].
        real_ball: squared radii of the real points' balls, [n].
        fake_ball: squared radii of the fake points' balls, [m].

    Returns:
        In how many real balls each fake point lies [m]; whether each real point lies in a fake ball [n], and whether a
        fake point lies in its own [n].
    """
    inside, reached, covered = np.zeros(len(fake)), np.zeros(len(real), bool), np.zeros(len(real), bool)
    for start in range(0, len(real), CHUNK):
        rows = slice(start, start + CHUNK)
        apart = squared(real[rows], fake)
        within = apart <= real_ball[rows, None]
        inside += within.sum(0)
        covered[rows] = within.any(1)
        reached[rows] = (apart <= fake_ball).any(1)
    return inside, reached, covered


def _measure(reference: Reference, name: str, each: np.ndarray, words: str) -> Measure:
    return measure(name, each, words, reference.seed, NEIGHBOURS)


def measure(name: str, each: np.ndarray, words: str, seed: int, neighbours: int) -> Measure:
    """One of the four as the mean of `each` [rows], its interval widened because rows share neighbours."""
    each = each.astype(np.float64)
    value, draws = float(each.mean()), mean_draws(each, seed)
    draws = value + WIDER * (draws - draws.mean())
    low, high = spread(value, draws, (0.0, np.inf if name == "density" else 1.0))
    shown = f"{value:.2f}" if name == "density" else f"{value:.1%}"
    how = f"bootstrap of {len(each):,} rows, {neighbours} neighbours, widened {WIDER} times"
    better = "nearer" if name == "density" else "higher"
    return Measure(name, value, low, high, better, 1.0, f"{shown} {words}", how, draws=draws)  # type: ignore[arg-type]


def radii(points: np.ndarray, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Squared distance of each row to its k-th nearest other row, [rows]."""
    out = np.empty(len(points))
    last = min(neighbours, len(points) - 1)
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
