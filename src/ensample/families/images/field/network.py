"""The field of pictures as solvers see it: rows of numbers, whatever network is behind."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ensample.families.field.parameterisation import Parameterisation
from ensample.solvers.paths import Path

REACH = 12.0
"""Levels of noise log(sigma / alpha) that a network tells apart: half of it on each side of 0."""


@dataclass(frozen=True)
class Guide:
    """Classifier-free guidance (Ho and Salimans 2021), between two levels of noise only (Kynkaanniemi et al. 2024).

    Arguments:
        weight: 0 is what the network says without the given fields, 1 with them; more moves beyond.
        low, high: the ratios sigma / alpha between which it acts; outside them the weight is 1.

    Example:
        >>> Guide(2.0, 0.5, 8.0).at(torch.tensor([1.0, 20.0])).tolist()
        [2.0, 1.0]
    """

    weight: float = 1.0
    low: float = 0.0
    high: float = float("inf")

    def at(self, ratio: Tensor) -> Tensor:
        """The weight at each ratio sigma / alpha."""
        return torch.where((ratio >= self.low) & (ratio <= self.high), self.weight, 1.0)


@dataclass(frozen=True)
class PictureField:
    """The field of some rows: what a solver of `ensample.solvers` is handed; states are [rows, coordinates].

    Arguments:
        net: takes pictures [rows, channels, height, width], clocks [rows, times] and given fields.
        shape: of a picture.
        path, parameterisation: what the network's output means.
        given: [rows, given], the last column 1 unless the given fields are left out; no columns if there are none.
        told: how each picture was changed in learning [rows, told], 0 where it was not; no columns without changes.
        guide: how strongly they pull.
    """

    net: nn.Module
    shape: tuple[int, ...]
    path: Path
    parameterisation: Parameterisation
    given: Tensor
    told: Tensor
    guide: Guide = Guide()

    def output(self, x: Tensor, t: Tensor, s: Tensor | None = None) -> Tensor:
        """What the network says [rows, coordinates], guided; times [1], [1, 1] or [rows, 1]."""
        times = [t] if s is None else [t, s]
        scaled = (x / self.path.spread(t)).view(-1, *self.shape)
        clocks = torch.stack([self._clock(each).expand(len(x)) for each in times], 1)
        said: Tensor = self.net(scaled, clocks, torch.cat([self.given, self.told], 1)).flatten(1)
        weight = self.guide.at(self.path.sigma(t) / self.path.alpha(t))
        if not bool((weight != 1.0).any()):
            return said
        free = self.net(scaled, clocks, torch.cat([torch.zeros_like(self.given), self.told], 1)).flatten(1)
        guided: Tensor = free + weight.to(said.dtype) * (said - free)
        return guided

    def _clock(self, t: Tensor) -> Tensor:
        """Level of noise in (0, 1), [rows] or [1]: what a network is told as time, on every path alike."""
        return (0.5 - self.path.log_snr(t).flatten() / REACH).clamp(0.0, 1.0)

    def predict(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Expected data and noise; see `solvers.field.Field`."""
        said = self.output(x, t, t if self.parameterisation.jumps else None).to(x.dtype)
        return self.parameterisation.predict(said, x, self.path, t)

    def mean_velocity(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        """The mean velocity between two times; see `solvers.field.Jumping`."""
        return self.output(x, t, s).to(x.dtype)

    def learning(self, kept: Tensor) -> PictureField:
        """The same for learning: not guided, the given fields left out of rows that are not `kept` [rows, 1]."""
        return replace(self, given=self.given * kept, guide=Guide())
