"""The probability of what is known of a record: symbols that are not known are summed over exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensample.errors import CapabilityError
from ensample.families.sequences.ngram.windows import Windows

if TYPE_CHECKING:
    from ensample.families.sequences.ngram.model import NgramSequences

MOST = 2**20
"""Ways to fill the steps before one that are summed over at once."""


def log_prob_of_known(model: NgramSequences, symbols: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Log-probability of records in which symbols may be unknown, their ends included, float64 [rows].

    A forward recursion over what may stand before each step: an unknown symbol multiplies the ways by the number of
    classes, and ways that agree in the last `order` - 1 symbols are one.

    Arguments:
        model: the n-gram model.
        symbols: of each step, V + 1 where unknown, int64 [rows, steps].
        lengths: of each record, int64 [rows].

    Raises:
        CapabilityError: there are too many ways.
    """
    total = np.zeros(len(lengths))
    owners, before, weight = np.arange(len(lengths)), model.beginnings(len(lengths)), np.zeros(len(lengths))
    for step in range(int(lengths.max()) + 1):
        wanted = np.where(step < lengths, symbols[:, min(step, symbols.shape[1] - 1)], model.classes)[owners]
        times = np.where(wanted > model.classes, model.classes, 1)
        if times.sum() > MOST:
            raise CapabilityError(
                "Only a few unknown steps near each other can be summed over.",
                "log_prob",
                f"{int(times.sum()):,} ways to fill them",
                "fill or leave out records with several missing steps, or fit a lower order",
            )
        place = np.repeat(np.arange(len(owners)), times)
        first = np.repeat(times.cumsum() - times, times)
        drawn = np.where(wanted[place] > model.classes, np.arange(len(place)) - first, wanted[place])
        weight = weight[place] + np.log(model.probabilities(Windows(before[place], drawn)))
        owners, before = owners[place], np.concatenate([drawn[:, None], before[place]], 1)[:, : model.order - 1]
        ended = step == lengths[owners]
        np.logaddexp.at(*_from(total, lengths == step), owners[ended], weight[ended])
        owners, before, weight = _joined(owners[~ended], before[~ended], weight[~ended])
    return total


def _from(total: np.ndarray, ending: np.ndarray) -> tuple[np.ndarray]:
    total[ending] = -np.inf  # sums of these records begin now
    return (total,)


def _joined(owners: np.ndarray, before: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ways of the same record with the same symbols before the next step become one, with the sum of their chances."""
    both, place = np.unique(np.concatenate([owners[:, None], before], 1), axis=0, return_inverse=True)
    summed = np.full(len(both), -np.inf)
    np.logaddexp.at(summed, place.reshape(-1), weight)
    return both[:, 0], both[:, 1:], summed
