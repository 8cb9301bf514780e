"""One number about made records: its value, how sure it is, and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Better = Literal["higher", "lower", "nearer"]
Sort = Literal["exact", "bound", "estimate"]
DRAWS = 200
"""Replicates of each measure kept for its interval and for paired comparisons."""


@dataclass(frozen=True)
class Measure:
    """A measure of made against real records.

    Arguments:
        name: what is measured, in a word or two.
        value: the number; minus or plus infinity and NaN are possible and explained in `words`.
        low, high: 95% interval of `value`; how it was made stands in `interval`.
        better: which way is better; "nearer" means nearer to `target`.
        target: the value of a perfect model.
        words: one sentence that reads the number for a person.
        interval: how the interval was made.
        sort: whether the number is exact, a bound or an estimate (of a likelihood).
        parts: the same number per column, pair or target, where it is made of such.
        draws: replicates [DRAWS] behind the interval. Replicates of the same number for two models share the resampling
            of the real rows, so their differences are paired.
        digits: decimals to show; None shows a share in percent.

    Example:
        >>> m = Measure("two-sample test", 0.52, 0.51, 0.53, "lower", 0.5, "hardly told apart")
        >>> bool(m.distance(0.52) < m.distance(0.6))
        True
    """

    name: str
    value: float
    low: float
    high: float
    better: Better
    target: float
    words: str
    interval: str = ""
    sort: Sort = "exact"
    parts: Mapping[str, float] = field(default_factory=dict)
    draws: np.ndarray | None = field(default=None, repr=False, compare=False)
    digits: int | None = None

    def distance(self, value: Any) -> Any:
        """How far a value (or an array of them) is from perfect; smaller is better, whatever the direction."""
        if self.better == "nearer":
            return np.abs(np.asarray(value) - self.target)
        return np.asarray(value) * (1.0 if self.better == "lower" else -1.0)

    def beats(self, other: Measure) -> bool:
        """Whether this is better than `other` beyond noise: the paired 95% interval of the difference excludes 0."""
        mine, theirs = self.distance(self.value), other.distance(other.value)
        if not mine < theirs:
            return False
        if self.draws is None or other.draws is None or not (math.isfinite(mine) and math.isfinite(theirs)):
            return True
        spread = (self.distance(self.draws) - self.distance(self.value)) - (
            other.distance(other.draws) - other.distance(other.value)
        )
        return bool(mine - theirs + 1.96 * spread.std() < 0)

    def to_plain(self) -> dict[str, Any]:
        """JSON values: infinities and NaN become None, draws are left out."""
        return {
            "name": self.name,
            "value": _finite(self.value),
            "low": _finite(self.low),
            "high": _finite(self.high),
            "better": self.better,
            "target": _finite(self.target),
            "words": self.words,
            "interval": self.interval,
            "sort": self.sort,
            "parts": {name: _finite(value) for name, value in self.parts.items()},
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def resamples(rows: int, seed: int, count: int = DRAWS) -> np.ndarray:
    """How often each row is drawn in each bootstrap replicate, int32 [count, rows]; a function of its arguments."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, rows, size=(count, rows))
    chosen += np.arange(count)[:, None] * rows
    return np.bincount(chosen.ravel(), minlength=count * rows).reshape(count, rows).astype(np.int32)


def mean_draws(values: np.ndarray, seed: int) -> np.ndarray:
    """Bootstrap replicates [DRAWS] of the mean of `values` [rows]."""
    return np.asarray(resamples(len(values), seed) @ values / len(values))


def spread(value: float, draws: np.ndarray, within: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
    """95% interval: quantiles of the replicates, moved so that they are centred on `value`, cut to what is possible.

    The move takes out the bias of the bootstrap of a distance (a resampled distance is too large).
    """
    if not math.isfinite(value):
        return value, value
    low, high = np.quantile(draws - draws.mean(), (0.025, 0.975)) + value
    return max(float(low), within[0]), min(float(high), within[1])
