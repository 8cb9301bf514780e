"""Rows of `field` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"width": 48, "layers": 2, "waves": 8, "batch_size": 256, "learning_rate": 0.02, "steps": 60}

MOVING = (
    "path",
    "predict",
    "solver",
    "steps",
    "coupling",
    "pooled",
    "together",
    "evidence",
    "waves",
    "knots",
    "integration",
)
"""Options that matter where numbers move."""

CASES = [
    Case(
        "field",
        {**SMALL, "steps": 5},
        budget="400 steps",
        close=0.04,
        consistent=0.15,
        knobs={
            "path": "cosine",
            "predict": "velocity",
            "solver": "ancestral",
            "steps": 4,
            "coupling": "optimal",
            "pooled": False,
            "classes": "masked",
            "together": True,
            "guidance": 2.0,
            "drop": 0.5,
            "evidence": 0.5,
            "width": 32,
            "layers": 1,
            "waves": 4,
            "tokens": 0,
            "knots": 0,
            "integration": 8,
        },
        knob_options={name: {"tokens": 0} for name in MOVING},
        knob_budget="20 steps",
        knobs_of_given=frozenset({"guidance", "drop"}),
    ),
    Case(  # amounts move: a density that jumps from cell to cell is what a field learns slowest
        "field",
        {**SMALL, "tokens": 0, "integration": 32},
        budget="500 steps",
        close=0.2,
        consistent=0.3,
        total=0.01,
    ),
]
