"""Mean velocities between two times, learned without a teacher (MeanFlow: Geng et al. 2025)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ensample.families.field.network import Conditional

APART = 0.5
"""Share of the rows with two different times; the others learn the velocity itself."""
FAR = 10.0
"""Targets are kept within this distance of the velocity: a bad early slope must not run away."""
STEP = 2e-3
"""Half the stretch of time over which a derivative along the flow is taken."""


def mean_target(
    field: Conditional, x: Tensor, t: Tensor, velocity: Tensor, generator: Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(output, logits, target) for mean velocities u(x, t, s) over [s, t], s drawn at most t.

    The definition (t - s) u = integral of v gives `u = v - (t - s) du/dt` along the flow line. The derivative is a
    central difference, cheaper here than forward differentiation of a small network, and the target is taken as it
    stands, without a gradient.
    """
    apart = torch.rand(t.shape, generator=generator) < APART
    s = torch.where(apart, t * torch.rand(t.shape, generator=generator), t)
    with torch.no_grad():
        moving = STEP * torch.where(field.seen.alive, velocity, 0.0)
        after, before = field.output(x + moving, t + STEP, s)[0], field.output(x - moving, t - STEP, s)[0]
        change = (after - before) / (2 * STEP)
        target = velocity - ((t - s) * change).clamp(-FAR, FAR)
    return *field.output(x, t, s), target
