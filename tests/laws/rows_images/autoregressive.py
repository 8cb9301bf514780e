"""Rows of `image-autoregressive` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

SMALL = {"width": 16, "layers": 1, "row_width": 32, "batch_size": 128, "learning_rate": 2e-2}

CASES = [
    Case(
        "image-autoregressive",
        SMALL,
        budget="200 steps",
        close=0.1,
        knobs={
            "network": "made",
            "head": "softmax",
            "width": 8,
            "layers": 2,
            "reach": 2,
            "row_width": 0,
            "attention_heads": 2,
            "pieces": 3,
            "dropout": 0.3,
        },
        knob_options={"attention_heads": {"network": "transformer"}, "pieces": {"head": "logistic"}},
    ),
    Case(
        "image-autoregressive",
        {"network": "made", "width": 64, "batch_size": 128, "learning_rate": 0.025},
        budget="500 steps",
        close=0.18,  # dense layers do not know what is near
    ),
    Case(
        "image-autoregressive",
        {"network": "lstm", "width": 24, "layers": 1, "batch_size": 128, "learning_rate": 0.03},
        budget="350 steps",
        close=0.07,
    ),
    Case(
        "image-autoregressive",
        {"network": "transformer", "width": 32, "layers": 2, "batch_size": 128},
        budget="150 steps",
        close=0.1,
    ),
]
