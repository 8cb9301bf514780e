"""Rows of the composites in the law table."""

from __future__ import annotations

from ensample.families import Boosted, Independent, Mixture
from tests.laws.cases import Case

SMALL = Mixture(components=24)
CASES = [
    Case("perclass", {"of": SMALL}, close=0.05, knobs={"of": Independent(), "field": "flag", "fewest": 2_000}),
    Case("blend", {"of": SMALL}, close=0.05, knobs={"of": Independent(), "components": 3, "rounds": 1}),
    Case("ensemble", {"members": 3}, close=0.05, knobs={"of": Boosted(rounds=5), "members": 2, "bootstrap": False}),
]
