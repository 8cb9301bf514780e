"""Rows of `circuit` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "circuit",
        {"states": 16},
        close=0.03,
        knobs={
            "states": 3,
            "tree": True,
            "grain": 1.0,
            "window": 0.5,
            "smoothing": 20.0,
            "tolerance": 0.05,
            "steps": 2,
        },
        knob_options={"window": {"grain": 1.0, "window": 0.0}, "tree": {"tree": False}},
    ),
    Case("circuit", {"states": 16, "tree": True}, close=0.03),
    Case("circuit", {"states": 16, "tree": False, "grain": 1.0}, close=0.06, total=1e-3),
]
