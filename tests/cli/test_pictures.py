"""Models of pictures at the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import ensample as en
from ensample.cli.main import command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of pictures by label, and a model of it, fitted by the command line."""
    root = tmp_path_factory.mktemp("pictures")
    digits = load_digits()
    for label in range(3):
        (root / "digits" / str(label)).mkdir(parents=True)
        for i, image in enumerate(digits.images[digits.target == label][:30]):
            Image.fromarray((image * 15).astype(np.uint8)).save(root / "digits" / str(label) / f"{i}.png")
    how = ["--family", "field", "--given", "label", "--budget", "5 steps", "--seed", "0", "--quiet"]
    assert command(["fit", str(root / "digits"), *how, "--save", str(root / "digits.ens")]) == 0
    return root


def test_a_sheet_has_a_row_for_each_label(folder, capsys):
    assert command(["sample", str(folder / "digits.ens"), "--grid", "4", "--seed", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"rows": 12, "saved": str(folder / "digits.png")}
    with Image.open(folder / "digits.png") as sheet:
        assert sheet.width > sheet.height


def test_samples_are_saved_as_a_folder_that_opens_again(folder):
    out = folder / "made"
    assert command(["sample", str(folder / "digits.ens"), "-n", "5", "--where", "label=2", "--save", str(out)]) == 0
    made = en.read(out)
    assert len(made) == 5 and made.column("label").to_pylist() == ["2"] * 5


def test_a_grid_is_of_pictures(folder, capsys, tmp_path):
    en.fit({"x": list(range(30))}, "independent").save(tmp_path / "table.ens")
    assert command(["sample", str(tmp_path / "table.ens"), "--grid", "3"]) == 1
    assert "A grid is of pictures" in capsys.readouterr().err


def test_a_picture_is_repaired_by_a_mask(folder):
    mask = np.zeros((8, 8), np.uint8)
    mask[4:] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    picture, out = folder / "digits" / "0" / "3.png", folder / "whole.npz"
    words = ["edit", str(folder / "digits.ens"), str(picture), "--mask", str(folder / "mask.png"), "--where", "label=0"]
    assert command([*words, "--save", str(out), "--seed", "0"]) == 0
    (made,) = en.read(out).column("image").combine_chunks().to_numpy_ndarray()
    with Image.open(picture) as before:
        assert np.array_equal(made[:4, :, 0], np.asarray(before)[:4])


def test_a_morph_goes_from_one_to_the_other(folder):
    """Between two records of a latent space; the film has a frame for each step."""
    model = en.fit(en.read(folder / "digits"), "vae", model=["image"], budget="5 steps", seed=0)
    model.save(folder / "vae.ens")
    ends = [str(folder / "digits" / str(label) / "1.png") for label in (0, 1)]
    film = folder / "morph.gif"
    assert command(["morph", str(folder / "vae.ens"), *ends, "--steps", "6", "--save", str(film)]) == 0
    with Image.open(film) as frames:
        assert frames.format == "GIF" and 1 < frames.n_frames <= 6


@pytest.mark.parametrize(("size", "words"), [("big", "number of pixels"), ("4x4x4", "number of pixels")])
def test_sizes_that_are_none(folder, capsys, size, words):
    assert command(["fit", str(folder / "digits"), "--size", size]) == 1
    assert words in capsys.readouterr().err


def test_the_command_line_knows_every_way_to_edit():
    from ensample.cli.pictures import WAYS
    from ensample.editing import HOW

    assert tuple(HOW) == WAYS


def test_one_sort_becomes_another(folder, capsys):
    model, digits = folder / "cycle.ens", folder / "digits"
    how = ["--family", "image-cycle", "--given", "label", "--budget", "2 steps", "--seed", "0", "--quiet"]
    assert command(["fit", str(digits), *how, "--save", str(model)]) == 0
    words = ["edit", str(model), str(digits / "1"), "--how", "translate", "--save", str(folder / "turned")]
    assert command([*words, "--to", "2"]) == 0
    assert command([*words[:-1], str(folder / "again"), "--to", "label=2"]) == 0
    made, again = (en.read(folder / name) for name in ("turned", "again"))
    assert len(made) == 30 and set(made.column("label").to_pylist()) == {"2"}
    assert made.to_arrow().column("image").equals(again.to_arrow().column("image"))
    capsys.readouterr()
    assert command(["sample", str(model)]) == 1
    assert "only the verbs" in capsys.readouterr().err
