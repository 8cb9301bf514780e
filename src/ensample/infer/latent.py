"""Ways through a latent space whose prior is standard normal: lines, arcs, directions of an attribute."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

STRAIGHT = 1e-4
"""Sine of the angle between two places below which an arc is a line."""


def linear(first: Tensor, last: Tensor, shares: Tensor) -> Tensor:
    """Places `(1 - t) a + t b` [rows, shares, width] between places [rows, width], at shares t [shares].

    Example:
        >>> linear(torch.tensor([[0.0]]), torch.tensor([[8.0]]), torch.tensor([0.0, 0.25, 1.0])).flatten().tolist()
        [0.0, 2.0, 8.0]
    """
    return torch.lerp(first[:, None], last[:, None], shares[:, None].to(first.dtype))


def spherical(first: Tensor, last: Tensor, shares: Tensor) -> Tensor:
    """Places `[sin((1 - t) w) a + sin(t w) b] / sin(w)` [rows, shares, width], w the angle between a and b.

    Points of a wide normal distribution lie on a shell; a line between two of them leaves it, the arc does not (White,
    Sampling Generative Networks, 2016). Opposite places, and a place at 0, are joined by the line.

    Example:
        >>> half = spherical(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.5]))
        >>> round(float(half.norm()), 4)
        1.0
    """
    t = shares[None, :, None].to(torch.float64)
    a, b = first[:, None].to(torch.float64), last[:, None].to(torch.float64)
    angle = torch.atan2(*_sine_cosine(a, b))
    lengths = torch.minimum(a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True))
    whole = torch.sin(angle) * (lengths > 0)
    arc = (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / whole.clamp(min=STRAIGHT)
    return torch.where(whole < STRAIGHT, torch.lerp(a, b, t.expand_as(arc)), arc).to(first.dtype)


def direction(positive: Tensor, negative: Tensor) -> Tensor:
    """From the mean place of one group [rows, width] to that of another: what an attribute adds, [width].

    Example:
        >>> direction(torch.tensor([[3.0], [5.0]]), torch.tensor([[1.0]])).tolist()
        [3.0]
    """
    return positive.mean(0) - negative.mean(0)


PATHS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"spherical": spherical, "linear": linear}
"""Ways between two places by name."""


def _sine_cosine(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Sine and cosine of the angle, times the lengths; [rows, 1, 1]. Kahan's way keeps small angles."""
    a, b = (v / v.norm(dim=-1, keepdim=True).clamp(min=1e-300) for v in (a, b))
    wide, narrow = (a + b).norm(dim=-1, keepdim=True), (a - b).norm(dim=-1, keepdim=True)
    half = torch.atan2(narrow, wide)
    return torch.sin(2 * half), torch.cos(2 * half)
