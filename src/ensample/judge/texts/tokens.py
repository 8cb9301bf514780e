"""Texts as numbers: characters and words of all texts in one row, and hashes of their n-grams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ensample.judge.binned import groups

WIDE = ((0x2E80, 0xA000), (0xAC00, 0xD7B0), (0xF900, 0xFB00), (0x20000, 0x40000))
"""Scripts whose characters are words of their own, as far as judging goes."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Tokens:
    """Tokens of texts, one text after the other.

    Arguments:
        ids: a number for each token, equal for equal tokens, uint64 [tokens].
        lengths: tokens of each text, int64 [texts].
        places: where each token begins and ends among the characters of all texts, int64 [tokens, 2].
    """

    ids: np.ndarray
    lengths: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> np.ndarray:
        """Number of the first token of each text, and behind the last text that of all tokens; int64 [texts + 1]."""
        return np.concatenate([[0], self.lengths.cumsum()])

    @property
    def owners(self) -> np.ndarray:
        """Number of the text of each token."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def first(self, count: int) -> Tokens:
        """At most so many tokens, from the first on; the text that is cut keeps its beginning."""
        lengths = np.minimum(self.lengths, (count - self.starts[:-1]).clip(min=0))
        return Tokens(self.ids[:count], lengths, self.places[:count])

    def ngrams(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """A number for each n-gram inside a text, equal for equal ones, uint64 [n-grams], and its text."""
        *_, last = grams(self, n, n)
        return last[1:]


def grams(tokens: Tokens, low: int, high: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(n, number of each n-gram uint64, its text) for n from `low` to `high`; numbers differ but once in 2^64.

    Example:
        >>> [(n, len(np.unique(keys))) for n, keys, _ in grams(characters(["aab", "aa"]), 1, 3)]
        [(1, 2), (2, 2), (3, 1)]
    """
    left = np.repeat(tokens.starts[1:], tokens.lengths) - np.arange(len(tokens.ids))  # tokens from here to the end
    keys, owners = np.zeros(len(tokens.ids), np.uint64), tokens.owners
    ids = mixed(tokens.ids)
    for n in range(1, high + 1):
        size = max(len(ids) - n + 1, 0)
        keys = mixed(keys[:size] * _GOLDEN + ids[n - 1 :])
        if n >= low:
            inside = left[:size] >= n
            yield n, keys[inside], owners[:size][inside]


def mixed(numbers: np.ndarray) -> np.ndarray:
    """Each number scattered over 64 bits (SplitMix64, Steele, Lea and Flood 2014), uint64."""
    z = numbers + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def codes(texts: Sequence[str]) -> np.ndarray:
    """Code points of all texts one after the other, uint32."""
    return np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)


def characters(texts: Sequence[str]) -> Tokens:
    """Characters (code points) of texts.

    Example:
        >>> characters(["ab", "", "a"]).lengths.tolist()
        [2, 0, 1]
    """
    points = codes(texts)
    places = np.arange(len(points))
    lengths = np.array([len(text) for text in texts], np.int64)
    return Tokens(points.astype(np.uint64), lengths, np.stack([places, places + 1], 1))


def words(texts: Sequence[str]) -> Tokens:
    """Words (runs of letters, digits and underscores) and single other characters of texts, white space left out.

    Example:
        >>> found = words(["To be, or", "to be"])
        >>> found.lengths.tolist(), len(np.unique(found.ids)), found.places[:3].tolist()
        ([4, 2], 5, [[0, 2], [3, 5], [5, 6]])
    """
    points, lengths = codes(texts), np.array([len(text) for text in texts], np.int64)
    letter, space = _sorts(points)
    owners = np.repeat(np.arange(len(lengths)), lengths)
    begins = ~space
    begins[1:] &= ~(letter[1:] & letter[:-1] & (owners[1:] == owners[:-1]))
    start = np.flatnonzero(begins)
    breaks = np.flatnonzero(np.append(begins | space, True))  # a token ends where another begins, or white space
    stop = breaks[np.searchsorted(breaks, start, side="right")] if len(start) else start
    ends = np.concatenate([[0], lengths.cumsum()])[1:]
    stop = np.minimum(stop, ends[owners[start]])
    counts = np.bincount(owners[start], minlength=len(lengths)).astype(np.int64)
    return Tokens(_hashed(points, start, stop), counts, np.stack([start, stop], 1))


def _sorts(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which code points are parts of words, and which are white space; bool, bool."""
    known, place = np.unique(points, return_inverse=True)
    texts = [chr(point) for point in known]
    single = np.zeros(len(known), dtype=bool)
    for low, high in WIDE:
        single |= (known >= low) & (known < high)
    letter = np.array([t.isalnum() or t == "_" for t in texts], dtype=bool) & ~single
    space = np.array([t.isspace() for t in texts], dtype=bool)
    return letter[place], space[place]


def _hashed(points: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """A number for the characters of each span, uint64; spans lie apart, in order."""
    if not len(start):
        return np.zeros(0, np.uint64)
    sizes = stop - start
    at = np.repeat(start - (sizes.cumsum() - sizes), sizes) + np.arange(sizes.sum())
    inside = (at - np.repeat(start, sizes)).astype(np.uint64)
    values = mixed(points[at].astype(np.uint64) * _GOLDEN + mixed(inside))
    return mixed(np.add.reduceat(values, sizes.cumsum() - sizes))


def counted(sides: Sequence[Tokens], n: int, seeds: Sequence[int]) -> list[np.ndarray]:
    """How often each group of texts of each side has each n-gram, of each side float64 [groups, n-grams].

    The n-grams are those of all sides together; texts are put into groups at random, by the seed of their side.
    """
    found = [side.ngrams(n) for side in sides]
    known, place = np.unique(np.concatenate([keys for keys, _ in found]), return_inverse=True)
    out, first = [], 0
    for side, (keys, owners), seed in zip(sides, found, seeds, strict=True):
        group = groups(len(side), seed)
        count = int(group.max()) + 1
        flat = group[owners] * len(known) + place[first : first + len(keys)]
        out.append(np.bincount(flat, minlength=count * len(known)).reshape(count, len(known)).astype(np.float64))
        first += len(keys)
    return out
