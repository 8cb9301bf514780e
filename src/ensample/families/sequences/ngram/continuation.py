"""Writing on with an n-gram model: all next symbols of many sequences at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from ensample.families.sequences.ngram.steps import clues_of

if TYPE_CHECKING:
    from ensample.families.sequences.ngram.model import NgramSequences


class NgramContinuation:
    """Sequences of which the last `order` - 1 symbols are remembered; see `Continuation`.

    Arguments:
        model: the n-gram model.
        before: the symbols before the next one, the nearest first, int64 [rows, order - 1].
    """

    def __init__(self, model: NgramSequences, before: np.ndarray) -> None:
        self.model, self.before = model, before

    def logits(self) -> Tensor:
        """Log-probabilities of the next class of each row, float32 [rows, classes + 1]; the last is the end."""
        chance = np.tile(self.model.shares, (len(self.before), 1))
        levels = zip(self.model.levels, self.model.contexts(self.before), strict=True)
        for level, numbers in list(levels)[1:]:
            rows = np.flatnonzero(numbers >= 0)
            own = numbers[rows]
            counts = level.first[own + 1] - level.first[own]
            place = np.repeat(level.first[own] - (counts.cumsum() - counts), counts) + np.arange(counts.sum())
            chance[rows] *= level.gamma[own, None]
            chance[np.repeat(rows, counts), level.counts.symbols[place]] += level.alpha[place]
        return torch.from_numpy(np.log(chance).astype(np.float32))

    def clues(self) -> Tensor:
        """How far to trust the logits, see `Clued`."""
        return torch.from_numpy(clues_of(self.model, self.before))

    def append(self, classes: Tensor) -> None:
        """Go on by one class in every row, int64 [rows]."""
        self.before = np.concatenate([classes.numpy()[:, None], self.before], 1)[:, : self.model.order - 1]

    def take(self, rows: Tensor) -> Self:
        """A continuation of these rows."""
        return type(self)(self.model, self.before[rows.numpy()])
