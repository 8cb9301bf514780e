"""Restoring pictures by the expected log-likelihood of their patches (EPLL: Zoran and Weiss 2011)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.families.mixture.components import Components

STEPS = (1.0, 4.0, 8.0, 16.0, 32.0)
"""How tightly patches are held to the picture, over the variance of the noise (Zoran and Weiss 2011, section 5)."""
HOLES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)
"""The same where there is a hole, for pictures of numbers in [-1, 1]: what is around it first comes in from afar."""
TURNS = 4
"""Turns of each step in a hole."""


def restored(components: Components, numbers: Tensor, known: Tensor, deviation: float, size: tuple[int, int]) -> Tensor:
    """Pictures x that are probable patch by patch and near what was seen, float64, by half quadratic splitting.

    Least `sum_j n_j (y_j - x_j)^2 / 2 s^2 - sum_i log p(P_i x)`, P_i all overlapping patches, n_j those over pixel j
    (as many everywhere in the paper, which leaves out that there are fewer at the edges). By turns each patch z_i is
    the Wiener estimate of its most probable component at noise variance 1 / b, and

        x = (y / s^2 + b sum_i P_i' z_i / n) / (1 / s^2 + b), for growing b.

    Arguments:
        components: of a mixture of Gaussians over patches [channels, *size], flattened.
        numbers: what was seen, [rows, channels, height, width].
        known: where it was, bool of the same shape.
        deviation: s, of the noise in `numbers`; 0 keeps known pixels as they are.
        size: of the patches; pictures are at least as large.
    """
    y, x = numbers.to(torch.float64), started(numbers.to(torch.float64), known)
    held = 1 / deviation**2 if deviation > 0 else float("inf")
    for tightness in tightening(deviation, whole=bool(known.all())):
        patches = F.unfold(x, size).transpose(1, 2)  # [rows, patches, pixels]
        near = wiener(components, patches.flatten(0, 1), 1 / tightness).view(patches.shape).transpose(1, 2)
        free = F.fold(near, x.shape[2:], size) / F.fold(torch.ones_like(near), x.shape[2:], size)
        both = y if held == float("inf") else (held * y + tightness * free) / (held + tightness)
        x = torch.where(known, both, free)
    return x


def tightening(deviation: float, *, whole: bool) -> list[float]:
    """One over the variance of what patches may be off the picture, at each turn.

    Example:
        >>> tightening(0.5, whole=True), len(tightening(0.5, whole=False))
        ([4.0, 16.0, 32.0, 64.0, 128.0], 9)
    """
    steps = [step / deviation**2 for step in STEPS] if deviation > 0 else []
    first = [step for step in HOLES for _ in range(TURNS) if not steps or step < steps[0]]
    return steps if whole else [*first, *steps]


def wiener(components: Components, patches: Tensor, variance: float) -> Tensor:
    """The mean of each patch [rows, pixels] without its noise, under the component that it most probably is of.

    `z = m + C (C + v I)^-1 (p - m)`, where p is a patch of N(m, C) plus noise of variance v > 0.
    """
    values, vectors = torch.linalg.eigh(components.covariances)
    spread = values.clamp(min=0.0) + variance  # [components, pixels]
    level = components.log_weights - 0.5 * spread.log().sum(1)
    scores = []
    for k in range(len(components)):
        away = (patches - components.means[k]) @ (vectors[k] / spread[k].sqrt())
        scores.append(level[k] - 0.5 * away.square().sum(1))
    best, out = torch.stack(scores).argmax(0), torch.empty_like(patches)
    for k in range(len(components)):
        rows = (best == k).nonzero()[:, 0]
        gain = (vectors[k] * (1 - variance / spread[k])) @ vectors[k].T
        out[rows] = components.means[k] + (patches[rows] - components.means[k]) @ gain
    return out


def started(numbers: Tensor, known: Tensor) -> Tensor:
    """What was seen; where nothing was, the mean of its neighbours, ring by ring; 0 in a picture of nothing."""
    there = known.to(torch.float64)
    x = numbers * there
    while True:
        count = F.avg_pool2d(there, 3, 1, 1, divisor_override=1)
        reached = (there == 0) & (count > 0)
        if not bool(reached.any()):
            return x
        mean = F.avg_pool2d(x, 3, 1, 1, divisor_override=1) / count.clamp(min=1.0)
        x, there = torch.where(reached, mean, x), torch.where(reached, 1.0, there)
