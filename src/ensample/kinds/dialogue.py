"""Dialogues: a value is a list of turns, each of a role; as classes one stream of role marks and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.dialogues import Turns, dialogues, left_aside, turns_of
from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Discrete, Mixed, Ragged, Span
from ensample.kinds.arrow import is_missing, type_from_text
from ensample.kinds.base import Ranges, Rule, cannot_be, impossible, never_seen, priced
from ensample.kinds.dialogueprofile import DialogueProfile
from ensample.kinds.profile import Profile
from ensample.kinds.text import TOKEN, Text
from ensample.kinds.tokens import TOKENIZERS, Bytes, Characters, Tokenizer

MOST_ROLES = 256
"""Roles of a column of dialogues; more are names of people, not roles."""

LOOKED_AT = 256
"""Dialogues whose tokens are counted at a time."""


@dataclass(frozen=True)
class Dialogue:
    """Turns of roles, their texts read by a tokenizer. As an event it is a sequence of classes of one span, `token`.

    A turn is the mark of its role, a class of its own that no text can spell, and the classes of its text; the mark
    of the next turn, or the end of the dialogue, ends it. Any dialogue of known roles comes back as it was: empty
    turns, one turn, two turns of a role in a row, none at all. A dialogue that is missing as a whole is a value of its
    length (`MISSING_LENGTH`).

    What is learned is the whole dialogue, or only the turns of some roles, the replies, given everything before each:
    then the steps that count are the classes of a reply and what ends it, and the event is `partly` given.

    Arguments:
        dtype: Arrow type of the column, as text.
        tokenizer: "characters", "bytes", "bpe", "unigram" or "words".
        vocabulary: what it has learned, as its own text.
        roles: those met, in alphabetical order.
        learned: roles whose turns are learned; none means all, with the roles themselves.
        longest: steps of the longest dialogue met; of more than 64 MiB of texts its bytes and turns.
        missing: whether whole dialogues were missing.
        unseen: probability of a missing dialogue where none was met.

    Example:
        >>> turn = pa.struct({"role": pa.string(), "content": pa.string()})
        >>> talk = pa.array([[{"role": "user", "content": "aha"}, {"role": "bot", "content": ""}]], pa.list_(turn))
        >>> kind = Dialogue.fit_as(DialogueProfile.of(talk), "characters")
        >>> kind.describe(), kind.encode(talk, "talk")[:, 0].tolist()
        ('turns of bot, user; up to 5 tokens: 2 characters (ah)', [4, 0, 1, 0, 3])
    """

    dtype: str
    tokenizer: str
    vocabulary: str
    roles: tuple[str, ...]
    learned: tuple[str, ...]
    longest: int
    missing: bool
    unseen: float

    name: ClassVar[str] = "dialogue"
    forms: ClassVar[tuple[str, ...]] = tuple(f"dialogue:{name}" for name in TOKENIZERS)

    @classmethod
    def recognise(cls, profile: Profile) -> float:
        """Lists of turns are nothing else."""
        return 1.0 if isinstance(profile, DialogueProfile) else 0.0

    @classmethod
    def fit(cls, profile: Profile) -> Self:
        """Characters, or bytes where there are very many different ones."""
        return cls._fitted(profile, Text.fit(cls._checked(profile).texts))

    @classmethod
    def fit_as(cls, profile: Profile, form: str) -> Self:
        """With the tokenizer that `form` names, and perhaps its number of classes: "bpe", "bpe:4096".

        Raises:
            InputError: there is no such tokenizer, or the column holds no dialogues.
            CapabilityError: the tokenizer needs a package that is not installed.
        """
        name, _, size = form.partition(":")
        if name not in TOKENIZERS or (size and not (size.isdecimal() and int(size) >= 2)):
            raise InputError(
                "The texts of dialogues are read by one of the tokenizers.",
                f"kinds, field {profile.name!r}",
                repr(f"{cls.name}:{form}"),
                f'choose from {", ".join(cls.forms)}, with a number of classes behind if you like: "dialogue:bpe:4096"',
            )
        return cls._fitted(profile, Text.fit_as(cls._checked(profile).texts, form))

    @classmethod
    def _fitted(cls, profile: Profile, text: Text) -> Self:
        found = cls._checked(profile)
        roles, longest = tuple(sorted(found.roles)), _longest(text, found)
        unseen = never_seen(profile)
        return cls(str(profile.dtype), text.tokenizer, text.vocabulary, roles, (), longest, profile.missing > 0, unseen)

    @classmethod
    def _checked(cls, profile: Profile) -> DialogueProfile:
        if not isinstance(profile, DialogueProfile):
            fix = 'make lists of {"role": ..., "content": ...} of them'
            raise cannot_be(profile, cls.name, f"values of type {profile.dtype}", fix)
        if len(profile.roles) > MOST_ROLES:
            seen, fix = f"{len(profile.roles):,} roles", 'name the sort of speaker, not the person, or say "sequence"'
            raise cannot_be(profile, cls.name, seen, fix)
        if not profile.texts.size:
            raise cannot_be(profile, cls.name, "no character in any turn", "leave the column out")
        return profile

    def of_replies(self, learned: tuple[str, ...], field: str) -> Self:
        """The same kind with these roles' turns to learn, all others given.

        Raises:
            InputError: there is no such role.
        """
        for role in learned:
            self.number_of(role, field)
        return replace(self, learned=tuple(sorted(learned)))

    def number_of(self, role: str, field: str) -> int:
        """The class of a role's mark. Raises InputError for a role that was not met."""
        if role not in self.roles:
            raise InputError(
                "A role must be one that was met in learning.", f"field {field!r}", repr(role), f"say {_or(self.roles)}"
            )
        return self.text.classes + self.roles.index(role)

    @cached_property
    def type(self) -> pa.DataType:
        """Arrow type of the column."""
        return type_from_text(self.dtype)

    @cached_property
    def text(self) -> Text:
        """The kind of the texts of turns."""
        return Text("string", self.tokenizer, self.vocabulary, self.longest, True, 0.5)  # missing ones are priced here

    @property
    def tokens(self) -> Tokenizer:
        """The tokenizer itself."""
        return self.text.tokens

    @property
    def classes(self) -> int:
        """Size of the vocabulary, the marks of roles included: they are the last classes."""
        return self.text.classes + len(self.roles)

    @cached_property
    def event(self) -> Ragged:
        """What one dialogue looks like to a family."""
        return Ragged(Mixed(self.spans(TOKEN)), self.longest, missing=self.missing, partly=bool(self.learned))

    def spans(self, field: str) -> tuple[Span, ...]:
        """That of a step."""
        return (Span(TOKEN, Discrete(self.classes)),)

    @property
    def ends(self) -> tuple[int, ...]:
        """Classes of texts with which a turn may end, beside marks."""
        return ()

    @property
    def frame(self) -> tuple[str, str]:
        """What stands around the text of a reply without being of it."""
        return "", ""

    def beside(self, told: tuple[str, ...]) -> tuple[str, ...]:
        """Roles that are learned where these are given."""
        return tuple(role for role in self.roles if role not in told)

    def most_steps(self, column: pa.Array, field: str, first: int = 0) -> int:
        """No fewer than the steps of all dialogues of a column: turns and bytes of their texts."""
        turns = turns_of(column, field)
        return len(turns.texts) + (pc.sum(pc.binary_length(turns.texts)).as_py() or 0)

    def streams(self, column: pa.Array, field: str, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Classes of all dialogues one after the other [steps], the steps of each [rows], and which places count.

        `first` is the number of the first row, for errors.

        The last is bool [steps + rows]: for each dialogue its steps and its end, as in `Sequences`. Lengths of missing
        dialogues are `MISSING_LENGTH`.

        Raises:
            InputError: a role was not met in learning.
        """
        turns = turns_of(column, field)
        numbers = self._numbers(turns, field)
        tokens, sizes = [np.zeros(0, np.int64)], np.zeros(len(numbers), np.int64)
        for found, rows, counts in self.text.blocks(turns.texts):
            tokens.append(found)
            sizes[rows] += counts
        begins = (sizes + 1).cumsum() - (sizes + 1)  # where the mark of each turn stands
        steps = np.empty(int((sizes + 1).sum()), np.int64)
        marks = np.zeros(len(steps), bool)
        marks[begins] = True
        steps[marks], steps[~marks] = numbers, np.concatenate(tokens)
        ends = np.append(begins, len(steps))[turns.starts]
        lengths = np.where(is_missing(column), MISSING_LENGTH, np.diff(ends))
        own = np.array([not self.learned or role in self.learned for role in self.roles])
        counts_here = np.repeat(own[numbers - self.text.classes], sizes + 1)
        scored = np.insert(counts_here, ends[:-1], not self.learned)  # each place counts as the step before it does
        return steps, lengths, scored

    def _numbers(self, turns: Turns, field: str) -> np.ndarray:
        """The class of each turn's mark, int64 [turns]."""
        found = turns.roles.dictionary_encode()
        known = np.array([self.number_of(role, field) for role in found.dictionary.to_pylist()], np.int64)
        return np.asarray(known[found.indices.to_numpy()] if len(known) else known)

    def prompt(self, turns: Sequence[tuple[str, str]], role: str, field: str) -> np.ndarray:
        """Classes of some turns, and of what begins the turn of this role, int64 [steps]."""
        told = [*turns, (role, "")]
        found = self.text.tokens_of([text for _, text in told])
        pairs = zip(told, found, strict=True)
        return np.concatenate([part for (whose, _), own in pairs for part in ([self.number_of(whose, field)], own)])

    def encode(self, column: pa.Array, field: str) -> np.ndarray:
        """Classes of all steps [steps, 1]."""
        return self.streams(column, field)[0][:, None]

    def values(self, steps: np.ndarray, lengths: np.ndarray) -> pa.Array:
        """Dialogues [rows], of the column's type, from all steps and the length of each; inverse of `streams`.

        A text before the first mark is nobody's and is left out.
        """
        rows = np.repeat(np.arange(len(lengths)), lengths.clip(min=0))
        marks = steps >= self.text.classes
        turn = marks.cumsum() - 1
        owners = rows[marks]
        inside = ~marks & (turn >= 0)
        inside[inside] = owners[turn[inside]] == rows[inside]
        sizes = np.bincount(turn[inside], minlength=len(owners))
        texts = self.tokens.decode(steps[inside], sizes)
        roles = pa.array(self.roles, pa.string()).take(pa.array(steps[marks] - self.text.classes))
        counts = np.bincount(owners, minlength=len(lengths))
        return dialogues(Turns(roles, texts, counts), lengths < 0, self.type)

    def decode(self, table: np.ndarray, rng: np.random.Generator, first: int = 0) -> pa.Array:
        """What each step [steps, 1] says on its own: a dialogue of one turn, or of none."""
        return self.values(table[:, 0], np.ones(len(table), np.int64))

    def log_volume(self, column: pa.Array, field: str) -> np.ndarray:
        """The price of characters or words never met in what is learned, and of dialogues never missing."""
        turns = turns_of(column, field)
        of_turns = self.text.log_volume(turns.texts, field)
        if self.learned:
            of_turns *= np.isin(turns.roles.to_numpy(zero_copy_only=False), self.learned)
        total = np.diff(np.concatenate([[0.0], of_turns.cumsum()])[turns.starts])
        return np.asarray(total if self.missing or self.learned else total + priced(self.unseen, is_missing(column)))

    def limits(self, rule: Rule, field: str) -> tuple[Ranges, ...]:
        """None: a wish about a whole dialogue cannot be told."""
        raise impossible(field, "a wish about a dialogue", "leave it out, or filter samples afterwards")

    def present(self) -> Ranges | None:
        """None: a record of unknown length gets one."""
        return None

    def describe(self) -> str:
        """Whose turns, how long, by which tokenizer."""
        missing = "; may be missing" if self.missing else ""
        learned = f" ({', '.join(self.learned)} learned)" if self.learned else ""
        words = f"turns of {', '.join(self.roles)}{learned}"
        aside = f"; without {', '.join(found)}" if (found := left_aside(self.type)) else ""
        return f"{words}{aside}; up to {self.longest:,} tokens: {self.tokens.describe()}{missing}"


def _or(roles: tuple[str, ...]) -> str:
    return " or ".join(map(repr, roles)) if roles else "nothing: there were no turns"


def _longest(text: Text, profile: DialogueProfile) -> int:
    """Steps of the longest dialogue."""
    turns, characters, size = profile.sizes.T
    if text.tokenizer == Characters.name:
        return int((turns + characters).max(initial=1))
    if text.tokenizer == Bytes.name or not profile.texts.whole:
        return int((turns + size).max(initial=1))
    texts, starts, longest = list(profile.texts.texts()), np.concatenate([[0], turns.cumsum()]), 1
    order = np.argsort(-(turns + size), kind="stable")
    for first in range(0, len(order), LOOKED_AT):  # no text has more tokens than bytes
        part = order[first : first + LOOKED_AT]
        if int((turns + size)[part[0]]) <= longest:
            break
        column = pa.array([each for j in part for each in texts[starts[j] : starts[j + 1]]], pa.string())
        ends = np.concatenate([[0], text.lengths(column).cumsum()])[np.concatenate([[0], turns[part].cumsum()])]
        longest = max(longest, int((np.diff(ends) + turns[part]).max()))
    return longest
