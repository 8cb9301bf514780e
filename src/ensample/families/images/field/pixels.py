"""Levels of pixels as the numbers of about unit spread that a field moves, and back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ensample.events import Continuous

LOOKED_AT = 4096
"""Pictures that mean and spread are taken from."""


@dataclass(frozen=True)
class Pixels:
    """`number = (encode(level) - centre) / spread`, one centre and one spread for all pixels.

    What is linear and keeps constants (an average of pixels) is the same for numbers of both sorts.

    Arguments:
        event: of the pictures, of shape (channels, height, width).
        centre, spread: of the training pixels, scalars float64.
    """

    event: Continuous
    centre: Tensor
    spread: Tensor

    @classmethod
    def fit(cls, event: Continuous, table: np.ndarray) -> Pixels:
        """Mean and standard deviation of some pictures of levels [rows, channels, height, width]."""
        some = torch.from_numpy(np.asarray(table[:: max(1, len(table) // LOOKED_AT)]))
        numbers = event.lattice.encode(some)
        return cls(event, numbers.mean(), numbers.std(correction=0).clamp(min=1e-2))

    def numbers(self, cells: Tensor) -> Tensor:
        """Numbers [rows, coordinates] float32 of the middle of each cell."""
        return self.standard(self.event.lattice.encode(cells)).flatten(1).to(torch.float32)

    def standard(self, real: Tensor) -> Tensor:
        """Standardised numbers of real ones in [-1, 1]."""
        return (real - self.centre) / self.spread

    def cells(self, numbers: Tensor) -> Tensor:
        """The levels [rows, channels, height, width] int64 nearest to numbers."""
        real = numbers.to(torch.float64).nan_to_num(0.0) * self.spread + self.centre
        lattice = self.event.lattice
        return lattice.index(real.clamp(-4.0, 4.0)).clamp(lattice.low, lattice.high).view(-1, *self.event.shape)

    @property
    def width(self) -> float:
        """Of a cell, in units of the numbers."""
        ends = self.standard(self.event.lattice.encode(torch.tensor([-0.5, 0.5])))
        return float(ends[1] - ends[0])
