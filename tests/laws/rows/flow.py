"""Rows of `flow` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"margins": 16, "width": 24, "depth": 1, "layers": 2, "batch_size": 128, "learning_rate": 0.02}
AFFINE = {**SMALL, "layers": 3, "margins": 0}

CASES = [
    Case(
        "flow",
        {**SMALL, "transform": "spline-autoregressive"},
        budget="120 steps",
        knob_budget="20 steps",
        close=0.06,
        total=2e-3,
        knobs={
            "transform": "spline-coupling",
            "layers": 1,
            "width": 16,
            "depth": 2,
            "bins": 4,
            "bound": 3.0,
            "margins": 0,
            "waves": 0,
            "norm": "act",
            "mixing": True,
            "permute": "random",
            "dropout": 0.5,
        },
    ),
    Case("flow", {**SMALL, "transform": "spline-coupling", "mixing": True}, budget="120 steps", close=0.06, total=2e-3),
    Case("flow", {**AFFINE, "transform": "realnvp", "norm": "batch"}, budget="80 steps", close=0.4, total=2e-3),
    Case("flow", {**AFFINE, "transform": "glow"}, budget="80 steps", close=0.4, total=2e-3),
    Case("flow", {**AFFINE, "transform": "maf"}, budget="80 steps", close=0.4, total=2e-3),
    Case("flow", {**AFFINE, "transform": "iaf"}, budget="80 steps", close=0.4, total=2e-3),
]
