"""Saving and showing pictures: contact sheets, films, folders that come back, thumbnails."""

from __future__ import annotations

import base64
import datetime
import io
import re

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import ensample as en
from ensample.data.dataset import Dataset
from ensample.data.pictures import pixels_of, sheet, tensor_column
from ensample.data.readers import read
from ensample.errors import FormatError, InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8)


def data_of(pixels=PIXELS, **columns):
    return Dataset.from_arrow(pa.table({"image": tensor_column(pixels), **columns}))


def test_sheet_by_hand():
    pixels = np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint8)[..., None]
    made = sheet(pixels, columns=2, scale=1)[..., 0]
    assert made.tolist() == [
        [1, 2, 255, 255, 3, 4],
        [255] * 6,
        [255] * 6,
        [5, 6, 255, 255, 255, 255],
    ]
    large = sheet(pixels[:1], scale=3)[..., 0]
    assert large.tolist() == [[1, 1, 1, 2, 2, 2]] * 3


@pytest.mark.parametrize(("count", "shape"), [(1, (96, 80)), (4, (194, 162)), (12, (292, 326))])
def test_sheets_are_about_square_and_well_seen(count, shape):
    assert sheet(PIXELS[:1].repeat(count, 0)).shape == (*shape, 3)


def test_many_pictures_are_enlarged_less():
    assert sheet(PIXELS[:1].repeat(900, 0), columns=30).shape == (30 * 38 - 2, 30 * 32 - 2, 3)
    assert sheet(np.zeros((2, 300, 200, 1), np.uint8)).shape == (300, 402, 1)


def test_transparent_between_transparent_pictures():
    made = sheet(np.full((2, 2, 2, 4), 9, np.uint8), columns=2, scale=1)
    assert made[:, 2:4].max() == 0


def test_sheets_have_a_limit():
    with pytest.raises(InputError, match="can be seen"):
        sheet(np.zeros((100, 1000, 1000, 1), np.uint8))
    with pytest.raises(InputError, match="at least one picture"):
        sheet(PIXELS[:0])


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg", ".JPEG"])
def test_a_contact_sheet_is_the_sheet(tmp_path, suffix, channels):
    pixels = RNG.integers(0, 256, (12, 6, 5, channels), dtype=np.uint8)
    path = data_of(pixels).save(tmp_path / f"a{suffix}")
    wanted = Image.fromarray(sheet(pixels)[..., 0] if channels == 1 else sheet(pixels))
    found = Image.open(path)
    if suffix == ".png":
        assert np.array_equal(np.asarray(found), np.asarray(wanted))
    elif suffix == ".webp":
        clear = np.asarray(wanted.convert("RGBA"))[..., 3] == 0
        off = np.asarray(found.convert("RGBA")).astype(int) - np.asarray(wanted.convert("RGBA"))
        assert np.abs(off[~clear]).max() == 0
    else:
        white = Image.new("RGBA", wanted.size, "white")
        flat = np.asarray(Image.alpha_composite(white, wanted.convert("RGBA")).convert("RGB"))
        assert np.abs(np.asarray(found.convert("RGB")).astype(int) - flat).mean() < 8
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_a_film_has_a_frame_for_each_record(tmp_path):
    pixels = np.repeat(np.arange(0, 250, 25, dtype=np.uint8), 16).reshape(10, 4, 4, 1)
    path = data_of(pixels).save(tmp_path / "a.gif")
    with Image.open(path) as film:
        assert film.n_frames == 10
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0
        assert film.size == (192, 192)
        for j in range(10):
            film.seek(j)
            assert np.asarray(film.convert("L"))[50, 70] == 25 * j


def test_films_are_gif(tmp_path):
    with pytest.raises(InputError, match=r"\.gif"):
        data_of().save(tmp_path / "a.mp4")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_folder_comes_back(tmp_path, channels):
    pixels = RNG.integers(0, 256, (12, 6, 5, channels), dtype=np.uint8)
    levels = pa.array(["0", "1", "0"] * 4).dictionary_encode()
    columns = {
        "code": pa.array(["007", None, "1"] * 4),
        "image": tensor_column(pixels),
        "label": levels,
        "size": pa.array(range(12), pa.uint8()),
        "weight": pa.array(np.linspace(0, 1, 12), pa.float32()),
        "truth": pa.array([True, None, False] * 4),
        "day": pa.array([datetime.datetime(2020, 1, 1, 3, 4, 5)] * 12, pa.timestamp("us")),
        "caption": pa.array(['a "cat", so\nto say', "null", "None"] * 4),
    }
    data = Dataset.from_arrow(pa.table(columns))
    path = data.save(tmp_path / "pictures")
    assert sorted(file.name for file in path.iterdir())[:3] == [".schema.arrow", "00.png", "01.png"]
    back = read(path)
    assert back.notes == ()
    assert back.names == data.names
    assert back.arrow_schema.types == data.arrow_schema.types
    assert np.array_equal(pixels_of(back.column("image")), pixels)
    for name in columns:
        assert back.column(name).to_pylist() == data.column(name).to_pylist(), name
    again = data.take([3, 1]).save(path)
    assert len(read(again)) == 2


