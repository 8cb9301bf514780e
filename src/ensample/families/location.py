"""A linear prediction of one column from others: the feature that makes sharp relations cheap for learners of steps.

Trees and digits cut at constants, so a column that is a smooth function of others (a volume, a ratio, an instalment)
costs them bits at every cut. A boundary **minus a linear prediction** is one number whose sign nearly decides. The
prediction is least squares on values, squares, logarithms, pairwise products and one-hot classes, refitted without
outliers (iterated trimming: Rousseeuw and Leroy, 1987), in the column's own scale or in that of its logarithm, where
products and ratios are sums.

On diamonds (10 columns) the feature takes the depth `z` from 2.1 bits a row to 0.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SMALLEST = 0.5
"""Distance in cells from the zero of a logarithm that counts as none: half a cell."""
VALUE, SQUARE, LOG, PRODUCT, CLASS, ABSENCE = range(6)
MOST_ROWS = 20_000
"""Rows that a regression is fitted on; more change nothing that a step function could see."""
MOST_COLUMNS, MOST_LEVELS = 12, 30
"""Numeric columns (and as many of classes) that a regression looks at, and levels of each that get a term."""


@dataclass(frozen=True)
class Location:
    """A fitted prediction.

    `terms` [terms, 3] int64 holds the sort of each term and its one or two operands (columns; for CLASS column and
    class). `scales` [columns, 3] float64 holds center, scale and logarithm shift of each input column. `weights`
    [1 + terms] float64 starts with the intercept. `log_shift` is the shift of the target's logarithm, NaN where the
    target is predicted in its own scale. `bounds` are the smallest and largest warped target seen. `spread` is the
    median absolute residual in the warped scale.
    """

    terms: np.ndarray
    scales: np.ndarray
    weights: np.ndarray
    log_shift: float
    bounds: tuple[float, float]
    spread: float

    @classmethod
    def fit(
        cls,
        inputs: np.ndarray,
        classes: np.ndarray,
        target: np.ndarray,
        log: bool = False,
        only: np.ndarray | None = None,
        scales: np.ndarray | None = None,
    ) -> Location:
        """Fit on rows where the target is known.

        Arguments:
            inputs: [rows, columns] float64, cells of numbers counted from 0, codes of classes, NaN where there is none.
            classes: [columns] int64, the number of classes of a column, 0 for numbers.
            target: [rows] float64, cells of the target counted from its 0.
            log: predict the logarithm of the target.
            only: numbers of the input columns that may be used, all by default.
            scales: `scales_of` these inputs, where several locations share them.
        """
        scales = scales_of(inputs) if scales is None else scales.copy()
        inputs, target = _fewer(inputs), _fewer(target)
        shift = min(float(target.min()), 0.0) if log else np.nan
        y = warped(target, shift)
        terms = _terms(inputs, classes, y, np.arange(inputs.shape[1]) if only is None else only)
        design = np.stack([np.ones(len(y)), *term_columns(inputs, terms, scales)], 1)
        weights, spread = _trimmed_least_squares(design, y)
        return cls(terms, scales, weights, shift, (float(y.min()), float(y.max())), spread)

    @classmethod
    def best(
        cls,
        inputs: np.ndarray,
        classes: np.ndarray,
        target: np.ndarray,
        only: np.ndarray | None = None,
        scales: np.ndarray | None = None,
    ) -> Location:
        """The sharper of the two scales, judged by the typical residual in cells. Arguments as for `fit`."""
        scales = scales_of(inputs) if scales is None else scales.copy()
        plain = cls.fit(inputs, classes, target, only=only, scales=scales)
        if target.min() < 0 or target.max() < 20:
            return plain
        logarithmic = cls.fit(inputs, classes, target, True, only, scales)
        return min(plain, logarithmic, key=lambda location: location.spread_in_cells(target))

    def spread_in_cells(self, target: np.ndarray) -> float:
        """Typical residual in cells, for a logarithm at the geometric mean of the target."""
        if np.isnan(self.log_shift):
            return self.spread
        return self.spread * float(np.exp(np.mean(self.warp(target))))

    @property
    def needs(self) -> np.ndarray:
        """Number columns that the prediction is made from, ascending."""
        numbers = self.terms[np.isin(self.terms[:, 0], (VALUE, SQUARE, LOG)), 1]
        return np.unique(numbers)

    def warp(self, cells: np.ndarray) -> np.ndarray:
        """Cells of the target in the scale of the prediction, float64."""
        return warped(cells, self.log_shift)

    def unwarp(self, values: np.ndarray) -> np.ndarray:
        """Inverse of `warp`: positions in cells."""
        out: np.ndarray = values if np.isnan(self.log_shift) else np.exp(values) + self.log_shift
        return out

    def around(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Prediction and typical residual of rows, each [rows] float64."""
        return self.predict(inputs), np.full(len(inputs), max(self.spread, 1e-9))

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Prediction [rows] float64 in the warped scale, within the range of the training target.

        Terms are added one by one, never by a matrix product, whose rounding depends on the number of rows: a row's
        prediction is the same to the bit in every batch.
        """
        total = np.full(len(inputs), self.weights[0])
        for weight, column in zip(self.weights[1:], term_columns(inputs, self.terms, self.scales), strict=True):
            total += weight * column
        return total.clip(*self.bounds)

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        facts = np.array([self.log_shift, *self.bounds, self.spread])
        named = {"terms": self.terms, "scales": self.scales, "weights": self.weights, "facts": facts}
        return {name: torch.from_numpy(array) for name, array in named.items()}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Location:
        """Inverse of `arrays`."""
        shift, low, high, spread = arrays["facts"].tolist()
        terms, scales, weights = (arrays[name].numpy() for name in ("terms", "scales", "weights"))
        return cls(terms, scales, weights, shift, (low, high), spread)


def warped(cells: np.ndarray, shift: float) -> np.ndarray:
    """Cells in the scale of a prediction: as they are, or the logarithm above `shift` where that is a number."""
    return cells if np.isnan(shift) else np.log(np.maximum(cells - shift, SMALLEST))


def scales_of(inputs: np.ndarray) -> np.ndarray:
    """`column_scales` of the rows that a regression is fitted on."""
    return column_scales(_fewer(inputs))


def _fewer(rows: np.ndarray) -> np.ndarray:
    """At most `MOST_ROWS` of the rows, evenly."""
    if len(rows) <= MOST_ROWS:
        return rows
    some: np.ndarray = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]
    return some


def column_scales(inputs: np.ndarray) -> np.ndarray:
    """[columns, 3]: median, spread and logarithm shift of each column; 0, 1, 0 for one without values."""
    out = np.tile([0.0, 1.0, 0.0], (inputs.shape[1], 1))
    for j in range(inputs.shape[1]):
        x = inputs[~np.isnan(inputs[:, j]), j]
        if len(x):
            low, middle, high = np.quantile(x, [0.1, 0.5, 0.9])
            out[j] = middle, (high - low) / 2.5 or x.std() or 1.0, min(x.min(), 0.0)
    return out


def term_columns(inputs: np.ndarray, terms: np.ndarray, scales: np.ndarray) -> Iterator[np.ndarray]:
    """The terms one after the other, each [rows]; an absent number counts as its median (its terms are zero)."""
    cache: dict[tuple[int, int], np.ndarray] = {}

    def value(j: int, sort: int) -> np.ndarray:
        if (j, sort) not in cache:
            center, scale, shift = scales[j]
            if sort == LOG:
                x = np.log(np.maximum(inputs[:, j] - shift, SMALLEST) / max(center - shift, SMALLEST))
            else:
                x = np.clip((inputs[:, j] - center) / scale, -30.0, 30.0)
            cache[j, sort] = np.where(np.isnan(x), 0.0, x)
        return cache[j, sort]

    for sort, a, b in terms.tolist():
        if sort in (VALUE, LOG):
            yield value(a, sort)
        elif sort == SQUARE:
            yield value(a, VALUE) ** 2
        elif sort == PRODUCT:
            yield value(a, VALUE) * value(b, VALUE)
        elif sort == CLASS:
            yield (inputs[:, a] == b).astype(np.float64)
        else:
            yield np.isnan(inputs[:, a]).astype(np.float64)


def _terms(inputs: np.ndarray, classes: np.ndarray, y: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """The terms that the rows can bear: those of the strongest numeric columns and classes, [terms, 3] int64."""
    most = int(min(MOST_COLUMNS, np.sqrt(len(y) / 10)))
    strength = np.array([_strength(inputs[:, j], int(classes[j]), y) for j in columns])
    ranked = [int(j) for j in columns[np.argsort(-strength, kind="stable")]]
    numeric = sorted([j for j in ranked if classes[j] == 0][:most])
    terms = [(sort, j, 0) for j in numeric for sort in (VALUE, SQUARE, LOG)]
    terms += [(PRODUCT, a, b) for i, a in enumerate(numeric) for b in numeric[i + 1 :]]
    terms += [(ABSENCE, j, 0) for j in numeric if np.isnan(inputs[:, j]).any()]
    for j in [j for j in ranked if classes[j] > 0][:most]:
        x = inputs[~np.isnan(inputs[:, j]), j].astype(np.int64)
        counts = np.bincount(x, minlength=int(classes[j]))
        frequent = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        terms += [(CLASS, j, int(c)) for c in frequent if counts[c] >= 20]
    return np.array(terms, dtype=np.int64).reshape(-1, 3)


def _strength(x: np.ndarray, classes: int, y: np.ndarray) -> float:
    """Share of the target's variance that a column alone explains (in steps of its rank or of its class), 0 to 1."""
    known = ~np.isnan(x)
    if known.sum() < 10 or y.std() == 0:
        return 0.0
    x, y = x[known], y[known]
    if classes == 0:
        edges = np.unique(np.quantile(x, np.linspace(0, 1, 17)[1:-1]))
        code, classes = np.searchsorted(edges, x, side="right"), len(edges) + 1
    else:
        code = x.astype(np.int64)
    counts = np.bincount(code, minlength=classes)
    means = np.bincount(code, weights=y - y.mean(), minlength=classes) / np.maximum(counts, 1)
    used = int((counts > 0).sum())
    explained = float((counts * means**2).sum()) / (len(y) * float(y.var()) + 1e-300)
    return max(0.0, explained - used / len(y))


