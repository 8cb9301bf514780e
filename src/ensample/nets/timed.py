"""The network of fields: a perceptron that is told the time, and sees numbers through waves as well."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ensample.nets.mlp import Mlp, waves

TIME = 32
"""Fourier features of a time."""
SLOWEST, FASTEST = -1.0, 3.0
"""Powers of two between which the rates of a number's waves start: radians a standard deviation."""


class TimedMlp(nn.Module):
    """`Mlp` of numbers, sines and cosines of them, other inputs, and waves of the times.

    The waves' rates are learned for each number (Gorishniy et al. 2022), so that sharp edges are not left to the
    layers. Layers scaled and shifted by the time (Perez et al. 2018) were tried and cost more steps than they gained.
    Build it inside `ensample.nets.random.seeded`.

    Arguments:
        numbers: columns of real numbers; the first so many of the input.
        others: further input columns.
        outputs: output columns, near 0 at the start.
        width, layers: hidden units, hidden layers after the first.
        rates: waves of each number; 0 for none.
        times: how many times there are.
        fastest: the power of two at which the rates end.
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
        fastest: float = FASTEST,
    ) -> None:
        super().__init__()
        self.numbers = numbers
        spread = torch.logspace(SLOWEST, fastest, rates, base=2.0) * (0.75 + 0.5 * torch.rand(numbers, rates))
        self.rates = nn.Parameter(spread) if numbers and rates else None
        self.body = Mlp(numbers * (1 + 2 * rates) + others + TIME * times, outputs, width, layers + 1)
        nn.init.normal_(self.body.last.weight, std=0.1 * width**-0.5)

    def forward(self, x: Tensor, *times: Tensor) -> Tensor:
        """[rows, inputs], times [rows] or [1] each -> [rows, outputs]."""
        clock = [waves(t, TIME).expand(len(x), -1) for t in times]
        out: Tensor = self.body(torch.cat([x, *self._waves(x), *clock], 1))
        return out

    def _waves(self, x: Tensor) -> list[Tensor]:
        if self.rates is None:
            return []
        angle = (x[:, : self.numbers, None] * self.rates).flatten(1)
        return [torch.sin(angle), torch.cos(angle)]
