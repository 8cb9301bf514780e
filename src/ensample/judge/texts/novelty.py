"""How much of made texts does not stand in the training texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ensample.judge.measure import Measure, resamples, spread
from ensample.judge.texts.tokens import Tokens, grams

NOVELTY = "novelty"
ORDERS = range(4, 14)
"""Lengths of the runs that are looked for."""

FEWEST = 200
"""Runs of a side below which longer ones tell nothing."""


def runs_of(tokens: Tokens) -> tuple[np.ndarray, ...]:
    """Numbers of all runs of each of the lengths, sorted; uint64 each."""
    return tuple(np.sort(keys) for _, keys, _ in grams(tokens, ORDERS[0], ORDERS[-1]))


def novelty(made: Tokens, real: Tokens, train: Sequence[np.ndarray], unit: str, seed: int) -> Measure:
    """Share of runs of 4 to 13 tokens that stand in no training text, in the mean over these lengths.

    Real texts that were held out have some novelty too, which is the target: more of it is nonsense or courage, less
    of it is copying. `parts` has the share of each length, up to those that few texts have.

    Arguments:
        made: tokens of made texts.
        real: those of held-out texts.
        train: runs of training texts, from `runs_of`.
        unit: what a token is called.
        seed: of the bootstrap.
    """
    shares, usual, weights, replicates = {}, [], resamples(len(made), seed + 1), []
    for n, (new, total), (real_new, real_total) in _new(made, real, train):
        if n > ORDERS[0] and min(total.sum(), real_total.sum()) < FEWEST:
            break
        shares[str(n)] = float(new.sum() / max(total.sum(), 1))
        usual.append(float(real_new.sum() / max(real_total.sum(), 1)))
        replicates.append(weights @ new / np.maximum(weights @ total, 1))
    value, target = float(np.mean(list(shares.values()))), float(np.mean(usual))
    draws = np.mean(replicates, axis=0)
    low, high = spread(value, draws, (0.0, 1.0))
    longest = max(map(int, shares))
    words = (
        f"{value:.1%} of runs of {ORDERS[0]} to {longest} {unit}s stand in no training text; of held-out texts "
        f"{target:.1%}"
    )
    parts = shares | {f"held out {n}": share for n, share in zip(shares, usual, strict=True)}
    how = f"bootstrap of {len(made):,} made texts"
    return Measure(NOVELTY, value, low, high, "nearer", target, words, how, parts=parts, draws=draws)


Counts = tuple[np.ndarray, np.ndarray]
"""New runs of each text, and all of them."""


def _new(made: Tokens, real: Tokens, train: Sequence[np.ndarray]) -> Iterator[tuple[int, Counts, Counts]]:
    sides = (grams(side, ORDERS[0], ORDERS[-1]) for side in (made, real))
    for n, keys, *found in zip(ORDERS, train, *sides, strict=True):
        counts = [
            (np.bincount(owners, ~stands_in(own, keys), len(side)), np.bincount(owners, minlength=len(side)))
            for side, (_, own, owners) in zip((made, real), found, strict=True)
        ]
        yield n, counts[0], counts[1]


def stands_in(numbers: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Which numbers are among sorted ones, bool.

    Example:
        >>> stands_in(np.array([1, 5]), np.array([1, 2])).tolist()
        [True, False]
    """
    if not len(known):
        return np.zeros(len(numbers), dtype=bool)
    place = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return np.asarray(known[place] == numbers)
