"""Rows of `vae` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"width": 24, "layers": 1, "dims": 2, "pieces": 6, "batch_size": 96, "samples": 4, "points": 64}
SHORT = {**SMALL, "learning_rate": 0.05, "average": 0.98}
CODES = {**SHORT, "learning_rate": 0.03}
FLOWS = {**SHORT, "points": 256, "learning_rate": 0.01, "prior": "flow", "posterior": "flow"}

CASES = [
    Case(
        "vae",
        SHORT,
        budget="200 steps",
        close=0.18,
        total=5e-2,
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
            "points": 128,
            "norm": "layer",
            "dropout": 0.5,
        },
        knob_options={"codes": {"latents": "codes"}, "norm": {"layers": 2}},
        knob_budget="10 steps",
    ),
    Case("vae", FLOWS, "350 steps", 0.25, total=5e-2, knob_budget="10 steps"),
    Case("vae", {**CODES, "latents": "codes", "codes": 8}, "150 steps", 0.12, total=5e-2, knob_budget="10 steps"),
]
