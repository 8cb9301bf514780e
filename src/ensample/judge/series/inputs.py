"""Series as networks and distances see them: scaled values, changes, classes one by one, and what is missing."""

from __future__ import annotations

import numpy as np
import torch

from ensample.judge.series.classifier import Inputs
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side

CLASSES = 30
"""Classes with an input of their own, the others share one."""
FAR = 6.0
"""Standard deviations at which values are cut."""


def points(reference: SeriesReference, side: Side, steps: int) -> np.ndarray:
    """Each step as a point, float32 [records, steps, dimensions]; zero behind the end of a record.

    Numbers in standard deviations from the mean, then whether each is missing (where any training value is, or one
    here), classes one by one and missing ones, then whether the step is there.
    """
    mean, deviation = reference.scale
    matrix = side.frame.matrix
    numbers = (matrix[:, list(reference.numbers)] - mean) / deviation
    blocks = [np.nan_to_num(numbers).clip(-FAR, FAR), np.isnan(numbers)]
    for j in reference.categories:
        levels = side.frame.columns[j].levels
        assert levels is not None
        width = min(len(levels), CLASSES) + 1
        code = np.where(np.isnan(matrix[:, j]), width - 1, np.minimum(np.nan_to_num(matrix[:, j]), width - 2))
        blocks.append(np.eye(width)[code.astype(int)])
    whole = np.hstack([*blocks, np.ones((len(matrix), 1))]).astype(np.float32)
    return np.asarray(np.nan_to_num(side.padded(whole, steps)), np.float32)


def inputs(reference: SeriesReference, side: Side, steps: int) -> Inputs:
    """What a classifier reads: `points`, and the changes of the numbers in their own standard deviations.

    Changes are handed over because they tell most where values hardly move within a record: of prices, a network as
    small as these sees the level.
    """
    values = points(reference, side, steps)
    mean, deviation = reference.once(scale_of_changes)
    moved = (side.changes.frame.matrix[:, list(reference.numbers)] - mean) / deviation
    whole = np.zeros((len(side.owners), len(reference.numbers)))
    whole[side.follows] = np.nan_to_num(moved).clip(-FAR, FAR)
    changes = np.nan_to_num(side.padded(whole, steps)).astype(np.float32)
    together = np.concatenate([values, changes], 2)
    return Inputs(torch.from_numpy(together), torch.from_numpy(side.lengths.astype(np.int64)))


def scale_of_changes(reference: SeriesReference) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the changes of each number in training series, and a spread that rare leaps do not rule."""
    matrix = reference.train.changes.frame.matrix[:, list(reference.numbers)]
    mean, spread = np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
    for j in range(matrix.shape[1]):
        known = matrix[~np.isnan(matrix[:, j]), j]
        if len(known):
            mean[j] = known.mean()
            middle = np.abs(known - np.median(known))
            spread[j] = max(1.4826 * float(np.quantile(middle, 0.5)), 0.3 * float(known.std())) or 1.0
    return mean, spread
