"""One two-way decision as gradient-boosted trees (LightGBM), stopped early on held-out rows, stored as plain bytes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import lightgbm as lgb
import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Growth:
    """How trees are grown: see `Boosted` for what each value is worth. `enough` is asked after every round."""

    rounds: int
    leaves: int
    rate: float
    patience: int
    seed: int
    enough: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Example:
    """Rows of one decision: features [rows, features] float32, NaN where absent, answers and starting logits [rows]."""

    features: np.ndarray
    answer: np.ndarray
    start: np.ndarray

    def take(self, rows: np.ndarray) -> Example:
        """These rows alone."""
        return Example(self.features[rows], self.answer[rows], self.start[rows])


TOLERANCE = 2e-4
"""Nats per decision given away for a shorter, faster sum of trees: about 0.02 bits a row in all on diamonds."""


@dataclass(frozen=True)
class Classifier:
    """A sum of trees that corrects a starting logit; `packed` is its compressed text, empty to correct nothing."""

    packed: bytes = b""

    @cached_property
    def booster(self) -> lgb.Booster | None:
        """The trees, read when they are first asked for."""
        return lgb.Booster(model_str=zlib.decompress(self.packed).decode()) if self.packed else None

    @classmethod
    def fit(cls, learn: Example, held: Example, growth: Growth) -> Classifier:
        """Grow trees until the held-out loss has not improved for `growth.patience` rounds."""
        watch = _Watch(growth, loss(held.start, held.answer))
        if len(held.answer) == 0 or learn.answer.all() or not learn.answer.any() or growth.enough():
            return cls()
        parameters = _parameters(growth, len(learn.answer))
        data = lgb.Dataset(learn.features, learn.answer, init_score=learn.start, params=parameters)
        check = lgb.Dataset(held.features, held.answer, init_score=held.start, reference=data, params=parameters)
        booster = lgb.train(parameters, data, growth.rounds, valid_sets=[check], callbacks=[watch])
        text: str = booster.model_to_string(num_iteration=max(1, watch.best()))
        return cls(zlib.compress(text.encode(), 1)) if watch.best() else cls()

    def logit(self, features: np.ndarray, threads: int) -> np.ndarray:
        """Correction of the starting logit [rows] float64; a row's value does not depend on the others."""
        if self.booster is None or len(features) == 0:
            return np.zeros(len(features))
        out: np.ndarray = self.booster.predict(features, raw_score=True, num_threads=threads)
        return out


class _Watch:
    """LightGBM callback: remembers the held-out loss of every round and ends the growth."""

    order, before_iteration = 0, False

    def __init__(self, growth: Growth, start: float) -> None:
        self.growth, self.losses = growth, [start]

    def __call__(self, env: lgb.callback.CallbackEnv) -> None:
        self.losses.append(env.evaluation_result_list[0][2])
        late = len(self.losses) - 1 - int(np.argmin(self.losses)) >= self.growth.patience
        if late or self.growth.enough():
            raise lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list)

    def best(self) -> int:
        """The first number of rounds that is as good as the best of all, but for `TOLERANCE`."""
        return int(np.argmax(np.array(self.losses) <= min(self.losses) + TOLERANCE))


def loss(logit: np.ndarray, answer: np.ndarray) -> float:
    """Mean loss of log-odds, nats; 0 without rows."""
    return float(np.logaddexp(0, np.where(answer, -logit, logit)).mean()) if len(logit) else 0.0


LEAF_HESSIAN = 0.3, 1.0
"""Least sum of hessians in a leaf, for up to 3,000 rows and from 10,000 rows on: few rows have no weight to spare."""


def _parameters(growth: Growth, rows: int) -> dict[str, object]:
    return {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": growth.rate,
        "num_leaves": growth.leaves,
        "min_data_in_leaf": 3,  # counted by weight, of which rows that are all but decided have next to none
        "min_sum_hessian_in_leaf": float(np.clip(rows / 10_000, *LEAF_HESSIAN)),
        "seed": growth.seed,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "boost_from_average": False,
        "verbosity": -1,
    }


def pack_all(classifiers: Sequence[Classifier]) -> dict[str, Tensor]:
    """Many classifiers as two tensors: `trees` uint8 and `ends` int64."""
    packed = [classifier.packed for classifier in classifiers]
    joined = np.frombuffer(b"".join(packed), dtype=np.uint8).copy()
    return {"trees": torch.from_numpy(joined), "ends": torch.tensor(np.cumsum([0, *map(len, packed)]))}


def unpack_all(arrays: dict[str, Tensor]) -> tuple[Classifier, ...]:
    """Inverse of `pack_all`."""
    joined, ends = arrays["trees"].numpy().tobytes(), arrays["ends"].tolist()
    return tuple(Classifier(joined[a:b]) for a, b in pairwise(ends))
