"""Rows of `vae` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"width": 32, "layers": 1, "dims": 2, "pieces": 4, "batch_size": 128, "learning_rate": 0.01, "samples": 4}
SHORT = {**SMALL, "points": 128}

CASES = [
    Case(
        "vae",
        SHORT,
        budget="300 steps",
        close=0.15,
        total=2e-2,
        knobs={
            "latents": "codes",
            "dims": 3,
            "samples": 1,
            "beta": 4.0,
            "prior": "flow",
            "posterior": "flow",
            "codes": 6,
            "decoder": "spline",
            "pieces": 3,
            "width": 16,
            "layers": 2,
            "hidden": 0.5,
            "points": 80,
            "dropout": 0.5,
        },
        knob_options={"codes": {"latents": "codes"}},
        knob_budget="10 steps",
    ),
    Case("vae", {**SHORT, "prior": "flow", "posterior": "flow"}, budget="300 steps", close=0.15, total=2e-2),
    Case("vae", {**SHORT, "latents": "codes", "codes": 8}, budget="300 steps", close=0.15, total=2e-2),
]
