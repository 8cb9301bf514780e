"""Rows of `image-latent` in the law table over pictures."""

from __future__ import annotations

from ensample.families import ImageField, ImageVae, Mixture
from tests.laws.pictures import Case

TRAINING = {"batch_size": 128, "anneal": 50, "fold": 2, "precision": "float32", "learning_rate": 0.01}
CODEC = ImageVae(**TRAINING, dims=2, width=32, samples=4)
MAPS = ImageVae(**TRAINING, latents="grid", dims=2, width=16, depth=1, sizes=2, beta=0.5)
CASES = [
    Case(
        "image-latent",
        {"codec": CODEC, "of": Mixture(components=8), "points": 128},
        budget="400 steps",
        close=0.25,
        like=0.15,
        total=None,
        knobs={
            "codec": ImageVae(**TRAINING, dims=3, width=32),
            "of": Mixture(components=2),
            "points": 16,
        },
    ),
    Case(
        "image-latent",
        {"codec": MAPS, "of": ImageField(width=16, layers=1), "points": 16},
        budget="150 steps",
        close=None,
        like=0.2,
        total=None,
    ),
]
