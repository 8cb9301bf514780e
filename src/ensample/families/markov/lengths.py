"""How long sequences are: a smoothed histogram over all whole numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH

_TABLED = 1e-15


@dataclass(frozen=True)
class LengthLaw:
    """p(length) = (1 - u) counts(length) / n + u kernel(length), over lengths 0, 1, 2, ...; and p(missing).

    u = (lengths met once + 1/2) / (n + 1) is the chance of a length never met (Good 1953): 1,000 sequences of one
    length say that length, 1,000 of different lengths a smooth curve. The kernel spreads each of the n lengths l as
    `rate^|length - l|` (Wang and van Ryzin 1981), cut at 0; its standard deviation is Silverman's rule for n numbers
    of that spread, and at least one.

    Arguments:
        counts: how often each length 0, 1, ... was met, float64.
        missing: records that were missing as a whole.

    Example:
        >>> law = LengthLaw.of(torch.tensor([2, 2, 2, 3]))
        >>> [round(float(p), 2) for p in law.log_prob(torch.arange(5)).exp()]
        [0.01, 0.04, 0.67, 0.25, 0.02]
    """

    counts: Tensor
    missing: float

    @classmethod
    def of(cls, lengths: Tensor) -> LengthLaw:
        """Count these lengths; unknown ones are left out."""
        return cls.summed(torch.bincount(lengths[lengths >= 0]), int((lengths == MISSING_LENGTH).sum()))

    @classmethod
    def summed(cls, counts: Tensor, missing: float) -> LengthLaw:
        """From counts; where nothing was counted every record has no steps."""
        counts = counts.to(torch.float64)
        return cls(counts if float(counts.sum()) > 0 else torch.ones(1, dtype=torch.float64), float(missing))

    @property
    def unseen(self) -> float:
        """Chance of a length that was never met."""
        return (float((self.counts == 1).sum()) + 0.5) / (float(self.counts.sum()) + 1.0)

    @property
    def rate(self) -> float:
        """Of the kernel: its two sides fall by this factor a step."""
        n, at = float(self.counts.sum()), torch.arange(len(self.counts), dtype=torch.float64)
        mean = float((at * self.counts).sum()) / n
        spread = math.sqrt(float(((at - mean).square() * self.counts).sum()) / n)
        variance = max(1.0, 0.9 * spread / math.pow(n, 0.2)) ** 2  # of rate^|k|: 2 rate / (1 - rate)^2
        return 1.0 + 1.0 / variance - math.sqrt((1.0 + 1.0 / variance) ** 2 - 1.0)

    def log_prob(self, lengths: Tensor) -> Tensor:
        """Log-probability of each length, float64 of the same shape; 0 for one that is unknown."""
        values, where = torch.unique(lengths, return_inverse=True)
        n = float(self.counts.sum())
        log_there = math.log(n / (n + self.missing))
        log_gone = math.log(self.missing / (n + self.missing)) if self.missing else -math.inf
        found = log_there + self._probabilities(values.clamp(min=0)).log()
        found = torch.where(values == MISSING_LENGTH, log_gone, found)
        return torch.where(values == UNKNOWN_LENGTH, 0.0, found)[where]

    def sample(self, n: int, generator: Generator, present: bool = False) -> Tensor:
        """Lengths int64 [n]; with `present` none is missing."""
        if n == 0:
            return torch.zeros(0, dtype=torch.int64)
        reach = math.ceil(math.log(_TABLED) / math.log(self.rate))
        table = self._probabilities(torch.arange(len(self.counts) + reach))
        drawn = torch.multinomial(table, n, replacement=True, generator=generator)
        if present or not self.missing:
            return drawn
        there = float(self.counts.sum()) / (float(self.counts.sum()) + self.missing)
        gone = torch.rand(n, generator=generator, dtype=torch.float64) >= there
        return torch.where(gone, MISSING_LENGTH, drawn)

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
        return (1.0 - self.unseen) * histogram + self.unseen * kernel
