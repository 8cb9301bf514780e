"""A held-out criterion for models that can only sample: a proper score of each real row against made ones."""

from __future__ import annotations

import torch
from torch import Tensor

NEAR = 0.1
"""Distance, in standard deviations, below which rows count as near."""


def sample_score(real: Tensor, made: Tensor) -> Tensor:
    """`E rho(x, Y) - E rho(Y, Y') / 2` of each real row x, estimated without bias from m made rows Y, [rows].

    With `rho = log(1 + |x - y|^2 / near^2)`, a conditionally negative definite function, the mean over real rows is
    least if and only if the made rows follow the same law (a kernel score: Gneiting and Raftery 2007); the logarithm
    lets small distances count as much as large ones.

    Arguments:
        real: [rows, columns].
        made: [rows, m, columns], made for each row, or [1, m, columns] for all rows; m at least 2.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> x, y = (torch.randn(500, 1, generator=generator) for _ in range(2))
        >>> bool(sample_score(x, y[None]).mean() < sample_score(x, 3 * y[None]).mean())
        True
    """
    m = made.shape[1]
    across = _rho(real[None] if len(made) == 1 else real[:, None], made)
    across = across[0].mean(1) if len(made) == 1 else across[:, 0].mean(1)
    within = _rho(made, made).sum((1, 2)) / (m * (m - 1))
    return across - 0.5 * within


def _rho(a: Tensor, b: Tensor) -> Tensor:
    distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.log1p((distance / NEAR).square())
