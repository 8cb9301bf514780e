"""Exponential moving average of weights (Polyak and Juditsky 1992), and how to look through it for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


class Average:
    """`a <- a + (1 - d_t) (w - a)` with `d_t = min(decay, (1 + t) / (10 + t))`: young averages forget faster.

    Arguments:
        weights: the parameters that are followed (by reference).
        decay: share kept at each step once the average is old; 0 follows the weights themselves.
    """

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        self._weights, self._decay = list(weights), decay
        self.values = [w.detach().clone() for w in self._weights]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step number `step`, counted from 0."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.values, self._weights, 1.0 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the parameters hold the averages."""
        kept = [w.detach().clone() for w in self._weights]
        assign(self._weights, self.values)
        try:
            yield
        finally:
            assign(self._weights, kept)


@torch.no_grad()
def assign(weights: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Copy values into weights."""
    for weight, value in zip(weights, values, strict=True):
        weight.copy_(value)
