"""One column as boosted digits: a starting logit for each decision, and the trees that correct it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ensample.families.boosted.adaptive import Adaptive
from ensample.families.boosted.classifier import Classifier, pack_all, unpack_all
from ensample.families.boosted.digits import Digits, Level
from ensample.families.boosted.features import Features
from ensample.families.boosted.residual import Residual
from ensample.families.independent import part
from ensample.families.location import Location


@dataclass(frozen=True)
class Column:
    """p(bin | inputs) of one span.

    `inputs` [inputs] int64 are the columns of the input matrix that are looked at; `edges` [bins + 1] float64 the
    boundaries between bins, in cells; `shares` [decisions] float64 the log-odds of each decision in the training
    column. A digit starts from these, or where `guided` [digits] is set from the residuals around the first location,
    and its classifier adds what it knows. A `strict` column was learned with holes in its inputs.
    """

    inputs: np.ndarray
    edges: np.ndarray
    shares: np.ndarray
    guided: np.ndarray
    locations: tuple[Location | Adaptive, ...]
    residual: Residual | None
    classifiers: tuple[Classifier, ...]
    strict: bool = False

    @property
    def code(self) -> Digits:
        """The digits of this column's bins."""
        return Digits(len(self.edges) - 1)

    @property
    def depth(self) -> int:
        """Digits of a bin."""
        return self.code.depth

    def log_prob(self, x: np.ndarray, index: np.ndarray, threads: int) -> np.ndarray:
        """Log-probability [rows] of bins given inputs [rows, inputs] with NaN for absent."""
        total = np.zeros(len(x))
        features = self.features(x)
        for level in self.code.path(index):
            rows = np.flatnonzero(level.open)
            logit = self.logit(level, features, rows, threads)
            total[rows] -= np.logaddexp(0.0, np.where(level.digit(index)[rows], -logit, logit))
        return total

    def draw(self, x: np.ndarray, u: np.ndarray, threads: int) -> np.ndarray:
        """Bins [rows] int64 given inputs; uniform numbers `u` [digits, rows] decide the digits."""
        prefix = np.zeros(len(x), dtype=np.int64)
        features = self.features(x)
        for number in range(self.depth):
            level = self.code.level(number, prefix)
            rows = np.flatnonzero(level.open)
            digit = np.zeros(len(x), dtype=bool)
            digit[rows] = u[number, rows] < _sigmoid(self.logit(level, features, rows, threads))
            prefix = level.follow(digit)
        return self.code.index(prefix)

    def draw_within(
        self, x: np.ndarray, u: np.ndarray, share: np.ndarray, threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bins given that they are allowed, and the log-probability of that: `share` [bins] of each bin is allowed.

        Runs that are allowed or forbidden as a whole need no look inside: a range costs two decisions a digit.
        """
        features, rows = self.features(x), np.arange(len(x))
        mass: dict[int, np.ndarray] = {}  # of decisions whose run is allowed in part
        chance: dict[int, np.ndarray] = {}

        def allowed(number: int, prefix: int) -> np.ndarray | float:
            level = self.code.level(number, np.array([prefix]))
            inside = share[level.low[0] : level.high[0]]
            if inside.min() == inside.max() or not level.open[0]:
                return float(inside[0])
            lower, upper = allowed(number + 1, 2 * prefix), allowed(number + 1, 2 * prefix + 1)
            p = _sigmoid(self.logit(self.code.level(number, np.full(len(x), prefix)), features, rows, threads))
            node = int(level.node[0])
            mass[node] = p * upper + (1 - p) * lower
            chance[node] = p * upper / np.maximum(mass[node], 1e-300)
            return mass[node]

        def walk(number: int, prefix: int) -> np.ndarray | float:
            level = self.code.level(number, np.array([prefix]))
            if not level.open[0]:
                following = int(level.follow(np.array([False]))[0])
                inside = share[level.low[0] : level.high[0]]
                return float(inside[0]) if number + 1 >= self.depth else walk(number + 1, following)
            return allowed(number, prefix)

        total = np.broadcast_to(walk(0, 0) if self.depth else share[0], len(x))
        prefix = np.zeros(len(x), dtype=np.int64)
        for number in range(self.depth):
            level = self.code.level(number, prefix)
            digit = np.zeros(len(x), dtype=bool)
            for node in np.unique(level.node[level.open]):
                here = np.flatnonzero((level.node == node) & level.open)
                if int(node) in chance:
                    digit[here] = u[number, here] < chance[int(node)][here]
                else:
                    digit[here] = u[number, here] < _sigmoid(self.logit(level, features, here, threads))
            prefix = level.follow(digit)
        with np.errstate(divide="ignore"):
            return self.code.index(prefix), np.log(np.minimum(total, 1.0))

    def table(self, x: np.ndarray, threads: int) -> np.ndarray:
        """Log-probabilities [rows, bins] of all bins."""
        out = np.zeros((len(x), len(self.edges) - 1))
        features, rows = self.features(x), np.arange(len(x))
        for number in range(self.depth):
            runs = self.code.level(number, np.arange(1 << number))
            for prefix in np.flatnonzero(runs.open):
                logit = self.logit(self.code.level(number, np.full(len(x), prefix)), features, rows, threads)
                low, middle, high = runs.low[prefix], runs.middle[prefix], runs.high[prefix]
                out[:, low:middle] -= np.logaddexp(0.0, logit)[:, None]
                out[:, middle:high] -= np.logaddexp(0.0, -logit)[:, None]
        return out

    def features(self, x: np.ndarray) -> Features:
        """What the digits of these rows look at."""
        return Features(x, self.edges, self.locations, self.strict)

    def start(self, level: Level, features: Features, rows: np.ndarray) -> np.ndarray:
        """Starting logit [rows] of a level."""
        if self.residual is not None and self.guided[level.number]:
            return self.residual.logit(*features.ends(level, rows))
        out: np.ndarray = self.shares[level.node[rows]]
        return out

    def logit(self, level: Level, features: Features, rows: np.ndarray, threads: int) -> np.ndarray:
        """Log-odds [rows] of the upper half."""
        correction = self.classifiers[level.number].logit(features.of(level, rows), threads)
        out: np.ndarray = self.start(level, features, rows) + correction
        return out

    def arrays(self) -> dict[str, Tensor]:
        """State as tensors; `restore` is the inverse."""
        named = {"inputs": self.inputs, "edges": self.edges, "shares": self.shares, "guided": self.guided}
        state = {name: torch.from_numpy(array) for name, array in named.items()}
        state["strict"] = torch.tensor(self.strict)
        for i, location in enumerate(self.locations):
            state |= {f"location.{i}.{k}": v for k, v in location.arrays().items()}
        if self.residual is not None:
            state["residual"] = self.residual.array()
        return {**state, **pack_all(self.classifiers)}

    @classmethod
    def restore(cls, arrays: dict[str, Tensor]) -> Column:
        """Inverse of `arrays`."""
        count = sum(name.startswith("location.") and name.endswith(".facts") for name in arrays)
        return cls(
            arrays["inputs"].numpy(),
            arrays["edges"].numpy(),
            arrays["shares"].numpy(),
            arrays["guided"].numpy(),
            tuple(_location(part(arrays, f"location.{i}")) for i in range(count)),
            Residual.restore(arrays["residual"]) if "residual" in arrays else None,
            unpack_all(arrays),
            bool(arrays["strict"]),
        )


def _location(arrays: dict[str, Tensor]) -> Location | Adaptive:
    return Adaptive.restore(arrays) if "gram" in arrays else Location.restore(arrays)


def _sigmoid(logit: np.ndarray) -> np.ndarray:
    out: np.ndarray = 0.5 + 0.5 * np.tanh(0.5 * logit)
    return out
