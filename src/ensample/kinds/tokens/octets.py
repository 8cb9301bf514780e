"""A class for every byte of UTF-8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.kinds.tokens.base import Corpus, LearnedTokenizer, bytes_of, damaged

PIECES = tuple(bytes([byte]) for byte in range(256))


@dataclass(frozen=True)
class Bytes(LearnedTokenizer):
    """The 256 bytes of UTF-8: nothing to learn, no text unknown.

    Take it where texts are of many scripts, or where those to come may hold anything. Sequences of bytes that are no
    UTF-8 belong to no text: what a family gives them is lost to its `log_prob`, which is a lower bound by that much.

    Example:
        >>> Bytes().encode(pa.array(["aé"]))[0].tolist()
        [97, 195, 169]
    """

    name: ClassVar[str] = "bytes"

    @classmethod
    def learn(cls, corpus: Corpus, size: int | None) -> Self:
        """Nothing."""
        return cls()

    @classmethod
    def restored(cls, state: str) -> Self:
        """From nothing."""
        if state:
            raise damaged(cls.name, "a vocabulary")
        return cls()

    @property
    def state(self) -> str:
        """Nothing."""
        return ""

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Each byte."""
        return PIECES

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """The bytes as they lie."""
        data, places = bytes_of(texts)
        return np.frombuffer(data, np.uint8).astype(np.int64), np.diff(places)

    def describe(self) -> str:
        """That they are bytes."""
        return "bytes"
