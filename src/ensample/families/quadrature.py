"""The rule that integrates a density over a cell."""

from __future__ import annotations

import torch
from torch import Tensor

POINTS = 11
"""Points of the rule that integrates a density over a cell; a prime, so that ten spans move on ten different paths."""


def lattice_rule(points: int, dimensions: int) -> Tensor:
    """Centred rank-1 lattice points in (-1/2, 1/2)^dimensions in Korobov's form, [points, dimensions] float64.

    Example:
        >>> lattice_rule(3, 2).mul(3).round().tolist()
        [[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]
    """
    directions = torch.tensor([pow(2, j, points) for j in range(dimensions)], dtype=torch.float64)
    steps = torch.arange(points, dtype=torch.float64)[:, None]
    return torch.remainder(steps * directions / points + 0.5, 1.0) - 0.5
