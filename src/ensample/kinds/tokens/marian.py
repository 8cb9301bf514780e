"""One of the two tokenizers of a Marian checkpoint: pieces of SentencePiece, numbered by `vocab.json`."""

from __future__ import annotations

import base64
import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from ensample.errors import FormatError
from ensample.kinds.tokens.base import damaged
from ensample.kinds.tokens.characters import SURROGATES, UNICODE
from ensample.kinds.tokens.pretrained import BLANK, Pretrained
from ensample.kinds.tokens.sentencepiece import Spm
from ensample.storage import read_json, write_json

SOURCE, TARGET, VOCABULARY, SETTINGS = "source.spm", "target.spm", "vocab.json", "tokenizer_config.json"

_CODE = re.compile(r">>.*?<<", re.DOTALL)


@dataclass(frozen=True)
class Marian(Pretrained):
    """The tokenizer of one side of a Marian checkpoint (Junczys-Dowmunt et al. 2018), without the end as a class.

    A text is cut into pieces by SentencePiece, and a piece has the number that the vocabulary of both sides gives to
    it; one without a number is unknown. A language code at the beginning of a text, such as `>>fra<<`, is one piece.
    Texts come back normalised.

    Arguments:
        stored: the model of SentencePiece in base64, the vocabulary and the settings, JSON.
        size, end, unknown_token, template: as of `Pretrained`.
    """

    name: ClassVar[str] = "marian"

    @classmethod
    def opened(cls, folder: Path, side: str, size: int, end: int) -> Marian:
        """That of a side (`SOURCE`, `TARGET`) of a checkpoint.

        Raises:
            FormatError: a file is missing or damaged, or does not belong to the others.
            CapabilityError: the model is of another sort, or each side has a vocabulary of its own.
        """
        vocabulary = _checked(read_json(folder / VOCABULARY), folder / VOCABULARY)
        settings = read_json(folder / SETTINGS) if (folder / SETTINGS).exists() else {}
        if settings.get("separate_vocabs"):
            rule, fix = "A checkpoint has one vocabulary for both texts.", "take one with a common vocabulary"
            raise FormatError(rule, str(folder / SETTINGS), "separate_vocabs", fix)
        try:
            data = (folder / side).read_bytes()
        except OSError as error:
            rule, fix = "A Marian checkpoint has a model of SentencePiece for each side.", "copy the whole checkpoint"
            raise FormatError(rule, str(folder / side), str(error), fix) from error
        Spm.read(data, str(folder / side))  # tells at once if it cannot be read
        plain = {"spm": base64.b64encode(data).decode(), "vocabulary": vocabulary, "settings": settings}
        return cls(json.dumps(plain, ensure_ascii=False), size, end, vocabulary["<unk>"])

    def write(self, folder: Path, source: Marian) -> None:
        """Write both tokenizers, this one of what is written and the other of the source, as they were."""
        for name, side in ((SOURCE, source), (TARGET, self)):
            (folder / name).write_bytes(side._data)
        write_json(folder / VOCABULARY, self._vocabulary)
        marks = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
        write_json(folder / SETTINGS, {**marks, **self._plain["settings"], "tokenizer_class": "MarianTokenizer"})

    @cached_property
    def _plain(self) -> dict[str, Any]:
        try:
            plain = json.loads(self.stored)
            if not isinstance(plain["spm"], str) or not isinstance(plain["settings"], dict):
                raise TypeError("no model of SentencePiece")
            _checked(plain["vocabulary"], Path(VOCABULARY))
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(self.name, str(error)) from error
        return dict(plain)

    @cached_property
    def _data(self) -> bytes:
        return base64.b64decode(self._plain["spm"])

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        return dict(self._plain["vocabulary"])

    @cached_property
    def _by_number(self) -> dict[int, str]:
        return {number: piece for piece, number in self._vocabulary.items()}

    @cached_property
    def _made(self) -> Any:
        return Spm.read(self._data, self.name).tokenizer()

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The number of each piece of SentencePiece, int64 [pieces]."""
        pieces = Spm.read(self._data, self.name).pieces
        return np.array([self._vocabulary.get(piece, self._unknown) for piece, _, _ in pieces], np.int64)

    @property
    def _unknown(self) -> int:
        return self._vocabulary["<unk>"]

    @property
    def marks(self) -> dict[str, int]:
        """Texts of the tokens that mark something, and their numbers."""
        return {text: self._vocabulary[text] for text in ("</s>", "<unk>", "<pad>") if text in self._vocabulary}

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each class; b"" for those that stand for no text."""
        if max(self._by_number) >= self.size:
            raise damaged(self.name, f"token number {max(self._by_number)} of {self.size}")
        marks = set(self.marks.values())
        texts = [self._by_number.get(number, "") for number in range(self.size)]
        found = [b"" if number in marks else text.replace(BLANK, " ").encode() for number, text in enumerate(texts)]
        del found[self.end]
        return tuple(found)

    @property
    def _begins_with_a_blank(self) -> bool:
        return True

    @property
    def lossless(self) -> bool:
        """Never: blanks are taken together."""
        return False

    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Numbers of the tokens before and behind a text that is read: the end stands behind it."""
        return (), (self.end,)

    def lacking(self) -> int | None:
        """Number of its token for what the vocabulary lacks."""
        return self.unknown_token

    def token(self, number: Any) -> str | None:
        """How the vocabulary writes the token of this number; None if it has none."""
        return self._by_number.get(number)

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """By SentencePiece, and by the vocabulary."""
        each = [numbers for numbers, _ in self._read_texts(texts)]
        numbers = np.concatenate([np.zeros(0, np.int64), *each])
        return numbers - (numbers > self.end), np.array([len(one) for one in each], np.int64)

    def prices(self, texts: pa.Array) -> np.ndarray:
        """Spell what the vocabulary lacks."""
        spans = [places[numbers == self.unknown_token] for numbers, places in self._read_texts(texts)]
        letters = np.array([(one[:, 1] - one[:, 0]).sum() for one in spans], np.float64)
        return -letters * math.log(2 * (UNICODE - len(SURROGATES)))

    def _read_texts(self, texts: pa.Array) -> list[tuple[np.ndarray, np.ndarray]]:
        """Numbers of the tokens of each text [tokens], and their places [tokens, 2]."""
        plain = texts.to_pylist()
        codes = [_CODE.match(text) for text in plain]
        rest = [text if code is None else text[code.end() :] for code, text in zip(codes, plain, strict=True)]
        found = []
        for code, one in zip(codes, self._made.encode_batch(rest, add_special_tokens=False), strict=True):
            numbers = self._numbers[np.array(one.ids, np.int64)]
            for j in np.flatnonzero(numbers == self._unknown).tolist():  # the other side may know it
                numbers[j] = self._vocabulary.get(one.tokens[j], self._unknown)
            places = np.array(one.offsets, np.int64).reshape(-1, 2)
            if code is not None:
                own = self._vocabulary.get(code[0], self._unknown)
                numbers = np.concatenate([np.array([own]), numbers])
                places = np.concatenate([np.array([[0, code.end()]]), places])
            found.append((numbers, places))
        return found


def _checked(vocabulary: Any, place: Path) -> dict[str, int]:
    """A vocabulary. Raises FormatError if it is none."""
    numbers = list(vocabulary.values()) if isinstance(vocabulary, dict) else []
    whole = all(type(number) is int and number >= 0 for number in numbers) and len(set(numbers)) == len(numbers)
    if not whole or "<unk>" not in vocabulary or "</s>" not in vocabulary:
        rule, fix = "A vocabulary gives each piece a number of its own, </s> and <unk> too.", "copy the checkpoint anew"
        raise FormatError(rule, str(place), "another file", fix)
    return dict(vocabulary)
