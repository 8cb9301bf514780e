"""What an n-gram model says of each step of records, and how far to trust it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ensample.events import Batch
from ensample.families.abilities import Steps
from ensample.families.sequences.ngram.windows import windows_of

if TYPE_CHECKING:
    from ensample.families.sequences.ngram.model import NgramSequences

AT_ONCE = 2**18
"""Steps that are looked up together."""


def steps_of(model: NgramSequences, batch: Batch) -> Steps:
    """All steps of whole records; see `ScoresSteps`."""
    assert batch.lengths is not None
    lengths, (rows, steps) = batch.lengths.numpy(), batch.cells.shape[:2]
    used = np.arange(steps + 1) <= lengths[:, None]
    stream = np.full((rows, steps + 2), model.classes)
    inside = used[:, 1:]
    stream[:, 1:-1][inside] = batch.cells[..., 0].numpy()[inside]
    symbols = np.append(stream[:, :-1][used], model.classes)  # the end of a record is the mark before the next
    log_p, clues = torch.zeros(rows, steps + 1, dtype=torch.float64), torch.zeros(rows, steps + 1, width(model))
    own, told = np.zeros(len(symbols) - 1), np.zeros((len(symbols) - 1, width(model)), np.float32)
    for first in range(0, len(own), AT_ONCE):
        before = max(0, first - model.order + 2)
        windows = windows_of(symbols[before : first + AT_ONCE + 1], model.classes, model.order, first + 1 - before)
        part = slice(first, first + len(windows))
        own[part], told[part] = np.log(model.probabilities(windows)), clues_of(model, windows.before)
    there = torch.from_numpy(used)
    log_p[there], clues[there] = torch.from_numpy(own), torch.from_numpy(told)
    return Steps(log_p, clues)


def width(model: NgramSequences) -> int:
    """How many clues there are."""
    return model.order + 6


def clues_of(model: NgramSequences, before: np.ndarray) -> np.ndarray:
    """Of the symbols before each step [steps, order - 1]: float32 [steps, order + 6].

    Which level is the deepest that has met its context, and `Smoothed.clues` of that level and of the one before it.
    """
    out = np.zeros((len(before), width(model)), np.float32)
    deepest = np.zeros(len(before), np.int64)
    for k, (level, numbers) in enumerate(zip(model.levels, model.contexts(before), strict=True)):
        met = np.flatnonzero(numbers >= 0)
        deepest[met] = k
        out[met, model.order + 3 :] = out[met, model.order : model.order + 3]
        out[met, model.order : model.order + 3] = level.clues[numbers[met]]
    out[np.arange(len(before)), deepest] = 1.0
    return out
