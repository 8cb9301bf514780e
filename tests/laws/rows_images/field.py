"""Rows of `image-field` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

SMALL = {"width": 32, "layers": 2, "heads": 2, "batch_size": 128, "integration": 8}

CASES = [
    Case(
        "image-field",
        {**SMALL, "guidance": 1.0, "steps": 12},
        budget="400 steps",
        close=0.6,
        like=0.12,
        total=None,
        knobs={
            "path": "linear",
            "predict": "velocity",
            "solver": "heun",
            "steps": 5,
            "grid": "time",
            "guidance": 200.0,
            "guide_low": 1.0,
            "guide_high": 1.0,
            "drop": 0.5,
            "noise_mean": 1.0,
            "noise_sd": 0.5,
            "coupling": "optimal",
            "augment": "moves",
            "network": "unet",
            "patch": 1,
            "width": 16,
            "layers": 1,
            "heads": 4,
            "integration": 6,
            "probes": 3,
        },
        knob_options={
            "grid": {"path": "linear", "steps": 2},
            "guide_low": {"guidance": 200.0},
            "guide_high": {"guidance": 200.0},
        },
        knobs_of_given=frozenset({"guidance", "guide_low", "guide_high", "drop"}),
    )
]
