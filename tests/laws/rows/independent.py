"""Rows of `independent` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case("independent", close=0.5, knobs={"bins": 2}),
]
