"""Relations between columns: what holds in nearly every real row and should hold in made ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ensample.judge.frame import Frame


class Relation(Protocol):
    """One relation, learned from training rows."""

    @property
    def words(self) -> str:
        """The relation as one would write it."""
        ...

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of the columns in it."""
        ...

    @property
    def tight(self) -> bool:
        """Whether it is a rule of the table rather than a correlation."""
        ...

    def residual(self, frame: Frame) -> np.ndarray:
        """How far each row is from keeping it, float64 [rows]; NaN where it says nothing about the row."""
        ...

    def broken(self, frame: Frame) -> float:
        """Share of the rows it speaks about that break it, beyond what 99% of training rows do; NaN without rows."""
        ...


@dataclass(frozen=True)
class Formula:
    """`target = intercept + sum of weight * term`, or the same in logarithms; a term is a sum of columns.

    Example: `z = 0.005 * depth * (x + y)` has log=True and the terms (depth,) and (x, y), both of weight 1.
    """

    target: int
    terms: tuple[tuple[int, ...], ...]
    weights: tuple[float, ...]
    intercept: float
    log: bool
    tolerance: float
    looseness: float
    words: str

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of all columns in it."""
        return (self.target, *(j for term in self.terms for j in term))

    @property
    def tight(self) -> bool:
        """Whether it is a rule of the table rather than a correlation.

        The residual spreads less than a tenth of the target, and the weights are whole or half numbers, or it spreads
        less than a fiftieth.
        """
        neat = all(abs(2 * w - round(2 * w)) < 1e-9 for w in self.weights)
        return self.looseness < (0.1 if neat else 0.02)

    def residual(self, frame: Frame) -> np.ndarray:
        """Target minus right-hand side (in logarithms if `log`)."""
        matrix = frame.matrix
        right = [matrix[:, list(term)].sum(1) for term in self.terms]
        return formula_residual(matrix[:, self.target], right, self.weights, self.intercept, self.log)

    def broken(self, frame: Frame) -> float:
        """Share of rows whose residual is beyond the tolerance."""
        distance = np.abs(self.residual(frame))
        known = ~np.isnan(distance)
        return float((distance[known] > self.tolerance).mean()) if known.any() else float("nan")


def formula_residual(
    target: np.ndarray, right: Sequence[np.ndarray], weights: Sequence[float], intercept: float, log: bool
) -> np.ndarray:
    """`target - intercept - weights . right`, each in logarithms if `log`; NaN where a logarithm has no value."""
    if log:
        target, right = logarithm(target), [logarithm(r) for r in right]
    return np.asarray(target - intercept - sum(w * r for w, r in zip(weights, right, strict=True)))


def logarithm(values: np.ndarray) -> np.ndarray:
    """Natural logarithm, NaN for numbers that have none."""
    positive = values > 0
    return np.asarray(np.where(positive, np.log(np.where(positive, values, 1.0)), np.nan))


@dataclass(frozen=True)
class Depends:
    """Some or all values of `source` fix the value of `target`: `wanted` holds the codes that `source_values` fix."""

    source: int
    target: int
    source_values: tuple[float, ...]
    wanted: tuple[float, ...]
    words: str
    weight: float
    full: bool
    tight: bool = True

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of both columns."""
        return (self.source, self.target)

    def residual(self, frame: Frame) -> np.ndarray:
        """1 where the row breaks it, 0 where it keeps it, NaN where the value of the source fixes nothing."""
        place = np.searchsorted(self.source_values, _key(frame.matrix[:, self.source]))
        place = np.minimum(place, len(self.source_values) - 1)
        speaks = np.asarray(self.source_values)[place] == _key(frame.matrix[:, self.source])
        kept = np.asarray(self.wanted)[place] == _key(frame.matrix[:, self.target])
        return np.where(speaks, np.where(kept, 0.0, 1.0), np.nan)

    def broken(self, frame: Frame) -> float:
        """Share of the rows it speaks about that break it."""
        residual = self.residual(frame)
        known = ~np.isnan(residual)
        return float(residual[known].mean()) if known.any() else float("nan")


def _key(values: np.ndarray) -> np.ndarray:
    """Values in which a missing one equals itself."""
    return np.where(np.isnan(values), np.inf, values)


@dataclass(frozen=True)
class Ordered:
    """`low` is never larger than `high`: start before end, minimum below maximum."""

    low: int
    high: int
    words: str
    tight: bool = True

    @property
    def columns(self) -> tuple[int, ...]:
        """Positions of both columns."""
        return (self.low, self.high)

    def residual(self, frame: Frame) -> np.ndarray:
        """`low - high`; positive where the row breaks it."""
        return np.asarray(frame.matrix[:, self.low] - frame.matrix[:, self.high])

    def broken(self, frame: Frame) -> float:
        """Share of rows in the wrong order."""
        residual = self.residual(frame)
        known = ~np.isnan(residual)
        return float((residual[known] > 0).mean()) if known.any() else float("nan")


def features(found: Sequence[Relation], frame: Frame) -> np.ndarray:
    """Residuals of all relations, float64 [rows, relations]: new columns for a judge."""
    return np.column_stack([relation.residual(frame) for relation in found]).clip(-1e30, 1e30)
