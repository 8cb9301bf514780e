"""Rows of `image-cycle` in the law table over pictures: its translations stand where other families have samples.

Whether they are right is asked of maps that are known, in tests/families/images/test_cycle.py.
"""

from __future__ import annotations

from tests.laws.pictures import Case

CASES = [
    Case(
        "image-cycle",
        {"width": 8, "critic_width": 16, "average": 0.98, "holdout": 0},
        budget="20 steps",
        told=True,
        knobs={
            "cycle": 0.5,
            "identity": 2.0,
            "anneal": 2,
            "penalty_weight": 1.0,
            "width": 6,
            "depth": 1,
            "fold": 2,
            "sizes": 1,
            "critic_width": 6,
        },
    ),
]
