"""Mixtures of any family, by expectation maximisation with drawn assignments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Mixed
from ensample.families.autoregressive.family import Autoregressive
from ensample.families.base import Distribution, Family, at_least
from ensample.families.chain import pick
from ensample.families.compose.parts import Weighted, refused, restored, weighted
from ensample.families.mixture.family import Mixture
from ensample.kinds.records import Records
from ensample.run import Run

FEWEST = 20
"""Rows below which a component is not learned anew."""
BLOCK = 16_384
"""Rows scored at a time."""
SAMPLE = 10_000
"""Rows from which the first components are found."""


@dataclass(frozen=True)
class Blend:
    """p(x) = sum_k w_k p_k(x), where every p_k is of one family: a mixture of flows, of networks, of circuits.

    Stochastic EM (Celeux and Diebolt 1985): rows are assigned to components by a draw from the posterior, each
    component is learned on its rows, weights are shares of rows; it starts from the components of a Gaussian mixture.
    Worth it for data in separate clumps that one smooth model bridges; else one larger model is better.

    Arguments:
        of: the family of the components, which needs a likelihood.
        components: how many; a component that is left with fewer than twenty rows is dropped.
        rounds: passes of assignment and learning.

    Example:
        >>> Blend(components=4).rounds
        3
    """

    of: Family = Autoregressive()  # noqa: RUF009
    components: int = 2
    rounds: int = 3

    name: ClassVar[str] = "blend"
    distribution: ClassVar[type[Distribution]] = Weighted

    def __post_init__(self) -> None:
        at_least(self, components=1, rounds=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """What its family refuses; families without a likelihood."""
        return refused(self.of, event, given)

    def fit(self, records: Records, seed: int, run: Run) -> Weighted:
        """Assign, learn, weigh; each round gets an equal share of the time."""
        generator = Generator().manual_seed(seed)
        assigned = _clumps(records, self.components, seed, run, generator)
        fitted = self._learned(records, assigned, seed, run, 0)
        for turn in range(1, self.rounds):
            fitted = self._learned(records, _assigned(fitted, records, generator), seed, run, turn)
        return fitted

    def _learned(self, records: Records, assigned: np.ndarray, seed: int, run: Run, turn: int) -> Weighted:
        codes, counts = np.unique(assigned, return_counts=True)
        codes, counts = codes[counts >= FEWEST], counts[counts >= FEWEST]
        if not len(codes):
            codes, counts, assigned = np.zeros(1, int), np.array([len(records)]), np.zeros(len(records), int)
        steps = (self.rounds - turn) * len(codes)
        parts = [
            run.part(f"round{turn}.{k}", 1 / (steps - i)).learn(
                self.of, records.select(np.flatnonzero(assigned == k)), seed + turn
            )
            for i, k in enumerate(codes)
        ]
        weights = torch.log(torch.from_numpy(counts / counts.sum()))
        return weighted(records.event, records.given, parts, weights)

    def restore(self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]) -> Weighted:
        """Inverse of `Weighted.arrays`."""
        return weighted(event, given, restored(self.of, event, given, arrays, facts), arrays["log_weights"])


def _clumps(records: Records, components: int, seed: int, run: Run, generator: Generator) -> np.ndarray:
    """A component for each row, drawn from a Gaussian mixture: where the rows lie together; int64 [rows]."""
    sample = records.sample(SAMPLE, seed)
    mixture = run.part("start", 0.1).learn(Mixture(components=components, covariance="diagonal"), sample, seed)
    layout, parts = mixture.layout, []
    for batch in records.batches(BLOCK):
        joint = layout.join(batch)
        values = layout.event.values(joint.cells)
        parts.append(pick(mixture.log_joint(values, joint), generator).numpy())
    out: np.ndarray = np.concatenate(parts)
    return out


def _assigned(fitted: Weighted, records: Records, generator: Generator) -> np.ndarray:
    """A component for each row, drawn from its posterior; int64 [rows]."""
    parts = [pick(fitted.log_joint(batch), generator).numpy() for batch in records.batches(BLOCK)]
    out: np.ndarray = np.concatenate(parts)
    return out
