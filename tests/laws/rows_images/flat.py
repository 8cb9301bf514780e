"""Rows of `flat` in the law table over pictures."""

from __future__ import annotations

from ensample.families import Independent, Mixture, Trees
from tests.laws.pictures import Case

CASES = [
    Case("flat", {"of": Trees()}, budget="20s", close=0.3, knobs={"of": Independent(), "most": 15}, knob_budget="1s"),
    Case("flat", {"of": Mixture(components=4)}, budget="20 steps", close=0.3),
]
