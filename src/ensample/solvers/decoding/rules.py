"""What becomes of the model's logits before a class is chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ensample.errors import CapabilityError
from ensample.solvers.decoding.constraints import Constraint
from ensample.solvers.decoding.processors import Processor


@dataclass(frozen=True)
class Rules:
    """Classes that must not come are taken out first, then processors apply in their order.

    Arguments:
        processors: see `processors`.
        banned: classes that are never written.
        at_least: steps before the end may come.
    """

    processors: tuple[Processor, ...] = ()
    banned: tuple[int, ...] = ()
    at_least: int = 0

    def shaped(self, logits: Tensor, past: Tensor, written: int, constraint: Constraint | None = None) -> Tensor:
        """Logits from which to choose; a row that can go nowhere is minus infinity all over.

        Arguments:
            logits: as the model says, float [rows, classes + 1].
            past: all that came before, as of `Processor`.
            written: steps since the prompt.
            constraint: if there is one.
        """
        if self.banned or written < self.at_least:
            logits = logits + _out(self.banned, logits.shape[1], written < self.at_least)
        if constraint is not None:
            logits = logits.masked_fill(~constraint.allowed(), -math.inf)
        for processor in self.processors:
            logits = processor(logits, past)
        return logits


@lru_cache(maxsize=16)
def _out(banned: tuple[int, ...], columns: int, end: bool) -> Tensor:
    """Minus infinity for these classes, and perhaps for the end, 0 for others [columns]."""
    out = torch.zeros(columns)
    out[[*banned, *([columns - 1] if end else [])]] = -math.inf
    return out


def check_way(logits: Tensor) -> None:
    """Raise CapabilityError if a row can go nowhere."""
    if without_way(logits):
        raise stuck()


def without_way(logits: Tensor) -> list[int]:
    """Rows that can go nowhere."""
    found: list[int] = (logits.amax(1) == -math.inf).nonzero()[:, 0].tolist()
    return found


def stuck() -> CapabilityError:
    """The error of a constraint that leaves nothing to write."""
    return CapabilityError(
        "A constraint must leave something to write at every step.",
        "generate",
        "a text that the constraint lets neither go on nor end",
        "ask for characters that the training data holds, and for no longer texts than the constraint has",
    )
