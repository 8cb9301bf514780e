"""Editing with one field of pictures: parts, small, grey and blurred pictures, and rough ones."""

from __future__ import annotations

import functools

import pytest
import torch

from ensample.errors import InputError
from ensample.events import Batch
from ensample.families.images.field import ImageField
from ensample.infer.restore import restore, vary
from ensample.solvers.measured import Blur, Downsample, Grey, Mask
from tests.families.images.toys import grid, halves, labels, learned
from tests.laws.cases import generator

EASY = {"width": 16, "layers": 1, "heads": 2, "batch_size": 64, "learning_rate": 2e-2, "precision": "float32"}


@functools.cache
def model(channels: int = 1) -> object:
    return learned(ImageField(**EASY), halves(400, channels, given=True), 120)


def real(cells: torch.Tensor) -> torch.Tensor:
    return grid(256, 1, 8, 8).lattice.encode(cells)


def some(channels: int = 1) -> Batch:
    return halves(400, channels, given=True).batch(slice(0, 12))


@pytest.mark.parametrize("name", ["mask", "down", "grey", "blur"])
def test_what_was_measured_is_met(name):
    """The measurement of what is made is what was measured, to a few levels; what is missing is made up."""
    channels = 3 if name == "grey" else 1
    linear = {
        "mask": Mask(torch.arange(8) < 4),
        "down": Downsample(4),
        "grey": Grey(),
        "blur": Blur.gaussian(8, 8, 0.6),
    }[name]
    batch = some(channels)
    y = linear.of(real(batch.cells))
    made = restore(model(channels), linear, y, generator(1), batch.cond, steps=12)
    assert made.cells.shape == batch.cells.shape and made.mask.all()
    assert float((linear.of(real(made.cells)) - y).abs().quantile(0.97)) < 0.06  # some leave the range of a pixel
    other = restore(model(channels), linear, y, generator(2), batch.cond, steps=12)
    assert not torch.equal(made.cells, other.cells)
    again = restore(model(channels), linear, y, generator(1), batch.cond, steps=12)
    assert torch.equal(made.cells, again.cells)


def test_the_missing_half_follows_the_one_that_is_there():
    batch = some()
    left = Mask((torch.arange(8) < 4).expand(1, 8, 8))
    made = restore(model(), left, left.of(real(batch.cells)), generator(1), batch.cond, steps=12, travel=3)
    away = (real(made.cells) - real(batch.cells))[..., 4:].mean((1, 2, 3)).abs()
    assert float(away.max()) < 0.25  # the halves differ by 1.4


def test_noise_in_what_was_measured_is_smoothed():
    batch = some()
    everything = Mask(torch.ones(1, 8, 8, dtype=torch.bool))
    noisy = real(batch.cells) + 0.5 * torch.randn(batch.cells.shape, generator=generator(0), dtype=torch.float64)
    clean, trusting = (
        restore(model(), everything, noisy, generator(1), batch.cond, steps=12, noise=sd) for sd in (0.5, 0.0)
    )
    wrong = [(real(made.cells) - real(batch.cells)).square().mean().sqrt() for made in (clean, trusting)]
    assert float(wrong[0]) < 0.7 * float(wrong[1])


def test_variations_keep_less_the_stronger_they_are():
    batch = some()
    away = [
        float((real(vary(model(), batch, share, generator(1), steps=20).cells) - real(batch.cells)).abs().mean())
        for share in (0.05, 0.4, 1.0)
    ]
    assert away[0] < 0.1 and away[0] < away[1] <= away[2] + 0.05
    turned = Batch(batch.cells, batch.mask, labels((1 - batch.cond.cells[:, 0]).tolist()))
    made = real(vary(model(), turned, 1.0, generator(2), steps=20).cells)
    was = real(batch.cells)
    assert bool(((made[..., :4].mean((1, 2, 3)) > 0) != (was[..., :4].mean((1, 2, 3)) > 0)).all())
    for share in (0.0, 1.5):
        with pytest.raises(InputError, match="strength"):
            vary(model(), batch, share, generator(0))
