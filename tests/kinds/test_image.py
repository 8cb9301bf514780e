"""Kind `image`: the grid of pixel values, and pictures as levels and back."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.datasets import load_digits

from ensample.data.dataset import Dataset
from ensample.data.pictures import tensor_column
from ensample.data.schema import Field, Schema
from ensample.errors import FormatError, InputError
from ensample.kinds import fit_kind, guess, schema_from_plain
from ensample.kinds.base import Kind, Rule
from ensample.kinds.image import Image
from ensample.kinds.profile import Profile

RNG = np.random.default_rng(0)


def pictures(values, shape=(40, 6, 5, 3)):
    """Pictures of these values, every one of which is met."""
    pixels = RNG.choice(np.array(values, np.uint8), shape)
    pixels.reshape(-1)[: len(values)] = values
    return pixels


def fitted(pixels):
    return Image.fit(Profile.of(tensor_column(pixels)))


@pytest.mark.parametrize(
    ("values", "step", "levels"),
    [
        (range(256), 1, 256),
        (range(0, 256, 2), 2, 128),
        ([0, 255], 255, 2),
        ([0, 1], 1, 2),
        ([255], 255, 2),
        ([0], 1, 2),
        (range(17), 1, 17),
        (range(0, 256, 17), 17, 16),
        (range(100, 128), 1, 128),
        ([3, 7, 128], 1, 256),
        ([6, 9], 3, 4),
    ],
)
def test_grid_of_pixel_values(values, step, levels):
    kind = fitted(pictures(values))
    assert (kind.step, kind.levels) == (step, levels)
    assert (kind.height, kind.width, kind.channels) == (6, 5, 3)


def test_digits_have_seventeen_levels():
    pixels = load_digits().images.astype(np.uint8)[..., None]
    kind = fitted(pixels)
    assert kind.describe() == "pictures of 8 x 8, grey, 17 levels"
    assert kind.event.shape == (1, 8, 8)
    lattice = kind.event.lattice
    assert (lattice.low, lattice.high) == (0, 16)
    assert torch.equal(lattice.encode(torch.tensor([0, 4, 8, 16])), torch.tensor([-1, -0.5, 0, 1]).double())
    assert torch.equal(lattice.index(lattice.encode(torch.arange(17))), torch.arange(17))


@pytest.mark.parametrize("values", [range(256), [0, 255], range(17), [0, 85, 170, 255]])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_levels_and_back(values, channels):
    pixels = pictures(values, (40, 6, 5, channels))
    column = tensor_column(pixels)
    kind = fitted(pixels)
    levels = kind.levels_of(column, "x")
    assert levels.dtype == np.uint8
    assert levels.shape == (40, channels, 6, 5)
    assert levels.max() == kind.levels - 1
    assert np.array_equal(levels[7, :, 2, 4].astype(int) * kind.step, pixels[7, 2, 4])
    assert kind.column_of(levels).equals(column)
    cells = kind.encode(column, "x")
    assert cells.shape == (40, channels * 30)
    assert kind.decode(cells, RNG).equals(column)
    part = column.slice(5, 9).take(pa.array([3, 1]))
    assert np.array_equal(kind.levels_of(part, "x"), levels[[8, 6]])
    assert np.array_equal(kind.levels_of(column.slice(5, 9), "x"), levels[5:14])


def test_levels_beyond_the_grid_are_taken_to_its_ends():
    kind = fitted(pictures([0, 255]))
    made = kind.column_of(np.full((1, 3, 6, 5), 9, np.int64))
    assert made.to_numpy_ndarray().max() == 255


def test_refusals_name_field_and_row():
    kind = fitted(pictures([0, 255]))
    odd = pictures([0, 255])
    odd[11, 2, 3, 1] = 254
    with pytest.raises(InputError, match=r"column 'scan', row 11") as caught:
        kind.levels_of(tensor_column(odd), "scan")
    assert "the value 254" in caught.value.seen
    with pytest.raises(InputError, match="column 'scan'") as caught:
        kind.levels_of(tensor_column(pictures([0, 255], (3, 7, 5, 3))), "scan")
    assert caught.value.fix == "read them with size=(6, 5), mode='RGB'"
    holed = pa.concat_arrays([tensor_column(odd).slice(0, 4), pa.nulls(1, tensor_column(odd).type)])
    with pytest.raises(InputError, match=r"column 'scan', row 4"):
        kind.levels_of(holed, "scan")
    with pytest.raises(InputError, match="1 of 5 pictures are missing"):
        Image.fit(Profile.of(holed))
    with pytest.raises(InputError, match="uint8"):
        fit_kind("image", pa.array([1, 2, 3]))
    with pytest.raises(InputError, match="a field of pictures"):
        kind.limits(Rule((1,)), "scan")


def test_a_guess_in_batches_is_exact(monkeypatch):
    monkeypatch.setattr("ensample.data.pictures.column.BATCH_BYTES", 1000)
    monkeypatch.setattr("ensample.kinds.profile.COUNTED_PIXELS", 100)
    pixels = pictures(range(17), (3000, 4, 4, 1))
    pixels[:2000] = np.minimum(pixels[:2000], 8)
    pixels[2100:] = np.minimum(pixels[2100:], 8)
    table = pa.table({"x": tensor_column(pixels), "label": [str(n % 3) for n in range(3000)]})
    data = Dataset.from_arrow(pa.concat_tables([table.slice(0, 1000), table.slice(1000)]))
    schema = guess(data)
    assert schema["x"].kind.levels == 17
    assert schema["label"].kind.describe() == "3 levels: 0, 1, 2"
    with pytest.raises(InputError, match="category"):
        guess(data, {"x": "category"})


def test_stored_and_restored():
    kind = fitted(pictures(range(256)))
    assert isinstance(kind, Kind)
    schema = Schema((Field("x", kind.dtype, kind),))
    back = schema_from_plain(json.loads(json.dumps(schema.to_plain())))
    assert back == schema
    assert str(back).splitlines()[1].split()[:4] == ["x", "picture", "image", "pictures"]
    assert back["x"].kind.type == tensor_column(pictures(range(256))).type
    facts = schema.to_plain()
    facts["fields"][0]["measured"]["levels"] = 300
    with pytest.raises(FormatError):
        schema_from_plain(facts)


def test_the_grid_has_all_the_probability():
    kind = fitted(pictures([0, 255]))
    assert kind.log_volume(tensor_column(pictures([0, 255])), "x").tolist() == [0.0] * 40
    assert kind.unseen == 0
    assert kind.spans("x") == ()
    assert kind.present() is None
