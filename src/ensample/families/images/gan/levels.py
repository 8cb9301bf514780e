"""Levels of a picture as numbers in about [-1, 1] and back, with a gradient where networks make them."""

from __future__ import annotations

import torch
from torch import Tensor

from ensample.events import Array, Continuous


class Levels:
    """Numbers behind the levels of a picture, on the straight line of its lattice.

    Example:
        >>> from ensample.events import Lattice
        >>> levels = Levels(Continuous(Lattice(0, 4, shift=2.0, scale=2.0), (1, 1, 3)))
        >>> levels.numbers(torch.tensor([0, 3, 4])).tolist()
        [-1.0, 0.5, 1.0]
        >>> levels.cells(torch.tensor([-7.0, 0.3, 0.7])).tolist()
        [0, 3, 3]
    """

    def __init__(self, event: Array) -> None:
        assert isinstance(event, Continuous)
        lattice = event.lattice
        self.low, self.high, self.shift, self.scale = lattice.low, lattice.high, lattice.shift, lattice.scale

    def numbers(self, cells: Tensor) -> Tensor:
        """Numbers of levels, float32."""
        return cells.to(torch.float32).sub_(self.shift).mul_(1 / self.scale)

    def cells(self, numbers: Tensor) -> Tensor:
        """The nearest level of each number, int64."""
        return self._nearest(numbers).clamp_(self.low, self.high).to(torch.int64)

    def rounded(self, numbers: Tensor) -> Tensor:
        """Numbers of the nearest levels; the gradient passes as if nothing were rounded (Bengio et al. 2013).

        Both players so see the same sort of thing: a critic could tell numbers from levels by their digits alone. The
        levels go on beyond the last ones, for the critic to see what is too dark or too bright.
        """
        with torch.no_grad():
            off = self._nearest(numbers).sub_(self.shift).mul_(1 / self.scale).sub_(numbers)
        return numbers + off

    def _nearest(self, numbers: Tensor) -> Tensor:
        return (numbers.to(torch.float32) * self.scale + self.shift).round_()
