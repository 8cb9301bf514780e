"""Rows of the law table whose records are given a sequence: with that sequence fixed, they are like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ensample.events import Batch, Discrete, Mixed, Ragged, Span
from ensample.kinds.sequences import Sequences
from tests.laws.ragged import RaggedCase

SOURCES = Ragged(Mixed((Span("sign", Discrete(3)),)), 2)


def sources(lengths: np.ndarray, seed: int = 0) -> Sequences:
    """Sequences of these lengths of three signs, at random."""
    signs = np.random.default_rng(seed).integers(0, 3, (int(lengths.sum()), 1))
    return Sequences(SOURCES, signs, lengths=lengths)


class Told:
    """A model of records that are given a source, for one source: a model of records."""

    def __init__(self, own: Any, source: Batch) -> None:
        self.own, self.source, self.event = own, source, own.event

    def with_source(self, batch: Batch) -> Batch:
        return replace(batch, cond=self.source.repeat(len(batch)))

    def log_prob(self, batch: Batch) -> torch.Tensor:
        return self.own.log_prob(self.with_source(batch))

    def continuation(self, batch: Batch) -> Any:
        return self.own.continuation(self.with_source(batch))

    def sample(self, n: int, generator: torch.Generator) -> Batch:
        return replace(self.own.sample(n, generator, self.source.repeat(n)), cond=None)

    def arrays(self) -> dict[str, torch.Tensor]:
        return self.own.arrays()

    def facts(self) -> dict[str, Any]:
        return self.own.facts()


@dataclass(frozen=True)
class ToldCase(RaggedCase):
    """A row whose records have sources that tell nothing of them."""

    @property
    def id(self) -> str:
        return f"{self.name}-{self.toy}"

    def fit(self, records: Sequences, seed: int = 0, budget: str = "", **changed: Any) -> Told:
        given = sources(np.random.default_rng(seed).integers(0, 3, len(records)), seed)
        fitted = super().fit(replace(records, given=SOURCES, sources=given), seed, budget, **changed)
        return Told(fitted, sources(np.array([2])).batch())

    def restored(self, first: Any) -> Told:
        return Told(self.family().restore(first.event, SOURCES, first.arrays(), first.facts()), first.source)


CASES = [
    ToldCase(
        "sequence-to-sequence",
        "letters",
        {"width": 8, "layers": 1, "learning_rate": 4e-2, "batch_size": 192, "dropout": 0.0, "context": 8},
        close=0.12,
        budget="40 steps",
        knob_budget="2 steps",
        holes=False,
        knobs={
            "context": 2,
            "width": 12,
            "layers": 2,
            "encoder_layers": 2,
            "attention_heads": 2,
            "mlp": "swiglu",
            "tied": True,
            "shared": True,
            "dropout": 0.3,
            "label_smoothing": 0.2,
            "longest": 5,
            "batch_size": 64,
        },
    ),
]
