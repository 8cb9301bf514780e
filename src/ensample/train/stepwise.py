"""Stepwise EM: parameters move after every few rows, so one pass over much data is worth many of plain EM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ensample.families.base import Statistics, SummaryFamily
from ensample.kinds.records import Records

FORGETTING = 0.7
"""Statistics of step t get the weight (t + 2)^-0.7 (Liang and Klein, Online EM for unsupervised models, 2009)."""

STREAM = 0x5E
"""Keeps the order of rows apart from data made with the same seed."""


@runtime_checkable
class InBatches(Protocol):
    """A summary family that may learn from a few rows at a time."""

    minibatch: int | None
    """Rows of one step; None is plain EM, a whole pass a step."""


@dataclass
class Stepwise:
    """Running means of statistics, a row's worth of each, over mini-batches in a new order every pass.

    `s <- (1 - w_t) s + w_t s_batch`, then the update from `s` times the number of rows (Cappé and Moulines, On-line EM
    for latent data models, 2009). Statistics may be of any summary family, since they add up.
    """

    family: SummaryFamily
    records: Records
    rows: int
    seed: int
    step: int = 0
    mean: Statistics = field(default_factory=dict)

    def passed(self, current: Any, epoch: int) -> tuple[Any, Statistics]:
        """One pass: what was learned, and the likelihood of the rows as each was met."""
        met: Statistics = {}
        for part in self._batches(epoch):
            statistics = self.family.summarize(current, part)
            for name in ("log_prob", "rows"):
                met[name] = met.get(name, torch.zeros((), dtype=torch.float64)) + statistics[name]
            self._blend(statistics)
            current = self.family.update(current, {k: v * len(self.records) for k, v in self.mean.items()})
        return current, met

    def _batches(self, epoch: int) -> Iterator[Any]:
        order = np.random.default_rng((self.seed, epoch, STREAM)).permutation(len(self.records))
        for start in range(0, len(order), self.rows):
            yield self.records.batch(np.sort(order[start : start + self.rows]))

    def _blend(self, statistics: Statistics) -> None:
        """Move the running means towards those of a batch; where the model has changed its size they start anew."""
        share = statistics["rows"].clamp(min=1.0)
        fresh = {name: value / share for name, value in statistics.items()}
        if {k: v.shape for k, v in self.mean.items()} != {k: v.shape for k, v in fresh.items()}:
            self.mean = fresh
        weight = (self.step + 2.0) ** -FORGETTING
        self.mean = {name: self.mean[name] + weight * (value - self.mean[name]) for name, value in fresh.items()}
        self.step += 1

    def arrays(self) -> dict[str, Tensor]:
        """State between passes; `resume` is the inverse."""
        return {f"{PREFIX}{name}": value for name, value in self.mean.items()} | {
            f"{PREFIX}step": torch.tensor(self.step)
        }

    def resume(self, arrays: dict[str, Tensor]) -> None:
        """Take the state out of what a run kept."""
        own = {name.removeprefix(PREFIX): arrays.pop(name) for name in list(arrays) if name.startswith(PREFIX)}
        self.step = int(own.pop("step"))
        self.mean = own


PREFIX = "stepwise."
"""Before the names of what a run keeps."""
