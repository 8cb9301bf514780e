"""Rows of the composites in the law table."""

from __future__ import annotations

import dataclasses

from ensample.families import Boosted, Independent, Mixture, Vae
from tests.laws.cases import Case

SMALL = Mixture(components=24)
CODEC = Vae(dims=2, width=24, layers=1, pieces=6, samples=4, points=64, batch_size=96, learning_rate=0.05, average=0.98)
CASES = [
    Case("perclass", {"of": SMALL}, close=0.05, knobs={"of": Independent(), "field": "kind", "fewest": 2_000}),
    Case("blend", {"of": SMALL}, close=0.05, knobs={"of": Independent(), "components": 3, "rounds": 1}),
    Case(
        "latent",
        {"codec": CODEC, "of": Mixture(components=8)},
        budget="250 steps",
        close=0.22,
        total=0.05,
        knobs={"of": Mixture(components=2), "codec": dataclasses.replace(CODEC, dims=1)},
        knob_budget="20 steps",
    ),
    Case("ensemble", {"members": 3}, close=0.05, knobs={"of": Boosted(rounds=5), "members": 2, "bootstrap": False}),
]
