"""Scores of a variable and its parents, from counts of coarse states: what structure search climbs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from ensample.families.bayesnet.tables import left_out

Score = Callable[[np.ndarray], float]
"""From counts [contexts, states] to nats; a context is one combination of the parents' states, all of them listed."""

EQUIVALENT = 10.0
"""Rows that the prior of BDeu stands for."""


def bic(counts: np.ndarray) -> float:
    """Log-likelihood less half a logarithm of the rows for each free parameter (Schwarz 1978).

    Example:
        >>> round(bic(np.array([[5.0, 5.0]])), 3)  # 10 log(1/2) - log(10) / 2
        -8.083
    """
    rows = float(counts.sum())
    free = counts.shape[0] * (counts.shape[1] - 1)
    penalty: float = 0.5 * math.log(max(rows, 1.0)) * free
    return log_likelihood(counts) - penalty


def bdeu(counts: np.ndarray) -> float:
    """Log marginal likelihood under a Dirichlet prior of `EQUIVALENT` rows, spread evenly (Buntine 1991)."""
    contexts, states = counts.shape
    inner, outer = EQUIVALENT / (contexts * states), EQUIVALENT / contexts
    return _rising(counts, inner) - _rising(counts.sum(1), outer)


def _rising(counts: np.ndarray, prior: float) -> float:
    """Sum of log Gamma(n + prior) - log Gamma(prior)."""
    n = torch.from_numpy(counts[counts > 0]) + prior
    return float(torch.lgamma(n).sum()) - len(n) * math.lgamma(prior)


def predictive(counts: np.ndarray) -> float:
    """Log-probability of every row by the table of all the others, backed off to the child alone.

    This is what the tables are used for, and it allows parents with many states: sparse contexts cost nothing where
    the table leans on what is known without them (`ensample.families.bayesnet.tables`).
    """
    return left_out(torch.from_numpy(counts))


def log_likelihood(counts: np.ndarray) -> float:
    """Most log-likelihood of a table: sum of n log(n / N) over its cells."""
    n = counts[counts > 0]
    total = counts.sum(1)
    total = total[total > 0]
    return float((n * np.log(n)).sum() - (total * np.log(total)).sum())


SCORES: dict[str, Score] = {"predictive": predictive, "bic": bic, "bdeu": bdeu}
"""Scores by their public name."""


@dataclass
class Families:
    """Scores of every variable with sets of parents, each counted once.

    `states` [rows, variables] int64 are coarse states, -1 where unknown (such rows are left out of the tables that
    they would be in); `sizes` [variables] how many each variable has.
    """

    states: np.ndarray
    sizes: tuple[int, ...]
    score: Score
    known: dict[tuple[int, frozenset[int]], float] = field(default_factory=dict)

    def of(self, child: int, parents: frozenset[int]) -> float:
        """The score of one variable, nats for all rows."""
        key = child, parents
        if key not in self.known:
            counts = self.counts(child, sorted(parents))
            self.known[key] = self.score(counts) * len(self.states) / max(counts.sum(), 1.0)
        return self.known[key]

    def counts(self, child: int, parents: list[int]) -> np.ndarray:
        """Rows [contexts, states of the child]."""
        columns = [*parents, child]
        index, size = np.zeros(len(self.states), dtype=np.int64), 1
        unknown = np.zeros(len(self.states), dtype=bool)
        for j in columns:
            index = index * self.sizes[j] + self.states[:, j]
            unknown |= self.states[:, j] < 0
            size *= self.sizes[j]
        table: np.ndarray = np.bincount(index[~unknown] if unknown.any() else index, minlength=size)
        return table.reshape(-1, self.sizes[child]).astype(np.float64)

    def information(self, child: int, parent: int, others: list[int]) -> float:
        """I(child; parent | others), nats a row: what the edge is worth (plug-in estimate)."""
        with_it, without = self.counts(child, [parent, *others]), self.counts(child, others)
        rows = max(float(with_it.sum()), 1.0)
        return max(0.0, (log_likelihood(with_it) - log_likelihood(without)) / rows)
