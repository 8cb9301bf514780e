"""Text files: what is a record in them, their folders, and how texts are saved."""

from __future__ import annotations

import pyarrow as pa

from ensample.data import marks

SUFFIXES = (".txt", ".md")
"""Endings of text files; each may also be compressed."""

TEXT = "text"
"""Name of the column, and of its kind."""

COLUMN = marks.mark(pa.field(TEXT, pa.string()), None, None, TEXT)
"""The column itself."""


def is_free_text(field: pa.Field) -> bool:
    """Whether the source of a column says that it is free text."""
    return marks.kind(field) == TEXT
