"""Where a picture lies in the latent space of a generator: found by descent, since nothing else tells."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

TRIED = 16
"""Random places of which the best is gone on from."""
STEPS = 120
"""Steps of the descent."""
RATE = 0.15
"""Its first step size; it falls to 0 on a straight line."""
DEVIATION = 0.1
"""Standard deviation of pixels about the picture of a place."""
SCALES = 3
"""The error counts at full size, half size, ..."""
ROWS = 64
"""Pictures at once."""

Make = Callable[[Tensor, Tensor], Tensor]


def nearest_places(make: Make, pictures: Tensor, told: Tensor, width: int) -> Tensor:
    """Most probable z of each picture x [rows, width]: least `|x - G(z)|^2 / 2 s^2 + |z|^2 / 2` that Adam finds.

    The squared error is that of the picture plus those of its coarser versions, which guide the descent from afar
    (projection into the latent space: Zhu et al. 2016; Karras et al. 2020). Each row is looked for on its own, from the
    same starting places every time.

    Arguments:
        make: (noise, told) -> pictures, the generator.
        pictures: [rows, channels, height, width].
        told: what the generator is told beside the noise, [rows, told].
        width: of the noise.
    """
    pairs = zip(torch.split(pictures, ROWS), torch.split(told, ROWS), strict=True)
    return torch.cat([torch.zeros(0, width), *(_descended(make, x, t, width) for x, t in pairs if len(x))])


def _descended(make: Make, pictures: Tensor, told: Tensor, width: int) -> Tensor:
    z = _started(make, pictures, told, width)
    first, second = torch.zeros_like(z), torch.zeros_like(z)
    for step in range(1, STEPS + 1):
        with torch.enable_grad():
            z.requires_grad_(True)
            (slope,) = torch.autograd.grad(_cost(make(z, told), pictures, z).sum(), z)
        z = z.detach()
        first.lerp_(slope, 0.1)
        second.lerp_(slope.square(), 0.05)
        moved = (first / (1 - 0.9**step)) / ((second / (1 - 0.95**step)).sqrt() + 1e-8)
        z = z - RATE * (1 - (step - 1) / STEPS) * moved
    return z


@torch.no_grad()
def _started(make: Make, pictures: Tensor, told: Tensor, width: int) -> Tensor:
    """The best of the same few places for each picture."""
    tried = torch.randn(TRIED, width, generator=torch.Generator().manual_seed(0))
    tried[0] = 0.0
    each = [z.expand(len(pictures), -1) for z in tried]
    cost = torch.stack([_cost(make(z, told), pictures, z) for z in each])
    return tried[cost.argmin(0)]


def _cost(made: Tensor, pictures: Tensor, z: Tensor) -> Tensor:
    """Negative log-probability of each place and picture, up to a constant, [rows]."""
    off = made - pictures
    total = off.square().flatten(1).sum(1)
    for _ in range(SCALES - 1):
        off = F.avg_pool2d(off, 2, ceil_mode=True)
        total = total + off.square().flatten(1).sum(1)
    return total / (2 * DEVIATION**2) + z.square().sum(1) / 2
