"""Rows of `trees` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case("trees", knobs={"trees": 3, "leaf": 200, "bins": 2, "rows": 300}),
    Case("trees", options={"trees": 3, "leaf": 5}),
]
