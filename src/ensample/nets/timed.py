"""The network of fields: a perceptron whose layers are scaled and shifted by the time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.mlp import Affine, waves

TIME = 32
"""Fourier features of a time."""
SLOWEST, FASTEST = -1.0, 3.0
"""Powers of two between which the rates of a number's waves start: radians a standard deviation."""


class TimedMlp(nn.Module):
    """`h = silu(first)`, then `h = h + silu((1 + a_l(t)) W_l h + b_l(t))` for each layer; `y = last(h)`.

    Scale a and shift b are linear in waves of the times (the adaptive layers of Perez et al. 2018, as Peebles and Xie
    2023 use them, starting at 0 as theirs do). Numbers enter with waves of their own (Gorishniy et al. 2022), whose
    rates are learned, so that sharp edges are not left to the layers. Build it inside `ensample.nets.random.seeded`.

    Arguments:
        numbers: columns of real numbers; the first so many of the input.
        others: further input columns.
        outputs: output columns, near 0 at the start.
        width, layers: hidden units, hidden layers after the first.
        rates: waves of each number; 0 for none.
        times: how many times there are.
        dropout: share of hidden units left out in learning.
    """

    def __init__(
        self,
        numbers: int,
        others: int,
        outputs: int,
        *,
        width: int,
        layers: int,
        rates: int = 8,
        times: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.numbers = numbers
        spread = torch.logspace(SLOWEST, FASTEST, rates, base=2.0) * (0.75 + 0.5 * torch.rand(numbers, rates))
        self.rates = nn.Parameter(spread) if numbers and rates else None
        self.first = Affine(numbers * (1 + 2 * rates) + others, width)
        self.start = Affine(TIME * times, width)
        self.modulate = Affine(TIME * times, 2 * width * layers)
        self.hidden = nn.ModuleList(Affine(width, width) for _ in range(layers))
        self.last = Affine(width, outputs)
        self.drop = nn.Dropout(dropout)
        nn.init.zeros_(self.modulate.weight)
        nn.init.normal_(self.last.weight, std=0.1 * width**-0.5)

    def forward(self, x: Tensor, *times: Tensor) -> Tensor:
        """[rows, inputs], times [rows] or [1] each -> [rows, outputs]."""
        clock = torch.cat([waves(t, TIME) for t in times], 1)
        h = self.drop(F.silu(self.first(self._features(x)) + self.start(clock)))
        steps = self.modulate(clock).chunk(2 * len(self.hidden), 1)
        for layer, scale, shift in zip(self.hidden, steps[::2], steps[1::2], strict=True):
            h = h + self.drop(F.silu(torch.addcmul(shift, 1 + scale, layer(h))))
        out: Tensor = self.last(h)
        return out

    def _features(self, x: Tensor) -> Tensor:
        if self.rates is None:
            return x
        angle = (x[:, : self.numbers, None] * self.rates).flatten(1)
        return torch.cat([x, torch.sin(angle), torch.cos(angle)], 1)
