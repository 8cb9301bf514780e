"""What may be asked of writing on, as plain values: checked here once, objects from here on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, get_args

from ensample.errors import InputError
from ensample.solvers.decoding import grammar as grammars
from ensample.solvers.decoding.choices import Choice, Greedy, Sampling
from ensample.solvers.decoding.constraints import Among, Constraint
from ensample.solvers.decoding.patience import BOUNDS, Bound, EarlyStopping
from ensample.solvers.decoding.processors import (
    MinP,
    NoRepeat,
    Processor,
    RepetitionPenalty,
    Temperature,
    TopK,
    TopP,
    Typical,
)
from ensample.solvers.decoding.rules import Rules
from ensample.solvers.decoding.stopping import Watch

COUNTS = {"tokens": 1, "at_least": 0, "top_k": 1, "no_repeat": 1, "beams": 1, "ahead": 1}
"""Options that are whole numbers, and the least that each may be."""

MOST_AHEAD = 63
"""Tokens that may be drafted at once: a continuation takes 64 back."""

SHARES = ("top_p", "min_p", "typical", "contrast")
"""Options that are above 0 and at most 1."""

DRAWING = ("temperature", "top_k", "top_p", "min_p", "typical")
"""Options that change what is drawn: nothing is drawn greedily or by a beam."""

LANGUAGES = ("regex", "grammar", "schema", "choices")
"""Options that say what may be written at all."""


HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which is no character."""


class Drawing(TypedDict, total=False):
    """Keywords of `ensample.writing.stream`, which says what each does; those of `Options` but for beams."""

    tokens: int
    at_least: int
    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical: float | None
    repetition_penalty: float
    no_repeat: int | None
    greedy: bool
    contrast: float | None
    stop: str | Sequence[str] | None
    regex: str | None
    grammar: str | None
    schema: Mapping[str, Any] | str | None
    choices: Sequence[str] | None
    ahead: int


class Searching(Drawing, total=False):
    """Keywords of `ensample.writing.generate`: all of `Options`."""

    beams: int | None
    length_power: float
    early_stopping: EarlyStopping


