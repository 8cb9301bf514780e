"""Numbers by a monotone spline: the distribution function itself is a rational-quadratic curve."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.events import Mixed
from ensample.nets.emissions.base import ALL, Lattices, Numbers, quantiles, uniform
from ensample.nets.emissions.columns import numbers_of
from ensample.nets.emissions.mixtures import log_logistic_interval

BASE = 0.7
"""Scale of the logistic that maps real numbers to (0, 1) before the spline and gives the tails."""
LEAST = 1e-3
"""Least share of the width and of the height that a piece has, and least slope at a knot."""
LEVELS = 32
"""Quantiles that a mean is taken over."""


class Spline(Numbers):
    """`F(x) = S(sigmoid(x / 0.7))`, S a monotone rational-quadratic spline of (0, 1) onto itself.

    S is that of Durkan, Bekasov, Murray and Papamakarios, Neural Spline Flows, 2019. The probability of a cell is its
    logistic probability times the slope of the chord of S over it, `s^2 B / (D_1 D_2)` within a piece, a sum of
    positive terms that holds its digits however narrow the cell is (B, D: `_chord`).

    Arguments:
        event: whose numbers these are.
        pieces: of the spline of each column.

    Example:
        >>> from ensample.events import Continuous, Lattice, Span
        >>> spline = Spline(Mixed((Span("a", Continuous(Lattice(0, 9, shift=4.5, scale=2.0))),)), pieces=4)
        >>> raw = torch.randn(200, 1, 13, generator=Generator().manual_seed(0))[:1].expand(200, -1, -1)
        >>> round(float(spline.log_prob(raw, torch.arange(-100, 100)[:, None]).exp().sum()), 5)
        1.0
    """

    def __init__(self, event: Mixed, pieces: int = 16) -> None:
        super().__init__()
        self.lattices, self.pieces, self.outputs = Lattices(numbers_of(event)), pieces, 3 * pieces + 1

    def begin(self, cells: Tensor, mask: Tensor) -> Tensor:
        """Equal widths; heights from the shares of each column in them; slopes between those of neighbours."""
        t = torch.sigmoid(quantiles(self.lattices, cells, mask, 256) / BASE)
        index = (t * self.pieces).to(torch.int64).clamp(max=self.pieces - 1)
        share = torch.zeros(len(t), self.pieces, dtype=torch.float64).scatter_add_(1, index, torch.ones_like(t)) + 1.0
        share = share / share.sum(1, keepdim=True)
        steep = F.pad(share * self.pieces, (1, 1), value=1.0).unfold(1, 2, 1).mean(2)
        slopes = torch.log(torch.expm1((steep - LEAST).clamp(min=LEAST)))
        return torch.cat([torch.zeros_like(share), share.log(), slopes], 1).to(torch.float32)

    def log_prob(self, raw: Tensor, cells: Tensor, at: slice = ALL) -> Tensor:
        """The cell is an interval like any other."""
        return self.log_within(raw, cells, cells, at)

    def log_within(self, raw: Tensor, low: Tensor, high: Tensor, at: slice = ALL) -> Tensor:
        """Logistic probability of the interval times the slope of the spline's chord over it."""
        edges = self.lattices.interval(low, high, at)
        a, b, log_half = (part.to(raw.dtype).expand(raw.shape[:-1]) for part in edges)
        base = log_logistic_interval(a / BASE, b / BASE, (log_half - math.log(BASE)).clamp(-60.0, 60.0))
        knots = _Knots(raw, self.pieces)
        return base + torch.log(knots.chord(torch.sigmoid(a / BASE), torch.sigmoid(b / BASE)))

    def draw(self, raw: Tensor, low: Tensor, high: Tensor, generator: Generator, at: slice = ALL) -> Tensor:
        """Invert F between its values at the two ends."""
        knots = _Knots(raw.to(torch.float64), self.pieces)
        a, b, _ = self.lattices.interval(low, high, at)
        below, above = (knots.value(torch.sigmoid(edge / BASE)) for edge in (a, b))
        t = knots.inverse(torch.lerp(below, above, uniform(a, generator)))
        cells = self.lattices.cells(BASE * torch.logit(t, eps=1e-15), at)
        return torch.minimum(torch.maximum(cells, low), high)

    def mean(self, raw: Tensor, at: slice = ALL) -> Tensor:
        """Mean of the quantiles at `LEVELS` levels."""
        knots = _Knots(raw.to(torch.float64), self.pieces)
        levels = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
        t = torch.stack(
            [knots.inverse(torch.full(raw.shape[:2], float(level), dtype=torch.float64)) for level in levels]
        )
        return (BASE * torch.logit(t, eps=1e-15)).mean(0).to(raw.dtype)


