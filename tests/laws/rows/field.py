"""Rows of `field` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"width": 32, "layers": 1, "waves": 8, "batch_size": 128, "learning_rate": 0.02}

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
        budget="300 steps",
        close=0.04,
        reach=40,
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
            "width": 24,
            "layers": 2,
            "waves": 4,
            "tokens": 0,
            "knots": 0,
            "integration": 8,
        },
        knob_options={name: {"tokens": 0, **({} if name == "integration" else {"integration": 2})} for name in MOVING},
        knob_budget="6 steps",
        knobs_of_given=frozenset({"guidance", "drop"}),
    ),
    Case(  # amounts move: a density that jumps from cell to cell is what a field learns slowest
        "field",
        {**SMALL, "width": 24, "tokens": 0, "integration": 12, "steps": 40},
        budget="300 steps",
        knob_budget="20 steps",
        close=0.2,
        consistent=0.3,
        total=0.01,
        reach=20,
    ),
]
