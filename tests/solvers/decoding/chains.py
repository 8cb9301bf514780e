"""Continuations whose probabilities are known: Markov chains given by a table."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor


class Chain:
    """Row c of the table [classes + 1, classes + 1] is the distribution after class c, the last row that at first."""

    def __init__(self, table: Tensor, last: Tensor) -> None:
        self.table, self.last = table, last

    def logits(self) -> Tensor:
        return self.table.log().float()[self.last]

    def append(self, classes: Tensor) -> None:
        assert bool((classes < len(self.table) - 1).all()), "the end is not appended"
        self.last = classes

    def take(self, rows: Tensor) -> Chain:
        return Chain(self.table, self.last[rows])


class Rewound(Chain):
    """The same with the abilities of `Rewindable`; counts its calls."""

    def __init__(self, table: Tensor, last: Tensor) -> None:
        super().__init__(table, last)
        self.stack, self.calls = [last], 0

    def append(self, classes: Tensor) -> None:
        super().append(classes)
        self.stack.append(classes)

    def extend(self, classes: Tensor) -> Tensor:
        self.calls += 1
        found = []
        for step in classes.unbind(1):
            self.append(step)
            found.append(self.logits())
        return torch.stack(found, 1)

    def rewind(self, steps: int) -> None:
        del self.stack[len(self.stack) - steps :]
        self.last = self.stack[-1]


class Remembering(Rewound):
    """What comes next depends on the sum of all classes so far, so that nothing of the past is forgotten."""

    def logits(self) -> Tensor:
        total = torch.stack(self.stack).sum(0) % len(self.table)
        return self.table.log().float()[total]


def random_table(classes: int, seed: int, sharp: float = 1.0) -> Tensor:
    logits = np.random.default_rng(seed).normal(0, sharp, (classes + 1, classes + 1))
    return torch.softmax(torch.from_numpy(logits), 1)


def begun(table: Tensor, rows: int, kind: type[Chain] = Chain) -> Chain:
    """Rows of which nothing is written."""
    return kind(table, torch.full((rows,), len(table) - 1))


def nothing(rows: int) -> Tensor:
    return torch.zeros(rows, 0, dtype=torch.int64)


def every_text(table: Tensor, tokens: int) -> dict[tuple[int, ...], float]:
    """The probability of all that can be written with so many steps; the end is a class of its own, the last."""
    end = len(table) - 1
    found = {}
    for length in range(tokens + 1):
        for text in itertools.product(range(end), repeat=length):
            p, last = 1.0, end
            for number in text:
                p, last = p * float(table[last, number]), number
            if length < tokens:
                found[(*text, end)] = p * float(table[last, end])
            else:
                found[text] = p
    return found
