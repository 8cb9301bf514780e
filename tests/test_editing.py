"""Editing pictures, from the public side."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import ensample as en
from ensample.data.pictures.column import pixels_of
from ensample.errors import CapabilityError, InputError
from ensample.families import Flat, Trees
from ensample.families.base import Distribution
from ensample.solvers.measured import Blur, Downsample


def digits(rows: int = 400) -> np.ndarray:
    return (load_digits().images[:rows].astype(np.uint8) * 15)[..., None]  # 0, 15, ..., 240: 17 levels


@pytest.fixture(scope="module")
def field():
    return en.fit(en.read({"digit": digits()}), "field", budget="30 steps", seed=0)


@pytest.fixture(scope="module")
def coloured():
    rgb = np.concatenate([digits(200), 255 - digits(200), digits(200)], -1)
    return en.fit(
        en.read({"digit": rgb, "label": load_digits().target[:200].astype(str)}),
        "field",
        given="label",
        budget="3 steps",
    )


@pytest.fixture(scope="module")
def flat():
    return en.fit(en.read({"digit": digits()}), Flat(of=Trees()), budget="5s", seed=0)


@pytest.mark.parametrize("which", ["field", "flat"])
def test_inpainting_keeps_what_is_known_and_fills_the_rest(which, request):
    model, test = request.getfixturevalue(which), digits(410)[400:]
    mask = np.zeros((8, 8), bool)
    mask[3:] = True
    one, two, other = (
        pixels_of(model.edit(en.read({"digit": test}), mask=mask, seed=seed).column("digit")) for seed in (1, 1, 2)
    )
    assert np.array_equal(one[:, :3], test[:, :3])
    assert np.array_equal(one, two) and not np.array_equal(one, other)
    assert set(np.unique(one)) <= set(range(0, 241, 15))


def test_a_mask_is_an_array_a_stack_of_them_or_a_picture(flat, tmp_path):
    test = en.read({"digit": digits(2)})
    mask = np.zeros((8, 8), bool)
    mask[:, 4:] = True
    en.read({"mask": (mask * 255).astype(np.uint8)[None]}).save(tmp_path / "masks")
    (file,) = (tmp_path / "masks").glob("*.png")
    made = [flat.edit(test, mask=m, seed=3) for m in (mask, np.stack([mask, mask]), file)]
    first = pixels_of(made[0].column("digit"))
    assert all(np.array_equal(first, pixels_of(other.column("digit"))) for other in made[1:])
    assert np.array_equal(first[:, :, :4], digits(2)[:, :, :4])


def test_outpainting_goes_on_around_smaller_pictures(flat):
    part = digits(3)[:, 1:7, 2:6]
    made = pixels_of(flat.edit(en.read({"part": part}), "outpaint", seed=0).column("digit"))
    assert made.shape == (3, 8, 8, 1) and np.array_equal(made[:, 1:7, 2:6], part)


def test_enlarged_pictures_shrink_to_what_they_came_from(field):
    small = digits(20).reshape(20, 4, 2, 4, 2, 1).mean((2, 4)).astype(np.uint8)
    made = pixels_of(field.edit(en.read({"small": small}), "enlarge", seed=0).column("digit"))
    import torch

    again = Downsample(2).of(torch.from_numpy(made[..., 0].astype(float))[:, None])[:, 0].numpy()
    assert np.abs(again - small[..., 0]).mean() < 12  # levels are 15 apart


def test_sharpened_pictures_blur_to_what_they_came_from(field):
    import torch

    blur = Blur.gaussian(8, 8, 1.0)
    sharp = torch.from_numpy(digits(20)[..., 0].astype(float))[:, None]
    rough = blur.of(sharp).round().clamp(0, 255)
    read = en.read({"rough": rough.numpy().astype(np.uint8)[:, 0, :, :, None]})
    made = pixels_of(field.edit(read, "deblur", sd=1.0, seed=0).column("digit"))
    again = blur.of(torch.from_numpy(made[..., 0].astype(float))[:, None])
    assert float((again - rough).abs().mean()) < 12


def test_colours_are_put_on_grey_pictures(coloured):
    made = coloured.edit(en.read({"grey": digits(4)}), "colourise", where={"label": "3"}, seed=0)
    assert pixels_of(made.column("digit")).shape == (4, 8, 8, 3)
    assert set(map(str, made.column("label").to_pylist())) == {"3"}


def test_little_strength_keeps_more(field):
    test = digits(30)
    near, far = (
        np.abs(
            pixels_of(field.edit(en.read({"digit": test}), "vary", strength=s, seed=0).column("digit")).astype(int)
            - test
        ).mean()
        for s in (0.1, 1.0)
    )
    assert near < far / 2


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"how": "paint"}, "choose inpaint"),
        ({}, "needs a mask"),
        ({"mask": np.zeros((3, 3), bool)}, "size of the pictures"),
        ({"how": "enlarge"}, "4 x 4"),
        ({"how": "colourise"}, "model of colours"),
        ({"how": "vary", "strength": 0.0}, "share"),
        ({"how": "deblur", "sd": 0.0}, "range"),
        ({"how": "deblur", "steps": 0}, "range"),
    ],
)
def test_wishes_that_cannot_be(field, wish, words):
    with pytest.raises(InputError, match=words):
        field.edit(en.read({"digit": digits(2)}), **wish)


def test_what_only_a_field_can_do(flat):
    with pytest.raises(CapabilityError, match="fields of pictures"):
        flat.edit(en.read({"digit": digits(2)}), "vary")


def test_tables_have_no_pictures_to_edit():
    model = en.fit({"x": list(range(40))}, "independent")
    assert isinstance(model.distribution, Distribution) and not hasattr(model, "edit")


def noisy_digits(deviation: float) -> tuple[np.ndarray, np.ndarray]:
    clean = digits(430)[400:].astype(float)
    return clean, np.clip(clean + np.random.default_rng(0).normal(0, deviation, clean.shape), 0, 240).astype(np.uint8)


def test_noise_is_taken_away():
    model = en.fit(
        en.read({"digit": digits()}), en.families.ImagePatches(size=4, components=8), budget="10 steps", seed=0
    )
    clean, noisy = noisy_digits(40)
    made = pixels_of(model.edit(en.read({"noisy": noisy}), "denoise", noise=40 / 120, seed=0).column("digit"))
    before, after = (np.sqrt(np.mean((np.asarray(x, float) - clean) ** 2)) for x in (noisy, made))
    assert after < 0.9 * before
    with pytest.raises(InputError, match="how large errors are"):
        model.edit(en.read({"noisy": noisy}), "denoise")


def test_where_there_is_hardly_noise_a_field_changes_hardly_anything(field):
    clean = digits(420)[400:]
    made = pixels_of(field.edit(en.read({"clean": clean}), "denoise", noise=1e-3, seed=0).column("digit"))
    assert np.abs(made.astype(int) - clean).mean() < 2  # levels are 15 apart


def test_texture_is_taken_and_content_kept():
    content = np.zeros((2, 16, 16, 1), np.uint8)
    content[:, 4:12, 4:12] = 200
    stripes = np.tile(np.array([0, 255], np.uint8), (16, 8))[None, ..., None]
    data = en.read({"picture": content, "name": ["a", "b"]})
    made = en.restyle(data, en.read({"style": stripes}), keep=0.1, steps=40)
    one = pixels_of(made.column("picture"))[0, ..., 0].astype(float)
    assert made.names == ["picture", "name"] and made.column("name").to_pylist() == ["a", "b"]
    steps = np.abs(np.diff(one, axis=1)).mean(), np.abs(np.diff(content[0, ..., 0].astype(float), axis=1)).mean()
    assert steps[0] > 2 * steps[1]  # stripes have come in
    with pytest.raises(InputError, match="same colours"):
        en.restyle(data, en.read({"style": np.repeat(stripes, 3, -1)}))
    with pytest.raises(InputError, match="range"):
        en.restyle(data, en.read({"style": stripes}), keep=-1.0)
