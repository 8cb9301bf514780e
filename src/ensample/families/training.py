"""How families that learn by gradients are trained: options that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ensample.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Training:
    """Options of the gradient engine, inherited by every family that learns by it. Families set their own defaults.

    Arguments:
        learning_rate: largest step size of the schedule.
        weight_decay: of AdamW (Loshchilov and Hutter 2019), a share of the learning rate.
        batch_size: rows of a step.
        clip: largest norm of a player's gradient.
        average: decay of the moving average of the weights; 0 takes the weights themselves.
        patience: looks at the held-out rows without gain before the learning rate is lowered.
        reductions: how often the rate is lowered so before learning stops early.
        holdout: share of the rows held out to look at.
        warm_up: steps in which the learning rate rises to its largest.
    """

    name: ClassVar[str] = "training"

    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    batch_size: int = 256
    clip: float = 1.0
    average: float = 0.999
    patience: int = 15
    reductions: int = 2
    holdout: float = 0.1
    warm_up: int = 100

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Families with options of their own check them in `__post_init__` and call this too. Raises InputError."""
        ranges = {
            "learning_rate": (1e-12, 1e3),
            "weight_decay": (0.0, 1e3),
            "batch_size": (1, 2**31),
            "clip": (1e-12, float("inf")),
            "average": (0.0, 1.0 - 1e-9),
            "patience": (1, 2**31),
            "reductions": (0, 2**31),
            "holdout": (0.0, 0.9),
            "warm_up": (1, 2**31),
        }
        for name, (low, high) in ranges.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    "An option must be in its range.",
                    f"{self.name}, {name}",
                    str(value),
                    f"choose a value from {low:g} to {high:g}",
                )
