"""What a tokenizer is: the codec between texts and classes, and the ground that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import pyarrow as pa

from ensample.errors import FormatError

BLOCK = 2**20
"""Bytes of text that are encoded at a time."""

REPLACEMENT = "\ufffd".encode()
"""What is written for a class that stands for no text of its own, and for bytes that are no UTF-8."""


class Corpus(Protocol):
    """The texts that a tokenizer learns from."""

    characters: np.ndarray
    """How often each code point occurs in all texts, int64 [0x110000]."""

    def texts(self) -> Iterator[str]:
        """All texts, or pieces of a random part where they are many."""
        ...


class Tokenizer(ABC):
    """Texts as classes 0 to `classes` - 1, and back. Abstract; leaves are frozen dataclasses of plain values.

    `decode(encode(text))` is the text, but for what only `unknown` can stand for: the class of characters or words
    that were never met, None for a tokenizer that knows every text. Which of them it was is priced by `prices`, so
    that a family's probability of the class times the price is that of the text.
    """

    name: ClassVar[str]
    unknown: int | None = None

    @property
    def front(self) -> bytes:
        """What is put before each text, and taken away again when one is decoded."""
        return b""

    @classmethod
    @abstractmethod
    def restored(cls, state: str) -> Self:
        """Inverse of `state`. Raises FormatError if it is damaged."""

    @property
    @abstractmethod
    def state(self) -> str:
        """All that was learned, as text."""

    @property
    @abstractmethod
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes that each class stands for, b"" for `unknown`."""

    @abstractmethod
    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """Classes of texts of type string, none of them null, one text after the other.

        Returns int64 [all classes] and how many belong to each text, int64 [texts].
        """

    @abstractmethod
    def describe(self) -> str:
        """What the classes are, for people."""

    @property
    def classes(self) -> int:
        """Size of the vocabulary, `unknown` included."""
        return len(self.pieces)

    def prices(self, texts: pa.Array) -> np.ndarray:
        """Log-probability of what each text has in place of `unknown`, nats, float64 [texts]."""
        return np.zeros(len(texts))

    def cut(self, text: memoryview, place: int) -> int:
        """A place at or before this one where a long text may be cut into pieces that are encoded one by one."""
        return character_border(text, place)

    def decode(self, classes: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Texts from classes [all] and how many belong to each text [texts]; bytes that are no UTF-8 are replaced."""
        heap, starts, sizes = self._heap
        each = sizes[classes]
        source = np.repeat(starts[classes] - (each.cumsum() - each), each) + np.arange(int(each.sum()))
        ends = np.concatenate([[0], each.cumsum()])[np.concatenate([[0], np.asarray(lengths).cumsum()])]
        return _texts(heap[source], ends)

    @cached_property
    def _heap(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pieces as written, one behind the other; where each begins, and its size."""
        written = [REPLACEMENT if j == self.unknown else piece for j, piece in enumerate(self.pieces)]
        sizes = np.array([len(piece) for piece in written], np.int64)
        return np.frombuffer(b"".join(written), np.uint8), sizes.cumsum() - sizes, sizes


class LearnedTokenizer(Tokenizer):
    """One whose vocabulary is learned from the texts. Abstract."""

    @classmethod
    @abstractmethod
    def learn(cls, corpus: Corpus, size: int | None) -> Self:
        """Learn the vocabulary, of at most `size` classes where the tokenizer has a choice."""


def _texts(data: np.ndarray, ends: np.ndarray) -> pa.Array:
    if len(data) > np.iinfo(np.int32).max:
        raise FormatError(
            "Texts that are made at once take up to 2 GiB.", "decode", f"{len(data):,} bytes", "make fewer"
        )
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(data)]
    made = pa.Array.from_buffers(pa.string(), len(ends) - 1, buffers)
    try:
        made.validate(full=True)
    except pa.ArrowInvalid:  # a model of bytes may write what is no UTF-8
        whole = data.tobytes()
        pairs = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
        made = pa.array([whole[a:b].decode("utf-8", "replace") for a, b in pairs], pa.string())
    return made


def bytes_of(texts: pa.Array) -> tuple[memoryview, np.ndarray]:
    """The UTF-8 bytes of texts of type string, one behind the other, and where each begins and ends [texts + 1]."""
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return memoryview(b""), np.zeros(len(texts) + 1, np.int64)
    places = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    return memoryview(data)[places[0] : places[-1]], places - places[0]


def code_points(texts: pa.Array) -> np.ndarray:
    """Unicode code points of texts of type string, one behind the other, uint32."""
    data, _ = bytes_of(texts)
    return np.frombuffer(str(data, "utf-8").encode("utf-32-le"), np.uint32)


def character_border(text: memoryview, place: int) -> int:
    """The last place at or before this one that does not lie within a character."""
    while 0 < place < len(text) and text[place] & 0xC0 == 0x80:
        place -= 1
    return place


def blocks(texts: pa.Array, tokenizer: Tokenizer, size: int | None = None) -> Iterator[tuple[pa.Array, np.ndarray]]:
    """Texts of type string in arrays of about `size` bytes (`BLOCK`), each with the row numbers of its texts.

    A text of more bytes comes in several pieces, cut where the tokenizer allows it: counted from the start of the
    text, so that its classes do not depend on what stands around it.
    """
    most = BLOCK if size is None else size
    texts = texts.fill_null("") if texts.null_count else texts
    data, places = bytes_of(texts)
    row = 0
    while row < len(texts):
        end = int(np.searchsorted(places, places[row] + most, side="right")) - 1
        if end > row:
            yield texts.slice(row, end - row), np.arange(row, end)
            row = end
            continue
        text = data[places[row] : places[row + 1]]
        for piece in _pieces(text, tokenizer, most):
            yield piece, np.array([row])
        row += 1


def _pieces(text: memoryview, tokenizer: Tokenizer, most: int) -> Iterator[pa.Array]:
    start = 0
    while start < len(text):
        end = min(start + most, len(text))
        if end < len(text):
            cut = start + tokenizer.cut(text[start:], end - start)
            end = cut if cut > start else end
        piece: Any = text[start:end]
        offsets = pa.py_buffer(np.array([0, len(piece)], np.int32))
        yield pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(piece)])
        start = end


def damaged(name: str, seen: str) -> FormatError:
    """The error for a stored tokenizer that is not whole."""
    return FormatError("A stored tokenizer must be whole.", f"tokenizer, {name}", seen, "write the schema anew")
