"""Rows of the composites in the law table."""

from __future__ import annotations

from ensample.families import Boosted, Independent, Mixture, Vae
from tests.laws.cases import Case

SMALL = Mixture(components=24)
CASES = [
    Case("perclass", {"of": SMALL}, close=0.05, knobs={"of": Independent(), "field": "flag", "fewest": 2_000}),
    Case("blend", {"of": SMALL}, close=0.05, knobs={"of": Independent(), "components": 3, "rounds": 1}),
    Case(
        "latent",
        {
            "codec": Vae(dims=2, width=32, layers=1, pieces=4, samples=4, learning_rate=1e-2, batch_size=128),
            "of": SMALL,
        },
        budget="250 steps",
        close=0.15,
        total=0.02,
        knobs={"of": Mixture(components=2), "codec": Vae(dims=1, width=16)},
    ),
    Case("ensemble", {"members": 3}, close=0.05, knobs={"of": Boosted(rounds=5), "members": 2, "bootstrap": False}),
]
