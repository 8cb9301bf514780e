"""Pieces of words, by byte-level BPE or unigram; needs the package `tokenizers` (extra `text`)."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa

from ensample.data.frames import optional
from ensample.errors import InputError
from ensample.kinds.tokens.base import Corpus, LearnedTokenizer, character_border, damaged

SIZE = 4096
"""Classes if nobody says how many."""

LOOKED_BACK = 4096
"""Bytes before a place in which the end of a word is looked for."""

SCORE_DIGITS, BYTE_STEPS = 6, 0.03
"""Digits of the scores of unigram pieces, and how far above the lowest score those of mere bytes reach."""

_WORD_END = re.compile(rb"[!-~](?=[ \n])")


@dataclass(frozen=True)
class Subwords(LearnedTokenizer):
    """Tokenizers of Hugging Face's `tokenizers` over bytes: every text has its classes, and no class is unknown.

    Texts are split into words as GPT-2 does (a blank belongs to the word behind it), and the bytes of each word are
    joined to pieces of the vocabulary. Several sequences of classes spell the same text; `log_prob` is that of the
    tokenizer's own one, a lower bound of the text's. Abstract.

    Arguments:
        stored: the tokenizer as `tokenizers` writes it, JSON.
    """

    stored: str

    @staticmethod
    @abstractmethod
    def _new(tokenizers: Any, size: int, alphabet: list[str]) -> tuple[Any, Any]:
        """An empty model, and what trains it."""

    @classmethod
    def learn(cls, corpus: Corpus, size: int | None) -> Self:
        """Train on the texts. Raises InputError if `size` is below the 256 bytes."""
        size = SIZE if size is None else size
        if size < 257:
            raise InputError(
                "A vocabulary of subwords holds the 256 bytes and some pieces.",
                f"text:{cls.name}:{size}",
                f"{size} classes",
                f'say "text:{cls.name}:4096", or "text:bytes"',
            )
        tokenizers = optional("tokenizers", "text")
        before = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        model, trainer = cls._new(tokenizers, size, sorted(before.alphabet()))
        made = tokenizers.Tokenizer(model)
        made.pre_tokenizer = before
        made.train_from_iterator(corpus.texts(), trainer=trainer)
        return cls(cls._settled(made.to_str()))

    @classmethod
    def _settled(cls, stored: str) -> str:
        """The trained tokenizer with what chance has left in it taken out: the same texts give the same one."""
        return stored

    @classmethod
    def restored(cls, state: str) -> Self:
        """From its JSON; the classes are looked at when they are first needed."""
        if not state.startswith("{"):
            raise damaged(cls.name, state[:40])
        return cls(state)

    @property
    def state(self) -> str:
        """Its JSON."""
        return self.stored

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each class."""
        numbers = self._made.get_vocab(with_added_tokens=False)
        if sorted(numbers.values()) != list(range(len(numbers))):
            raise damaged(self.name, "classes that are not numbered from 0")
        byte_of = {shown: byte for byte, shown in enumerate(shown_bytes())}
        try:
            found = {number: bytes(byte_of[shown] for shown in piece) for piece, number in numbers.items()}
        except KeyError as error:
            raise damaged(self.name, f"the character {error} in a piece") from error
        return tuple(found[number] for number in range(len(found)))

    @cached_property
    def _made(self) -> Any:
        tokenizers = optional("tokenizers", "text")
        try:
            return tokenizers.Tokenizer.from_str(self.stored)
        except Exception as error:  # the package raises nothing narrower
            raise damaged(self.name, str(error)) from error

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """By the tokenizer."""
        made = self._made.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        each = [np.array(one.ids, np.int64) for one in made]
        return np.concatenate([np.zeros(0, np.int64), *each]), np.array([len(one) for one in each], np.int64)

    def cut(self, text: memoryview, place: int) -> int:
        """Behind a word before a blank or the end of a line, where words are split in any case."""
        first = max(0, place - LOOKED_BACK)
        ends = [found.end() for found in _WORD_END.finditer(text[first:place])]
        return first + ends[-1] if ends else character_border(text, place)

    def describe(self) -> str:
        """How many, of which sort."""
        return f"{self.classes:,} pieces of words ({self.name})"


@dataclass(frozen=True)
class BPE(Subwords):
    """Byte-level byte-pair encoding (Sennrich et al. 2016, as in GPT-2): the most frequent pairs are joined in turn.

    Take it for corpora of megabytes and more, with a model that is large enough for its vocabulary.
    """

    name: ClassVar[str] = "bpe"

    @staticmethod
    def _new(tokenizers: Any, size: int, alphabet: list[str]) -> tuple[Any, Any]:
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=alphabet, show_progress=False, special_tokens=[]
        )
        return tokenizers.models.BPE(), trainer


@dataclass(frozen=True)
class Unigram(Subwords):
    """Unigram pieces (Kudo 2018) over bytes: of all ways to spell a word the most probable one.

    Its pieces follow the parts of words more closely than those of BPE; learning them takes longer.
    """

    name: ClassVar[str] = "unigram"

    @classmethod
    def _settled(cls, stored: str) -> str:
        """Sums of scores depend on an order of words that is drawn anew each time, and so do the lowest scores.

        Bytes that were not found worth a piece get the lowest score and small steps above it, in that order; here all
        of them get the lowest.
        """
        plain = json.loads(stored)
        scores = {piece: round(score, SCORE_DIGITS) for piece, score in plain["model"]["vocab"]}
        low = min(scores.values())
        scores |= {piece: low for piece, score in scores.items() if len(piece) == 1 and score < low + BYTE_STEPS}
        plain["model"]["vocab"] = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))
        return json.dumps(plain, ensure_ascii=False)

    @staticmethod
    def _new(tokenizers: Any, size: int, alphabet: list[str]) -> tuple[Any, Any]:
        trainer = tokenizers.trainers.UnigramTrainer(
            vocab_size=size, initial_alphabet=alphabet, show_progress=False, special_tokens=[]
        )
        return tokenizers.models.Unigram(), trainer


def shown_bytes() -> list[str]:
    """The printable character that stands for each byte in GPT-2's vocabularies: itself, or one from 256 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) if byte in plain else chr(256 + others.index(byte)) for byte in range(256)]
