"""What the network of a field predicts: the target of learning and the way back from it, defined together.

With x = alpha x_0 + sigma e, each target is linear in (x_0, e), so what the network says and x give both back. Since
learning and every solver go through the same object, they cannot disagree on what is predicted.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.solvers.paths import Path

LEAST = 1e-4
"""Smallest share of data, or of noise, that anything is divided by."""
HEAVIEST = 20.0
"""Largest weight of a time in a loss whose exact weight has no bound."""


class Parameterisation(ABC):
    """Abstract; leaves are final. Data, noise and output are [rows, columns], times [rows, 1] or [1]."""

    jumps: bool = False
    """Whether the network also says what lies between two times."""

    @abstractmethod
    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """What the network should say."""

    @abstractmethod
    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """(data, noise) from what the network says about x: the inverse of `target`."""

    def weight(self, path: Path, t: Tensor) -> Tensor:
        """Weight of the squared error at a time."""
        return torch.ones_like(t)


@dataclass(frozen=True)
class Noise(Parameterisation):
    """The noise e (Ho et al. 2020), all times alike. At the far end, where no data is left, it cannot tell of them."""

    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """The noise."""
        return noise

    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """`x_0 = (x - sigma e) / alpha`."""
        return (x - path.sigma(t) * output) / path.alpha(t).clamp(min=LEAST), output


@dataclass(frozen=True)
class Data(Parameterisation):
    """The data x_0, weighted by the signal-to-noise ratio up to 5 (Hang et al. 2023)."""

    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """The data."""
        return data

    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """`e = (x - alpha x_0) / sigma`."""
        return output, (x - path.alpha(t) * output) / path.sigma(t).clamp(min=LEAST)

    def weight(self, path: Path, t: Tensor) -> Tensor:
        """`min(alpha^2 / sigma^2, 5)`."""
        return (path.alpha(t) / path.sigma(t)).square().clamp(max=5.0)


@dataclass(frozen=True)
class Velocity(Parameterisation):
    """dx/dt = alpha' x_0 + sigma' e over its own size (Lipman et al. 2023, Liu et al. 2023)."""

    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """`(alpha' x_0 + sigma' e) / |(alpha', sigma')|`."""
        d_alpha, d_sigma = path.rates(t)
        return (d_alpha * data + d_sigma * noise) / torch.hypot(d_alpha, d_sigma)

    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """Cramer's rule for the two equations."""
        alpha, sigma, (d_alpha, d_sigma) = path.alpha(t), path.sigma(t), path.rates(t)
        v = output * torch.hypot(d_alpha, d_sigma)
        turn = alpha * d_sigma - sigma * d_alpha
        return (d_sigma * x - sigma * v) / turn, (alpha * v - d_alpha * x) / turn


@dataclass(frozen=True)
class Score(Parameterisation):
    """The score times sigma, weighted so that the loss bounds the likelihood (Song et al. 2021): `g^2 / sigma^2`."""

    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """Minus the noise: sigma times the gradient of log p(x | x_0)."""
        return -noise

    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """As from the noise."""
        return Noise().predict(-output, x, path, t)

    def weight(self, path: Path, t: Tensor) -> Tensor:
        """`g^2 / sigma^2`, up to a bound."""
        return (path.diffusion(t) / path.sigma(t).square()).nan_to_num(HEAVIEST).clamp(max=HEAVIEST)


@dataclass(frozen=True)
class Edm(Parameterisation):
    """The preconditioning of Karras et al. (2022) on any path: `F = (sigma x_0 - alpha e) / |(alpha, sigma)|`.

    The network says what x alone, scaled, cannot: the part of (x_0, e) at a right angle to (alpha, sigma). Nothing is
    divided by a vanishing number at either end. On the cosine path it is the v of Salimans and Ho (2022), reversed.
    """

    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """`(sigma x_0 - alpha e) / |(alpha, sigma)|`, of unit variance at every time."""
        return (path.sigma(t) * data - path.alpha(t) * noise) / path.spread(t)

    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """Rotate (x, F) back."""
        spread = path.spread(t)
        alpha, sigma, along = path.alpha(t) / spread, path.sigma(t) / spread, x / spread
        return alpha * along + sigma * output, sigma * along - alpha * output


@dataclass(frozen=True)
class MeanVelocity(Parameterisation):
    """The mean of dx/dt between two times (MeanFlow, Geng et al. 2025), which at one time is dx/dt itself.

    `target` is that of one time; `ensample.families.field.mean` makes it one of two. Samples then take few steps.
    """

    jumps = True

    def target(self, data: Tensor, noise: Tensor, path: Path, t: Tensor) -> Tensor:
        """`alpha' x_0 + sigma' e`."""
        d_alpha, d_sigma = path.rates(t)
        return d_alpha * data + d_sigma * noise

    def predict(self, output: Tensor, x: Tensor, path: Path, t: Tensor) -> tuple[Tensor, Tensor]:
        """As from the velocity."""
        return Velocity().predict(output / torch.hypot(*path.rates(t)), x, path, t)


PARAMETERISATIONS: dict[str, Parameterisation] = {
    "noise": Noise(),
    "data": Data(),
    "velocity": Velocity(),
    "score": Score(),
    "edm": Edm(),
    "mean": MeanVelocity(),
}
"""Parameterisations by their public names."""
