"""Which numbers learning may move: all weights, all but the frozen ones, or low-rank changes to them.

Low-rank adapters (Hu et al. 2022) leave a matrix W as it was and learn `W + B A` with few columns in B. Here the module
keeps its ordinary weights: gradients with respect to W are taken to A and B, and W is written anew after each step. So
any module can be adapted, and what is saved in the end is an ordinary model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from ensample.errors import InputError
from ensample.families.base import Player
from ensample.families.training import Training
from ensample.train.optimisers import is_matrix


@dataclass
class Free:
    """The weights that a player moves, and the leaves that its optimiser sees. Without adapters they are the same."""

    weights: list[nn.Parameter]
    leaves: list[Tensor]
    fixed: list[Tensor]

    @classmethod
    def of(cls, module: nn.Module, player: Player, options: Training, generator: Generator) -> Free:
        """What the options leave free of a player's parameters.

        Raises:
            InputError: `freeze` leaves nothing to learn, or there is no matrix to adapt.
        """
        names = {id(weight): name for name, weight in module.named_parameters()}
        pattern = re.compile(options.freeze) if options.freeze else None
        weights = [w for w in player.parameters if pattern is None or not pattern.search(names.get(id(w), ""))]
        if options.adapters:
            weights = [w for w in weights if is_matrix(w)]
        if not weights:
            raise InputError(
                "Something must be left to learn.",
                f"{options.name}, freeze={options.freeze!r}, adapters={options.adapters}",
                f"nothing of {', '.join(sorted(names.values()))}",
                "freeze fewer of these names",
            )
        if not options.adapters:
            return cls(weights, list(weights), [])
        leaves = [leaf for w in weights for leaf in _factors(w, options.adapters, generator)]
        return cls(weights, leaves, [w.detach().clone() for w in weights])

    def take(self, gradients: Sequence[Tensor]) -> None:
        """Hand gradients with respect to the weights on to the leaves."""
        if not self.fixed:
            for leaf, gradient in zip(self.leaves, gradients, strict=True):
                leaf.grad = gradient
            return
        for i, gradient in enumerate(gradients):
            up, down = self.leaves[2 * i], self.leaves[2 * i + 1]
            up.grad, down.grad = gradient @ down.mT, up.mT @ gradient

    @torch.no_grad()
    def write(self) -> None:
        """Bring the weights up to date with the leaves."""
        for i, (weight, fixed) in enumerate(zip(self.weights, self.fixed, strict=False)):
            # into the weight itself, not its data: whoever keeps a copy sees that it has changed
            torch.add(fixed, self.leaves[2 * i] @ self.leaves[2 * i + 1], out=weight)

    @torch.no_grad()
    def rebase(self) -> None:
        """Take the weights as they are now for what adapters change."""
        for i, weight in enumerate(self.weights if self.fixed else ()):
            self.fixed[i].copy_(weight)
            self.leaves[2 * i].zero_()


def _factors(weight: Tensor, rank: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """B [..., m, rank] of zeros and A [..., rank, n] of small normal numbers: at first nothing is changed."""
    *batch, rows, columns = weight.shape
    rank = min(rank, rows, columns)
    down = torch.randn(*batch, rank, columns, generator=generator) * columns**-0.5
    return torch.zeros(*batch, rows, rank), down
