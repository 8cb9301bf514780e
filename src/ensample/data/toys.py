"""Toy densities in the plane whose entropy is known: what a family must be able to learn, and a picture to look at.

The shapes and scales are those of the toy data of FFJORD (Grathwohl et al. 2019), and the grid of Gaussians on which
generative adversarial networks lose modes (Metz et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

STEP = 1e-4
"""Points are rounded to this, so that each lies in a cell of known width."""


@dataclass(frozen=True)
class Toy:
    """A density in the plane.

    Arguments:
        name: as in `read("sample:moons")`.
        entropy: differential entropy in nats: the least mean negative log-density that any model can reach.
        points: draws points [rows, 2] from a numpy generator.

    Example:
        >>> TOYS["moons"].draw(3, seed=0).shape
        (3, 2)
    """

    name: str
    entropy: float
    points: Callable[[np.random.Generator, int], np.ndarray]

    def draw(self, rows: int, seed: int) -> np.ndarray:
        """Points [rows, 2] float64, rounded to `STEP`."""
        exact = self.points(np.random.default_rng(seed), rows)
        whole: np.ndarray = np.rint(exact / STEP) / round(1 / STEP)
        return whole + 0.0  # no minus zero


def _eight_gaussians(rng: np.random.Generator, rows: int) -> np.ndarray:
    angle = rng.integers(8, size=rows) * math.pi / 4
    centre = 4.0 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return (centre + 0.5 * rng.standard_normal((rows, 2))) / 1.414


def _checkerboard(rng: np.random.Generator, rows: int) -> np.ndarray:
    x = rng.uniform(-2, 2, rows)
    y = rng.uniform(0, 1, rows) - 2.0 * rng.integers(2, size=rows) + np.floor(x) % 2
    return 2.0 * np.stack([x, y], 1)


def _moons(rng: np.random.Generator, rows: int) -> np.ndarray:
    angle, lower = rng.uniform(0, math.pi, rows), rng.integers(2, size=rows)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    arc = np.where(lower[:, None] == 1, np.array([1.0, 0.5]) - upper, upper)
    points: np.ndarray = (arc + 0.1 * rng.standard_normal((rows, 2))) * 2 + np.array([-1.0, -0.2])
    return points


def _on_circles(rng: np.random.Generator, rows: int, radii: tuple[float, ...], noise: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * math.pi, rows)
    radius = np.array(radii)[rng.integers(len(radii), size=rows)]
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    points: np.ndarray = circle * radius[:, None] + noise * rng.standard_normal((rows, 2))
    return points


def _spirals(rng: np.random.Generator, rows: int) -> np.ndarray:
    turn = np.sqrt(rng.uniform(0, 1, rows)) * 3 * math.pi
    arm = np.stack([-np.cos(turn) * turn, np.sin(turn) * turn], 1) + 0.5 * rng.uniform(0, 1, (rows, 2))
    side = np.where(rng.integers(2, size=rows) == 1, 1.0, -1.0)[:, None]
    return side * arm / 3 + 0.1 * rng.standard_normal((rows, 2))


def _grid(rng: np.random.Generator, rows: int) -> np.ndarray:
    return 2.0 * (rng.integers(5, size=(rows, 2)) - 2) + 0.05 * rng.standard_normal((rows, 2))


TOYS: dict[str, Toy] = {
    toy.name: toy
    for toy in (
        Toy("8gaussians", 2.8319, _eight_gaussians),
        Toy("checkerboard", 3.4657, _checkerboard),
        Toy("moons", 2.3939, _moons),
        Toy("circles", 3.2681, lambda rng, rows: 3.0 * _on_circles(rng, rows, (1.0, 0.5), 0.08)),
        Toy("rings", 2.6232, lambda rng, rows: _on_circles(rng, rows, (3.0, 2.25, 1.5, 0.75), 0.08)),
        Toy("2spirals", 2.645, _spirals),
        Toy("25gaussians", math.log(25) + math.log(2 * math.pi * math.e * 0.0025), _grid),
    )
}
"""All of them, by name."""
