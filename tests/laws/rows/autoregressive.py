"""Rows of `autoregressive` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "autoregressive",
        {"width": 24, "layers": 1, "batch_size": 128, "learning_rate": 0.02},
        budget="300 steps",
        close=0.03,
        consistent=0.1,
        knobs={
            "any_order": False,
            "bins": 2,
            "width": 16,
            "layers": 2,
            "bumps": 1,
            "learning_rate": 0.03,
            "weight_decay": 0.5,
            "batch_size": 64,
            "patience": 1,
        },
        knob_options={"patience": {"learning_rate": 0.3}},  # so that the loss stalls
    ),
    Case(
        "autoregressive",
        {"any_order": False, "width": 24, "layers": 1, "batch_size": 128, "learning_rate": 0.02},
        budget="300 steps",
        close=0.03,
    ),
]
