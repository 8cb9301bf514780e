"""Which inputs a column of a wide table looks at: cost grows with columns times inputs, most inputs tell nothing."""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np

LOOKED_AT = 5_000
"""Rows that the selection looks at."""
STEPS = 15
"""Runs of equal frequency that a number is cut into where information is counted."""
TREES, SPLIT_COLUMNS = (6, 20), 2_000
"""Fewest and most trees that rank inputs, and about how many columns all of them search together."""


@dataclass(frozen=True)
class Selection:
    """A sample of the rows of the input matrix: `values` [rows, columns] float64 and the same as few `codes`."""

    values: np.ndarray
    codes: np.ndarray
    classes: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, classes: np.ndarray) -> Selection:
        """From the matrix [rows, columns], NaN where absent, and the classes [columns], 0 for numbers."""
        values = matrix[np.linspace(0, len(matrix) - 1, min(len(matrix), LOOKED_AT)).astype(np.int64)]
        codes = [_steps(values[:, i], classes[i] == 0, int(classes[i])) for i in range(values.shape[1])]
        return cls(values, np.stack(codes, 1) if codes else np.zeros(values.shape, dtype=np.int64), classes)

    def most_telling(self, target: int, inputs: np.ndarray, most: int, quick: bool = False) -> np.ndarray:
        """Those of the inputs that tell most about the target column, ascending; all where they are few.

        Half by mutual information of each alone (Battiti, 1994), half by the gain of splits in a few small regression
        trees (which see what several tell together); `quick` goes by information only.
        """
        known = np.flatnonzero(~np.isnan(self.values[:, target]))
        if len(inputs) <= most or not len(known):
            return inputs[:most]
        information = _information(self.codes[known[:, None], inputs], self.codes[known, target])
        rankings = [np.argsort(-information, kind="stable")]
        if not quick:
            x = self.values[known[:, None], inputs]
            gains = _gains(x, self.values[known, target], bool(self.classes[target] == 0))
            rankings.insert(0, np.argsort(-gains, kind="stable"))
        first = np.unique(np.stack(rankings, 1).ravel(), return_index=True)
        return inputs[np.sort(first[0][np.argsort(first[1])][:most])]


def _steps(column: np.ndarray, number: bool, classes: int) -> np.ndarray:
    """A column as at most `STEPS` codes, and one more for absent."""
    known = ~np.isnan(column)
    out = np.full(len(column), STEPS)
    if number and known.any():
        cuts = np.unique(np.quantile(column[known], np.linspace(0, 1, STEPS + 1)[1:-1]))
        out[known] = np.searchsorted(cuts, column[known], side="right")
    elif known.any():
        counts = np.bincount(column[known].astype(np.int64), minlength=classes)
        place = np.empty(len(counts), dtype=np.int64)
        place[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
        out[known] = np.minimum(place[column[known].astype(np.int64)], STEPS - 1)
    return out


def _information(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Mutual information [columns] of each code column of a [rows, columns] with b [rows], nats."""
    size, columns = STEPS + 1, a.shape[1]
    place = (np.arange(columns) * size + a) * size + b[:, None]
    joint = np.bincount(place.ravel(), minlength=columns * size**2).reshape(columns, size, size) / len(b)
    product = joint.sum(2, keepdims=True) * joint.sum(1, keepdims=True)
    there = joint > 0
    ratio = np.log(np.where(there, joint, 1.0) / np.where(there, product, 1.0))
    out: np.ndarray = (joint * ratio).sum((1, 2))
    return out


def _gains(x: np.ndarray, target: np.ndarray, number: bool) -> np.ndarray:
    """Gain [columns] of each input in regression trees for the rank of the target, or for being its top class."""
    values, inverse, counts = np.unique(target, return_inverse=True, return_counts=True)
    if len(values) < 2:
        return np.zeros(x.shape[1])
    rank = (np.cumsum(counts) - counts / 2)[inverse] if number else (inverse == counts.argmax()).astype(np.float64)
    parameters = {
        "objective": "regression",
        "num_leaves": 15,
        "learning_rate": 0.3,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": 0,
        "verbosity": -1,
    }
    trees = int(np.clip(SPLIT_COLUMNS / x.shape[1], *TREES))
    data = lgb.Dataset(x.astype(np.float32), rank / rank.max(), params=parameters)
    gains: np.ndarray = lgb.train(parameters, data, trees).feature_importance("gain")
    return gains
