"""How the covariance of a Gaussian component is written down: as a full matrix (`Dense`) or as its diagonal (`Axis`).

A form knows the algebra that depends on it: the features whose weighted sums are sufficient, the log-density as a
product of weights and features, marginals, conditionals, factors. With `phi(x) = (products of x, x, 1)` the logarithm
of every weighted component density is linear in phi, so a whole E step is one matrix product and a whole M step
another (natural parameters of the exponential family; Wainwright and Jordan 2008, section 3).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

LOG2E = math.log2(math.e)
_LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Natural:
    """Log-densities, in bits, as weights on features.

    `weights` [k, features] float64; no component ever exceeds `peak` bits; `terms` is the largest sum of absolute
    terms near the middle of a component, in nats: times the machine epsilon it bounds the cancellation error.
    """

    weights: Tensor
    peak: float
    terms: float


class Form(ABC):
    """Abstract; the leaves are `Dense` and `Axis`. `d` coordinates, `k` components throughout."""

    @abstractmethod
    def size(self, d: int) -> int:
        """Number of features of d coordinates."""

    @abstractmethod
    def features(self, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        """Write phi [features, rows] of x [d, rows] to `out`; `noise` [d, rows] is its variance about x."""

    @abstractmethod
    def natural(self, log_weights: Tensor, means: Tensor, covariances: Tensor) -> Natural:
        """The weights on `features` that give log2 of `weight * N(x; mean, covariance)`."""

    @abstractmethod
    def moments(self, sums: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
        """Split weighted sums of features [k, features]: counts [k], first [k, d] and second moments."""

    @abstractmethod
    def marginal(self, covariances: Tensor, columns: Tensor) -> Tensor:
        """Covariances of some coordinates alone."""

    @abstractmethod
    def complete(
        self, parts: tuple[Tensor, Tensor, Tensor], means: Tensor, covariances: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Expected statistics of all coordinates from those of the known ones: (observed [k, d], first, second)."""

    @abstractmethod
    def log_density(self, x: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
        """Log N(x; mean, covariance) of each row and component, [rows, k] float64, by whitening (no cancellation)."""

    @abstractmethod
    def regression(self, covariances: Tensor, known: Tensor, unknown: Tensor) -> tuple[Tensor | None, Tensor]:
        """Coefficients [k, unknown, known] (None: independent) and covariance of the unknown given the known."""

    @abstractmethod
    def factor(self, covariances: Tensor) -> Tensor:
        """Lower factors L with `L L' = covariance`, in this form."""

    @abstractmethod
    def apply(self, factor: Tensor, z: Tensor) -> Tensor:
        """`L z` for rows z [rows, d] and the factor of one component."""

    @abstractmethod
    def prefix(self, factor: Tensor, z: Tensor, i: int) -> Tensor | float:
        """What the first i coordinates of z [rows, d] add to coordinate i."""

    @abstractmethod
    def at_least(self, covariances: Tensor, floor: Tensor) -> Tensor:
        """The same where they are sound; no variance below floor [k, d], every covariance positive definite."""

    @abstractmethod
    def rescale(self, covariances: Tensor, scale: Tensor) -> Tensor:
        """Covariances of coordinates multiplied by scale [d]."""

    @abstractmethod
    def diagonal(self, matrices: Tensor) -> Tensor:
        """The diagonals [k, d]."""


class Dense(Form):
    """Covariances [k, d, d]; features are the upper triangle of x x', x and 1."""

    def size(self, d: int) -> int:
        """The triangle, x and 1."""
        return d * (d + 1) // 2 + d + 1

    def features(self, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        """Products of each coordinate with itself and those after it, then x, then 1."""
        at, d = 0, len(x)
        for i in range(d):
            torch.mul(x[i:], x[i], out=out[at : at + d - i])
            if noise is not None:
                out[at] += noise[i]
            at += d - i
        out[at:-1] = x
        out[-1] = 1.0
        return out

    def natural(self, log_weights: Tensor, means: Tensor, covariances: Tensor) -> Natural:
        """Weights in the order of `features`."""
        k, d = means.shape
        lower = torch.linalg.cholesky(covariances)
        precision = torch.cholesky_inverse(lower)
        linear = (precision @ means[:, :, None])[:, :, 0]
        peak = log_weights - 0.5 * d * _LOG_2PI - self.diagonal(lower).log().sum(1)
        i, j = torch.triu_indices(d, d)
        pairs = torch.where(i == j, -0.5, -1.0) * precision[:, i, j]
        constant = peak - 0.5 * (means * linear).sum(1)
        weights = torch.cat([pairs, linear, constant[:, None]], 1)
        near = means.abs() + self.diagonal(covariances).sqrt()
        sizes = torch.cat([near[:, i] * near[:, j], near, near.new_ones(k, 1)], 1)
        return Natural(weights * LOG2E, _top(peak), _top((weights.abs() * sizes).sum(1), 1.0))

    def moments(self, sums: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
        """Counts [k], first [k, d], second [k, d, d]."""
        i, j = torch.triu_indices(d, d)
        second = sums.new_zeros(len(sums), d, d)
        second[:, i, j] = sums[:, : len(i)]
        second[:, j, i] = sums[:, : len(i)]
        return sums[:, -1], sums[:, len(i) : -1], second

    def marginal(self, covariances: Tensor, columns: Tensor) -> Tensor:
        """[k, columns, columns]."""
        return covariances[:, columns[:, None], columns]

    def complete(
        self, parts: tuple[Tensor, Tensor, Tensor], means: Tensor, covariances: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Unknown coordinates by their regression on the known, plus the conditional covariance."""
        count, first, second = parts
        d = means.shape[1]
        if len(known) == d:
            return count[:, None].expand(-1, d), first, second
        unknown = _others(known, d)
        slopes, rest = self.regression(covariances, known, unknown)
        assert slopes is not None
        mean = means[:, known]
        spread = first - count[:, None] * mean  # about the current mean
        cross = first[:, :, None] * mean[:, None, :]
        scatter = second - cross - cross.mT + count[:, None, None] * mean[:, :, None] * mean[:, None, :]
        lift = means.new_zeros(len(means), d, len(known))  # [I; slopes]
        lift[:, known] = torch.eye(len(known), dtype=means.dtype)
        lift[:, unknown] = slopes
        first = (lift @ spread[:, :, None])[:, :, 0] + count[:, None] * means
        whole = lift @ scatter @ lift.mT
        whole[:, unknown[:, None], unknown] += count[:, None, None] * rest
        cross = first[:, :, None] * means[:, None, :]
        whole = whole + cross + cross.mT - count[:, None, None] * means[:, :, None] * means[:, None, :]
        return count[:, None].expand(-1, d), first, whole

    def log_density(self, x: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
        """By one triangular solve a component."""
        lower = torch.linalg.cholesky(covariances)
        constant = -0.5 * x.shape[1] * _LOG_2PI - self.diagonal(lower).log().sum(1)
        squares = [
            torch.linalg.solve_triangular(lower[k], (x - means[k]).T, upper=False).square().sum(0)
            for k in range(len(means))
        ]
        return constant - 0.5 * torch.stack(squares, 1)

    def regression(self, covariances: Tensor, known: Tensor, unknown: Tensor) -> tuple[Tensor | None, Tensor]:
        """`S_uk S_kk^-1` and `S_uu - S_uk S_kk^-1 S_ku`."""
        across = covariances[:, unknown[:, None], known]
        rest = self.marginal(covariances, unknown)
        if len(known) == 0:
            return across, rest
        lower = torch.linalg.cholesky(self.marginal(covariances, known))
        half = torch.linalg.solve_triangular(lower, across.mT, upper=False)
        slopes = torch.linalg.solve_triangular(lower.mT, half, upper=True).mT
        return slopes, rest - half.mT @ half

    def factor(self, covariances: Tensor) -> Tensor:
        """Cholesky factors [k, d, d]; a direction lost to rounding gets the smallest variance that factors."""
        lower: Tensor
        lower, failed = torch.linalg.cholesky_ex(covariances)
        jitter = 1e-14
        while bool(failed.any()):
            scale = self.diagonal(covariances).amax(1).clamp(min=1e-300) * jitter
            eye = torch.eye(covariances.shape[1], dtype=covariances.dtype)
            lower, failed = torch.linalg.cholesky_ex(covariances + scale[:, None, None] * eye)
            jitter *= 10.0
        return lower

    def apply(self, factor: Tensor, z: Tensor) -> Tensor:
        """A matrix product."""
        return torch.mm(z, factor.T)

    def prefix(self, factor: Tensor, z: Tensor, i: int) -> Tensor | float:
        """Row i of the factor, left of the diagonal."""
        return z[:, :i] @ factor[i, :i]

    def at_least(self, covariances: Tensor, floor: Tensor) -> Tensor:
        """Raises diagonals; a matrix that rounding has broken keeps its diagonal alone."""
        raised = covariances + torch.diag_embed((floor - self.diagonal(covariances)).clamp(min=0.0))
        broken = torch.linalg.cholesky_ex(raised)[1] != 0
        return torch.where(broken[:, None, None], torch.diag_embed(self.diagonal(raised)), raised)

    def rescale(self, covariances: Tensor, scale: Tensor) -> Tensor:
        """Rows and columns."""
        return covariances * scale[:, None] * scale

    def diagonal(self, matrices: Tensor) -> Tensor:
        """Of each matrix."""
        return torch.diagonal(matrices, dim1=1, dim2=2)


class Axis(Form):
    """Variances [k, d], coordinates independent within a component; features are the squares of x, x and 1."""

    def size(self, d: int) -> int:
        """Squares, x and 1."""
        return 2 * d + 1

    def features(self, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        """Squares, then x, then 1."""
        d = len(x)
        torch.mul(x, x, out=out[:d])
        if noise is not None:
            out[:d] += noise
        out[d:-1] = x
        out[-1] = 1.0
        return out

    def natural(self, log_weights: Tensor, means: Tensor, covariances: Tensor) -> Natural:
        """Weights in the order of `features`."""
        precision = 1.0 / covariances
        linear = precision * means
        peak = log_weights - 0.5 * (_LOG_2PI + covariances.log()).sum(1)
        constant = peak - 0.5 * (means * linear).sum(1)
        weights = torch.cat([-0.5 * precision, linear, constant[:, None]], 1)
        near = means.abs() + covariances.sqrt()
        sizes = torch.cat([near.square(), near, near.new_ones(len(near), 1)], 1)
        return Natural(weights * LOG2E, _top(peak), _top((weights.abs() * sizes).sum(1), 1.0))

    def moments(self, sums: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor]:
        """Counts [k], first [k, d], second [k, d]."""
        return sums[:, -1], sums[:, d:-1], sums[:, :d]

    def marginal(self, covariances: Tensor, columns: Tensor) -> Tensor:
        """[k, columns]."""
        return covariances[:, columns]

    def complete(
        self, parts: tuple[Tensor, Tensor, Tensor], means: Tensor, covariances: Tensor, known: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Unknown coordinates add nothing: independent within a component, they drop out of the likelihood."""
        count, first, second = parts
        zeros = torch.zeros_like(means)
        return (
            zeros.index_add(1, known, count[:, None].expand(-1, len(known))),
            zeros.index_add(1, known, first),
            zeros.index_add(1, known, second),
        )

    def log_density(self, x: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
        """Sum over coordinates."""
        constant = -0.5 * (_LOG_2PI + covariances.log()).sum(1)
        squares = [((x - means[k]).square() / covariances[k]).sum(1) for k in range(len(means))]
        return constant - 0.5 * torch.stack(squares, 1)

    def regression(self, covariances: Tensor, known: Tensor, unknown: Tensor) -> tuple[Tensor | None, Tensor]:
        """Nothing to learn from the known coordinates."""
        return None, covariances[:, unknown]

    def factor(self, covariances: Tensor) -> Tensor:
        """Standard deviations [k, d]."""
        return covariances.sqrt()

    def apply(self, factor: Tensor, z: Tensor) -> Tensor:
        """A product of coordinates."""
        return z * factor

    def prefix(self, factor: Tensor, z: Tensor, i: int) -> Tensor | float:
        """Nothing."""
        return 0.0

    def at_least(self, covariances: Tensor, floor: Tensor) -> Tensor:
        """Raises variances."""
        return torch.maximum(covariances, floor)

    def rescale(self, covariances: Tensor, scale: Tensor) -> Tensor:
        """Variances by squares."""
        return covariances * scale.square()

    def diagonal(self, matrices: Tensor) -> Tensor:
        """They are diagonals already."""
        return matrices


def _others(known: Tensor, d: int) -> Tensor:
    free = torch.ones(d, dtype=torch.bool)
    free[known] = False
    return free.nonzero()[:, 0]


def _top(values: Tensor, scale: float = LOG2E) -> float:
    return float(values.max()) * scale
