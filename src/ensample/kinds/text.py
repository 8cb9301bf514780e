"""Texts: a value is a text of any length, as the classes of a tokenizer one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self, overload

import numpy as np
import pyarrow as pa

from ensample.data.schema import Schema
from ensample.data.texts import unicode_of
from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Discrete, Mixed, Ragged, Span
from ensample.kinds.arrow import is_missing, is_text, plain, type_from_text, typed, value_type
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible, never_seen, priced
from ensample.kinds.profile import Profile
from ensample.kinds.textprofile import TextProfile, Together
from ensample.kinds.tokens import READ, TOKENIZERS, Bytes, Characters, Tokenizer, blocks
from ensample.kinds.tokens.base import damaged

TOKEN = "token"
"""Name of the one span of a step."""

MANY = 8192
"""Different characters from which on bytes are the default."""


@dataclass(frozen=True)
class Text:
    """Free text, read by a tokenizer. As an event it is a sequence of classes of one span, `token`.

    Any Unicode goes in and comes out as it was: line ends, NUL, emoji, nothing is normalised. As a kind its rows are
    the tokens of all records: `encode` gives cells [tokens, 1]. A record that is missing as a whole is a value of its
    length (`MISSING_LENGTH`); an empty text has length 0.

    The log-probability of a text is that of its tokens and its end by the family, plus `log_volume`: what stands in
    place of the class `unknown`. So it is comparable over tokenizers. With characters all texts together have
    probability 1; with others it is that of the tokenizer's own spelling, a lower bound (see each tokenizer).

    Arguments:
        dtype: Arrow type of the column, as text.
        tokenizer: "characters", "bytes", "bpe", "unigram" or "words"; "pretrained" where it was read from a checkpoint.
        vocabulary: what it has learned, as its own text.
        longest: tokens of the longest record met; of more than 64 MiB of texts its bytes.
        missing: whether whole records were missing.
        unseen: probability of a missing record where none was met.

    Example:
        >>> kind = Text.fit_as(TextProfile.of(pa.array(["anna", "nan"])), "characters")
        >>> kind.describe(), kind.tokens_of("nana!").tolist(), kind.text_of([0, 1])
        ('up to 4 tokens: 2 characters (an)', [1, 0, 1, 0, 2], 'an')
    """

    dtype: str
    tokenizer: str
    vocabulary: str
    longest: int
    missing: bool
    unseen: float

    name: ClassVar[str] = "text"
    forms: ClassVar[tuple[str, ...]] = tuple(f"text:{name}" for name in TOKENIZERS)

    def __post_init__(self) -> None:
        if self.tokenizer not in READ:
            raise damaged(self.tokenizer, "no tokenizer of this name")

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Never by its values alone: whether words are text depends on what else is there, see `guessing.guess`."""
        return 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Characters, or bytes where there are very many different ones."""
        corpus = cls._checked(profile)
        many = np.count_nonzero(corpus.characters) > MANY
        return cls.fit_as(profile, Bytes.name if many else Characters.name)

    @classmethod
    def fit_as(cls, profile: Profile, form: str) -> Self:
        """With the tokenizer that `form` names, and perhaps its number of classes: "bpe", "bpe:4096".

        Raises:
            InputError: there is no such tokenizer, or the column holds no text.
            CapabilityError: the tokenizer needs a package that is not installed.
        """
        return cls.fit_all([profile], form)[0]

    @classmethod
    def fit_all(cls, profiles: list[Profile], form: str) -> list[Self]:
        """Several fields with one tokenizer that is learned from all of them; as `fit_as`."""
        found = [cls._checked(profile) for profile in profiles]
        name, _, size = form.partition(":")
        if name not in TOKENIZERS or (size and not (size.isdecimal() and int(size) >= 2)):
            raise InputError(
                "A text is read by one of the tokenizers.",
                f"kinds, field {profiles[0].name!r}",
                repr(f"text:{form}"),
                f'choose from {", ".join(cls.forms)}, with a number of classes behind if you like: "text:bpe:4096"',
            )
        made = TOKENIZERS[name].learn(found[0] if len(found) == 1 else Together(found), int(size) if size else None)
        return [
            cls(str(own.dtype), name, made.state, _longest(made, own), own.missing > 0, never_seen(own))
            for own in found
        ]

    @classmethod
    def _checked(cls, profile: Profile) -> TextProfile:
        if pa.types.is_null(profile.dtype):
            raise cannot_be(profile, cls.name, "no value in any row", "fill some, or leave the column out")
        if not isinstance(profile, TextProfile):
            fix = "turn the values into texts first"
            raise cannot_be(profile, cls.name, f"values of type {profile.dtype}", fix)
        if not profile.size:
            raise cannot_be(profile, cls.name, "no character in any row", "add texts, or leave the column out")
        return profile

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    @cached_property
    def tokens(self) -> Tokenizer:
        """The tokenizer itself."""
        return READ[self.tokenizer].restored(self.vocabulary)

    @property
    def classes(self) -> int:
        """Size of the vocabulary."""
        return self.tokens.classes

    @cached_property
    def event(self) -> Ragged:
        """What one text looks like to a family."""
        return Ragged(Mixed(self.spans(TOKEN)), self.longest, missing=self.missing)

    def spans(self, field: str) -> tuple[Span, ...]:
        """That of a step."""
        return (Span(TOKEN, Discrete(self.classes)),)

    def blocks(self, column: pa.Array) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Tokens of a column, block by block: int64 [tokens], rows they belong to and how many to each [rows].

        The tokens of all blocks stand in the order of the column; a long text comes in several of them.
        """
        for texts, rows in blocks(plain(column), self.tokens):
            yield (found := self.tokens.encode(texts))[0], rows, found[1]

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Classes of all tokens [tokens, 1]."""
        return np.concatenate([np.zeros(0, np.int64), *(tokens for tokens, _, _ in self.blocks(column))])[:, None]

    def lengths(self, column: pa.Array) -> np.ndarray:
        """Tokens of each record, int64 [rows], `MISSING_LENGTH` for a missing one."""
        total = np.zeros(len(column), np.int64)
        for _, rows, counts in self.blocks(column):
            total[rows] += counts
        return np.where(is_missing(column), MISSING_LENGTH, total)

    def texts(self, tokens: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Records [rows], of the column's type, from all tokens and the length of each record."""
        made = self.tokens.decode(tokens, lengths.clip(min=0))
        gone = lengths < 0
        if gone.any():
            made = made.take(pa.array(np.arange(len(lengths)), mask=gone))
        return typed(made, self.type)

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """What each token [tokens, 1] says on its own."""
        return typed(self.tokens.decode(table[:, 0], np.ones(len(table), np.int64)), self.type)

    @overload
    def tokens_of(self, texts: str) -> np.ndarray: ...

    @overload
    def tokens_of(self, texts: list[str]) -> list[np.ndarray]: ...

    def tokens_of(self, texts: str | list[str]) -> np.ndarray | list[np.ndarray]:
        """Classes of a text, int64 [tokens], or a list of them for several texts.

        Raises:
            InputError: a text holds half of a surrogate pair, which is no character.
        """
        if isinstance(texts, str):
            return self.tokens_of([texts])[0]
        column = unicode_of(texts, self.name)
        return np.split(self.encode(column, self.name)[:, 0], self.lengths(column).cumsum()[:-1]) if texts else []

    @overload
    def text_of(self, tokens: np.ndarray | list[int]) -> str: ...

    @overload
    def text_of(self, tokens: list[np.ndarray]) -> list[str]: ...

    def text_of(self, tokens: np.ndarray | list[int] | list[np.ndarray]) -> str | list[str]:
        """The text that classes [tokens] spell, or a list of texts for a list of such arrays."""
        several = isinstance(tokens, list) and len(tokens) > 0 and np.ndim(tokens[0]) == 1
        many = [np.asarray(one, np.int64) for one in (tokens if several else [tokens])]
        made: list[str] = self.tokens.decode(np.concatenate(many), np.array([len(one) for one in many])).to_pylist()
        return made if several else made[0]

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of characters or words never met, and of records never missing."""
        total = np.zeros(len(column))
        if self.tokens.unknown is not None:
            for texts, rows in blocks(plain(column), self.tokens):
                total[rows] += self.tokens.prices(texts)
        return total if self.missing else total + priced(self.unseen, is_missing(column))

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """None: a wish about a whole text cannot be told."""
        raise impossible(field, "a wish about a text", "leave it out, or filter samples afterwards")

    def present(self) -> Ranges | None:
        """None: a record of unknown length gets one."""
        return None

    def describe(self) -> str:
        """How long, by which tokenizer."""
        missing = "; may be missing" if self.missing else ""
        return f"up to {self.longest:,} tokens: {self.tokens.describe()}{missing}"


def can_be(dtype: pa.DataType) -> bool:
    """Whether a column of this type holds texts."""
    return is_text(value_type(dtype))


def texts_in(schema: Schema) -> tuple[str, ...]:
    """Names of the fields that are texts."""
    return tuple(field.name for field in schema if isinstance(field.kind, Text))


def _longest(tokens: Tokenizer, corpus: TextProfile) -> int:
    if isinstance(tokens, Characters):
        return corpus.longest
    if isinstance(tokens, Bytes) or not corpus.whole:
        return corpus.longest_bytes
    longest = 0
    for size, text in sorted(((len(text.encode()), text) for text in corpus.texts()), reverse=True):
        if size <= longest:  # no text has more tokens than bytes
            break
        column = pa.array([text], pa.string())
        longest = max(longest, sum(int(tokens.encode(piece)[1][0]) for piece, _ in blocks(column, tokens)))
    return longest
