"""Constraints by regular expression, JSON schema or Lark grammar, by `llguidance` (extra `text`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from ensample.errors import CapabilityError, InputError
from ensample.solvers.decoding.constraints import unpacked

_AS_WRITTEN = '%llguidance {"no_forcing": true}\n'
"""Any classes whose bytes make the text will do, not those alone that a tokenizer would choose for it: which ones it
would choose, only the tokenizer knows, and it need not have one for each byte."""


def of_regex(pattern: str) -> str:
    """The grammar of texts that match a regular expression as a whole (syntax of Rust's `regex`)."""
    made = json.loads(_llguidance().LLMatcher.grammar_from_regex(pattern))
    return _AS_WRITTEN + str(made["grammars"][0]["lark_grammar"])


def of_schema(schema: Mapping[str, Any] | str) -> str:
    """The grammar of JSON texts under a JSON schema, without blanks between their parts.

    A schema that holds `x-guidance` itself says how its JSON is written.
    """
    try:
        plain = json.loads(schema) if isinstance(schema, str) else dict(schema)
        plain.setdefault("x-guidance", {"whitespace_flexible": False})
        return f"{_AS_WRITTEN}start: %json {json.dumps(plain)}\n"
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError("A schema is a JSON object.", "schema", str(error), "give a dict or its JSON text") from None


def of_lark(grammar: str) -> str:
    """A grammar in the notation of Lark, whose first rule is `start`."""
    return _AS_WRITTEN + grammar


class Grammar:
    """Each row writes a text of a formal language, and ends.

    Arguments:
        pieces: the bytes that each class stands for; one that stands for none is never written.
        grammar: of `of_regex`, `of_schema` or `of_lark`.
        rows: how many.
        place: the option it came from, for errors.

    Raises:
        InputError: the grammar cannot be read.
        CapabilityError: `llguidance` is not installed.

    Example:
        >>> digits = Grammar([b"1", b"23", b"a"], of_regex("[0-9]{2}"), rows=1)
        >>> digits.allowed().tolist()
        [[True, True, False, False]]
        >>> digits.append(torch.tensor([1]))
        >>> digits.allowed().tolist()
        [[False, False, False, True]]
    """

    def __init__(self, pieces: Sequence[bytes], grammar: str, rows: int, place: str = "grammar") -> None:
        guidance, self._end = _llguidance(), len(pieces)
        vocabulary = guidance.LLTokenizer(guidance.TokenizerWrapper(_Pieces(pieces)), eos_token=self._end)
        matcher = guidance.LLMatcher(vocabulary, grammar, log_level=0)
        if matcher.is_error():
            words = matcher.get_error().splitlines()
            raise InputError("A constraint must be readable.", place, " ".join(words)[:300], "correct it")
        self._rows: list[Any] = [matcher.deep_copy() for _ in range(rows)]  # None: has ended

    def allowed(self) -> Tensor:
        """See `Constraint`."""
        return torch.stack([self._next(matcher) for matcher in self._rows])

    def append(self, classes: Tensor) -> None:
        """See `Constraint`."""
        for row, number in enumerate(classes.tolist()):
            if self._rows[row] is None or number == self._end:
                self._rows[row] = None
            else:
                self._rows[row].consume_token(number)

    def take(self, rows: Tensor) -> Self:
        """See `Constraint`."""
        taken = object.__new__(type(self))
        taken._end = self._end
        taken._rows = [None if self._rows[row] is None else self._rows[row].deep_copy() for row in rows.tolist()]
        return taken

    def _next(self, matcher: Any) -> Tensor:
        if matcher is None:
            return torch.ones(self._end + 1, dtype=torch.bool)
        mask = unpacked(matcher.compute_bitmask(), self._end + 1)
        mask[-1] = bool(matcher.is_accepting())  # it says "end" also where it is stuck
        return mask


class _Pieces:
    """A vocabulary as llguidance wants it."""

    bos_token_id = None

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.tokens, self.eos_token_id = [*pieces, b"<end>"], len(pieces)
        self.special_token_ids = [number for number, piece in enumerate(pieces) if not piece] + [len(pieces)]

    def __call__(self, text: bytes | str) -> list[int]:
        """The classes of a text; asked for only where classes are forced, which they are not."""
        return []


def _llguidance() -> Any:
    try:
        import llguidance
    except ImportError:
        raise CapabilityError(
            "Constraints by grammar need llguidance.", "generate", "it is not installed", "pip install ensample[text]"
        ) from None
    return llguidance
