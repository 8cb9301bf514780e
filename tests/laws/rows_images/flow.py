"""Rows of `image-flow` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

CASES = [
    Case(
        "image-flow",
        {"width": 32, "depth": 4, "batch_size": 128, "learning_rate": 1e-2},
        budget="400 steps",
        close=2.2,  # two levels are the hardest case of a density: nets that count them reach 0.05
        like=0.45,
        total=None,
        knobs={"mixing": "permutation", "coupling": "spline", "scales": 1, "depth": 1, "width": 8, "offsets": 2},
    ),
]
