"""Standard normal variables cut to a union of intervals: mass, draws, means; accurate far into the tails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.events import Lattice
from ensample.families.chain import pick


@dataclass(frozen=True)
class Cut:
    """Intervals [rows, ranges] of a standard normal, `low` below `high`, disjoint."""

    low: Tensor
    high: Tensor

    @classmethod
    def of(cls, lattice: Lattice, ranges: tuple[tuple[int, int], ...], mean: Tensor, deviation: Tensor) -> Cut:
        """What ranges of cells are to normals of these means and deviations [...]: intervals [..., ranges]."""
        ends = torch.tensor(ranges, dtype=torch.float64).reshape(-1, 2)
        low, high = lattice.encode(ends[:, 0] - 0.5), lattice.encode(ends[:, 1] + 0.5)
        return cls((low - mean[..., None]) / deviation[..., None], (high - mean[..., None]) / deviation[..., None])

    def log_masses(self) -> Tensor:
        """Log-probability of each interval."""
        return log_between(self.low, self.high)

    def log_mass(self) -> Tensor:
        """Log-probability of the union."""
        return self.log_masses().logsumexp(-1)

    def draw(self, generator: Generator) -> tuple[Tensor, Tensor]:
        """Values [rows] and the interval that each lies in; no meaning where the union has no mass."""
        masses = self.log_masses()
        possible = torch.isfinite(masses.logsumexp(1))
        chosen = pick(torch.where(possible[:, None], masses, 0.0), generator)
        low, high = self.low.gather(1, chosen[:, None])[:, 0], self.high.gather(1, chosen[:, None])[:, 0]
        u = torch.rand(len(low), generator=generator, dtype=torch.float64)
        return between(low, high, u), chosen

    def mean(self) -> Tensor:
        """Expected value."""
        total = self.log_mass()[..., None]
        return ((_log_density(self.low) - total).exp() - (_log_density(self.high) - total).exp()).sum(-1)

    def log_tilted(self, t: Tensor) -> Tensor:
        """Log of E[exp(t z)]."""
        moved = log_between(self.low - t[..., None], self.high - t[..., None]).logsumexp(-1)
        return 0.5 * t.square() + moved - self.log_mass()


def log_between(low: Tensor, high: Tensor) -> Tensor:
    """Log of Phi(high) - Phi(low)."""
    low, high, _ = _folded(low, high)
    top: Tensor = torch.special.log_ndtr(high)
    return top + torch.log1p(-torch.exp(torch.special.log_ndtr(low) - top))


def expected_position(lattice: Lattice, mean: Tensor, deviation: Tensor, cut: Cut | None = None) -> Tensor:
    """Expected cell position of a normal value in the lattice's units, cut or not; same shape as `mean`."""
    z = torch.zeros_like(mean) if cut is None else cut.mean()
    if not math.isfinite(lattice.knee):
        return lattice.position(mean + deviation * z)
    middle = (mean * lattice.scale + lattice.shift) / lattice.knee
    spread = deviation * lattice.scale / lattice.knee
    up, down = (
        sign * middle + (0.5 * spread.square() if cut is None else cut.log_tilted(sign * spread))
        for sign in (1.0, -1.0)
    )
    return 0.5 * lattice.knee * (up.clamp(max=700).exp() - down.clamp(max=700).exp()) + lattice.center


def _folded(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The mirror image of intervals that lie in the upper half, where the distribution function is accurate."""
    upper = low > 0
    return torch.where(upper, -high, low), torch.where(upper, -low, high), upper


def between(low: Tensor, high: Tensor, u: Tensor) -> Tensor:
    """The quantile u of a standard normal cut to one interval."""
    low, high, upper = _folded(low, high)
    top = torch.special.log_ndtr(high)
    rest = torch.exp(torch.special.log_ndtr(low) - top)
    z = _quantile(top + torch.log(rest + u * (1.0 - rest)))
    z = torch.minimum(torch.maximum(z, low), high)
    return torch.where(upper, -z, z)


def _quantile(log_p: Tensor) -> Tensor:
    """Inverse of log_ndtr: in the tail by Newton from below, which never oversteps since log_ndtr is concave."""
    tail = log_p.clamp(max=math.log(0.4), min=-1e300)
    z = -torch.sqrt(-2.0 * tail)
    for _ in range(8):
        value = torch.special.log_ndtr(z)
        z = z - (value - tail) * torch.exp(value - _log_density(z))
    return torch.where(log_p < math.log(0.4), z, torch.special.ndtri(log_p.exp()))


def _log_density(z: Tensor) -> Tensor:
    return -0.5 * z.square() - 0.5 * math.log(2.0 * math.pi)
