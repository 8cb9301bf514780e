"""Rows of `mixture` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

CASES = [
    Case(
        "mixture",
        {"components": 24},
        close=0.05,
        knobs={
            "components": 5,
            "covariance": "spherical",
            "smoothing": 20.0,
            "ridge": 0.3,
            "tolerance": 0.02,
            "steps": 2,
            "choice": "bic",
            "moves": 4,
            "minibatch": 100,
        },
        knob_options={"choice": {"components": None}},
    ),
    Case("mixture", {"components": 24, "covariance": "diagonal"}, close=0.05),
]
