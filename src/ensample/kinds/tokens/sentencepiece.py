"""Files of SentencePiece (`*.spm`): what they hold, and the tokenizer that it makes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from ensample.data.frames import optional
from ensample.errors import CapabilityError, FormatError

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
"""Sorts of pieces that are read."""

BLANK = "\u2581"
"""What stands for a blank."""

UNIGRAM = 1
"""The sort of model that is read."""

_HIDDEN = "\ufdd0"
"""Begins the names of pieces that no text spells: it is no character."""


@dataclass(frozen=True)
class Spm:
    """A unigram model of SentencePiece (Kudo 2018): its pieces, and how a text is normalised before.

    Arguments:
        pieces: each with its score and its sort.
        normaliser: a map of characters, as stored; b"" for none.
    """

    pieces: tuple[tuple[str, float, int], ...]
    normaliser: bytes

    @classmethod
    def read(cls, data: bytes, place: str) -> Self:
        """From the bytes of a file, a message of protocol buffers.

        Raises:
            FormatError: it is damaged.
            CapabilityError: it is of another sort of model, or has options that are not known here.
        """
        pieces, trained, normalised = list[tuple[str, float, int]](), dict[int, Any](), dict[int, Any]()
        try:
            for number, value in _fields(data):
                if number == 1:
                    told = dict(_fields(value))
                    score = struct.unpack("<f", told[2])[0] if 2 in told else 0.0
                    pieces.append((told[1].decode(), score, told.get(3, NORMAL)))
                elif number == 2:
                    trained = dict(_fields(value))
                elif number == 3:
                    normalised = dict(_fields(value))
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error) as error:
            raise _damaged(place, f"{type(error).__name__}: {error}") from error
        if [sort for _, _, sort in pieces].count(UNKNOWN) != 1:
            raise _damaged(place, "no piece for what is unknown")
        _check(trained, normalised, {sort for _, _, sort in pieces}, place)
        return cls(tuple(pieces), normalised.get(2, b""))

    @property
    def unknown(self) -> int:
        """Number of the piece for what is unknown."""
        return next(number for number, (_, _, sort) in enumerate(self.pieces) if sort == UNKNOWN)

    def tokenizer(self) -> Any:
        """The same as a tokenizer of `tokenizers`, whose tokens are the pieces; those that no text spells are hidden.

        Blanks are taken together, and taken away at both ends; one stands before a text.
        """
        made = optional("tokenizers", "text")
        named = [
            (piece if sort in (NORMAL, BYTE) else f"{_HIDDEN}{piece}", score) for piece, score, sort in self.pieces
        ]
        fallback = any(sort == BYTE for _, _, sort in self.pieces)
        tokenizer = made.Tokenizer(made.models.Unigram(named, unk_id=self.unknown, byte_fallback=fallback))
        parts = [made.normalizers.Precompiled(self.normaliser)] if self.normaliser else []
        parts += [
            made.normalizers.Replace(made.Regex(r"\A +| +\z"), ""),
            made.normalizers.Replace(made.Regex(" +"), BLANK),
        ]
        parts += [made.normalizers.Prepend(BLANK), made.normalizers.Replace(made.Regex(f"{BLANK}+\\z"), "")]
        tokenizer.normalizer = made.normalizers.Sequence(parts)
        return tokenizer


def _check(trained: dict[int, Any], normalised: dict[int, Any], sorts: set[int], place: str) -> None:
    """Raise CapabilityError for what would be read otherwise than by SentencePiece."""
    odd = [
        (trained.get(3, UNIGRAM) != UNIGRAM, "a model that is no unigram model"),
        (not sorts <= {NORMAL, UNKNOWN, CONTROL, BYTE}, "pieces that were defined by hand"),
        (bool(trained.get(24)), "blanks behind words"),
        (not all(normalised.get(number, 1) for number in (3, 4, 5)), "blanks that are kept as they are"),
    ]
    for wrong, seen in odd:
        if wrong:
            fix = "write the checkpoint anew with a fast tokenizer (tokenizer.json)"
            raise CapabilityError("Of SentencePiece plain unigram models are read.", place, seen, fix)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a message: integers, or bytes."""
    place = 0
    while place < len(data):
        key, place = _varint(data, place)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, place = _varint(data, place)
            yield number, value
            continue
        if wire not in (1, 2, 5):
            raise ValueError(f"a field of sort {wire}")
        size = {1: 8, 5: 4}.get(wire, 0)
        if wire == 2:
            size, place = _varint(data, place)
        if place + size > len(data):
            raise IndexError("it ends too early")
        yield number, data[place : place + size]
        place += size


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number, and the place behind it."""
    value = shift = 0
    while True:
        byte = data[place]
        value, place, shift = value | (byte & 127) << shift, place + 1, shift + 7
        if byte < 128:
            return value, place


def _damaged(place: str, seen: str) -> FormatError:
    return FormatError("A file of SentencePiece must be whole.", place, seen, "copy the checkpoint anew")
