"""Rows of `resample` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case("resample"),
]
