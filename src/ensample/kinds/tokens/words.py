"""A class for every word that was met, and for all that stands between words."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.kinds.tokens.base import Corpus, LearnedTokenizer, character_border, damaged
from ensample.kinds.tokens.characters import SURROGATES, UNICODE

RUNS = re.compile(r"\w+|\W+")
"""Words, and what stands between them: a text is these one after the other."""

MOST = 50_000
"""Words that are known if nobody says how many."""

LOOKED_BACK = 1024
"""Bytes before a place in which the border of a word is looked for."""

_BORDER = re.compile(rb"[A-Za-z](?=[ \n.,;:!?])")


@dataclass(frozen=True)
class Words(LearnedTokenizer):
    r"""A class for each run of word characters and each run of others, and one for all runs never met.

    Take it for small corpora of a limited vocabulary: commands, captions, rhymes. A run never met is priced letter by
    letter: its length geometric with the mean of those met, each letter uniform over those met, but for a chance of
    `(letters met once + 1/2) / (all letters + 1)` of being another one; runs in the vocabulary are left out of that.
    Sequences of classes with two words side by side spell a text whose own classes are others; what a family gives
    them is lost to its `log_prob`, which is a lower bound by that much.

    Arguments:
        vocabulary: the runs met, the most frequent first.

    Example:
        >>> words = Words(("the", " ", "cat", ".\n"))
        >>> classes, lengths = words.encode(pa.array(["the cat.\n", "the dog"]))
        >>> classes.tolist(), lengths.tolist()
        ([0, 1, 2, 3, 0, 1, 4], [4, 3])
    """

    vocabulary: tuple[str, ...]

    name: ClassVar[str] = "words"

    @classmethod
    def learn(cls, corpus: Corpus, size: int | None) -> Self:
        """The most frequent runs, at most `size` - 1 of them (`MOST`)."""
        counts: Counter[str] = Counter()
        for text in corpus.texts():
            counts.update(RUNS.findall(text))
        most = MOST if size is None else size - 1
        return cls(tuple(sorted(counts, key=lambda run: (-counts[run], run))[:most]))

    @classmethod
    def restored(cls, state: str) -> Self:
        """From the vocabulary as JSON."""
        try:
            words = json.loads(state)
        except ValueError as error:
            raise damaged(cls.name, str(error)) from error
        sound = isinstance(words, list) and all(isinstance(word, str) and word for word in words)
        if not sound or len(set(words)) < len(words):
            raise damaged(cls.name, "no list of different words")
        return cls(tuple(words))

    @property
    def state(self) -> str:
        """The vocabulary as JSON."""
        return json.dumps(self.vocabulary, ensure_ascii=False)

    @property
    def unknown(self) -> int:  # type: ignore[override]
        """The last class."""
        return len(self.vocabulary)

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The UTF-8 bytes of each run."""
        return (*(word.encode() for word in self.vocabulary), b"")

    @cached_property
    def _class_of(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.vocabulary)}

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Look up each run."""
        runs, lengths = self._runs(texts)
        known, unknown = self._class_of, self.unknown
        return np.fromiter((known.get(run, unknown) for run in runs), np.int64, len(runs)), lengths

    def prices(self, texts: pa.Array) -> np.ndarray:
        """Spell each run never met."""
        runs, lengths = self._runs(texts)
        rows = np.repeat(np.arange(len(texts)), lengths)
        known = self._class_of
        new = [place for place, run in enumerate(runs) if run not in known]
        spelled = self._log_spelling([runs[place] for place in new]) - np.log1p(-self._known_share)
        return np.bincount(rows[new], spelled, len(texts)).astype(np.float64)

    def cut(self, text: memoryview, place: int) -> int:
        """Behind the last word that ends before this place."""
        first = max(0, place - LOOKED_BACK)
        ends = [found.end() for found in _BORDER.finditer(text[first:place])]
        return first + ends[-1] if ends else character_border(text, place)

    def describe(self) -> str:
        """How many."""
        return f"{len(self.vocabulary):,} words and gaps between them"

    def _runs(self, texts: pa.Array) -> tuple[list[str], np.ndarray]:
        found = [RUNS.findall(text) for text in texts.to_pylist()]
        return [run for runs in found for run in runs], np.array([len(runs) for runs in found], np.int64)

    @cached_property
    def _letters(self) -> tuple[np.ndarray, float, float]:
        """Log-probability of each character [code points], that of going on, and that of stopping."""
        counts = Counter("".join(self.vocabulary))
        total, once = sum(counts.values()), sum(count == 1 for count in counts.values())
        other = (once + 0.5) / (total + 1)
        rest = UNICODE - len(SURROGATES) - len(counts)
        table = np.full(UNICODE, np.log(other / max(1, rest)))
        table[[ord(letter) for letter in counts]] = np.log((1 - other) / max(1, len(counts)))
        stop = len(self.vocabulary) / (total + 1)
        return table, float(np.log1p(-stop)), float(np.log(stop))

    @cached_property
    def _known_share(self) -> float:
        """Share of the spelled runs that are in the vocabulary."""
        return float(np.exp(self._log_spelling(self.vocabulary)).sum())

    def _log_spelling(self, runs: tuple[str, ...] | list[str]) -> np.ndarray:
        table, on, stop = self._letters
        sizes = np.array([len(run) for run in runs], np.int64)
        letters = np.frombuffer("".join(runs).encode("utf-32-le"), np.uint32)
        each = np.bincount(np.repeat(np.arange(len(runs)), sizes), table[letters], len(runs))
        return np.asarray(each + (sizes - 1) * on + stop)


__all__ = ["MOST", "RUNS", "Words"]
