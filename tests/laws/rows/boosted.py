"""Rows of `boosted` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "boosted",
        close=0.03,
        knobs={
            "rounds": 2,
            "leaves": 3,
            "rate": 0.5,
            "patience": 1,
            "bins": 2,
            "rows": 400,
            "inputs": 1,
            "any_order": True,
        },
        knob_options={"patience": {"leaves": 2, "rate": 1.0}},
    ),
    Case("boosted", {"any_order": True}, close=0.05, consistent=0.1),
]
