"""Solvers on a fixed grid of times: from noise at its first time to data at its last, or the other way.

Each is a small object called with (field, state [rows, columns], grid [steps + 1], generator); `order` is the power of
the step with which its error falls (in distribution for those that add noise).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from ensample.solvers.field import Field, velocity

FAINT = 1e-6
"""A share of data below this is none."""


class Solver(ABC):
    """From the state at the first time of a grid to that at its last. Abstract; leaves are final."""

    order: int
    evaluations: int = 1
    """Times that the field is asked in a step."""

    @abstractmethod
    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """The state at the end of the grid; the generator serves those that add noise."""


def pairs(grid: Tensor, like: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Neighbouring times of the grid, each [1] and of the state's own type."""
    times = grid.to(like.dtype)[:, None]
    return list(pairwise(times))


@dataclass(frozen=True)
class Euler(Solver):
    """`x_s = x_t + (s - t) v(x_t, t)`."""

    order = 1

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        for t, s in pairs(grid, x):
            x = x + (s - t) * velocity(field, x, t)
        return x


@dataclass(frozen=True)
class Heun(Solver):
    """The mean of the slopes at both ends of an Euler step (the second-order sampler of Karras et al. 2022)."""

    order = 2
    evaluations = 2

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        for t, s in pairs(grid, x):
            x = _heun(field, x, t, s)
        return x


def _heun(field: Field, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
    slope = velocity(field, x, t)
    return x + 0.5 * (s - t) * (slope + velocity(field, x + (s - t) * slope, s))


@dataclass(frozen=True)
class RungeKutta(Solver):
    """The classical method of four slopes a step (Kutta 1901)."""

    order = 4
    evaluations = 4

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        for t, s in pairs(grid, x):
            h, middle = s - t, 0.5 * (s + t)
            k1 = velocity(field, x, t)
            k2 = velocity(field, x + 0.5 * h * k1, middle)
            k3 = velocity(field, x + 0.5 * h * k2, middle)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + velocity(field, x + h * k3, s))
        return x


@dataclass(frozen=True)
class Ddim(Solver):
    """`x_s = alpha_s data + sigma_s noise` with both as seen at t (Song, Meng and Ermon 2021, without noise)."""

    order = 1

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        for t, s in pairs(grid, x):
            data, noise = field.predict(x, t)
            x = field.path.alpha(s) * data + field.path.sigma(s) * noise
        return x


@dataclass(frozen=True)
class DpmSolver(Solver):
    """DPM-Solver++ of several steps (Lu et al. 2022): the noise falls exactly, the data is a polynomial in log SNR.

    `x_s = (sigma_s / sigma_t) x_t - alpha_s (phi_1 D_0 - phi_2 D_1 + phi_3 D_2)`, with differences D_1 and D_2 of the
    data seen at earlier steps that stand for its first and second derivative. The published D_2 is half the one here,
    which leaves the order at two. A step without earlier ones is Heun's where the order asks for it.
    """

    order: int = 2

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        path, seen, widths = field.path, list[Tensor](), list[Tensor]()
        for t, s in pairs(grid, x):
            h = path.log_snr(s) - path.log_snr(t)
            seen = [field.predict(x, t)[0], *seen][: self.order]
            if len(seen) == 1 and self.order == 3:
                x = _heun(field, x, t, s)
            else:
                x = path.sigma(s) / path.sigma(t) * x - path.alpha(s) * _mean(seen, widths, h)
            widths = [h, *widths][: self.order - 1]
            if bool(torch.isinf(h)):  # nothing can be told across an infinite stretch of log SNR
                seen, widths = [], []
        return x


def _mean(seen: list[Tensor], widths: list[Tensor], h: Tensor) -> Tensor:
    """The sum in brackets of `DpmSolver`, from the data seen (newest first) and the widths of the steps between."""
    phi_1 = torch.expm1(-h)
    if len(seen) == 1:
        return phi_1 * seen[0]
    phi_2 = phi_1 / h + 1
    near = (seen[0] - seen[1]) / (widths[0] / h)
    if len(seen) == 2:
        return phi_1 * seen[0] - phi_2 * near
    r_0, r_1 = widths[0] / h, widths[1] / h
    far = (seen[1] - seen[2]) / r_1
    first, second = near + r_0 / (r_0 + r_1) * (near - far), 2 * (near - far) / (r_0 + r_1)
    return phi_1 * seen[0] - phi_2 * first + (phi_2 / h - 0.5) * second


@dataclass(frozen=True)
class Ancestral(Solver):
    """The reverse chain of DDPM (Ho et al. 2020): x_s from its Gaussian posterior given x_t and the data seen in it."""

    order = 1

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        path = field.path
        for t, s in pairs(grid, x):
            data, noise = field.predict(x, t)
            ratio = path.alpha(t) / path.alpha(s)  # x_t = ratio x_s + noise
            kept = (ratio * path.sigma(s) / path.sigma(t)).square()
            fresh = path.sigma(s) * torch.sqrt((1 - kept).clamp(min=0.0))
            old = ratio * path.sigma(s).square() / path.sigma(t)
            x = path.alpha(s) * data + old * noise + fresh * _normal(x, generator)
        return x


@dataclass(frozen=True)
class EulerMaruyama(Solver):
    """The reverse stochastic differential equation of Song et al. (2021): `dx = (v - g^2 score / 2) dt + g dw`."""

    order = 1

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`."""
        path = field.path
        for t, s in pairs(grid, x):
            data, noise = field.predict(x, t)
            if bool((path.alpha(t) < FAINT).any()):  # pure noise: the equation has no beginning there
                x = path.alpha(s) * data + path.sigma(s) * noise
                continue
            d_alpha, d_sigma = path.rates(t)
            g2 = path.diffusion(t)
            drift = d_alpha * data + (d_sigma + 0.5 * g2 / path.sigma(t)) * noise
            x = x + (s - t) * drift + torch.sqrt(g2 * (t - s)) * _normal(x, generator)
        return x


@dataclass(frozen=True)
class Jump(Solver):
    """`x_s = x_t + (s - t) u(x_t, t, s)` with the learned mean velocity u: exact in one step where u is."""

    order = 1

    def __call__(self, field: Field, x: Tensor, grid: Tensor, generator: Generator) -> Tensor:
        """See `Solver`; the field is one that knows mean velocities."""
        for t, s in pairs(grid, x):
            x = x + (s - t) * field.mean_velocity(x, t, s)  # type: ignore[attr-defined]
        return x


def _normal(like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)
