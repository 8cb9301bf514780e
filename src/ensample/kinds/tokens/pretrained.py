"""The tokenizer of a checkpoint: read from its `tokenizer.json`, not learned."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.frames import optional
from ensample.errors import CapabilityError, InputError
from ensample.kinds.tokens.base import Tokenizer, damaged
from ensample.kinds.tokens.characters import SURROGATES, UNICODE
from ensample.kinds.tokens.subwords import shown_bytes
from ensample.kinds.tokens.template import ChatTemplate

BLANK = "\u2581"
"""What stands for a blank in vocabularies of SentencePiece."""

_BYTE = re.compile("<0x([0-9A-F]{2})>")


@dataclass(frozen=True)
class Pretrained(Tokenizer):
    """A tokenizer of Hugging Face's `tokenizers` whose classes are the numbers of its tokens, but for one: the end.

    Class c is token c, from the end on token c + 1; the end of a text is no class of it. Tokens that mark something
    (beginnings, padding) stand for no text, and numbers that the network has beyond the vocabulary neither; the words
    that write them are text like any other. Every text can be read. It comes back as it was where the tokenizer works
    on bytes; one that normalises gives back what it has made of the text, and `log_prob` is that of the normalised
    text.

    Arguments:
        stored: the tokenizer as `tokenizers` writes it, JSON.
        size: numbers that the network has, the end included.
        end: number of the token that ends a text.
        unknown_token: number of the token that stands for what the vocabulary lacks; None for one that must lack
            nothing. A run of characters that it stands for is priced letter by letter: its length geometric with mean
            2, each letter uniform over Unicode.
        template: how the checkpoint writes dialogues, None if it does not say.

    Raises:
        CapabilityError: its vocabulary lacks bytes, so that there are texts that it cannot tell.
        FormatError: it cannot be read.
    """

    stored: str
    size: int
    end: int
    unknown_token: int | None = None
    template: ChatTemplate | None = None

    name: ClassVar[str] = "pretrained"

    @classmethod
    def restored(cls, state: str) -> Self:
        """From `state`."""
        try:
            plain = json.loads(state)
            unknown, template = plain.get("unknown"), plain.get("template")
            return cls(
                str(plain["tokenizer"]),
                int(plain["size"]),
                int(plain["end"]),
                None if unknown is None else int(unknown),
                None if template is None else ChatTemplate.restored(template),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(cls.name, str(error)) from error

    @property
    def state(self) -> str:
        """The tokenizer and the numbers, JSON."""
        plain = {"tokenizer": self.stored, "size": self.size, "end": self.end}
        more: dict[str, Any] = {} if self.unknown_token is None else {"unknown": self.unknown_token}
        more |= {} if self.template is None else {"template": self.template.plain}
        return json.dumps({**plain, **more}, ensure_ascii=False)

    @property
    def unknown(self) -> int | None:  # type: ignore[override]
        """The class of what the vocabulary lacks, None if it lacks nothing."""
        return None if self.unknown_token is None else self.unknown_token - (self.unknown_token > self.end)

    def prices(self, texts: pa.Array) -> np.ndarray:
        """Spell what the vocabulary lacks."""
        total = np.zeros(len(texts))
        if self.unknown_token is None:
            return total
        for row, one in enumerate(self._made.encode_batch(texts.to_pylist(), add_special_tokens=False)):
            spans = [span for number, span in zip(one.ids, one.offsets, strict=True) if number == self.unknown_token]
            total[row] = -sum(end - start for start, end in spans) * math.log(2 * (UNICODE - len(SURROGATES)))
        return total

    @property
    def classes(self) -> int:
        """Numbers that the network has, without the end."""
        return self.size - 1

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """The bytes of each class; b"" for those that stand for no text."""
        marks = set(self.marks.values())
        named = self._made.get_vocab(with_added_tokens=True)
        if named and not 0 <= max(named.values()) < self.size:
            raise damaged(self.name, f"token number {max(named.values())} of {self.size}")
        spelled = _spelled_by_bytes if self._of_bytes else _spelled
        found = [b""] * self.size
        for token, number in named.items():
            found[number] = b"" if number in marks else spelled(token)
        if self.unknown_token is None:
            each = {spelled(token) for token in named if self._of_bytes or _BYTE.match(token)}
            self._check_bytes(each)
        else:
            found[self.unknown_token] = b""
        del found[self.end]
        return tuple(found)

    def _check_bytes(self, known: set[bytes]) -> None:
        if lacking := [byte for byte in range(256) if bytes([byte]) not in known]:
            raise CapabilityError(
                "A tokenizer must be able to tell every text.",
                "tokenizer.json",
                f"{len(lacking)} bytes have no token: what it does not know would be lost",
                "take a checkpoint whose tokenizer is byte-level, or falls back to bytes",
            )

    @cached_property
    def _made(self) -> Any:
        made = self._read()
        made.encode_special_tokens = True  # "<|endoftext|>" in a text is a word
        return made

    def _read(self) -> Any:
        tokenizers = optional("tokenizers", "text")
        try:
            made = tokenizers.Tokenizer.from_str(self.stored)
        except Exception as error:  # the package raises nothing narrower
            raise damaged(self.name, str(error)) from error
        made.no_truncation()
        made.no_padding()
        return made

    @cached_property
    def _marking(self) -> Any:
        """One that takes marks in a text for marks."""
        return self._read()

    @cached_property
    def marks(self) -> dict[str, int]:
        """Texts of the tokens that mark something, and their numbers."""
        return {token.content: n for n, token in self._made.get_added_tokens_decoder().items() if token.special}

    def encode_marked(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the tokens of a text in which marks are marks, int64 [tokens], and their places [tokens, 2].

        A place is the first character, and the one behind the last; some tokens stand for none.
        """
        one = self._marking.encode(text, add_special_tokens=False)
        return np.array(one.ids, np.int64), np.array(one.offsets, np.int64).reshape(-1, 2)

    def _parts(self, *where: str) -> list[dict[str, Any]]:
        """Parts of the tokenizer before or behind its model, inner ones too."""
        plain = json.loads(self.stored)
        return [part for name in where for part in _parts_of(plain.get(name))]

    @cached_property
    def _of_bytes(self) -> bool:
        return any(part["type"] == "ByteLevel" for part in self._parts("pre_tokenizer", "decoder"))

    @cached_property
    def _begins_with_a_blank(self) -> bool:
        """Whether a blank is put before each text, and taken away in the end."""
        return not self._of_bytes and any(
            part["type"] == "Prepend" or (part["type"] == "Metaspace" and part.get("prepend_scheme") != "never")
            for part in self._parts("normalizer", "pre_tokenizer")
        )

    @property
    def front(self) -> bytes:
        """A blank, where the tokenizer puts one before each text."""
        return b" " if self._begins_with_a_blank else b""

    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Numbers of the tokens that it puts before and behind a text that is read, not written."""
        bare = self._made.encode("a", add_special_tokens=False).ids
        whole = self._made.encode("a", add_special_tokens=True).ids
        first = next(j for j in range(len(whole)) if whole[j : j + len(bare)] == bare)
        return tuple(whole[:first]), tuple(whole[first + len(bare) :])

    def lacking(self) -> int | None:
        """Number of its token for what the vocabulary lacks; None if it has none, or has bytes to fall back to."""
        model = json.loads(self.stored).get("model", {})
        if self._of_bytes or model.get("byte_fallback"):
            return None
        number = model.get("unk_id")
        found = number if number is not None else self._made.token_to_id(model.get("unk_token") or "")
        return None if found is None else int(found)

    @property
    def lossless(self) -> bool:
        """Whether texts come back as they were."""
        return self.unknown_token is None and all(
            _keeps_all(part) for part in self._parts("normalizer", "pre_tokenizer")
        )

    def token(self, number: Any) -> str | None:
        """How the vocabulary writes the token of this number; None if it has none."""
        found: str | None = self._made.id_to_token(number) if isinstance(number, int) and number >= 0 else None
        return found

    def encode(self, texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        """By the tokenizer.

        Raises:
            InputError: the tokenizer finds the mark of the end inside a text.
        """
        made = self._made.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
        each = [np.array(one.ids, np.int64) for one in made]
        numbers = np.concatenate([np.zeros(0, np.int64), *each])
        if (numbers == self.end).any():
            raise InputError(
                "A text does not hold the mark that ends it.",
                "the tokenizer of the checkpoint",
                repr(self.token(self.end)),
                "take it out of the texts",
            )
        return numbers - (numbers > self.end), np.array([len(one) for one in each], np.int64)

    def decode(self, classes: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Texts from classes [all] and how many belong to each text [texts]; bytes that are no UTF-8 are replaced."""
        made = super().decode(classes, lengths)
        return pc.replace_substring_regex(made, "^ ", "", max_replacements=1) if self._begins_with_a_blank else made

    def cut(self, text: memoryview, place: int) -> int:
        """Nowhere: what may stand together depends on the tokenizer."""
        return len(text)

    def describe(self) -> str:
        """How many, and whether texts come back as they were."""
        lost = "" if self.lossless else "; texts come back normalised, not always as they were"
        lost += "" if self.unknown_token is None else "; characters that it does not know are lost"
        return f"{self.classes:,} tokens of a checkpoint{lost}"


