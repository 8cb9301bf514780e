"""Dialogues as a checkpoint writes them: by its chat template, read by its tokenizer; replies alone are learned."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self, cast

import numpy as np
import pyarrow as pa

from ensample.data.dialogues import turns_of
from ensample.errors import CapabilityError, FormatError, InputError
from ensample.events import MISSING_LENGTH
from ensample.kinds.arrow import is_missing
from ensample.kinds.dialogue import Dialogue
from ensample.kinds.tokens import Pretrained
from ensample.kinds.tokens.template import ASSISTANT, PLACE, SYSTEM, USER, ChatTemplate, Rendered, Turn

KNOWN = (ASSISTANT, SYSTEM, USER)
"""Roles that may speak."""

_PROBE = "ensample"

_SAID = (USER, "Hi")

_TRIED = (_SAID, (ASSISTANT, _PROBE))
"""A dialogue that every template takes."""

_STAND_IN = "\ue000{}\ue001"
"""What is written in the place of a reply, to see where the template puts it."""

_STANDS_IN = re.compile("\ue000\\d+\ue001")


@dataclass(frozen=True)
class TemplatedDialogue(Dialogue):
    """Dialogues as texts that the chat template of a checkpoint writes. As an event, the tokens of that text.

    There are no marks of roles: the template says whose a turn is, and a token that it puts behind a reply ends it,
    the last of the classes. The turns of `assistant` are learned, each with its end, given all before it; a text of a
    turn may not hold what marks the turns. The replies of a dialogue are found by what the template writes before
    them where a reply is to come, or are those that it names itself (`{% generation %}`).

    Arguments:
        dtype, tokenizer, vocabulary, roles, learned, longest, missing, unseen: as of `Dialogue`; the vocabulary is that
            of a checkpoint with its template, the roles are `KNOWN`, and "assistant" alone is learned.
    """

    @classmethod
    def of(cls, tokens: Pretrained, dtype: str, longest: int) -> Self:
        """That of a tokenizer with a template, whose `end` is the token that ends a reply (`end_of`)."""
        return cls(dtype, Pretrained.name, tokens.state, KNOWN, (ASSISTANT,), longest, False, 0.5)

    @property
    def classes(self) -> int:
        """All tokens; the one that ends a reply is the last class."""
        return self.text.classes + 1

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """Classes of other tokens with which a reply may end."""
        tokens = self._tokens
        known = {n for n in self._template.ends if n != tokens.end and 0 <= n < tokens.size}
        return tuple(sorted(n - (n > tokens.end) for n in known))

    @cached_property
    def frame(self) -> tuple[str, str]:
        """The white space that the template puts between the beginning of a reply and its text, and behind that."""
        before, text = (
            self._template.render(turns, PLACE, reply).text for turns, reply in (([_SAID], True), (_TRIED, False))
        )
        front, _, behind = text.rpartition(_PROBE)
        stop = self._stops.search(behind)
        found = front[len(before) :] if front.startswith(before) else "", behind[: stop.start()] if stop else ""
        return found[0] * found[0].isspace(), found[1] * found[1].isspace()

    @property
    def _tokens(self) -> Pretrained:
        return cast(Pretrained, self.tokens)

    @property
    def _template(self) -> ChatTemplate:
        assert self._tokens.template is not None
        return self._tokens.template

    def number_of(self, role: str, field: str) -> int:
        """The class that ends a reply. Raises InputError for a role that templates do not know."""
        if role not in self.roles:
            fix = f"rename it: say {ASSISTANT!r}, {SYSTEM!r} or {USER!r}"
            raise InputError("The template of a checkpoint knows three roles.", f"field {field!r}", repr(role), fix)
        return self.text.classes

    def of_replies(self, learned: tuple[str, ...], field: str) -> Self:
        """The same kind. Raises InputError if others than the replies of "assistant" are to be learned."""
        if set(learned) != set(self.learned):
            seen, fix = ", ".join(learned), f'say model=["{field}.{ASSISTANT}"], or leave it out'
            raise InputError("Of a checkpoint's dialogues the replies are learned.", "model, given", seen, fix)
        return self

    def beside(self, told: tuple[str, ...]) -> tuple[str, ...]:
        """Roles that are learned where these are given."""
        return tuple(role for role in self.learned if role not in told)

    def most_steps(self, column: pa.Array, field: str, first: int = 0) -> int:
        """No fewer than the steps of all dialogues of a column: a token has a byte, or begins a text between marks."""
        written = (one.text for one, _, _ in self._written(column, field, first) if one is not None)
        return sum(2 * len(text.encode()) + 1 for text in written)

    def streams(self, column: pa.Array, field: str, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As of the class above. Raises InputError where the template refuses a dialogue, or hides its replies."""
        steps, lengths, scored = [np.zeros(0, np.int64)], list[int](), [np.zeros(0, bool)]
        for one, turns, place in self._written(column, field, first):
            numbers, counts = np.zeros(0, np.int64), np.zeros(0, bool)
            if one is not None:
                spans = one.spans if self._template.tells_spans else self._spans(turns, one.text, place)
                numbers, counts = self._scored(one.text, spans)
            steps.append(self._classes(numbers))
            lengths.append(MISSING_LENGTH if one is None else len(numbers))
            scored.append(np.append(counts, False))
        return np.concatenate(steps), np.array(lengths, np.int64), np.concatenate(scored)

    def prompt(self, turns: Sequence[Turn], role: str, field: str) -> np.ndarray:
        """As of the class above; the template begins the reply. Raises InputError where it does not know how to."""
        if role not in self.learned:
            fix = f'say role="{ASSISTANT}"'
            raise InputError("The template of a checkpoint begins replies of one role.", "chat, role", repr(role), fix)
        self._check(turns, "chat, messages")
        text = self._template.render(turns, "chat, messages", reply=True).text
        if not text:
            seen = "the template wrote nothing"
            raise InputError("A reply goes on from something.", "chat, messages", seen, "give a message")
        return self._classes(self._tokens.encode_marked(text)[0])

    def values(self, steps: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Raises CapabilityError: what a template has written is not taken apart again."""
        rule = "What the template of a checkpoint writes is not taken apart again."
        raise CapabilityError(rule, "a dialogue from classes", "a template", "use chat, which gives replies")

    def describe(self) -> str:
        """Whose turns are learned, and by which template."""
        source = "a template of ensample's own, as the checkpoint has none" if self._template.is_own else "its template"
        return f"turns of {', '.join(self.roles)} ({ASSISTANT} learned), written by {source}: {self.tokens.describe()}"

    def _classes(self, numbers: np.ndarray) -> np.ndarray:
        end = self._tokens.end
        return np.where(numbers == end, self.text.classes, numbers - (numbers > end))

    def _written(self, column: pa.Array, field: str, first: int) -> Iterator[tuple[Rendered | None, list[Turn], str]]:
        """Each dialogue of a column as written, None for a missing one; its turns, and its place for errors."""
        turns, gone = turns_of(column, field), is_missing(column)
        pairs = list(zip(turns.roles.to_pylist(), turns.texts.to_pylist(), strict=True))
        for row, (begin, end) in enumerate(zip(turns.starts[:-1].tolist(), turns.starts[1:].tolist(), strict=True)):
            own, place = pairs[begin:end], f"field {field!r}, row {first + row}"
            if gone[row] or not own:
                yield (None if gone[row] else Rendered("")), own, place
                continue
            for role, _ in own:
                self.number_of(role, field)
            self._check(own, place)
            yield self._template.render(own, place), own, place

    def _check(self, turns: Sequence[Turn], place: str) -> None:
        for _, text in turns:
            if (found := self._marks.search(text)) is not None:
                seen, fix = repr(found[0]), "take it out of the text"
                raise InputError("A text does not hold what marks the turns of a dialogue.", place, seen, fix)

    @cached_property
    def _marks(self) -> re.Pattern[str]:
        return _any_of(self._tokens.marks)

    @cached_property
    def _stops(self) -> re.Pattern[str]:
        tokens = self._tokens
        found = [text for n in (tokens.end, *self._template.ends) if (text := tokens.token(n)) is not None]
        return _any_of(found)

    def _spans(self, turns: list[Turn], text: str, place: str) -> list[tuple[int, int]]:
        """First character of each reply in the text, and the one behind the token that ends it."""
        spans, contents = list[tuple[int, int]](), self._contents(turns, text)
        for number, (role, _) in enumerate(turns):
            if role != ASSISTANT:
                continue
            before = self._before(turns[:number])
            own = None if contents is None else contents[number]
            if before is None or not text.startswith(before):
                before = None if own is None else text[: own[0]]
            if before is None:
                rule = "The replies must be found in what the template writes."
                fix = "put {% generation %} and {% endgeneration %} around them in " + PLACE
                raise InputError(rule, f"{place}, turn {number}", repr(text[-60:]), fix)
            inner = len(before) if own is None else max(own[1], len(before))
            stop = self._stops.search(text, inner)
            other = self._marks.search(text, inner)
            ends_there = stop is not None and (own is None or other is None or other.start() >= stop.start())
            spans.append((len(before), stop.end() if ends_there and stop is not None else inner))
        return spans

    def _before(self, turns: list[Turn]) -> str | None:
        """What is written before a reply to these, None where the template refuses to begin one."""
        try:
            return self._template.render(turns, reply=True).text
        except InputError:
            return None

    def _contents(self, turns: list[Turn], text: str) -> dict[int, tuple[int, int]] | None:
        """Where the texts of replies stand; None where the template does more than to put them somewhere."""
        numbers = [number for number, (role, _) in enumerate(turns) if role == ASSISTANT]
        shown = [(role, _STAND_IN.format(j) if j in numbers else said) for j, (role, said) in enumerate(turns)]
        try:
            parts = _STANDS_IN.split(self._template.render(shown).text)
        except InputError:
            return None
        if len(parts) != len(numbers) + 1 or not text.startswith(parts[0]):
            return None
        place, found = len(parts[0]), dict[int, tuple[int, int]]()
        for number, behind in zip(numbers, parts[1:], strict=True):
            said = turns[number][1]
            own = next((one for one in (said, said.strip()) if text.startswith(one + behind, place)), None)
            if own is None:
                return None
            found[number] = place, place + len(own)
            place += len(own) + len(behind)
        return found if place == len(text) else None

    def _scored(self, text: str, spans: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the tokens of a text, and which of them lie in these spans."""
        numbers, places = self._tokens.encode_marked(text)
        counts = np.zeros(len(numbers), bool)
        first, last = places.T
        for begin, end in spans:
            counts |= (first < end) & ((last > begin) | ((first == last) & (first >= begin)))
        return numbers, counts


def end_of(tokens: Pretrained) -> int:
    """Number of the token that the template puts behind a reply.

    Raises:
        FormatError: the template puts none there, or cannot be read.
    """
    template = tokens.template
    assert template is not None
    try:
        text = template.render(_TRIED, PLACE).text
    except InputError as error:
        rule, fix = "A chat template writes a dialogue of two turns.", "mend it, or copy the checkpoint anew"
        raise FormatError(rule, PLACE, error.seen, fix) from error
    _, found, behind = text.rpartition(_PROBE)
    known = {*tokens.marks.values(), *template.ends, tokens.end}
    for number in tokens.encode_marked(behind)[0].tolist() if found else []:
        if number in known:
            return int(number)
    raise FormatError(
        "A chat template ends a reply with a token of its own.",
        PLACE,
        f"{behind!r} behind a reply" if found else "no reply in what it writes",
        "write {{ eos_token }} behind the content of replies",
    )


def _any_of(texts: Sequence[str] | dict[str, int]) -> re.Pattern[str]:
    """A pattern that finds any of these, the longest first."""
    return re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))) or "(?!)")
