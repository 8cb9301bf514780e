"""Augmentation of pictures: each change against a known answer, chances, gradients, what is told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from ensample.errors import InputError
from ensample.nets.images import colour, warp
from ensample.nets.images.augment import Augmentation, cut_out, mix

FULL = {
    "flip": True,
    "rotation": 30.0,
    "scale": 0.2,
    "shift": 0.1,
    "crop": 0.3,
    "brightness": 0.2,
    "contrast": 0.5,
    "saturation": 1.0,
    "noise": 0.1,
    "cutout": 0.5,
    "mixup": 0.4,
}
CHANGES = [{name: strength} for name, strength in FULL.items()]
IDS = list(FULL)


def seed(n=0):
    return Generator().manual_seed(n)


def noise(rows=4, channels=3, height=9, width=8):
    return torch.rand(rows, channels, height, width, generator=seed(7)) * 2 - 1


def of(value, rows=4):
    return torch.full((rows,), float(value))


def smooth(size=33):
    """A hump off the middle, which interpolation keeps well."""
    down, across = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
    return torch.exp(-6 * ((across - 0.2) ** 2 + (down + 0.3) ** 2))[None, None]


def test_mirrored_twice_is_the_same():
    x = noise()
    assert torch.equal(warp.flip(x, of(1).bool()), x.flip(-1))
    assert torch.equal(warp.flip(warp.flip(x, of(1).bool()), of(1).bool()), x)
    some = warp.flip(x, torch.tensor([True, False, True, False]))
    assert torch.equal(some[::2], x[::2].flip(-1))
    assert torch.equal(some[1::2], x[1::2])
    moved = warp.warp(x, warp.scaling(of(-1), of(1)))
    torch.testing.assert_close(moved, x.flip(-1), atol=1e-5, rtol=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns(turns):
    x = noise(height=8)
    torch.testing.assert_close(warp.rotate(x, of(90 * turns)), x.rot90(turns, (2, 3)), atol=1e-5, rtol=0)


def test_turns_by_any_angle_as_pillow_makes_them():
    x = smooth()
    ours = warp.rotate(x, of(25, 1))[0, 0].numpy()
    image = Image.fromarray(x[0, 0].numpy())
    theirs = np.asarray(image.rotate(25, Image.Resampling.BILINEAR))
    assert np.abs(ours - theirs)[6:-6, 6:-6].max() < 0.01
    assert np.abs(ours - x[0, 0].numpy()).max() > 0.1


def test_turns_keep_the_shape_of_what_is_shown_in_oblong_pictures():
    """A square of 8 pixels in a picture of 16 x 32, turned by 90 degrees, is that square."""
    x = torch.zeros(1, 1, 16, 32)
    x[..., 4:12, 12:20] = 1
    turned = warp.rotate(x, of(90, 1))[..., 8:24]  # further out lies what was beyond the upper and lower edge
    torch.testing.assert_close(turned, x[..., 8:24], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (0, 2), (-2, 1), (2, -3)])
def test_shifts_by_whole_pixels(right, down):
    x = noise()
    moved = warp.translate(x, of(right), of(down))
    inside = torch.roll(x, (down, right), (2, 3))
    rows = slice(max(0, down), 9 + min(0, down))
    columns = slice(max(0, right), 8 + min(0, right))
    torch.testing.assert_close(moved[..., rows, columns], inside[..., rows, columns], atol=1e-5, rtol=0)


def test_beyond_the_edge_is_the_picture_mirrored():
    x = torch.arange(4.0).expand(1, 1, 4, 4).contiguous()
    moved = warp.translate(x, of(2, 1), of(0, 1))
    torch.testing.assert_close(moved[0, 0, 0], torch.tensor([1.0, 0, 0, 1]), atol=1e-5, rtol=0)


def test_scales():
    """Twice as large, the value at a point is the one that lay half as far from the middle."""
    x = smooth()
    large = warp.scale(x, of(2, 1))
    assert abs(large[0, 0, 16 + 8, 16 + 6] - x[0, 0, 16 + 4, 16 + 3]) < 1e-5
    assert abs(large[0, 0, 16 - 10, 16 - 4] - x[0, 0, 16 - 5, 16 - 2]) < 1e-5


def test_crops_enlarge_their_window():
    x = smooth(32)
    window = x[..., 8:24, 4:20]
    cropped = warp.crop(x, of(0.5, 1), of(4 / 32, 1), of(8 / 32, 1))
    pooled = torch.nn.functional.avg_pool2d(cropped, 2)
    assert (pooled - window).abs()[..., 1:-1, 1:-1].max() < 0.02


def test_products_of_matrices_act_from_the_right():
    x = smooth()
    both = warp.warp(x, warp.translation(of(4, 1), of(0, 1)) @ warp.rotation(of(90, 1)))
    after = warp.translate(warp.rotate(x, of(90, 1)), of(4, 1), of(0, 1))
    torch.testing.assert_close(both[..., 5:], after[..., 5:], atol=1e-5, rtol=0)


def test_colours_by_hand():
    x = noise()
    torch.testing.assert_close(colour.recolour(x, colour.brightness(of(0.3))), x + 0.3)
    torch.testing.assert_close(colour.recolour(x, colour.contrast(of(2))), 2 * x)
    grey = x.mean(1, keepdim=True)
    torch.testing.assert_close(colour.recolour(x, colour.saturation(of(3))), grey + 3 * (x - grey))
    torch.testing.assert_close(colour.recolour(x, colour.saturation(of(1))), x)
    both = colour.brightness(of(0.3)) @ colour.contrast(of(2))
    torch.testing.assert_close(colour.recolour(x, both), 2 * x + 0.3)


def test_colours_of_grey_and_of_transparent_pictures():
    grey, clear = noise(channels=1), noise(channels=4)
    matrix = colour.brightness(of(0.3)) @ colour.saturation(of(5)) @ colour.contrast(of(2))
    torch.testing.assert_close(colour.recolour(grey, matrix), 2 * grey + 0.3)
    changed = colour.recolour(clear, matrix)
    torch.testing.assert_close(changed[:, :3], colour.recolour(clear[:, :3], matrix))
    assert torch.equal(changed[:, 3], clear[:, 3])


def test_cut_out_and_mixed_by_hand():
    x = noise(rows=2, height=8)
    cut = cut_out(x, torch.tensor([0.5, 0.0]), torch.tensor([0.25, 1.0]), 0.5)
    assert cut[0, :, 0:4, 2:6].abs().max() == 0
    assert (cut[0] == 0).sum() == 3 * 16
    assert cut[1, :, 6:, :2].abs().max() == 0
    assert (cut[1] == 0).sum() == 3 * 4
    mixed = mix(x, x.flip(0), torch.tensor([0.25, 0.0]))
    torch.testing.assert_close(mixed[0], 0.75 * x[0] + 0.25 * x[1])
    assert torch.equal(mixed[1], x[1])


@pytest.mark.parametrize("change", [*CHANGES, FULL], ids=[*IDS, "all"])
def test_what_is_told(change):
    x = noise(rows=400)
    augmentation = Augmentation(p=0.3, **change)
    changed, told = augmentation(x, seed())
    assert told.shape == (400, augmentation.width) == (400, len(augmentation.names))
    touched = (told != 0).any(1)
    assert torch.equal(changed[~touched], x[~touched])
    assert ((changed != x).flatten(1).any(1) == touched).float().mean() > 0.99
    share = touched.float().mean()
    wanted = 1 - 0.7 ** len(change)
    assert abs(share - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 400) + 1e-6
    assert changed.isfinite().all()


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
def test_chances(change):
    x = noise(rows=50)
    assert torch.equal(Augmentation(p=0.0, **change)(x, seed())[0], x)
    certain = Augmentation(p=1.0, **change)(x, seed())[0]
    assert (certain != x).flatten(1).any(1).float().mean() >= 0.9
    again = Augmentation(p=1.0, **change)(x, seed())[0]
    assert torch.equal(certain, again)
    if change != {"flip": True}:  # which has nothing to draw when it is certain
        assert not torch.equal(certain, Augmentation(p=1.0, **change)(x, seed(1))[0])


@pytest.mark.parametrize(
    ("change", "spread"),
    [
        ({"scale": 0.2}, 0.2),
        ({"shift": 0.1}, 0.1),
        ({"brightness": 0.3}, 0.3),
        ({"contrast": 0.5}, 0.5),
        ({"saturation": 1.0}, 1.0),
        ({"rotation": 40.0}, None),
        ({"crop": 0.3}, None),
        ({"mixup": 0.4}, None),
        ({"noise": 0.2}, None),
    ],
)
def test_strengths(change, spread):
    told = Augmentation(p=1.0, **change)(noise(rows=4000, height=2, width=2), seed())[1]
    if spread is not None:
        assert abs(float(told.std()) / spread - 1) < 0.05
        assert abs(float(told.mean())) < 0.05 * spread + 0.02
    elif "rotation" in change:
        angle = torch.atan2(told[:, 1], told[:, 0] + 1) * 180 / math.pi
        assert 39 < float(angle.max()) <= 40.001
        assert -40.001 <= float(angle.min()) < -39
    elif "noise" in change:
        assert abs(float(told.square().mean().sqrt()) / 0.2 - 1) < 0.05
        assert float(told.min()) >= 0
    else:
        (strength,) = change.values()
        assert 0.98 * strength < float(told[:, 0].max()) <= strength
        assert float(told[:, 0].min()) < 0.02


def test_told_parameters_say_what_was_done():
    """Undoing a change by its parameters gives the picture back."""
    x = smooth().expand(20, 3, -1, -1).clone()
    changed, told = Augmentation(p=1.0, shift=0.05)(x, seed())
    back = warp.translate(changed, -told[:, 0] * 33, -told[:, 1] * 33)
    assert (back - x)[..., 8:-8, 8:-8].abs().max() < 0.03
    changed, told = Augmentation(p=1.0, contrast=0.5)(x, seed())
    torch.testing.assert_close(changed, x * torch.exp2(told[:, 0])[:, None, None, None])
    changed, told = Augmentation(p=1.0, noise=0.2)(torch.zeros(20, 3, 33, 33), seed())
    torch.testing.assert_close(changed.flatten(1).std(1), told[:, 0], atol=0.01, rtol=0.1)
    changed, told = Augmentation(p=1.0, crop=0.5)(x, seed())
    share = 1 - told[:, 0]
    left, top = told[:, 1] + told[:, 0] / 2, told[:, 2] + told[:, 0] / 2
    assert float(left.min()) >= 0
    assert bool((left + share <= 1.0001).all())
    torch.testing.assert_close(changed, warp.crop(x, share, left, top), atol=1e-5, rtol=0)


def test_all_moves_are_one():
    x = smooth().expand(20, 3, -1, -1).clone()
    changed, told = Augmentation(p=1.0, flip=True, rotation=50.0, shift=0.1)(x, seed())
    degrees = torch.atan2(told[:, 2], told[:, 1] + 1) * 180 / math.pi
    turned = warp.rotation(degrees) @ warp.scaling(of(-1, 20), of(1, 20))
    whole = warp.translation(told[:, 3] * 33, told[:, 4] * 33) @ turned
    torch.testing.assert_close(changed, warp.warp(x, whole), atol=1e-4, rtol=0)
    assert (changed - warp.warp(x, turned)).abs().max() > 0.1


def test_all_colours_are_one():
    x = noise(rows=20)
    changed, told = Augmentation(p=1.0, brightness=0.3, contrast=0.5)(x, seed())
    bright, factor = told[:, 0, None, None, None], torch.exp2(told[:, 1])[:, None, None, None]
    torch.testing.assert_close(changed, (x + bright) * factor)


@pytest.mark.parametrize("change", CHANGES, ids=IDS)
def test_gradients_flow(change):
    x = noise(rows=3, height=6, width=6).double().requires_grad_()
    augmentation = Augmentation(p=1.0, **change)
    assert torch.autograd.gradcheck(lambda y: augmentation(y, seed())[0], (x,), atol=1e-4)


def test_global_random_state_is_untouched():
    before = torch.random.get_rng_state()
    Augmentation(p=0.5, **FULL)(noise(), seed())
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    "wrong", [{"p": 1.5}, {"rotation": -1.0}, {"mixup": 0.9}, {"crop": 1.0}, {"noise": float("nan")}]
)
def test_strengths_out_of_range(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_of_grey_and_transparent_pictures_and_of_one():
    for rows, channels in ((1, 1), (5, 1), (5, 4)):
        x = noise(rows=rows, channels=channels)
        assert Augmentation(p=1.0, **FULL)(x, seed())[0].shape == x.shape
    assert Augmentation()(noise(), seed())[1].shape == (4, 0)