class _Knots:
    """Knots of splines [rows, columns]: places, values, and the width, height and end slopes of each piece."""

    def __init__(self, raw: Tensor, pieces: int) -> None:
        wide, tall, slope = raw.tensor_split((pieces, 2 * pieces), -1)
        self.width, self.height = (
            LEAST / pieces + (1 - LEAST) * part.softmax(-1) for part in (wide, tall)
        )  # each sums to one
        self.slope = LEAST + F.softplus(slope)
        self.x, self.y = (F.pad(part.cumsum(-1), (1, 0)) for part in (self.width, self.height))

    def _piece(self, index: Tensor) -> tuple[Tensor, ...]:
        """Place, value, width, height and the slopes at both ends of one piece of each spline."""
        i = index[..., None]
        found = [part.gather(-1, i)[..., 0] for part in (self.x, self.y, self.width, self.height, self.slope)]
        return (*found, self.slope.gather(-1, i + 1)[..., 0])

    def _index(self, knots: Tensor, value: Tensor) -> Tensor:
        return (value[..., None] >= knots[..., 1:-1]).sum(-1)

    def chord(self, a: Tensor, b: Tensor) -> Tensor:
        """`(S(b) - S(a)) / (b - a)`, the derivative where a is b."""
        first, last = self._index(self.x, a), self._index(self.x, b)
        x_a, _, width_a, height_a, start_a, end_a = self._piece(first)
        x_b, _, width_b, height_b, start_b, end_b = self._piece(last)
        from_a, to_b = ((a - x_a) / width_a).clamp(0, 1), ((b - x_b) / width_b).clamp(0, 1)
        same = first == last
        left = _chord(height_a / width_a, start_a, end_a, from_a, torch.where(same, to_b, 1.0))
        right = _chord(height_b / width_b, start_b, end_b, torch.zeros_like(to_b), to_b)
        run_a, run_b = (1 - from_a) * width_a, to_b * width_b
        after = (first + 1).clamp(max=self.width.shape[-1])
        between = [
            (knots.gather(-1, last[..., None]) - knots.gather(-1, after[..., None]))[..., 0].clamp(min=0.0)
            for knots in (self.x, self.y)
        ]
        run = (run_a + between[0] + run_b).clamp(min=1e-30)
        return torch.where(same, left, (left * run_a + between[1] + right * run_b) / run)

    def value(self, t: Tensor) -> Tensor:
        """S(t)."""
        x, y, width, height, d0, d1 = self._piece(self._index(self.x, t))
        at, s = ((t - x) / width).clamp(0, 1), height / width
        return y + height * at * (s * at + d0 * (1 - at)) / _denominator(s, d0, d1, at)

    def inverse(self, value: Tensor) -> Tensor:
        """The t of a value of S (Durkan et al. 2019, equations 29 to 31)."""
        x, y, width, height, d0, d1 = self._piece(self._index(self.y, value))
        s, rise = height / width, (value - y).clamp(min=0.0)
        bend = d0 + d1 - 2 * s
        a, b, c = height * (s - d0) + rise * bend, height * d0 - rise * bend, -s * rise
        root = (b.square() - 4 * a * c).clamp(min=0.0).sqrt()
        return x + width * (2 * c / (-b - root)).clamp(0, 1)


def _denominator(s: Tensor, d0: Tensor, d1: Tensor, at: Tensor) -> Tensor:
    """`D = s + (d0 + d1 - 2s) at (1 - at)`, as a sum of positive terms."""
    return s * (at.square() + (1 - at).square()) + (d0 + d1) * at * (1 - at)


def _chord(s: Tensor, d0: Tensor, d1: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Slope of the chord of one piece between places a and b in (0, 1): `s^2 B / (D(a) D(b))`.

    `B = d0 (1 - a)(1 - b) + s [a (1 - b) + b (1 - a)] + d1 a b`; at a = b the derivative of the piece.
    """
    bilinear = d0 * (1 - a) * (1 - b) + s * (a * (1 - b) + b * (1 - a)) + d1 * a * b
    return s.square() * bilinear / (_denominator(s, d0, d1, a) * _denominator(s, d0, d1, b))
