"""Counts of n-grams of every order up to one, as sorted arrays, from the counts of the longest windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ensample.families.sequences.ngram.tally import Tally


@dataclass(frozen=True)
class Level:
    """The n-grams with `k` symbols before the last one.

    A context is numbered by its place in `contexts`; level 0 has one, the empty one. With base = V + 1, keys are
    sorted numbers, so that a binary search finds them.

    Arguments:
        contexts: number of the context without its farthest symbol * base + that symbol, of each context [contexts].
        grams: number of the context * base + last symbol [n-grams].
        met: how often each n-gram was met [n-grams].
        adjusted: in how many ways it is continued to the left: different symbols met before it (Kneser and Ney 1995);
            how often it was met where nothing can stand before it, because it begins a record.
        base: one more than the number of classes.
        k: symbols of a context.
    """

    contexts: np.ndarray
    grams: np.ndarray
    met: np.ndarray
    adjusted: np.ndarray
    base: int
    k: int


def levels_of(tally: Tally) -> Iterator[Level]:
    """Level after level, from that of single symbols on; in the last one `adjusted` is `met`."""
    base, target = tally.classes + 1, tally.column(tally.order - 1)
    number = np.zeros(len(tally), np.int64)  # of the context of each window; -1 where it would reach beyond its record
    new = np.zeros(len(tally), dtype=bool)  # whether a window's context differs from the one before
    new[:1] = True
    before: Level | None = None
    for k in range(tally.order):
        contexts = np.zeros(1, np.int64)
        if k:
            column = tally.column(k - 1)
            new[1:] |= column[1:] != column[:-1]
            there = column <= tally.classes
            first = new & there
            contexts = number[first] * base + column[first]
            number = np.where(there, np.cumsum(first) - 1, -1)
        else:
            there = np.ones(len(tally), dtype=bool)
        grams, place = np.unique((number * base + target)[there], return_inverse=True)
        met = np.bincount(place, tally.counts[there], len(grams)).astype(np.int64)
        level = Level(contexts, grams, met, met, base, k)
        if before is not None:
            yield _continued(before, level)
        before = level
    assert before is not None
    yield before


def _continued(level: Level, longer: Level) -> Level:
    """The level with its adjusted counts, from the level after it."""
    base = level.base
    parents = longer.contexts[longer.grams // base] // base
    place = np.searchsorted(level.grams, parents * base + longer.grams % base)
    ways = np.bincount(place, minlength=len(level.grams)).astype(np.int64)
    begins = (level.contexts % base == base - 1)[level.grams // base]  # the mark is the farthest symbol
    # what stands behind a step that is not known has been met, in a way that nobody knows
    adjusted = np.where(begins, level.met, np.maximum(ways, 1))
    return Level(level.contexts, level.grams, level.met, adjusted, base, level.k)
