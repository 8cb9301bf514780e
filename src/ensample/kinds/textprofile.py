"""What one pass over a column of texts tells: its characters, its longest text, a bounded random part of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.kinds.arrow import plain
from ensample.kinds.profile import PROFILE_STREAM, Profile
from ensample.kinds.tokens.base import BLOCK, blocks, bytes_of, code_points
from ensample.kinds.tokens.characters import UNICODE
from ensample.kinds.tokens.octets import Bytes

KEPT = 2**26
"""Bytes of text that are kept to learn a vocabulary from; all of it where there is no more."""

PIECE = 2**16
"""Longer texts are kept in pieces of about so many bytes once there is too much to keep it whole."""


class TextProfile(Profile):
    """Facts of a column of texts that are to be read as such, not as names of classes.

    Attributes:
        characters: how often each code point occurs, int64 [0x110000].
        size: bytes of all texts in UTF-8.
        longest, longest_bytes: of one text, in characters and in bytes.
        whole: whether `texts` gives all of them as they are.
    """

    def __init__(self, name: str, dtype: pa.DataType) -> None:
        super().__init__(name, dtype)
        self.trace = None
        self.characters = np.zeros(UNICODE, np.int64)
        self.size = self.longest = self.longest_bytes = 0
        self._kept: list[pa.Array] = []
        self._ranks: list[float] = []
        self._rng = np.random.default_rng(PROFILE_STREAM)

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.Array, name: str = "column") -> Self:
        """The profile of a column in memory."""
        profile = cls(name, column.type)
        profile.add(plain(column))
        profile.finish(pa.nulls(0))
        return profile

    @property
    def whole(self) -> bool:
        """Whether `texts` gives all texts."""
        return self.size <= KEPT

    def add(self, column: pa.Array) -> None:
        """One more batch."""
        self.rows += len(column)
        self.missing += column.null_count
        texts = column.drop_null()
        if not len(texts):
            return
        self.longest = max(self.longest, pc.max(pc.utf8_length(texts)).as_py())
        self.longest_bytes = max(self.longest_bytes, pc.max(pc.binary_length(texts)).as_py())
        before, self.size = self.whole, self.size + len(bytes_of(texts)[0])
        for block, _ in blocks(texts, Bytes(), BLOCK):
            met = np.bincount(code_points(block))
            self.characters[: len(met)] += met
        if before and not self.whole:
            earlier, self._kept = self._kept, []
            for batch in earlier:
                self._keep_some(batch)
        if self.whole:
            self._kept.append(texts)
        else:
            self._keep_some(texts)

    def texts(self) -> Iterator[str]:
        """All texts in order, or pieces of a random part of them."""
        for batch in self._kept:
            yield from batch.to_pylist()

    def finish(self, sample: pa.Array) -> None:
        """Nothing is left to do: texts are neither counted as values nor sampled as such."""
        self._pending = None

    def _keep_some(self, texts: pa.Array) -> None:
        """Add pieces, each with a random rank, and drop those of the highest ranks when there are too many."""
        for piece, _ in blocks(texts, Bytes(), PIECE):
            self._kept.append(piece)
            self._ranks.append(float(self._rng.random()))
        sizes = np.array([len(bytes_of(piece)[0]) for piece in self._kept])
        if sizes.sum() > 2 * KEPT:
            order = np.argsort(self._ranks, kind="stable")
            chosen = np.sort(order[sizes[order].cumsum() <= KEPT]).tolist()
            # a slice holds the whole array that it was cut from: what is kept is copied
            self._kept = [pa.array(self._kept[j].to_pylist(), pa.string()) for j in chosen]
            self._ranks = [self._ranks[j] for j in chosen]


class Together:
    """Several columns as one corpus, which one vocabulary is learned from.

    Attributes:
        characters: as of `TextProfile`.
    """

    def __init__(self, profiles: list[TextProfile]) -> None:
        self.characters: np.ndarray = np.sum([profile.characters for profile in profiles], 0)
        self._profiles = profiles

    def texts(self) -> Iterator[str]:
        """The texts of each column in turn."""
        for profile in self._profiles:
            yield from profile.texts()