@dataclass(frozen=True)
class Options:
    """See `ensample.writing.generate`, whose arguments these are: `Options(**keywords)` of a `Searching`.

    Example:
        >>> Options(temperature=0.8, top_p=0.9).rules(None).processors
        (Temperature(temperature=0.8), TopP(p=0.9))
        >>> Options(greedy=True, top_k=5)
        Traceback (most recent call last):
        ...
        ensample.errors.InputError: Only what is drawn at random can be drawn otherwise.
          where: generate, top_k
          seen:  5 with greedy
          fix:   leave one of them out
    """

    tokens: int = 256
    at_least: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical: float | None = None
    repetition_penalty: float = 1.0
    no_repeat: int | None = None
    greedy: bool = False
    contrast: float | None = None
    beams: int | None = None
    length_power: float = 1.0
    early_stopping: EarlyStopping = "unlikely"
    stop: str | Sequence[str] | None = ()
    regex: str | None = None
    grammar: str | None = None
    schema: Mapping[str, Any] | str | None = None
    choices: Sequence[str] | None = None
    ahead: int = 4

    def __post_init__(self) -> None:
        for name, low in COUNTS.items():
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < low):
                raise _wrong(f"A count is a whole number of at least {low}.", name, value, f"say {name}={low} or more")
        for name in ("temperature", "repetition_penalty"):
            if not 0 < getattr(self, name) < float("inf"):
                fix = "say greedy=True for the most probable tokens" if name == "temperature" else "say 1.1"
                raise _wrong("A factor is above 0.", name, getattr(self, name), fix)
        for name in SHARES:
            if (value := getattr(self, name)) is not None and not 0 < value <= 1:
                raise _wrong("A share is above 0 and at most 1.", name, value, f"say {name}=0.9, say")
        if self.early_stopping not in (names := get_args(EarlyStopping)):
            rule, fix = "A search stops in one of some ways.", f"choose one of {', '.join(names)}"
            raise _wrong(rule, "early_stopping", repr(self.early_stopping), fix)
        if self.ahead > MOST_AHEAD:
            raise _wrong("Drafts are short.", "ahead", self.ahead, f"say {MOST_AHEAD} or less")
        if self.at_least > self.tokens:
            seen = f"{self.at_least} of {self.tokens}"
            raise _wrong("No more tokens are asked for than may come.", "at_least", seen, "say more tokens")
        self._check_ways()
        self._check_texts()

    def _check_ways(self) -> None:
        if len(self.searches) > 1:
            one, two = self.searches[:2]
            raise _wrong("There is one way to choose.", two, f"also {one}", "leave one of them out")
        for name in DRAWING if self.searches else ():
            value = getattr(self, name)
            if value != type(self).__dataclass_fields__[name].default and (name, *self.searches) != (
                "top_k",
                "contrast",
            ):
                rule = "Only what is drawn at random can be drawn otherwise."
                raise _wrong(rule, name, f"{value} with {self.searches[0]}", "leave one of them out")

    @property
    def searches(self) -> tuple[str, ...]:
        """Ways to choose without drawing that were asked for."""
        return tuple(name for name in ("greedy", "contrast", "beams") if getattr(self, name) not in (None, False))

    def _check_texts(self) -> None:
        if not all(isinstance(stop, str) and stop for stop in self.stops):
            raise _wrong("A stop string has at least one character.", "stop", repr(self.stop), "leave it out")
        for name, texts in (("stop", self.stops), ("choices", self.choices or ())):
            if any(isinstance(text, str) and not text.isascii() and HALF.search(text) for text in texts):
                raise _wrong("A text holds Unicode characters.", name, "half of a surrogate pair", "repair it")
        asked = [name for name in LANGUAGES if getattr(self, name) is not None]
        if len(asked) > 1:
            raise _wrong("There is one constraint.", asked[1], f"also {asked[0]}", "put both into one grammar")
        if self.choices is not None and (isinstance(self.choices, str) or not self.choices or "" in self.choices):
            raise _wrong("Choices are strings.", "choices", repr(self.choices), 'say choices=["yes", "no"], say')

    @property
    def constrained(self) -> bool:
        """Whether something says what may be written at all."""
        return any(getattr(self, name) is not None for name in LANGUAGES)

    @property
    def stops(self) -> tuple[str, ...]:
        """All stop strings."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    def rules(self, unknown: int | None) -> Rules:
        """Processors in their order; the class of what was never met stands for no text and is never written."""
        asked: list[tuple[Any, type[Any]]] = [
            (None if self.repetition_penalty == 1 else self.repetition_penalty, RepetitionPenalty),
            (self.no_repeat, NoRepeat),
            (None if self.temperature == 1 else self.temperature, Temperature),
            (None if self.contrast else self.top_k, TopK),
            (self.top_p, TopP),
            (self.min_p, MinP),
            (self.typical, Typical),
        ]
        processors: tuple[Processor, ...] = tuple(make(value) for value, make in asked if value is not None)
        return Rules(processors, () if unknown is None else (unknown,), self.at_least)

    @property
    def bound(self) -> Bound:
        """What beams take texts to come for."""
        return BOUNDS[self.early_stopping]

    @property
    def choice(self) -> Choice:
        """How a token is chosen without beams."""
        return Greedy() if self.greedy else Sampling()

    def constraint(self, pieces: Sequence[bytes], rows: int) -> Constraint | None:
        """What may be written at all, if that was said.

        Raises:
            InputError: it cannot be read.
            CapabilityError: it needs a package that is not installed.
        """
        if self.choices is not None:
            return Among(pieces, [option.encode() for option in self.choices], rows)
        if self.regex is not None:
            return grammars.Grammar(pieces, grammars.of_regex(self.regex), rows, "generate, regex")
        if self.schema is not None:
            return grammars.Grammar(pieces, grammars.of_schema(self.schema), rows, "generate, schema")
        if self.grammar is not None:
            return grammars.Grammar(pieces, grammars.of_lark(self.grammar), rows, "generate, grammar")
        return None

    def watch(self, pieces: Sequence[bytes], rows: int) -> Watch | None:
        """What looks for stop strings, if there are any."""
        return Watch(pieces, [stop.encode() for stop in self.stops], rows) if self.stops else None


def _wrong(rule: str, name: str, seen: Any, fix: str) -> InputError:
    return InputError(rule, f"generate, {name}", str(seen), fix)
