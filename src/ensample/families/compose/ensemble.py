"""Ensembles: the mean of several fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from ensample.events import Mixed
from ensample.families.base import Distribution, Family, at_least
from ensample.families.compose.parts import Weighted, refused, restored, weighted
from ensample.families.trees.family import Trees
from ensample.kinds.records import Records
from ensample.run import Run


@dataclass(frozen=True)
class Ensemble:
    """p(x) = mean over members of p_m(x), each fitted on its own.

    By Jensen's inequality its mean log-likelihood is at least the mean of those of its members (Lakshminarayanan et al.
    2017). Worth its time where fits differ much from seed to seed or table is small; a stable family gains little.

    Arguments:
        of: the family of the members, which needs a likelihood.
        members: how many.
        bootstrap: whether each learns from rows drawn with repetition (bagging: Breiman 1996) instead of all rows.

    Example:
        >>> Ensemble(members=3).of.name
        'trees'
    """

    of: Family = Trees()  # noqa: RUF009
    members: int = 5
    bootstrap: bool = True

    name: ClassVar[str] = "ensemble"
    distribution: ClassVar[type[Distribution]] = Weighted

    def __post_init__(self) -> None:
        at_least(self, members=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """What its family refuses; families without a likelihood."""
        return refused(self.of, event, given)

    def fit(self, records: Records, seed: int, run: Run) -> Weighted:
        """Fit the members one after the other, each with an equal share of the time."""
        parts = []
        for k in range(self.members):
            rows = records
            if self.bootstrap:
                rng = np.random.default_rng([seed, k, 0xBA])
                rows = records.select(np.sort(rng.integers(len(records), size=len(records))))
            parts.append(run.part(f"member{k}", 1 / (self.members - k)).learn(self.of, rows, seed + k))
        weights = torch.full((self.members,), -math.log(self.members), dtype=torch.float64)
        return weighted(records.event, records.given, parts, weights)

    def restore(self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]) -> Weighted:
        """Inverse of `Weighted.arrays`."""
        return weighted(event, given, restored(self.of, event, given, arrays, facts), arrays["log_weights"])
