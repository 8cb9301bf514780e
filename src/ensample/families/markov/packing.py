"""Sequences of unequal length side by side without padding: time-major, the longest first.

Step t of all sequences that have one lies together, so that the recursions of a hidden Markov model are a loop over
steps of products over sequences, and no product is wasted on padding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SEQUENCES = 1024
"""Sequences in a block: the states of one step of all of them stay in the second-level cache."""

POSITIONS = 2**18
"""Steps in a block, or one sequence."""


@dataclass(frozen=True)
class Packing:
    """Where each step of a padded batch lies among the packed ones.

    Arguments:
        order: rows of the batch, the longest first; those without steps are left out.
        sizes: how many sequences have a step t, for each t: never rising.
        rows, steps: row and step in the padded batch of every packed position, int64 [positions].

    Example:
        >>> packing = Packing.of(torch.tensor([1, 3, -1]))
        >>> packing.sizes, packing.rows.tolist(), packing.steps.tolist()
        ((2, 1, 1), [1, 0, 1, 1], [0, 0, 1, 2])
    """

    order: Tensor
    sizes: tuple[int, ...]
    rows: Tensor
    steps: Tensor

    @classmethod
    def of(cls, lengths: Tensor) -> Packing:
        """Of sequences of these lengths; one of negative length has no steps."""
        order = torch.argsort(lengths, descending=True, stable=True)
        order = order[lengths[order] > 0]
        sorted_lengths = lengths[order]
        longest = int(sorted_lengths[0]) if len(order) else 0
        there = torch.arange(longest)[:, None] < sorted_lengths
        steps, places = there.nonzero(as_tuple=True)
        return cls(order, tuple(there.sum(1).tolist()), order[places], steps)

    def __len__(self) -> int:
        return len(self.rows)

    def by_step(self, packed: Tensor) -> list[Tensor]:
        """Values [positions, width] as one tensor [width, sequences] a step."""
        return [part.T.contiguous() for part in torch.split(packed, list(self.sizes))]

    def sum(self, packed: Tensor, rows: int) -> Tensor:
        """Sums [rows] over the steps of each row of the padded batch."""
        return torch.zeros(rows, dtype=packed.dtype).index_add_(0, self.rows, packed)


def similar(lengths: Tensor, sequences: int = SEQUENCES, positions: int = POSITIONS) -> list[Tensor]:
    """Rows in groups of similar length, the longest first, each of a limited number of sequences and steps."""
    order = torch.argsort(lengths, descending=True, stable=True)
    groups, first = [], 0
    while first < len(order):
        longest = max(1, int(lengths[order[first]]))
        size = max(1, min(sequences, positions // longest))
        groups.append(order[first : first + size])
        first += size
    return groups
