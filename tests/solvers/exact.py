"""Fields that are known exactly: data that are a Gaussian or a mixture of Gaussians."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.solvers.paths import Path


@dataclass(frozen=True)
class MixtureField:
    """The field of a mixture of isotropic Gaussians: p_t is a mixture too, so the score is known in closed form.

    `means` [components, columns], `sd` [components], `weights` [components], all float64.
    """

    path: Path
    means: Tensor
    sd: Tensor
    weights: Tensor

    def _parts(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Differences [rows, components, columns], variances and log weighted densities [rows, components]."""
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        away = x[:, None] - alpha[..., None] * self.means
        variance = (alpha * self.sd) ** 2 + sigma**2
        log_p = self.weights.log() - 0.5 * away.square().sum(2) / variance
        return away, variance.expand(len(x), -1), log_p - 0.5 * x.shape[1] * torch.log(2 * math.pi * variance)

    def log_p(self, x: Tensor, t: Tensor) -> Tensor:
        return self._parts(x, t)[2].logsumexp(1)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        away, variance, log_p = self._parts(x, t)
        return -(log_p.softmax(1)[..., None] * away / variance[..., None]).sum(1)

    def predict(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """E[x_0 | x] component by component, so that no small number divides."""
        alpha, sigma = self.path.alpha(t), self.path.sigma(t)
        away, variance, log_p = self._parts(x, t)
        share = log_p.softmax(1)[..., None]
        gain = (alpha * self.sd**2 / variance)[..., None]
        data = (share * (self.means + gain * away)).sum(1)
        noise = (share * (sigma / variance)[..., None] * away).sum(1)
        return data, noise

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        which = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64)
        return self.means[which] + self.sd[which, None] * noise


def gaussian(path: Path, mean: float = 0.7, sd: float = 0.6) -> MixtureField:
    """One Gaussian on the line."""
    return MixtureField(path, torch.tensor([[mean]]).double(), torch.tensor([sd]).double(), torch.ones(1).double())


def two_bumps(path: Path) -> MixtureField:
    """Two Gaussians in the plane, close to unit variance."""
    means = torch.tensor([[-0.9, 0.4], [0.8, -0.5]], dtype=torch.float64)
    return MixtureField(path, means, torch.tensor([0.4, 0.5]).double(), torch.tensor([0.4, 0.6]).double())
