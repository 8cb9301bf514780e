"""The longest span that begins at each character and stands in other texts: exact, by sorting all suffixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ensample.judge.texts.tokens import codes


@dataclass(frozen=True)
class Spans:
    """The longest span of each text that was found in other texts.

    Arguments:
        sizes: its characters, int64 [texts]; 0 where not even one was found.
        starts: where it begins in the text [texts].
        others: the text in which it was found, -1 for none [texts].
        places: where it begins in that one [texts].
    """

    sizes: np.ndarray
    starts: np.ndarray
    others: np.ndarray
    places: np.ndarray


class Suffixes:
    """All suffixes of texts, sorted by prefix doubling (Manber and Myers 1993).

    `ranks[k]` numbers the characters of all texts by the `2^k` characters that begin there, so that the longest common
    prefix of two suffixes takes a comparison for each k. Time is that of a sort for each k; memory 4 bytes a character
    for each.

    Arguments:
        texts: those that are looked for, and those where they may be found.
        longest: common prefixes of more characters need not be told apart; those of the longest text if None.
    """

    def __init__(self, texts: Sequence[str], longest: int | None = None) -> None:
        self.lengths = np.array([len(text) for text in texts], np.int64)
        longest = int(self.lengths.max(initial=0)) if longest is None else longest
        stream = np.full(int(self.lengths.sum()) + len(texts), -1, np.int64)
        self.starts = np.concatenate([[0], (self.lengths + 1).cumsum()])[:-1]  # a text, its end, a text, ...
        inside = np.repeat(self.starts - (self.lengths.cumsum() - self.lengths), self.lengths)
        stream[inside + np.arange(len(inside))] = codes(texts)
        _, number, counts = np.unique(stream, return_inverse=True, return_counts=True)
        self.ranks = [(counts.cumsum() - counts)[number].astype(np.int32)]
        reach = 1
        while reach <= longest and len(alike := _alike(self.ranks[-1])):
            self.ranks.append(_refined(self.ranks[-1], alike, reach))
            reach *= 2

    @cached_property
    def order(self) -> np.ndarray:
        """Characters by what begins there, int64."""
        return np.argsort(self.ranks[-1], kind="stable")

    def spans(self, texts: np.ndarray, pool: np.ndarray) -> Spans:
        """The longest span of each of these texts (their numbers) that stands in a text of the pool (theirs)."""
        at = self._characters(texts)
        size, other = self._matches(at, pool)
        owners = np.repeat(np.arange(len(texts)), self.lengths[texts])
        best = _best_of_each(size, owners, len(texts))
        found = best >= 0
        sizes, starts, others, places = (np.zeros(len(texts), np.int64) for _ in range(4))
        sizes[found] = size[best[found]]
        starts[found] = at[best[found]] - self.starts[texts[found]]
        where = other[best[found]]
        others[:] = -1
        there = np.searchsorted(self.starts, where, side="right") - 1
        others[found] = np.where(sizes[found] > 0, there, -1)
        places[found] = where - self.starts[there]
        return Spans(sizes, starts, others, places)

    def covered(self, texts: np.ndarray, pool: np.ndarray, least: int) -> list[np.ndarray]:
        """Which characters of each text lie in a span of at least so many characters that stands in the pool, bool."""
        at = self._characters(texts)
        size = self._matches(at, pool)[0]
        steps = np.zeros(len(at) + 1, np.int64)
        long = np.flatnonzero(size >= least)
        np.add.at(steps, long, 1)
        np.add.at(steps, long + size[long], -1)
        return np.split(steps.cumsum()[:-1] > 0, self.lengths[texts].cumsum()[:-1])

    def _characters(self, texts: np.ndarray) -> np.ndarray:
        """Places in the stream of the characters of texts."""
        sizes = self.lengths[texts]
        return np.repeat(self.starts[texts] - (sizes.cumsum() - sizes), sizes) + np.arange(sizes.sum())

    def _matches(self, at: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longest common prefix of each suffix with one of the pool, not beyond its text, and where that one begins.

        It is a neighbour among the sorted suffixes: the next one of the pool before, or behind.
        """
        inside = np.zeros(len(self.order), dtype=bool)
        inside[self._characters(pool)] = True
        sorted_pool, count = inside[self.order], len(self.order)
        numbers = np.arange(count)
        before = np.maximum.accumulate(np.where(sorted_pool, numbers, -1))
        behind = np.minimum.accumulate(np.where(sorted_pool, numbers, count)[::-1])[::-1]
        place = np.empty(count, np.int64)
        place[self.order] = numbers
        left = self._left(at)
        sizes, others = np.zeros(len(at), np.int64), np.zeros(len(at), np.int64)
        own = inside[at]
        for side, step, none in ((before, -1, -1), (behind, 1, count)):
            beside = place[at] + np.where(own, step, 0)  # a suffix of the pool is not its own neighbour
            known = (beside >= 0) & (beside < count)
            near = np.where(known, side[np.where(known, beside, 0)], none)
            there = near != none
            other = self.order[np.where(there, near, 0)]
            common = np.where(there, np.minimum(self._common(at, other), left), 0)
            better = common > sizes
            sizes, others = np.where(better, common, sizes), np.where(better, other, others)
        return sizes, others

    def _left(self, at: np.ndarray) -> np.ndarray:
        text = np.searchsorted(self.starts, at, side="right") - 1
        return np.asarray(self.starts[text] + self.lengths[text] - at)

    def _common(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Longest common prefix of suffixes, int64."""
        total, count = np.zeros(len(one), np.int64), len(self.ranks[0])
        for k in reversed(range(len(self.ranks))):
            a, b = one + total, other + total
            known = (a < count) & (b < count)
            same = known & (self.ranks[k][np.where(known, a, 0)] == self.ranks[k][np.where(known, b, 0)])
            total += np.where(same, 1 << k, 0)
        return total


def _alike(ranks: np.ndarray) -> np.ndarray:
    """Places whose rank others have too."""
    return np.flatnonzero(np.bincount(ranks)[ranks] > 1)


def _refined(ranks: np.ndarray, alike: np.ndarray, reach: int) -> np.ndarray:
    """Ranks by twice as many characters, int32; only places that were alike can change (Larsson and Sadakane 2007).

    A rank is the number of suffixes that are smaller, so that equal ones can be told apart inside the room they have.
    """
    behind = np.concatenate([ranks, np.full(reach, -1, np.int32)])[alike + reach] + 1
    keys = ranks[alike].astype(np.int64) * (len(ranks) + 1) + behind
    order = np.argsort(keys)
    keys, alike = keys[order], alike[order]
    group, place = ranks[alike], np.arange(len(alike))
    first, own = (
        np.maximum.accumulate(np.where(np.append(True, part[1:] != part[:-1]), place, 0)) for part in (group, keys)
    )
    out = ranks.copy()
    out[alike] = group + (own - first)
    return out


def _best_of_each(sizes: np.ndarray, owners: np.ndarray, count: int) -> np.ndarray:
    """Place of the first largest size of each owner, -1 for one without any."""
    best = np.full(count, -1, np.int64)
    order = np.lexsort((-np.arange(len(sizes)), sizes, owners))
    last = np.flatnonzero(np.append(owners[order][1:] != owners[order][:-1], True)) if len(order) else order
    best[owners[order[last]]] = order[last]
    return best
