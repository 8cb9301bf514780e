"""Which texts mean that a value is missing, and how a column spells it.

The rule. Some spellings are never a real value (`?`, an empty cell, `NaN`, `N/A`, `null`, ...): they are missing in
every column. Others are words that a column of categories may use as a level: `None` (no garage), `-`, `unknown`.
Those are missing only where a word cannot be a level: in a column whose other values are all numbers, dates or
truths. `NA` stands between: it is missing in a column of text too, unless every other value is a code of two capital
letters, where it is Namibia or North America. `read(..., missing=[...])` replaces the rule by a list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.errors import InputError

SURE = (
    *("", "?", "NaN", "nan", "NAN", "-nan", "-NaN", "NaT", "<NA>", "#N/A", "#N/A N/A", "#NA"),
    *("N/A", "n/a", "NULL", "null"),
)
"""Texts that mean "missing" in every column."""

CODE = "NA"
"""Missing, unless the column holds codes of two capital letters."""

WORDS = (
    *("na", "n.a.", "None", "none", "NONE", "Null", "nil", "-", "--", ".", "..."),
    *("missing", "Missing", "unknown", "Unknown", "not available"),
)
"""Texts that mean "missing" only where the other values are numbers, dates or truths."""


@dataclass(frozen=True)
class Spellings:
    """The texts that mean "missing": in every column, in columns of numbers and dates, and as a possible code.

    Example:
        >>> Spellings().missing_of({"?": 3, "None": 2, "NA": 1}, typed=False, codes=False)
        {'?': 3, 'NA': 1}
        >>> Spellings.only(["None"]).missing_of({"?": 3, "None": 2}, typed=False, codes=False)
        {'None': 2}
    """

    sure: tuple[str, ...] = SURE
    words: tuple[str, ...] = WORDS
    code: str | None = CODE

    @classmethod
    def only(cls, texts: Sequence[str]) -> Spellings:
        """Exactly these texts, in every column; blanks around them do not matter.

        Raises:
            InputError: `texts` is one string, or holds something else than strings.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise InputError("missing= is a list of texts.", "missing", repr(texts), 'say missing=["-999", "?"]')
        return cls(tuple(text.strip() for text in texts), (), None)

    @property
    def usual(self) -> bool:
        """Whether this is the rule, not a list of the user's own."""
        return self == Spellings()

    @property
    def suspects(self) -> pa.Array:
        """Every text that may mean "missing" somewhere."""
        return pa.array([*self.sure, *self.words, *([self.code] if self.code else [])], pa.string())

    def missing_of(self, counts: dict[str, int], *, typed: bool, codes: bool) -> dict[str, int]:
        """Of the suspects counted in a column, those that mean "missing" there.

        Arguments:
            counts: how often each suspect occurs, as it is written (blanks around it included).
            typed: whether the other values are all numbers, dates or truths.
            codes: whether the other values are all codes of two capital letters.
        """
        found = set(self.sure)
        if typed:
            found.update(self.words)
        if self.code and (typed or not codes):
            found.add(self.code)
        return {text: count for text, count in counts.items() if text.strip() in found}


def commonest(counts: dict[str, int]) -> str | None:
    """The spelling to write when the column is saved, or None if nothing is missing."""
    return min(counts, key=lambda text: (-counts[text], text)) if counts else None


def count_texts(cells: pa.Array) -> Counter[str]:
    """How often each text occurs."""
    return Counter({entry["values"]: entry["counts"] for entry in pc.value_counts(cells).to_pylist()})


def blank_out(cells: pa.Array, texts: Sequence[str]) -> pa.Array:
    """Null wherever a cell is one of `texts`; text columns, dictionaries of text included, keep their type."""
    if not texts:
        return cells
    if pa.types.is_dictionary(cells.type):
        return _blank_out_levels(cells, texts)
    gone = pc.is_in(cells, value_set=pa.array(texts, cells.type))
    return pc.if_else(gone, pa.scalar(None, cells.type), cells)


def _blank_out_levels(cells: pa.DictionaryArray, texts: Sequence[str]) -> pa.DictionaryArray:
    levels = cells.dictionary
    kept = pc.invert(pc.is_in(levels, value_set=pa.array(texts, levels.type)))
    renumbered = np.cumsum(kept.to_numpy(zero_copy_only=False)) - 1
    codes = pc.if_else(kept, pa.array(renumbered, cells.indices.type), pa.scalar(None, cells.indices.type))
    return pa.DictionaryArray.from_arrays(codes.take(cells.indices), levels.filter(kept), ordered=cells.type.ordered)


def no_nan(cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Null wherever a float is not a number."""
    if not pa.types.is_floating(cells.type):
        return cells
    nan = pc.is_nan(cells)
    if not pc.any(nan).as_py():
        return cells
    return pc.if_else(nan, pa.scalar(None, cells.type), cells)


def refuse_infinite(cells: pa.Array | pa.ChunkedArray, name: str, source: str, first_row: int = 0) -> None:
    """Raise InputError naming the column, the number of infinite values and the first of their rows (from 0)."""
    if not pa.types.is_floating(cells.type):
        return
    infinite = pc.is_inf(cells)
    if not pc.any(infinite).as_py():
        return
    count = pc.sum(infinite).as_py()
    row = first_row + pc.index(infinite, True).as_py()
    raise InputError(
        "Numbers must be finite.",
        f"{source}, column {name!r}, first in record {row + 1:,}",
        f"{count:,} infinite value{'s' if count > 1 else ''}",
        "make them missing (an empty cell, NaN) or give them a finite value",
    )
