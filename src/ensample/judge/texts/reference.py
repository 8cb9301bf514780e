"""The real side when texts are judged: training texts, held-out texts, and what the measures work out about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.errors import InputError
from ensample.judge.real import LEAST, Real, enough
from ensample.judge.texts.tokens import Tokens, characters, words

if TYPE_CHECKING:
    from ensample.data.schema import Schema
    from ensample.judge.subject import Subject

MORE = "hold out more, sample more, or cut long texts into paragraphs"
"""What to do about too few texts."""

WORDS_FROM = 4.0
"""Words of a text in the mean from which on runs of words are looked at; of shorter texts runs of characters."""

MADE_CHARACTERS = 300_000
"""Characters that are made for judging, about; fewer texts are made where they are long."""


@dataclass(frozen=True)
class Sizes:
    """Most texts, or characters, a side that each measure looks at; stated beside the numbers."""

    texts: int = 5_000
    characters: int = 500_000
    alike: int = 500
    train: int = 2_000_000
    scored: int = 5_000


@dataclass(frozen=True)
class Side:
    """Texts of one side, with their characters and words."""

    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: Sequence[int] | np.ndarray) -> Side:
        """The texts of these rows."""
        return Side(tuple(self.texts[row] for row in rows))

    @cached_property
    def characters(self) -> Tokens:
        """Characters of all texts."""
        return characters(self.texts)

    @cached_property
    def words(self) -> Tokens:
        """Words of all texts."""
        return words(self.texts)

    def tokens(self, unit: str) -> Tokens:
        """Characters or words."""
        return self.words if unit == "word" else self.characters

    def bounded(self, most: int) -> Side:
        """The first texts, of at most so many characters, but no fewer than there must be."""
        ends = np.cumsum([len(text) for text in self.texts])
        count = max(int(np.searchsorted(ends, most, side="right")), min(LEAST, len(self)))
        return self if count >= len(self) else Side(self.texts[:count])


class TextReference(Real):
    """Training texts, held-out texts, and what the measures work out about them.

    Arguments:
        train: records that the models learned from (or a sample of them). None if they are not at hand: then half of
            the held-out ones stand in for them, and nothing is said about copies.
        test: records held out from learning.
        schema: the fields.
        text: name of the field of texts.
        given: fields that the models were given; made texts are asked for with those of the held-out records.
        sizes: most texts that each measure looks at.
        seed: of every random choice here.

    Raises:
        InputError: fewer than 20 texts on one of the sides, or not a single character.
    """

    def __init__(
        self,
        train: pa.Table | None,
        test: pa.Table,
        schema: Schema,
        *,
        text: str,
        given: tuple[str, ...] = (),
        sizes: Sizes | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(train, test, schema, given, seed)
        self.text, self.sizes = text, sizes or Sizes()
        self.train, self.test = (self.side(table) for table in (self.train_table, self.test_table))
        for sort, side in (("training", self.train), ("held-out", self.test)):
            enough(sort, "texts", len(side), MORE)
            if not any(side.texts):
                rule = "Texts are judged by their characters."
                raise InputError(rule, f"{sort} texts", "all are empty", "give some texts")

    @property
    def subject(self) -> Subject:
        """How texts are judged and shown."""
        from ensample.judge.texts.subject import TEXTS

        mean = len(self.train.characters.ids) / len(self.train)
        return replace(TEXTS, made=max(4 * LEAST, min(TEXTS.made, int(MADE_CHARACTERS / max(mean, 1.0)))))

    def side(self, table: pa.Table) -> Side:
        """The texts of a table, missing ones as empty. Raises InputError if it has no such field."""
        if self.text not in table.column_names:
            raise InputError(
                "Real and made records have the same field of texts.",
                f"column {self.text!r}",
                "not in the table",
                "pass the whole table",
            )
        column = table.column(self.text)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return Side(tuple(column.cast(pa.large_string()).fill_null("").to_pylist()))

    @cached_property
    def unit(self) -> str:
        """What runs are made of: "word", or "character" where texts have few words."""
        return "word" if len(self.test.words.ids) >= WORDS_FROM * len(self.test) else "character"

    def held_out(self, count: int) -> Side:
        """So many held-out texts, at random and always the same."""
        return self.test.take(self.held_out_rows(count))

    @cached_property
    def learned(self) -> Side:
        """The training texts that copies are looked for in: all, or as many as there is time for, at random."""
        order = np.random.default_rng(self.seed + 2).permutation(len(self.train))
        return self.train.take(order).bounded(self.sizes.train)

    @cached_property
    def scored(self) -> pa.Table:
        """The held-out records that a likelihood is asked of."""
        return self.held_out_records(self.sizes.scored)

    @property
    def texts_scored(self) -> list[str]:
        """What the likelihood is told per character of, for each scored record."""
        return list(self.side(self.scored).texts)

    @cached_property
    def tokens_scored(self) -> np.ndarray | None:
        """Tokens of the scored texts as the models read them, ends included, int64; None if the schema tells none."""
        kind = next(field.kind for field in self.schema if field.name == self.text)
        counted = getattr(kind, "tokens_of", None)
        if counted is None:
            return None
        return np.array([len(each) + 1 for each in counted(list(self.side(self.scored).texts))], np.int64)
