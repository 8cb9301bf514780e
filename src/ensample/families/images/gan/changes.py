"""Changes of what the critic sees, real and made alike, that keep it from knowing few pictures by heart."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from ensample.nets.images.augment import Augmentation

MOVES = Augmentation(rotation=15.0, scale=0.2, shift=0.08)
COLOURS = Augmentation(brightness=0.2, contrast=0.4, saturation=0.6)
BOTH = replace(MOVES, brightness=COLOURS.brightness, contrast=COLOURS.contrast, saturation=COLOURS.saturation)
CHANGES: dict[str, Augmentation | None] = {"none": None, "moves": MOVES, "colours": COLOURS, "both": BOTH}
"""What is changed, by name."""
MOST = 0.8
"""Highest probability of a change: below 1, so that changes do not leak into what is made."""
PACE = 50_000
"""Pictures after which a probability of 0 could have become 1."""


class Changes(nn.Module):
    """Augmentation for the critic whose probability adapts (Karras et al. 2020): more while it is too sure.

    Arguments:
        what: one of `CHANGES`.
        target: share of right verdicts of the critic above which changes become more probable, below less.
    """

    chance: Tensor

    def __init__(self, what: str, target: float) -> None:
        super().__init__()
        self.augmentation, self.target = CHANGES[what], target
        self.register_buffer("chance", torch.tensor(0.0))

    def forward(self, pictures: Tensor, generator: Generator) -> Tensor:
        """Pictures changed with the present probability; gradients pass through."""
        chance = float(self.chance) if self.augmentation is not None else 0.0
        if self.augmentation is None or chance == 0.0:
            return pictures
        return replace(self.augmentation, p=chance)(pictures, generator)[0]

    @torch.no_grad()
    def adapt(self, right: Tensor, rows: int) -> None:
        """One step of the probability after a verdict on so many rows; `right` is the share of right ones lately."""
        if self.augmentation is not None:
            self.chance.add_(torch.sign(right - self.target) * rows / PACE).clamp_(0.0, MOST)
