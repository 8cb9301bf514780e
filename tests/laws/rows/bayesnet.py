"""Rows of `bayesnet` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "bayesnet",
        close=0.1,
        knobs={"structure": "search", "score": "bdeu", "parents": 1, "states": 2, "bins": 2},
        knob_options={
            "structure": {"score": "bdeu"},
            "score": {"structure": "search"},
            "parents": {"structure": "search", "score": "bdeu"},
        },
    ),
    Case("bayesnet", {"structure": "search", "score": "bdeu"}, close=0.02),
]
