"""The choice of the next class from its distribution, and the random numbers it needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

BLOCK = 256
"""Random numbers drawn at once for a row."""


class Noise:
    """Random numbers for each row from a generator of its own: what one row draws, no other row changes.

    Arguments:
        seeds: one for each row, whole numbers or sequences of them, as numpy's `default_rng` takes.

    Example:
        >>> alone, both = Noise([[3, 1]]), Noise([[7], [3, 1]])
        >>> bool(alone.uniform()[0] == both.uniform()[1])
        True
    """

    def __init__(self, seeds: Sequence[Sequence[int] | int]) -> None:
        self._rows = [np.random.default_rng(seed) for seed in seeds]
        self._block, self._next = np.zeros((len(self._rows), 0)), 0

    def uniform(self) -> Tensor:
        """One number in [0, 1) for each row, float64 [rows]."""
        return torch.from_numpy(self.uniforms(1)[:, 0])

    def uniforms(self, most: int) -> np.ndarray:
        """The next numbers for each row, some, at most so many: float64 [rows, numbers]."""
        if self._next == self._block.shape[1]:
            drawn = [row.random(BLOCK) for row in self._rows]
            self._block, self._next = np.stack(drawn) if drawn else np.zeros((0, BLOCK)), 0
        first = self._next
        self._next = min(first + most, self._block.shape[1])
        return self._block[:, first : self._next]

    def back(self, count: int) -> None:
        """The last so many numbers of `uniforms` were not used."""
        self._next -= count

    def take(self, rows: Tensor) -> Self:
        """The noise of these rows, each taken at most once; this one is of no more use."""
        kept = object.__new__(type(self))
        kept._rows = [self._rows[row] for row in rows.tolist()]
        kept._block, kept._next = self._block[rows.numpy()], self._next
        return kept


class Choice(Protocol):
    """A way to choose one class of a distribution."""

    def probabilities(self, logits: Tensor) -> Tensor:
        """How probably each class is chosen, [..., classes + 1]."""
        ...

    def choose(self, logits: Tensor, noise: Noise) -> Tensor:
        """One class of each row, int64 [rows]."""
        ...


class Greedy:
    """The most probable class; of several, the first.

    Example:
        >>> Greedy().choose(torch.tensor([[0.0, 2.0, 2.0]]), Noise([0])).tolist()
        [1]
    """

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `Choice`."""
        return torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)

    def choose(self, logits: Tensor, noise: Noise) -> Tensor:
        """See `Choice`."""
        return logits.argmax(1)


class Sampling:
    """A class at random, by the inverse of the distribution function: one random number for each row.

    Example:
        >>> Sampling().choose(torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0]]), Noise([0, 1])).tolist()
        [0, 1]
    """

    def probabilities(self, logits: Tensor) -> Tensor:
        """See `Choice`."""
        return torch.softmax(logits, -1)

    def choose(self, logits: Tensor, noise: Noise) -> Tensor:
        """See `Choice`."""
        return drawn(torch.softmax(logits, 1), noise.uniform())


def drawn(weights: Tensor, uniform: Tensor) -> Tensor:
    """A class of each row with a chance that its weight has among all: int64 [rows].

    Arguments:
        weights: not negative, not all 0, [rows, classes].
        uniform: in [0, 1), float64 [rows].
    """
    total = weights.cumsum(1, dtype=torch.float64)
    # a little less than 1 keeps the product below the sum, so that no class of weight 0 can follow
    threshold = uniform * (1 - 2.0**-40) * total[:, -1]
    return torch.searchsorted(total, threshold[:, None], right=True)[:, 0]
