"""Rows of `image-vae` in the law table over pictures."""

from __future__ import annotations

from tests.laws.pictures import Case

SMALL = {"batch_size": 128, "anneal": 50, "fold": 2, "precision": "float32", "learning_rate": 0.01}
CASES = [
    Case(
        "image-vae",
        {**SMALL, "dims": 2, "width": 32, "samples": 8, "points": 256},
        budget="400 steps",
        close=0.2,
        like=0.15,
        total=None,
        knobs={
            "latents": "grid",
            "dims": 3,
            "samples": 3,
            "beta": 0.5,
            "anneal": 2,
            "prior": "flow",
            "posterior": "flow",
            "groups": 1,
            "codes": 4,
            "chain": 8,
            "coder": "convolution",
            "decoder": "gaussian",
            "width": 16,
            "depth": 1,
            "fold": 1,
            "sizes": 2,
            "points": 64,
            "dropout": 0.5,
        },
        knob_options={
            "groups": {"latents": "ladder"},
            "codes": {"latents": "codes"},
            "chain": {"latents": "codes"},
            "fold": {"coder": "convolution"},
            "sizes": {"coder": "convolution"},
        },
    ),
    Case(
        "image-vae",
        {**SMALL, "latents": "grid", "dims": 2, "width": 16, "depth": 1, "sizes": 2, "samples": 4, "points": 256},
        budget="400 steps",
        close=0.2,
        like=0.15,
        total=None,
    ),
    Case(
        "image-vae",
        {
            **SMALL,
            "latents": "ladder",
            "dims": 1,
            "width": 8,
            "depth": 1,
            "groups": 1,
            "sizes": 2,
            "samples": 4,
            "points": 256,
        },
        budget="400 steps",
        close=0.2,
        like=0.15,
        total=None,
    ),
    Case(
        "image-vae",
        {**SMALL, "latents": "codes", "dims": 4, "codes": 4, "chain": 16, "width": 16, "depth": 1, "sizes": 2}
        | {"learning_rate": 5e-3, "fold": 1},
        budget="500 steps",
        close=0.6,
    ),
]
