"""Paths from data to noise: `x_t = alpha(t) x_0 + sigma(t) e`, e standard normal, t from 0 (data) to 1 (noise).

Every path is the same road at another speed (Kingma et al. 2021): a field learned on one can be followed on another.
Data are thought to have unit variance.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

CARE = 2.0
"""Power of a uniform number that makes a time to learn at."""

LEAST, MOST = 0.03, 80.0
"""Ratios sigma / alpha between which the steps of drawing pictures are spaced; the last leads from `LEAST` to the data.
"""


class Path(ABC):
    """A schedule of signal and noise. Abstract; leaves are final. Times are tensors of any shape."""

    first: float = 1e-3
    """Where solvers end: so close to the data that the difference does not matter."""

    @abstractmethod
    def alpha(self, t: Tensor) -> Tensor:
        """Share of the data."""

    @abstractmethod
    def sigma(self, t: Tensor) -> Tensor:
        """Standard deviation of the noise."""

    @abstractmethod
    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Rates d alpha / dt and d sigma / dt."""

    def times(self, u: Tensor) -> Tensor:
        """Times to learn at, from uniform numbers u in (0, 1); ascending in u.

        Small times are met more often: sharp edges are learned there, and the likelihood weighs them more.
        """
        return u**CARE * (1.0 - self.first) + self.first

    def grid(self, steps: int) -> Tensor:
        """Times [steps + 1] float64 from 1 down to `first`."""
        return torch.linspace(1.0, self.first, steps + 1, dtype=torch.float64)

    def log_snr(self, t: Tensor) -> Tensor:
        """The logarithm lambda = log(alpha / sigma); minus infinity where no data is left."""
        return torch.log(self.alpha(t)) - torch.log(self.sigma(t))

    @abstractmethod
    def time(self, ratio: Tensor) -> Tensor:
        """The time at which sigma / alpha is this much: what makes a level of noise the same on every path."""

    def spread(self, t: Tensor) -> Tensor:
        """Standard deviation of x_t where the data have unit variance."""
        return torch.hypot(self.alpha(t), self.sigma(t))

    def clock(self, t: Tensor) -> Tensor:
        """The share of noise sigma / (alpha + sigma) in (0, 1): what a network is told as time, on every path alike."""
        sigma = self.sigma(t)
        return sigma / (self.alpha(t) + sigma)

    def diffusion(self, t: Tensor) -> Tensor:
        """g(t)^2 of the stochastic differential equation dx = (alpha' / alpha) x dt + g dw with these marginals."""
        alpha, sigma = self.alpha(t), self.sigma(t)
        d_alpha, d_sigma = self.rates(t)
        return 2 * sigma * (d_sigma - d_alpha / alpha * sigma)


@dataclass(frozen=True)
class Linear(Path):
    """Flow matching (Lipman et al. 2023) and rectified flow (Liu et al. 2023): a straight line at constant speed.

    Example:
        >>> Linear().alpha(torch.tensor(0.25)).item()
        0.75
    """

    def alpha(self, t: Tensor) -> Tensor:
        """The rest 1 - t."""
        return 1.0 - t

    def sigma(self, t: Tensor) -> Tensor:
        """The time t."""
        return t

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """-1 and 1."""
        return -torch.ones_like(t), torch.ones_like(t)

    def time(self, ratio: Tensor) -> Tensor:
        """`r / (1 + r)`: normal in log r, it is the logit-normal time of Esser et al. (2024)."""
        return ratio / (1.0 + ratio)


@dataclass(frozen=True)
class Cosine(Path):
    """Variance preserving along a quarter of a circle (Nichol and Dhariwal 2021, without their offset)."""

    def alpha(self, t: Tensor) -> Tensor:
        """cos(pi t / 2)."""
        return torch.cos(t * (math.pi / 2))

    def sigma(self, t: Tensor) -> Tensor:
        """sin(pi t / 2)."""
        return torch.sin(t * (math.pi / 2))

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """Both have the speed pi / 2 along the circle."""
        return -self.sigma(t) * (math.pi / 2), self.alpha(t) * (math.pi / 2)

    def time(self, ratio: Tensor) -> Tensor:
        """The angle whose tangent it is."""
        return torch.atan(ratio) * (2 / math.pi)


@dataclass(frozen=True)
class Ddpm(Path):
    """Variance preserving with noise that comes in at a linear rate (Ho et al. 2020; Song et al. 2021).

    `alpha^2 = exp(-B)`, `sigma^2 = 1 - exp(-B)`, `B(t) = low t + (high - low) t^2 / 2`.
    """

    low: float = 0.1
    high: float = 20.0
    first: float = 1e-5

    def grid(self, steps: int) -> Tensor:
        """Squares of equal steps: the log SNR changes fast near the data."""
        return self.first + (1 - self.first) * torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64).square()

    def _total(self, t: Tensor) -> Tensor:
        return self.low * t + 0.5 * (self.high - self.low) * t * t

    def alpha(self, t: Tensor) -> Tensor:
        """exp(-B / 2)."""
        return torch.exp(-0.5 * self._total(t))

    def sigma(self, t: Tensor) -> Tensor:
        """sqrt(1 - exp(-B))."""
        return torch.sqrt(-torch.expm1(-self._total(t)))

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """-b alpha / 2 and b alpha^2 / (2 sigma), b = dB / dt."""
        b, alpha = self.low + (self.high - self.low) * t, self.alpha(t)
        return -0.5 * b * alpha, 0.5 * b * alpha * alpha / self.sigma(t)

    def time(self, ratio: Tensor) -> Tensor:
        """Where `exp(B) = 1 + r^2`."""
        return self._reached(torch.log1p(ratio.square()))

    def _reached(self, total: Tensor) -> Tensor:
        """The time at which B is this much."""
        rise = self.high - self.low
        return (torch.sqrt(self.low**2 + 2 * rise * total) - self.low) / rise


