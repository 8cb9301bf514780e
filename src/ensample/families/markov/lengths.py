"""How long sequences are: a smoothed histogram over all whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH


@dataclass(frozen=True)
class LengthLaw:
    """p(length) = (1 - u) counts(length) / n + u ((1 - v) kernel(length) + v wide(length)), and p(missing).

    u = (lengths met once + 1/2) / (n + 1) is the chance of a length never met (Good 1953): 1,000 sequences of one
    length say that length, 1,000 of different lengths a smooth curve. The kernel spreads each of the n lengths l as
    `rate^|length - l|` (Wang and van Ryzin 1981), cut at 0; its standard deviation is Silverman's rule for n numbers
    of that spread, and at least one. With v = 1 / (n + 1) a length is like none that was met: geometric, of their mean
    and one more, so that a few long texts do not rule out one of half their length.

    Arguments:
        counts: how often each length 0, 1, ... was met, float64.
        missing: records that were missing as a whole.
        certain: whether no other length can be, as where records are windows of one length; then u = 0.

    Example:
        >>> law = LengthLaw.of(torch.tensor([2, 2, 2, 3]))
        >>> [round(float(p), 2) for p in law.log_prob(torch.arange(5)).exp()]
        [0.02, 0.04, 0.65, 0.24, 0.02]
    """

    counts: Tensor
    missing: float
    certain: bool = False

    @classmethod
    def of(cls, lengths: Tensor, certain: bool = False) -> LengthLaw:
        """Count these lengths; unknown ones are left out."""
        law = cls.summed(torch.bincount(lengths[lengths >= 0]), int((lengths == MISSING_LENGTH).sum()))
        return replace(law, certain=certain)

    @classmethod
    def summed(cls, counts: Tensor, missing: float) -> LengthLaw:
        """From counts; where nothing was counted every record has no steps."""
        counts = counts.to(torch.float64)
        return cls(counts if float(counts.sum()) > 0 else torch.ones(1, dtype=torch.float64), float(missing))

    @property
    def unseen(self) -> float:
        """Chance of a length that was never met."""
        if self.certain:
            return 0.0
        return (float((self.counts == 1).sum()) + 0.5) / (float(self.counts.sum()) + 1.0)

    @property
    def rate(self) -> float:
        """Of the kernel: its two sides fall by this factor a step."""
        n, at = float(self.counts.sum()), torch.arange(len(self.counts), dtype=torch.float64)
        spread = math.sqrt(float(((at - self.mean).square() * self.counts).sum()) / n)
        variance = max(1.0, 0.9 * spread / math.pow(n, 0.2)) ** 2  # of rate^|k|: 2 rate / (1 - rate)^2
        return 1.0 + 1.0 / variance - math.sqrt((1.0 + 1.0 / variance) ** 2 - 1.0)

    @property
    def mean(self) -> float:
        """Of the lengths that were met."""
        at = torch.arange(len(self.counts), dtype=torch.float64)
        return float((at * self.counts).sum() / self.counts.sum())

    @property
    def unlike(self) -> float:
        """Chance that a length that was never met is like none that was."""
        return 1.0 / (float(self.counts.sum()) + 1.0)

    @property
    def _fall(self) -> float:
        """Of the geometric law: each step is this much less probable than the one before."""
        return (self.mean + 1.0) / (self.mean + 2.0)

    def log_prob(self, lengths: Tensor) -> Tensor:
        """Log-probability of each length, float64 of the same shape; 0 for one that is unknown."""
        values, where = torch.unique(lengths, return_inverse=True)
        n = float(self.counts.sum())
        log_there = math.log(n / (n + self.missing))
        log_gone = math.log(self.missing / (n + self.missing)) if self.missing else -math.inf
        found = log_there + self._probabilities(values.clamp(min=0)).log().maximum(self._log_wide(values))
        found = torch.where(values == MISSING_LENGTH, log_gone, found)
        return torch.where(values == UNKNOWN_LENGTH, 0.0, found)[where]

    def sample(self, n: int, generator: Generator, present: bool = False) -> Tensor:
        """Lengths int64 [n]; with `present` none is missing."""
        if n == 0:
            return torch.zeros(0, dtype=torch.int64)
        met = self.counts.nonzero()[:, 0]
        base = met[torch.multinomial(self.counts[met], n, replacement=True, generator=generator)]
        side, place, kind, unlike = torch.rand(4, n, generator=generator, dtype=torch.float64).clamp(1e-300, 1 - 1e-16)
        near = base + self._offset(base.to(torch.float64), side, place)
        far = (place.log() / math.log(self._fall)).floor().to(torch.int64)
        drawn = torch.where(kind < self.unseen, torch.where(unlike < self.unlike, far, near), base)
        if present or not self.missing:
            return drawn
        there = float(self.counts.sum()) / (float(self.counts.sum()) + self.missing)
        gone = torch.rand(n, generator=generator, dtype=torch.float64) >= there
        return torch.where(gone, MISSING_LENGTH, drawn)

    def _offset(self, base: Tensor, side: Tensor, place: Tensor) -> Tensor:
        """Steps from lengths `base` of the kernel, int64, of two numbers in (0, 1) each, by inversion of both sides."""
        rate, log_rate = self.rate, math.log(self.rate)
        cut = rate**base
        right = (place.log() / log_rate).floor()
        left = -(torch.log1p(-place * (1.0 - cut)) / log_rate).ceil().clamp(min=1.0)
        below = (rate - rate * cut) / (1.0 + rate - rate * cut)
        return torch.where(side < below, torch.maximum(left, -base), right).to(torch.int64)

    def _log_wide(self, lengths: Tensor) -> Tensor:
        """Log-probability of these lengths by the geometric law alone, which is too small a number for the longest."""
        share = self.unseen * self.unlike * (1.0 - self._fall)
        return (math.log(share) if share else -math.inf) + lengths.clamp(min=0).to(torch.float64) * math.log(self._fall)

    def _probabilities(self, lengths: Tensor) -> Tensor:
        met = self.counts.nonzero()[:, 0]
        shares, rate = self.counts[met] / self.counts.sum(), self.rate
        whole = (1.0 + rate - rate ** (met.to(torch.float64) + 1.0)) / (
            1.0 - rate
        )  # of rate^|length - l| over lengths from 0
        distance = (lengths[:, None] - met).abs().to(torch.float64)
        kernel = (rate**distance / whole) @ shares
        histogram = torch.zeros(len(lengths), dtype=torch.float64)
        known = lengths < len(self.counts)
        histogram[known] = self.counts[lengths[known]] / self.counts.sum()
        wide = (1.0 - self._fall) * self._fall ** lengths.to(torch.float64)
        return torch.lerp(histogram, torch.lerp(kernel, wide, self.unlike), self.unseen)
