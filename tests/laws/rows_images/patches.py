"""Rows of `image-patches` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

CASES = [
    Case(
        "image-patches",
        {"components": 4},
        budget="30 steps",
        close=0.3,
        knobs={"size": 2, "components": 3, "patches": 100},
    ),
]
