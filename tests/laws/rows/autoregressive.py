"""Rows of `autoregressive` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"width": 24, "layers": 1, "batch_size": 128, "learning_rate": 0.02}
SHORT = "20 steps"
CASES = [
    Case(
        "autoregressive",
        SMALL,
        budget="300 steps",
        close=0.03,
        consistent=0.1,
        knobs={
            "any_order": False,
            "network": "made",
            "head": "logistic",
            "bins": 2,
            "width": 16,
            "layers": 2,
            "bumps": 1,
            "pieces": 4,
            "attention_heads": 2,
            "dropout": 0.2,
            "label_smoothing": 0.1,
            "scheduled_sampling": 0.2,
        },
        knob_budget=SHORT,
        knob_options={
            "pieces": {"head": "logistic"},
            "attention_heads": {"network": "transformer"},
            "scheduled_sampling": {"network": "lstm", "any_order": False},
            "label_smoothing": {"network": "lstm"},
        },
    ),
    Case("autoregressive", {"any_order": False, **SMALL}, "300 steps", close=0.03, knob_budget=SHORT),
    Case(
        "autoregressive",
        {"network": "made", **SMALL, "width": 64},
        "300 steps",
        close=0.03,
        consistent=0.2,
        knob_budget=SHORT,
    ),
    Case(
        "autoregressive",
        {"network": "transformer", **SMALL},
        "300 steps",
        close=0.03,
        consistent=0.2,
        knob_budget=SHORT,
    ),
    Case("autoregressive", {"network": "lstm", **SMALL}, "300 steps", close=0.03, consistent=0.2, knob_budget=SHORT),
    Case(
        "autoregressive", {"network": "lstm", "any_order": False, **SMALL}, "300 steps", close=0.03, knob_budget=SHORT
    ),
    Case(
        "autoregressive",
        {"head": "logistic", "pieces": 5, **SMALL},
        "300 steps",
        close=0.03,
        consistent=0.2,
        knob_budget=SHORT,
    ),
    Case(
        "autoregressive",
        {"head": "spline", "pieces": 16, **SMALL},
        "400 steps",
        close=0.03,
        consistent=0.2,
        knob_budget=SHORT,
    ),
]
