"""Conditional tables that back off: sparse counts lean on counts with fewer parents, as far as left-out rows advise."""

from __future__ import annotations

import torch
from torch import Tensor

STRENGTHS = 2.0 ** torch.arange(-2, 15, dtype=torch.float64)
"""Pseudo-rows that the distribution with one parent fewer may stand for; one is chosen for each level."""

FLOOR = 0.5
"""Pseudo-rows of each state without parents."""


def conditional(counts: Tensor, view: Tensor) -> Tensor:
    """P(state | parents) from counts [parent 1, ..., parent m, states], the strongest parent first; same shape.

    The coarse state is predicted first, then the state inside it: `P(z | parents) P(state | z, parents)`, both by
    `backed_off`, because coarse states are seen often and need far less smoothing.
    """
    coarse = counts.new_zeros(*counts.shape[:-1], int(view.max()) + 1).index_add_(-1, view, counts)
    outer = backed_off(coarse, torch.zeros(coarse.shape[-1], dtype=torch.int64))
    return outer[..., view] * backed_off(counts, view)


def backed_off(counts: Tensor, group: Tensor) -> Tensor:
    """Probabilities of the outcomes within each of their groups [outcomes], from counts [..., outcomes].

    Level by level, a parent at a time: `p_l = (n_l + a_l p_{l-1}) / (N_l + a_l)` (interpolated back-off with a
    Dirichlet prior centred on the shorter context: MacKay and Peto, A hierarchical Dirichlet language model, 1995). The
    strength `a_l` is the one that predicts every row best from all others (leave-one-out), which counts give at once.

    Example:
        >>> p = backed_off(torch.tensor([[40.0, 0.0], [1.0, 1.0]], dtype=torch.float64), torch.tensor([0, 0]))
        >>> bool(p[1, 0] > 0.5), p.sum(1).tolist()
        (True, [1.0, 1.0])
    """
    parents = counts.dim() - 1
    lowest = counts.sum(tuple(range(parents))) if parents else counts
    size = _within(torch.ones_like(lowest), group)
    total = _within(lowest, group)
    p = (lowest + FLOOR) / (total + FLOOR * size)
    left = (lowest - 1.0 + FLOOR).clamp(min=1e-12) / (total - 1.0 + FLOOR * size).clamp(min=1e-12)
    for level in range(1, parents + 1):
        n = counts.sum(tuple(range(level, parents))) if level < parents else counts
        total = _within(n, group)
        p, left = p.unsqueeze(-2), left.unsqueeze(-2).expand_as(n)
        strength = _strength(n, total, left)
        p = (n + strength * p) / (total + strength)
        left = (n - 1.0 + strength * left).clamp(min=1e-12) / (total - 1.0 + strength).clamp(min=1e-12)
    return p


def left_out(counts: Tensor) -> float:
    """Log-probability, nats for all rows, of each row by the table [contexts, states] of all the other rows.

    The table backs off to the states alone, with the strength that makes this largest.

    Example:
        >>> from math import exp
        >>> round(exp(left_out(torch.tensor([[3.0, 0.0]]))), 3)  # 2.5 of 3 three times
        0.579
    """
    lowest = counts.to(torch.float64).sum(0)
    left = (lowest - 1.0 + FLOOR).clamp(min=1e-12) / (lowest.sum() - 1.0 + FLOOR * len(lowest)).clamp(min=1e-12)
    if len(counts) == 1:
        return float((lowest * left.log()).sum())
    n = counts.to(torch.float64)
    return float(_gains(n, n.sum(1, keepdim=True).expand_as(n), left.expand_as(n)).max())


def _strength(n: Tensor, total: Tensor, left: Tensor) -> float:
    """The strength under which the rows, each left out once, are most probable."""
    return float(STRENGTHS[int(_gains(n, total, left).argmax())])


def _gains(n: Tensor, total: Tensor, left: Tensor) -> Tensor:
    """Log-probability of the rows, each left out once, under every strength of `STRENGTHS`."""
    met = n > 0
    n, total, left = n[met], total[met], left[met]
    a = STRENGTHS[:, None]
    return (n * (torch.log(n - 1.0 + a * left) - torch.log(total - 1.0 + a))).sum(1)


def _within(values: Tensor, group: Tensor) -> Tensor:
    """Sums of the last axis over each group, given back to every member."""
    sums = values.new_zeros(*values.shape[:-1], int(group.max()) + 1).index_add_(-1, group, values)
    return sums[..., group]