@dataclass(frozen=True)
class SubVp(Ddpm):
    """The same data share with less noise: `sigma = 1 - exp(-B)` (sub-VP, Song et al. 2021)."""

    first: float = 1e-3

    def sigma(self, t: Tensor) -> Tensor:
        """1 - exp(-B)."""
        return -torch.expm1(-self._total(t))

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """-b alpha / 2 and b alpha^2."""
        b, alpha = self.low + (self.high - self.low) * t, self.alpha(t)
        return -0.5 * b * alpha, b * alpha * alpha

    def time(self, ratio: Tensor) -> Tensor:
        """Where `1 / alpha - alpha = r`."""
        return self._reached(2 * torch.asinh(0.5 * ratio))


@dataclass(frozen=True)
class Exploding(Path):
    """Noise added to whole data, in geometric steps (VE: Song and Ermon 2019; Song et al. 2021)."""

    least: float = 2e-3
    most: float = 40.0
    first: float = 0.0

    def alpha(self, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def sigma(self, t: Tensor) -> Tensor:
        """Noise least (most / least)^t."""
        return self.least * (self.most / self.least) ** t

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """0 and sigma log(most / least)."""
        return torch.zeros_like(t), self.sigma(t) * math.log(self.most / self.least)

    def time(self, ratio: Tensor) -> Tensor:
        """Inverse of `sigma`."""
        return torch.log(ratio / self.least) / math.log(self.most / self.least)


@dataclass(frozen=True)
class Edm(Path):
    """The grid of Karras et al. (2022): `sigma = (a + t (b - a))^rho`; learning looks at a log-normal noise level.

    Their noise level has the median exp(-1.2) for data of standard deviation 0.5, so twice that here.
    """

    least: float = 2e-3
    most: float = 80.0
    rho: float = 7.0
    first: float = 0.0

    def alpha(self, t: Tensor) -> Tensor:
        """1."""
        return torch.ones_like(t)

    def _ends(self) -> tuple[float, float]:
        return self.least ** (1 / self.rho), self.most ** (1 / self.rho)

    def sigma(self, t: Tensor) -> Tensor:
        """From `least` to `most`."""
        a, b = self._ends()
        return (a + t * (b - a)) ** self.rho

    def rates(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """0 and rho (b - a) (a + t (b - a))^(rho - 1)."""
        a, b = self._ends()
        return torch.zeros_like(t), self.rho * (b - a) * (a + t * (b - a)) ** (self.rho - 1)

    def times(self, u: Tensor) -> Tensor:
        """Where log sigma is normal with mean log 2 - 1.2 and standard deviation 1.2."""
        return log_normal(self, u, math.log(2) - 1.2, 1.2)

    def time(self, ratio: Tensor) -> Tensor:
        """Inverse of `sigma`."""
        a, b = self._ends()
        return (ratio ** (1 / self.rho) - a) / (b - a)


def log_normal(path: Path, u: Tensor, mean: float, sd: float) -> Tensor:
    """Times on the path at which log(sigma / alpha) is normal, from uniform numbers u (Karras et al. 2022).

    Example:
        >>> log_normal(Linear(), torch.tensor([0.5]), 0.0, 1.0).item()
        0.5
    """
    ratio = torch.exp(mean + sd * torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6)))
    return path.time(ratio).clamp(path.first, 1.0)


def polynomial(path: Path, steps: int, least: float, most: float, rho: float = 7.0) -> Tensor:
    """Times [steps + 1] float64, equally far apart in `r^(1 / rho)` of the ratio r = sigma / alpha.

    They fall from `most` to `least` and then, in one step, to the end of the path: the grid of Karras et al. (2022), on
    any path.

    Example:
        >>> [round(t, 2) for t in polynomial(Linear(), 3, least=0.25, most=4.0).tolist()]
        [0.8, 0.53, 0.2, 0.0]
    """
    roots = torch.linspace(most ** (1 / rho), least ** (1 / rho), steps, dtype=torch.float64)
    first = torch.full((1,), path.first, dtype=torch.float64)
    return torch.cat([path.time(roots**rho).clamp(path.first, 1.0), first])


PATHS: dict[str, Path] = {
    "linear": Linear(),
    "cosine": Cosine(),
    "ddpm": Ddpm(),
    "sub-vp": SubVp(),
    "ve": Exploding(),
    "edm": Edm(),
}
"""Paths by their public names."""
