"""A class for every character that was met."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.kinds.tokens.base import Corpus, LearnedTokenizer, code_points, damaged

UNICODE = 0x110000
"""Code points, of which `SURROGATES` are no characters."""

SURROGATES = range(0xD800, 0xE000)


@dataclass(frozen=True)
class Characters(LearnedTokenizer):
    """One class a character (Unicode scalar value), and one for all that were never met.

    Take it for corpora up to some megabytes; texts of a script with thousands of characters are shorter in it than in
    bytes, and with subwords both are shorter still. A character never met has the probability of the class `unknown`
    divided by the number of such characters. Nothing is normalised.

    Arguments:
        alphabet: the characters met, ascending.

    Example:
        >>> letters = Characters("abn")
        >>> classes, lengths = letters.encode(pa.array(["banana", "", "naïn"]))
        >>> classes.tolist(), lengths.tolist()
        ([1, 0, 2, 0, 2, 0, 2, 0, 3, 2], [6, 0, 4])
        >>> letters.decode(classes, lengths).to_pylist()
        ['banana', '', 'na�n']
    """

    alphabet: str

    name: ClassVar[str] = "characters"

    @classmethod
    def learn(cls, corpus: Corpus, size: int | None) -> Self:
        """The alphabet of all texts; with `size` its most frequent characters."""
        met = np.flatnonzero(corpus.characters)
        if size is not None and len(met) >= size:
            met = np.sort(met[np.argsort(-corpus.characters[met], kind="stable")[: size - 1]])
        return cls("".join(map(chr, met.tolist())))

    @classmethod
    def restored(cls, state: str) -> Self:
        """From the alphabet."""
        codes = np.array([ord(character) for character in state], np.int64)
        if (np.diff(codes) <= 0).any() or np.isin(codes, np.array(SURROGATES)).any():
            raise damaged(cls.name, "an alphabet that is not in order")
        return cls(state)

    @property
    def state(self) -> str:
        """The alphabet."""
        return self.alphabet

    @property
    def unknown(self) -> int:  # type: ignore[override]
        """The last class."""
        return len(self.alphabet)

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The UTF-8 bytes of each character."""
        return (*(character.encode() for character in self.alphabet), b"")

    @cached_property
    def _class_of(self) -> np.ndarray:
        table = np.full(UNICODE, self.unknown, np.int32)
        table[[ord(character) for character in self.alphabet]] = np.arange(len(self.alphabet))
        return table

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """By a table of all code points."""
        lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
        return self._class_of[code_points(texts)].astype(np.int64), lengths

    def prices(self, texts: pa.Array) -> np.ndarray:
        """Minus the logarithm of the number of characters never met, for each of them."""
        classes, lengths = self.encode(texts)
        rows = np.repeat(np.arange(len(texts)), lengths)[classes == self.unknown]
        others = UNICODE - len(SURROGATES) - len(self.alphabet)
        return -math.log(max(1, others)) * np.bincount(rows, minlength=len(texts))

    def describe(self) -> str:
        """How many, and the first of them."""
        shown = "".join(character for character in self.alphabet if character.isprintable())
        return f"{len(self.alphabet):,} characters" + (f" ({shown})" if 0 < len(shown) <= 30 else "")
