"""A linear prediction from whichever inputs are known: one set of moments serves every pattern of holes.

The normal equations of least squares need only the second moments of the terms. Rows and columns of the terms that are
unknown are left out, and what remains is solved: the regression of the target on exactly what is known, with its own
residual spread (the "sweep" of Beaton, 1964, for one pattern at a time).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ensample.families.location import ABSENCE, PRODUCT, Location, column_scales, term_columns, warped

MOST_PATTERNED = 12
"""Columns that the prediction is made from: at most 2^12 patterns are solved."""
TRIMMED = 6.0
"""Typical residuals of the full prediction beyond which a row is an outlier and does not count."""
LEAST_SPREAD = 1e-9


@dataclass(frozen=True)
class Adaptive:
    """Moments of terms and target in the scale of `location` (its terms, scales and warp; see `Location`).

    `gram` [1 + terms, 1 + terms], `cross` [1 + terms] and `power` are means of products over `rows` rows; the first
    term is the intercept.
    """

    location: Location
    gram: np.ndarray
    cross: np.ndarray
    power: float
    rows: int
    _solved: dict[int, tuple[np.ndarray, float]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def fit(cls, full: Location, inputs: np.ndarray, target: np.ndarray) -> Adaptive:
        """From the prediction that sees all inputs, and training rows of which nothing is hidden.

        Arguments:
            full: fitted on these rows.
            inputs: [rows, columns] float64 as for `Location.fit`.
            target: [rows] float64.
        """
        terms = full.terms[full.terms[:, 0] != ABSENCE]
        used = list(dict.fromkeys(terms[:, 1].tolist()))[:MOST_PATTERNED]
        terms = terms[np.isin(terms[:, 1], used) & ((terms[:, 0] != PRODUCT) | np.isin(terms[:, 2], used))]
        scales = column_scales(inputs)
        y = full.warp(target)
        kept = np.abs(y - full.predict(inputs)) <= TRIMMED * max(full.spread, LEAST_SPREAD)
        if kept.sum() <= 2 * len(terms):
            kept[:] = True
        design = np.stack([np.ones(kept.sum()), *term_columns(inputs[kept], terms, scales)], 1)
        y = y[kept]
        location = Location(terms, scales, np.zeros(1 + len(terms)), full.log_shift, full.bounds, full.spread)
        moments = design.T @ design / len(y), design.T @ y / len(y), float(y @ y) / len(y)
        return cls(location, *moments, len(y))

    @property
    def columns(self) -> np.ndarray:
        """Input columns that the prediction is made from, ascending."""
        terms = self.location.terms
        return np.unique(np.concatenate([terms[:, 1], terms[terms[:, 0] == PRODUCT, 2]]))

    def warp(self, cells: np.ndarray) -> np.ndarray:
        """Cells of the target in the scale of the prediction."""
        return warped(cells, self.location.log_shift)

    def around(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and residual spread of rows, each [rows] float64; a row's do not depend on the others."""
        columns = self.columns
        known = ~np.isnan(inputs[:, columns])
        patterns, place = np.unique(known @ (1 << np.arange(len(columns))), return_inverse=True)
        solved = [self._solution(int(pattern), columns) for pattern in patterns]
        weights = np.stack([w for w, _ in solved])
        total = weights[place, 0]
        for t, column in enumerate(term_columns(inputs, self.location.terms, self.location.scales)):
            total = total + weights[place, t + 1] * column
        return total.clip(*self.location.bounds), np.array([spread for _, spread in solved])[place]

    def _solution(self, pattern: int, columns: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights [1 + terms] and residual spread of one pattern of known columns."""
        if pattern not in self._solved:
            known = columns[(pattern >> np.arange(len(columns))) & 1 == 1]
            sort, a, b = self.location.terms.T
            usable = np.isin(a, known) & ((sort != PRODUCT) | np.isin(b, known))
            at = np.concatenate([[0], 1 + np.flatnonzero(usable)])
            weights = np.zeros(len(self.cross))
            weights[at], spread = self._regression(at)
            self._solved[pattern] = weights, spread
        return self._solved[pattern]

    def _regression(self, at: np.ndarray) -> tuple[np.ndarray, float]:
        """Ridge regression on these terms; the ridge is that of a Bayesian fit with the noise of a first solution."""
        gram, cross = self.gram[np.ix_(at, at)], self.cross[at]
        size = np.maximum(np.sqrt(np.diag(gram)), 1e-12)
        gram, cross = gram / np.outer(size, size), cross / size
        total = max(self.power - float(self.cross[0]) ** 2, LEAST_SPREAD**2)
        weights, variance = np.zeros(len(at)), total
        for _ in range(2):
            penalty = np.full(len(at), 1e-10 + min(1.0, variance / total) * len(at) / self.rows)
            penalty[0] = 1e-12
            weights = np.linalg.solve(gram + np.diag(penalty), cross)
            variance = self.power - 2 * float(weights @ cross) + float(weights @ gram @ weights)
            variance = min(max(variance, LEAST_SPREAD**2), total)
        return weights / size, float(np.sqrt(variance))

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        named = {"gram": self.gram, "cross": self.cross, "moments": np.array([self.power, float(self.rows)])}
        return {**self.location.arrays(), **{name: torch.from_numpy(array) for name, array in named.items()}}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Adaptive:
        """Inverse of `arrays`."""
        power, rows = arrays["moments"].tolist()
        return cls(Location.restore(arrays), arrays["gram"].numpy(), arrays["cross"].numpy(), power, int(rows))
