"""Rows of `kernels` and `smote` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case("kernels", close=0.05, knobs={"bandwidth": 0.9, "rows": 50}),
    Case("smote", knobs={"neighbours": 2, "rows": 50}),
]
