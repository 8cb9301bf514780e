"""Orders in which the columns of a record are looked at, and what each column then knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.events import Mixed


@dataclass(frozen=True)
class Orders:
    """Random orders of the spans of an event, a span always after the one that it depends on.

    Of the rows, `plain` follow the standing `order` (new records are drawn so), `evidence` look first at a random set
    of any size and then at the rest in the standing order (completions are drawn so), the others at a random
    permutation (Uria, Murray and Larochelle 2014).
    """

    event: Mixed
    order: tuple[int, ...]
    plain: float
    evidence: float

    def places(self, rows: int, generator: Generator) -> Tensor:
        """Place of each span in each row's order, counted from 0: int64 [rows, spans]."""
        return self.earlier(rows, generator).sum(2)

    def earlier(self, rows: int, generator: Generator) -> Tensor:
        """Which spans come before which: bool [rows, span, earlier span]."""
        size = len(self.event)
        place = torch.tensor(self.order).argsort() / size
        u = torch.rand(rows, size, generator=generator)
        share, kind = torch.rand(2, rows, 1, generator=generator)
        key = torch.where(u < share, place, place + 1)
        key = torch.where(kind < self.plain + self.evidence, key, u)
        key = torch.where(kind < self.plain, place, key)
        for j, span in enumerate(self.event.spans):
            if span.exists is not None:
                key[:, j] = torch.maximum(key[:, j], key[:, span.exists[0]])
        tie = (key[:, None, :] == key[:, :, None]) & standing(self.order)
        return (key[:, None, :] < key[:, :, None]) | tie


def standing(order: Sequence[int]) -> Tensor:
    """One order as a table: bool [span, earlier span].

    Example:
        >>> standing((1, 0)).tolist()
        [[False, True], [False, False]]
    """
    place = torch.tensor(order).argsort()
    return place[None, :] < place[:, None]
