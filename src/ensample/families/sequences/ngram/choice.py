"""Which order of n-grams scores held-out parts of the records best."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ensample.families.sequences.ngram.levels import levels_of
from ensample.families.sequences.ngram.smoothing import Smoothed, kept
from ensample.families.sequences.ngram.tally import nearby, tallied
from ensample.families.sequences.ngram.windows import Stream, Windows

HELD = 0.1
"""Share of the stretches that is held out."""

MOST = 2**20
"""Held-out windows that are scored."""

LEARNED = 2**23
"""Symbols that are counted for the choice, about; blocks of a longer stream are left out in turn."""

GAIN = 1e-3
"""The lowest order that is worse than the best by less than this share is taken."""


def best_order(stream: Stream, highest: int, least: int, seed: int) -> int:
    """The order, by the mean log-probability of held-out symbols.

    Arguments:
        stream: all records.
        highest: order that is tried last.
        least: n-grams met fewer than so many times are dropped.
        seed: of what is held out.
    """
    held = held_out(stream, seed)
    if not held.any():
        return min(2, highest)
    losses = losses_of(stream, held, highest, least)
    good = np.array(losses) <= min(losses) * (1.0 + GAIN)
    return int(np.flatnonzero(good)[0]) + 1


def losses_of(stream: Stream, held: np.ndarray, highest: int, least: int) -> list[float]:
    """Mean of -log p over held-out symbols, nats, of each order from 1 on.

    Counts of the levels below the highest are the same for all orders, so each order costs one level more.
    """
    losses: list[float] = []
    scored: list[Windows] = []

    def learning() -> Iterator[Windows]:
        for start, windows in stream.windows(highest, -(-len(stream) // LEARNED)):
            out = held[stream.stretch_of(np.arange(start, start + len(windows)))]
            if sum(len(part) for part in scored) < MOST:
                scored.append(windows.take(out & (windows.symbols <= stream.classes)))
            yield windows.take(~out)

    tally = tallied(learning(), highest, stream.classes)
    windows = Windows(*(np.concatenate(parts) for parts in zip(*((s.before, s.symbols) for s in scored), strict=True)))
    windows = windows.take(nearby(windows, stream.classes))
    numbers, shorter = np.zeros(len(windows), np.int64), np.full(len(windows), 1.0 / (stream.classes + 1))
    of_contexts = np.zeros(1, np.int64)
    for k, level in enumerate(levels_of(tally)):
        top, _ = kept(level, level.met, least, of_contexts)
        mixing, of_contexts = kept(level, level.adjusted, least, of_contexts)
        highest_level, lower_level = Smoothed(top, level.base), Smoothed(mixing, level.base)
        if k:
            numbers = lower_level.deeper(numbers, windows.before[:, k - 1])
        losses.append(-float(np.log(highest_level.mixed(numbers, windows.symbols, shorter)).mean()))
        shorter = lower_level.mixed(numbers, windows.symbols, shorter)
    return losses


def held_out(stream: Stream, seed: int) -> np.ndarray:
    """Which stretches are held out, bool; none if there are fewer than two."""
    count, _ = stream.stretches()
    out = np.zeros(count, dtype=bool)
    if count > 1:
        chosen = np.random.default_rng([seed, 1]).permutation(count)
        out[chosen[: max(1, int(HELD * count))]] = True
    return out
