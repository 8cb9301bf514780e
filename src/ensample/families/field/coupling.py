"""Which noise goes with which row in learning: any, or the near one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor


class Labelled(Protocol):
    """What is seen of rows, as far as it tells them apart."""

    def labels(self) -> Tensor:
        """A number for each row [rows] int64, the same for rows of which the same is seen."""
        ...


Coupling = Callable[[Tensor, Tensor, Labelled], Tensor]
"""(data [rows, numbers], noise of that shape, what is seen of the rows) -> the noise in a new order."""


def independent(data: Tensor, noise: Tensor, seen: Labelled) -> Tensor:
    """Noise as it came: E[x | x_t] is that of the data."""
    return noise


def optimal(data: Tensor, noise: Tensor, seen: Labelled) -> Tensor:
    """Optimal transport inside the batch (Tong et al. 2024; Pooladian et al. 2023): least squared distance in sum.

    Lines from noise to data hardly cross, so fewer steps follow them. Rows are matched only with rows of which the
    same is known, since noise must say nothing of that.

    Example:
        >>> from ensample.families.field.network import Seen
        >>> noise, all_alike = torch.tensor([[2.0], [-2.0]]), Seen(*(torch.zeros(2, 1),) * 6)
        >>> optimal(torch.tensor([[-1.0], [1.0]]), noise, all_alike).flatten().tolist()
        [-2.0, 2.0]
    """
    label = seen.labels().numpy()
    order = np.arange(len(data))
    for group in np.flatnonzero(np.bincount(label) > 1):
        rows = np.flatnonzero(label == group)
        _, order[rows] = linear_sum_assignment(torch.cdist(data[rows], noise[rows]).square().numpy())
        order[rows] = rows[order[rows]]
    return noise[torch.from_numpy(order)]


COUPLINGS: dict[str, Coupling] = {"independent": independent, "optimal": optimal}
"""Couplings by their public names."""
