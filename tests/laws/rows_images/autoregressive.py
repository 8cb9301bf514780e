"""Rows of `image-autoregressive` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

CASES = [
    Case(
        "image-autoregressive",
        {"batch_size": 128, "learning_rate": 6e-3},
        budget="400 steps",
        close=0.05,
        knobs={
            "network": "made",
            "head": "softmax",
            "width": 16,
            "layers": 1,
            "reach": 2,
            "row_width": 0,
            "attention_heads": 2,
            "pieces": 3,
            "dropout": 0.3,
        },
        knob_options={"attention_heads": {"network": "transformer"}, "pieces": {"head": "logistic"}},
    ),
    Case("image-autoregressive", {"network": "made", "width": 64, "batch_size": 128}, budget="300 steps", close=0.05),
    Case("image-autoregressive", {"network": "lstm", "batch_size": 128}, budget="300 steps", close=0.05),
    Case("image-autoregressive", {"network": "transformer", "batch_size": 128}, budget="200 steps", close=0.05),
]
