"""Law 2: the lattice is a bijection between cells and real numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ensample.events import Lattice

LATTICES = [
    Lattice(-50, 400, shift=3.0, scale=7.0),
    Lattice(-50, 400, shift=1.5, scale=0.3, center=20.0, knee=4.0),
    Lattice(0, 10**9, shift=9.0, scale=2.5, center=-1.0, knee=1.0),
]


@pytest.mark.parametrize("lattice", LATTICES)
def test_cells_come_back(lattice):
    cells = torch.from_numpy(np.unique(np.linspace(lattice.low, lattice.high, 2_000).astype(np.int64)))
    assert torch.equal(lattice.index(lattice.encode(cells)), cells)
    inside = cells + 0.49 * torch.linspace(-1, 1, len(cells), dtype=torch.float64)
    assert torch.equal(lattice.index(lattice.encode(inside)), cells)


@pytest.mark.parametrize("lattice", LATTICES)
def test_slope_is_the_derivative_and_volume_its_integral(lattice):
    position = torch.linspace(lattice.low, lattice.low + 300, 200, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(lattice.encode(position).sum(), position)
    assert torch.allclose(lattice.log_slope(position.detach()), slope.log(), atol=1e-12)
    cells = torch.arange(lattice.low, lattice.low + 50)
    fine = torch.linspace(-0.5, 0.5, 2_001, dtype=torch.float64)
    area = torch.trapezoid(lattice.log_slope(cells[:, None] + fine).exp(), fine)
    assert torch.allclose(lattice.log_volume(cells), area.log(), atol=1e-6)


def test_linear_is_the_limit_of_a_large_knee():
    bent, straight = Lattice(0, 100, knee=1e9), Lattice(0, 100, knee=math.inf)
    assert torch.allclose(bent.encode(torch.arange(100)), straight.encode(torch.arange(100)), atol=1e-6)
