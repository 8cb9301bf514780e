"""Rows of `bayesnet` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "bayesnet",
        knobs={"structure": "tree", "score": "bic", "parents": 1, "states": 2, "bins": 2},
    ),
    Case("bayesnet", {"structure": "tree"}, close=0.1),
]
