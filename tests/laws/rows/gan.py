"""Rows of `gan` in the law table."""

from __future__ import annotations

from tests.laws.cases import Case

SMALL = {"width": 24, "layers": 2, "latent": 8, "batch_size": 64}

CASES = [
    Case(
        "gan",
        SMALL,
        budget="20 steps",
        knobs={
            "loss": "hinge",
            "penalty": "none",
            "penalty_weight": 5.0,
            "spectral": True,
            "pack": 2,
            "critic_steps": 2,
            "balance": 0.5,
            "modes": 2,
            "relaxation": "softmax",
            "temperature": 2.0,
            "latent": 4,
            "width": 16,
            "layers": 3,
            "dropout": 0.5,
        },
    ),
    *(Case("gan", {**SMALL, "loss": loss}, budget="20 steps") for loss in ("non-saturating", "wasserstein")),
    Case("gan", {**SMALL, "loss": "hinge", "width": 32}, budget="20 steps"),
    Case("gan", {**SMALL, "loss": "likelihood", "relaxation": "softmax", "pack": 2}, budget="20 steps"),
    Case("gan", {**SMALL, "spectral": True, "penalty": "interpolated", "dropout": 0.2}, budget="20 steps"),
]
