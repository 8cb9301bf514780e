"""Mean velocities between two times, learned without a teacher (MeanFlow: Geng et al. 2025)."""

from __future__ import annotations

from collections.abc import Callable

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
    """(output, logits, target) for mean velocities u(x, t, s) over [s, t], s drawn at most t."""
    s = earlier(t, generator)
    moving = torch.where(field.seen.alive, velocity, 0.0)
    target = velocity - bend(lambda *state: field.output(*state)[0], x, t, s, moving)
    return *field.output(x, t, s), target


def earlier(t: Tensor, generator: Generator) -> Tensor:
    """A time at most t for each, and t itself for the rows that learn the velocity."""
    apart = torch.rand(t.shape, generator=generator) < APART
    return torch.where(apart, t * torch.rand(t.shape, generator=generator), t)


@torch.no_grad()
def bend(mean: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, s: Tensor, velocity: Tensor) -> Tensor:
    """`(t - s) du/dt` along the flow line, by which the mean velocity u over [s, t] differs from the velocity at t.

    From the definition `(t - s) u = integral of v`. The derivative is a central difference, cheaper here than forward
    differentiation of a small network; it is taken as it stands, without a gradient.
    """
    moving = STEP * velocity
    change = (mean(x + moving, t + STEP, s) - mean(x - moving, t - STEP, s)) / (2 * STEP)
    return ((t - s) * change).clamp(-FAR, FAR)
