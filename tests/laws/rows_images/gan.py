"""Rows of `image-gan` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

SMALL = {
    "width": 16,
    "latent": 32,
    "batch_size": 128,
    "learning_rate": 5e-3,
    "average": 0.98,
    "warm_up": 20,
    "holdout": 0,
}

CASES = [
    Case(
        "image-gan",
        {**SMALL, "network": "dcgan"},
        budget="200 steps",
        like=0.35,
        knobs={
            "network": "residual",
            "loss": "hinge",
            "penalty": "none",
            "penalty_weight": 5.0,
            "spectral": True,
            "critic_steps": 2,
            "balance": 0.5,
            "groups": 2,
            "augment": "both",
            "target": 0.3,
            "latent": 6,
            "width": 6,
            "blocks": 2,
        },
        knob_options={
            "blocks": {"network": "residual"},
            "augment": {"target": 0.3},
            "target": {"augment": "moves", "target": 0.99},
            "balance": {"groups": 50},
        },
        knob_budget="12 steps",
    ),
    Case("image-gan", {**SMALL, "network": "residual"}, budget="250 steps", like=0.35),
]