def _parts_of(part: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    if part is None:
        return
    yield part
    for name in ("normalizers", "pretokenizers", "decoders"):
        for inner in part.get(name, ()):
            yield from _parts_of(inner)


def _keeps_all(part: dict[str, Any]) -> bool:
    """Whether texts can be told from what this part makes of them."""
    sort = part["type"]
    if sort == "ByteLevel":
        return not part.get("add_prefix_space", True)
    if sort == "Metaspace":
        return part.get("prepend_scheme") == "never"
    if sort == "Replace":
        return part.get("pattern") == {"String": " "} and part.get("content") == BLANK
    return sort in ("Sequence", "Prepend", "Digits") or (sort == "Split" and part.get("behavior") != "Removed")


def _spelled_by_bytes(token: str) -> bytes:
    """The bytes of a token of a byte-level vocabulary; added ones may be plain text."""
    return bytes(_BYTE_OF[shown] for shown in token) if _BYTE_OF.keys() >= set(token) else token.encode()


def _spelled(token: str) -> bytes:
    """The bytes of a token of another vocabulary."""
    byte = _BYTE.fullmatch(token)
    return bytes.fromhex(byte[1]) if byte else token.replace(BLANK, " ").encode()


_BYTE_OF = {shown: byte for byte, shown in enumerate(shown_bytes())}