def test_a_folder_with_lists_and_a_folder_with_nothing_else(tmp_path):
    words = pa.array([["a", "b"], []] * 6)
    data_of(words=words).save(tmp_path / "lists")
    assert read(tmp_path / "lists").column("words").to_pylist() == words.to_pylist()
    data_of().save(tmp_path / "alone")
    assert np.array_equal(pixels_of(read(tmp_path / "alone").column("image")), PIXELS)
    assert not (tmp_path / "alone" / "metadata.csv").exists()


def test_a_column_of_another_name_comes_back_under_it(tmp_path):
    Dataset.from_arrow(pa.table({"x": tensor_column(PIXELS), "image": ["a"] * 12})).save(tmp_path / "a")
    back = read(tmp_path / "a")
    assert back.names == ["x", "image"]
    assert back.column("image").to_pylist() == ["a"] * 12


def test_folders_of_others_are_not_touched(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(InputError, match="other files there"):
        data_of().save(tmp_path / "mine")
    assert (tmp_path / "mine" / "diary.txt").read_text() == "dear diary"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="other files there"):
        data_of().save(tmp_path / "file")


def test_a_folder_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    from ensample.data.pictures import save

    def full(pixels):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(save, "encoded", full)
    with pytest.raises(FormatError, match="No space left"):
        data_of().save(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "a.gif", "folder"])
def test_what_cannot_be_saved_as_pictures(tmp_path, name):
    path = tmp_path / name
    two = Dataset.from_arrow(pa.table({"a": tensor_column(PIXELS), "b": tensor_column(PIXELS)}))
    with pytest.raises(InputError, match="one column of them"):
        two.save(path)
    holed = pa.concat_arrays([tensor_column(PIXELS), pa.nulls(1, tensor_column(PIXELS).type)])
    with pytest.raises(InputError, match="record 13"):
        Dataset.from_arrow(pa.table({"a": holed})).save(path)
    with pytest.raises(InputError, match="no record"):
        data_of().head(0).save(path)
    table = Dataset.from_arrow(pa.table({"a": [1]}))
    with pytest.raises(InputError, match="no suffix" if name == "folder" else "one column of them"):
        table.save(path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="file_name"):
        data_of(file_name=["a"] * 12).save(tmp_path / "folder")


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_text_holds_no_pictures(tmp_path, suffix):
    with pytest.raises(InputError, match="holds no pictures") as caught:
        data_of().save(tmp_path / f"a{suffix}")
    assert "folder" in caught.value.fix
    assert list(tmp_path.iterdir()) == []


def thumbnails(html):
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(code)))) for code in re.findall(r'base64,([^"]+)"', html)]


def test_shown_in_a_notebook():
    data = data_of(word=["<b>"] * 12)
    html = data._repr_html_()
    shown = thumbnails(html)
    assert len(shown) == 5
    assert np.array_equal(np.stack(shown), PIXELS[:5])
    assert 'width="80" height="96" style="image-rendering:pixelated"' in html
    assert "&lt;b&gt;" in html
    assert "<small>picture</small>" in html


def test_shown_large_and_missing():
    pixels = np.zeros((1, 400, 200, 1), np.uint8)
    pixels[:, :200] = 255
    column = pa.concat_arrays([tensor_column(pixels), pa.nulls(1, tensor_column(pixels).type)])
    html = en.Dataset.from_arrow(pa.table({"x": column}))._repr_html_()
    assert 'width="48" height="96"' in html
    assert "<td>missing</td>" in html
    (shown,) = thumbnails(html)
    assert shown.shape == (192, 96)
    assert shown[40, 40] == 255
    assert shown[150, 40] == 0


def test_shown_as_text():
    text = repr(data_of(PIXELS[..., :1]))
    assert text.splitlines()[1:4] == ["image", "picture", "6 x 5 grey"]
