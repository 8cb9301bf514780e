"""Toy densities: their entropies are those of the points that they draw."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr

import ensample as en
from ensample.data.toys import STEP, TOYS


def gaussians(points: np.ndarray, centres: np.ndarray, sigma: float) -> np.ndarray:
    """Log-density of an even mixture of round Gaussians."""
    out = []
    for part in np.array_split(points, 40):
        square = ((part[:, None] - centres) ** 2).sum(2) / (-2 * sigma**2)
        top = square.max(1, keepdims=True)
        out.append(top[:, 0] + np.log(np.exp(square - top).mean(1)) - math.log(2 * math.pi * sigma**2))
    return np.concatenate(out)


def ring(radius: float, count: int = 1_500, first: float = 0.5) -> np.ndarray:
    angle = (np.arange(count) + first) / count * 2 * math.pi
    return radius * np.stack([np.cos(angle), np.sin(angle)], 1)


def spirals(points: np.ndarray, count: int = 1_500) -> np.ndarray:
    """Arms of squares of side 1/6, blurred: differences of the normal distribution function along both sides."""
    turn = np.sqrt((np.arange(count) + 0.5) / count) * 3 * math.pi
    corner = np.stack([-np.cos(turn) * turn, np.sin(turn) * turn], 1) / 3
    out = []
    for part in np.array_split(points, 40):
        total = np.zeros(len(part))
        for side in (1.0, -1.0):
            z = (side * part[:, None] - corner) / 0.1
            total += ((ndtr(z) - ndtr(z - 1 / 0.6)) * 6).prod(2).mean(1) / 2
        out.append(np.log(total))
    return np.concatenate(out)


def truth(name: str, x: np.ndarray) -> np.ndarray:
    if name == "8gaussians":
        return gaussians(x, ring(4 / 1.414, 8, 0.0), 0.5 / 1.414)
    if name == "checkerboard":
        inside = (np.floor(x[:, 0] / 2) + np.floor(x[:, 1] / 2)) % 2 == 0
        return np.where(inside & (np.abs(x) <= 4).all(1), -math.log(32), -np.inf)
    if name == "moons":
        half = ring(2.0, 3_000)[:1_500]
        return gaussians(x, np.concatenate([half, np.array([2.0, 1.0]) - half]) + np.array([-1.0, -0.2]), 0.2)
    if name == "circles":
        return gaussians(x, np.concatenate([ring(3.0), ring(1.5)]), 0.24)
    if name == "rings":
        return gaussians(x, np.concatenate([ring(r) for r in (3.0, 2.25, 1.5, 0.75)]), 0.08)
    if name == "2spirals":
        return spirals(x)
    at = 2.0 * (np.arange(5) - 2)
    return gaussians(x, np.stack(np.meshgrid(at, at), -1).reshape(-1, 2), 0.05)


@pytest.mark.parametrize("name", list(TOYS))
def test_entropy_is_the_mean_of_minus_the_log_density(name):
    log_density = truth(name, TOYS[name].draw(20_000, seed=3))
    log_density = log_density[np.isfinite(log_density)]  # rounding may leave a square of the board by a hair
    assert len(log_density) > 19_950
    error = log_density.std() / len(log_density) ** 0.5
    assert -log_density.mean() == pytest.approx(TOYS[name].entropy, abs=4 * error + 2e-3)


def test_points_are_on_the_grid_and_seeds_matter():
    points = TOYS["rings"].draw(500, seed=1)
    assert np.array_equal(points, np.rint(points / STEP) / 10_000)
    assert np.array_equal(points, TOYS["rings"].draw(500, seed=1))
    assert not np.array_equal(points, TOYS["rings"].draw(500, seed=2))


def test_toys_are_samples():
    data = en.read("sample:moons")
    assert data.names == ["x", "y"] and len(data) == 10_000
    with pytest.raises(en.errors.InputError, match="moons"):
        en.read("sample:mons")