def _trimmed_least_squares(design: np.ndarray, y: np.ndarray, rounds: int = 3) -> tuple[np.ndarray, float]:
    """Least squares, refitted on the rows within six typical residuals: (weights, median absolute residual).

    The ridge is that of a Bayesian fit with the noise found in the round before: none where the relation is exact.
    """
    kept = np.ones(len(y), dtype=bool)
    rows, terms = design.shape
    weights, typical, noise = np.zeros(terms), 0.0, 1e-3
    for _ in range(rounds):
        a, b = design[kept], y[kept]
        size = np.maximum(np.sqrt((a**2).mean(0)), 1e-12)
        gram = (a.T @ a) / np.outer(size, size) / len(b)
        penalty = np.full(terms, 1e-10 + noise * terms / len(b))
        penalty[0] = 1e-12
        gram[np.diag_indices_from(gram)] += penalty
        weights = np.linalg.solve(gram, (a.T @ b) / size / len(b)) / size
        residual = np.abs(y - design @ weights)
        typical = float(np.median(residual))
        noise = min(1.0, 1.5 * typical / (float(b.std()) + 1e-300)) ** 2 * rows / max(rows - terms, 1)
        kept = residual <= 6.0 * max(typical, 1e-9 * float(np.abs(y).max()))
        if kept.sum() <= 2 * terms:
            break
    return weights, typical
