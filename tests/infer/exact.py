"""Chains with the known toy joint: a fixed order and any order, so that inference meets exact answers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ensample.families.bins import Bins
from ensample.families.chain import Chain, Seen
from tests.laws.cases import everything, toy_event, toy_joint


class ExactChain(Chain):
    """Every conditional of the toy joint by enumeration."""

    guarantees: ClassVar = {"sample": "exact", "log_prob": "exact", "draw": "exact"}
    given = None

    def __init__(self, any_order: bool) -> None:
        self.event, self.any_order = toy_event(), any_order
        batch = everything()
        self.records = torch.where(batch.mask, batch.cells, -1)
        keys = list(toy_joint())
        joint = toy_joint()
        self.p = torch.tensor([joint[tuple(row)] for row in self.records.tolist()], dtype=torch.float64)
        assert len(keys) == len(self.records)
        sizes = (3, 2, 6, 2)
        self.bins = tuple(Bins(torch.arange(n), torch.arange(n)) for n in sizes)

    def table(self, column: int, seen: Seen) -> Tensor:
        agrees = (seen.cells[:, None] == self.records) | ~seen.known[:, None]
        exists = torch.ones(len(self.records), dtype=torch.bool) if column != 2 else self.records[:, 2] >= 0
        weight = agrees.all(2) * self.p * exists
        out = torch.zeros(len(seen.cells), len(self.bins[column]), dtype=torch.float64)
        out.index_add_(1, self.records[:, column].clamp(min=0), weight)
        return torch.log(out / out.sum(1, keepdim=True))

    def arrays(self) -> dict[str, Tensor]:
        return {}
