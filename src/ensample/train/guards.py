"""Watches over learning: numbers that stop being numbers, losses that jump."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.errors import TrainingError

SPIKE = 6.0
"""A window is a spike if its mean lies this many standard deviations of single losses above the window before it ..."""
LOST = 0.5
"""... and more than this share of what was gained since the first window is lost again."""
SETBACKS = 6
"""So many times is learning set back before it is given up."""
LOWER = 0.3
"""Factor of the learning rate at each setback."""


@dataclass
class Guard:
    """Judges windows of steps: one host synchronisation a window, none a step.

    `mean` and `deviation` are those of the last good window, `first` is the mean of the first. A spike is only looked
    for if `spikes` is set: the losses of several players that work against each other may jump.
    """

    spikes: bool = True
    mean: float = math.nan
    deviation: float = math.nan
    first: float = math.nan

    def trouble(self, losses: list[Tensor], norms: list[Tensor]) -> str | None:
        """What is wrong with these steps (losses and gradient norms, scalars), in words; None if they are good."""
        window = torch.stack([torch.stack(losses), torch.stack(norms)]).to(torch.float64).cpu()
        if not bool(torch.isfinite(window[0]).all()):
            return "the loss is not finite"
        if not bool(torch.isfinite(window[1]).all()):
            return "the gradient is not finite"
        mean, deviation = float(window[0].mean()), float(window[0].std(correction=0))
        least = 1e-3 * abs(self.mean) + 1e-6
        jump = max(SPIKE * max(self.deviation, least), LOST * (self.first - self.mean))
        if self.spikes and mean > self.mean + jump:  # false while mean is NaN
            return f"the loss jumped from {self.mean:.4g} to {mean:.4g}"
        self.mean, self.deviation = mean, deviation
        self.first = mean if math.isnan(self.first) else self.first
        return None

    def forget(self) -> None:
        """The next window is not compared: learning goes on from elsewhere."""
        self.mean, self.deviation = math.nan, math.nan


def gave_up(what: str, step: int, setbacks: int, rate: float) -> TrainingError:
    """The error of a run that was set back too often."""
    return TrainingError(
        "Learning must stay finite and stable.",
        f"step {step}",
        f"{what}, after {setbacks} returns to the last good state, at a learning rate of {rate:.2g}",
        "lower the family's learning_rate, or look for extreme values in the data",
    )
