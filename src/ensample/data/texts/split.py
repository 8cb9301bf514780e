"""One text in two parts: what a split is where there is one record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ensample.data.texts import is_free_text
from ensample.errors import InputError

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset

BORDERS = ("\n\n", "\n", " ")
"""Where a text is cut, the best first."""

NEAR = 0.05
"""How far from its place a border is looked for, as a share of the text."""


def is_one_text(data: Dataset) -> bool:
    """Whether a data set is one record with a column of free text."""
    return len(data) == 1 and any(map(is_free_text, data.arrow_schema))


def torn(data: Dataset, test: float) -> tuple[pa.Table, pa.Table]:
    """(train, test): the beginning of the text, and its last `test` share; cut between paragraphs, lines or words.

    Raises:
        InputError: `test` is no share, or the text is too short.
    """
    if not isinstance(test, float | np.floating) or not 0 < test < 1:
        fix = 'say test=0.1 for the last tenth of the text, or read it with records="paragraphs"'
        raise InputError("The test part of one text is a share of it.", "test", repr(test), fix)
    table = data.to_arrow()
    column = next(j for j, field in enumerate(table.schema) if is_free_text(field))
    text = table.column(column)[0].as_py() or ""
    place = border(text, test)
    if not 0 < place < len(text):
        raise InputError("Both parts of a split need text.", "test", f"a text of {len(text)} characters", "add text")
    parts = [
        table.set_column(column, table.schema.field(column), pa.chunked_array([[part]], table.schema.types[column]))
        for part in (text[:place], text[place:])
    ]
    return parts[0], parts[1]


def border(text: str, share: float) -> int:
    r"""The place to cut a text so that about its last `share` falls away: behind a border that is near.

    Example:
        >>> text = "one two three\nfour five"
        >>> border(text, 0.4), border("abcd", 0.5)
        (14, 2)
    """
    place, reach = round(len(text) * (1 - share)), int(len(text) * NEAR) + 1
    for mark in BORDERS:
        after, before = text.find(mark, place - len(mark), place + reach), text.rfind(mark, place - reach, place)
        found = [at + len(mark) for at in (after, before) if at >= 0]
        if found:
            return min(found, key=lambda at: abs(at - place))
    return min(max(place, 1), len(text) - 1)
