"""Text files: what is a record in them, their folders, and how texts are saved."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from ensample.data import marks
from ensample.errors import InputError

SUFFIXES = (".txt", ".md")
"""Endings of text files; each may also be compressed."""

TEXT = "text"
"""Name of the column, and of its kind."""

COLUMN = marks.mark(pa.field(TEXT, pa.string()), None, None, TEXT)
"""The column itself."""


def is_free_text(field: pa.Field) -> bool:
    """Whether the source of a column says that it is free text."""
    return marks.kind(field) == TEXT


def unicode_of(texts: Sequence[str | None], place: str) -> pa.Array:
    """Texts as a column. Raises InputError if one holds half of a surrogate pair, which is no character."""
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError as error:
        row = next(j for j, text in enumerate(texts) if text is error.object or text == error.object)
        raise InputError(
            "A text holds Unicode characters.",
            f"{place}, record {row + 1:,}",
            f"half of a surrogate pair, {error.object[error.start]!r}, at place {error.start:,}",
            'repair it: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")',
        ) from error
