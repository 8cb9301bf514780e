"""Mixtures of Gaussians or logistics over cells: the difference of the distribution function at a cell's two edges."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.events import Mixed
from ensample.nets.emissions.base import ALL, Lattices, Numbers, quantiles, uniform
from ensample.nets.emissions.columns import numbers_of

NARROWEST, WIDEST = -9.0, 6.0
"""Bounds of a component's log scale in standardised units: 1e-4 is far below any cell that float32 tells apart."""
THIN = 0.02
"""Half-width, in scales, below which a Gaussian cell is taken as density times width."""
FARTHEST = 1e15
"""Distance from a component, in its scales, beyond which all distances are the same."""


class Mixture(Numbers):
    """`p(k) = sum_c pi_c [F((b - mu_c) / s_c) - F((a - mu_c) / s_c)]`, a and b the edges of cell k. Abstract in F.

    Arguments:
        event: whose numbers these are.
        pieces: components of each column.
    """

    def __init__(self, event: Mixed, pieces: int = 10) -> None:
        super().__init__()
        self.lattices, self.pieces, self.outputs = Lattices(numbers_of(event)), pieces, 3 * pieces

    def begin(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Equal components at the quantiles of each column, as wide as the gaps between them."""
        middles = quantiles(self.lattices, cells, mask, self.pieces)
        fine = quantiles(self.lattices, cells, mask, 64)
        spread = (fine - fine.mean(1, keepdim=True)).square().mean(1, keepdim=True).sqrt() + 0.02
        gap = torch.full_like(middles, 1.0 / self.pieces) * spread
        if self.pieces > 1:
            step = middles.diff(dim=1)
            gap = torch.maximum(0.6 * torch.maximum(F.pad(step, (1, 0)), F.pad(step, (0, 1))), 0.2 * gap)
        return torch.cat([torch.zeros_like(middles), middles, torch.log(gap)], 1).to(torch.float32)

    def log_prob(self, raw: Tensor, cells: Tensor, at: slice = ALL) -> Tensor:
        """The cell is an interval like any other."""
        return self.log_within(raw, cells, cells, at)

    def log_within(self, raw: Tensor, low: Tensor, high: Tensor, at: slice = ALL) -> Tensor:
        """Log of the sum over components of weight times F's difference."""
        log_share, a, b, log_half = self._standardised(raw, low, high, at)
        return torch.logsumexp(log_share + self.log_interval(a, b, log_half), -1)

    def draw(self, raw: Tensor, low: Tensor, high: Tensor, generator: Generator, at: slice = ALL) -> Tensor:
        """Choose a component by its weight within the interval, then invert its F there."""
        raw = raw.to(torch.float64)
        log_share, a, b, log_half = self._standardised(raw, low, high, at)
        logits = log_share + self.log_interval(a, b, log_half)
        u = uniform(logits, generator)
        chosen = (logits - torch.log(-torch.log(u))).argmax(-1, keepdim=True)  # Gumbel-max
        a, b = a.gather(-1, chosen)[..., 0], b.gather(-1, chosen)[..., 0]
        _, location, log_scale = (part.gather(-1, chosen)[..., 0] for part in self._parts(raw))
        z = self._between(a, b, uniform(a, generator))
        cells = self.lattices.cells(location + torch.exp(log_scale) * z, at)
        return torch.minimum(torch.maximum(cells, low), high)

    def mean(self, raw: Tensor, at: slice = ALL) -> Tensor:
        """Weighted mean of the locations."""
        log_share, location, _ = self._parts(raw)
        return (log_share.exp() * location).sum(-1)

    def _parts(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights, locations and log scales, each [rows, columns, components]."""
        logits, location, log_scale = raw.chunk(3, -1)
        return logits.log_softmax(-1), location, log_scale.clamp(NARROWEST, WIDEST)

    def _standardised(self, raw: Tensor, low: Tensor, high: Tensor, at: slice) -> tuple[Tensor, ...]:
        """Log weights; edges and log half-width of the interval in units of each component."""
        log_share, location, log_scale = self._parts(raw)
        a, b, log_half = (part.to(raw.dtype)[..., None] for part in self.lattices.interval(low, high, at))
        rate = torch.exp(-log_scale)
        a, b = (((edge - location) * rate).clamp(-FARTHEST, FARTHEST) for edge in (a, b))
        return log_share, a, b, (log_half - log_scale).clamp(-60.0, 60.0)

    def _between(self, low: Tensor, high: Tensor, u: Tensor) -> Tensor:
        """F's inverse at F(low) + u (F(high) - F(low)), by the lower tail, which keeps its digits."""
        flip = low + high > 0
        low, high = torch.where(flip, -high, low), torch.where(flip, -low, high)
        z = self.quantile(low, high, u)
        return torch.where(flip, -z, z)

    @abstractmethod
    def log_interval(self, a: Tensor, b: Tensor, log_half: Tensor) -> Tensor:
        """`log [F(b) - F(a)]` of the standard distribution; log_half is `log((b - a) / 2)` with all its digits."""

    @abstractmethod
    def quantile(self, low: Tensor, high: Tensor, u: Tensor) -> Tensor:
        """Where F has gone the share u of its way from low to high; float64."""


class Logistics(Mixture):
    """Discretised logistic mixture (Salimans, Karpathy, Chen and Kingma, PixelCNN++, 2017).

    With `F(z) = 1 / (1 + e^-z)` and edges a, b = m - d, m + d, the difference is `sinh(d) / (cosh(m) + cosh(d))`, which
    needs no difference of close numbers however narrow or far the cell is.

    Example:
        >>> from ensample.events import Continuous, Lattice, Span
        >>> one = Logistics(Mixed((Span("a", Continuous(Lattice(0, 9, shift=4.5, scale=2.0))),)), pieces=1)
        >>> raw, cells = torch.zeros(200, 1, 3), torch.arange(-100, 100)[:, None]
        >>> round(float(one.log_prob(raw, cells).exp().sum()), 5)
        1.0
    """

    def log_interval(self, a: Tensor, b: Tensor, log_half: Tensor) -> Tensor:
        """In closed form."""
        return log_logistic_interval(a, b, log_half)

    def quantile(self, low: Tensor, high: Tensor, u: Tensor) -> Tensor:
        """Logit of the way between two sigmoids."""
        p = torch.lerp(torch.sigmoid(low), torch.sigmoid(high), u).clamp(min=1e-300)
        return torch.log(p) - torch.log1p(-p.clamp(max=1 - 1e-16))


class Gaussians(Mixture):
    """Discretised Gaussian mixture: `F` is the normal distribution function. One component is the Gaussian decoder."""

    def __init__(self, event: Mixed, pieces: int = 1) -> None:
        super().__init__(event, pieces)

    def log_interval(self, a: Tensor, b: Tensor, log_half: Tensor) -> Tensor:
        """By the logarithms of the lower tails; narrow cells by `phi(m) 2d sinh(md) / (md)`, which does not cancel."""
        flip, half, m = a + b > 0, torch.exp(log_half), 0.5 * (a + b).abs()
        upper, lower = torch.where(flip, -a, b), torch.where(flip, -b, a)
        upper, lower = torch.maximum(upper, THIN - m), torch.minimum(lower, -THIN - m)  # safe where it is not used
        above = _log_ndtr(upper)
        ratio = (_log_ndtr(lower) - above).clamp(max=-1e-3)  # more only by rounding, far out
        whole = above + torch.log(-torch.expm1(ratio))
        thin = half.clamp(max=THIN)
        peak = -0.5 * m.square() - 0.5 * math.log(2 * math.pi) + math.log(2.0) + log_half - thin.square() / 6
        return torch.where(half < THIN, peak + _log_sinhc(m * thin), whole)

    def quantile(self, low: Tensor, high: Tensor, u: Tensor) -> Tensor:
        """Inverse normal distribution function of the way between two."""
        p = torch.lerp(torch.special.ndtr(low), torch.special.ndtr(high), u)
        z: Tensor = torch.special.ndtri(p.clamp(1e-300, 1 - 1e-16))
        return z


def log_logistic_interval(a: Tensor, b: Tensor, log_half: Tensor) -> Tensor:
    """`log(1 - e^-2d) - distance of the interval from 0 - softplus(-|a|) - softplus(-|b|)`, log_half being log d."""
    width = torch.log(-torch.expm1(-2 * torch.exp(log_half)))
    return width - F.relu(torch.maximum(a, -b)) - F.softplus(-a.abs()) - F.softplus(-b.abs())


def _log_ndtr(z: Tensor) -> Tensor:
    """Log of the normal distribution function; torch's own has wrong gradients below -100 in float32."""
    left, right = z.clamp(max=0.0), z.clamp(min=0.0)
    tail = torch.log(0.5 * torch.special.erfcx(-left / math.sqrt(2.0))) - 0.5 * left.square()
    return torch.where(z < 0, tail, torch.log1p(-0.5 * torch.special.erfc(right / math.sqrt(2.0))))


def _log_sinhc(z: Tensor) -> Tensor:
    """`log(sinh(z) / z)` for z >= 0."""
    large = z.clamp(min=0.1)
    far = large + torch.log(-torch.expm1(-2 * large)) - torch.log(2 * large)
    near = z.clamp(max=0.1).square()
    return torch.where(z < 0.1, near / 6 - near.square() / 180, far)
