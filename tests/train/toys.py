"""Small families and records that the tests of the engine learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Discrete, Mixed, Span
from ensample.families.base import Distribution, Player
from ensample.kinds.records import Records

EVENT = Mixed((Span("a", Discrete(4)), Span("b", Discrete(3))))


def records(rows: int = 200, seed: int = 0) -> Records:
    """Two dependent columns."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 4, rows)
    b = np.where(rng.random(rows) < 0.8, a % 3, rng.integers(0, 3, rows))
    return Records(EVENT, np.stack([a, b], 1).astype(np.int64))


class ToyNet(nn.Module, Distribution):
    """Logits of b from one-hot a; the loss is cross-entropy."""

    event = EVENT
    given = None

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.hidden = nn.Parameter(torch.randn(4, 8, generator=generator))
        self.out = nn.Parameter(torch.randn(8, 3, generator=generator))

    def nats(self, batch: Batch) -> Tensor:
        """Loss of each row."""
        h = torch.tanh(self.hidden[batch.cells[:, 0]])
        return -(h @ self.out).log_softmax(1).gather(1, batch.cells[:, 1:2])[:, 0]

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """Not needed here."""
        raise AssertionError

    def arrays(self) -> dict[str, Tensor]:
        """The weights."""
        return dict(self.state_dict())


@dataclass(frozen=True)
class Toy:
    """An ordinary gradient family; `noise` adds a random term to the loss, so that the generator matters."""

    learning_rate: float = 0.01
    batch_size: int = 16
    noise: float = 0.1
    patience: int = 15

    name: ClassVar[str] = "toy"
    distribution: ClassVar[type[ToyNet]] = ToyNet

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Nothing."""
        return None

    def build(self, records: Records, seed: int) -> ToyNet:
        """A new net."""
        return ToyNet(seed)

    def loss(self, module: ToyNet, batch: Batch, generator: Generator) -> Tensor:
        """Mean nats plus noise."""
        jitter = torch.randn((), generator=generator) * module.out.sum() * self.noise
        return module.nats(batch).mean() + jitter

    def players(self, module: ToyNet) -> tuple[Player, ...]:
        """One."""
        return (
            Player("net", lambda batch, generator: self.loss(module, batch, generator), tuple(module.parameters())),
        )

    def validate(self, module: ToyNet, batch: Batch, generator: Generator) -> Tensor:
        """Nats per row."""
        return module.nats(batch)

    def restore(self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]) -> ToyNet:
        """From its weights."""
        net = ToyNet(0)
        net.load_state_dict(arrays)
        return net
