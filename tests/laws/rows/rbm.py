"""Rows of `rbm` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "rbm",
        {"hidden": 8, "batch_size": 128, "learning_rate": 0.1},
        budget="300 steps",
        close=0.03,
        knobs={"hidden": 4, "bins": 2, "method": "cd", "steps": 1, "chains": 64, "sweeps": 3},
        knob_options={"sweeps": {"hidden": 13}},
        knob_budget="60 steps",
    ),
    Case(
        "rbm",
        {"hidden": 14, "method": "cd", "batch_size": 128, "learning_rate": 0.1, "sweeps": 50},
        budget="120 steps",
        close=0.2,
        total=0.05,
        knob_budget="20 steps",
    ),
]
