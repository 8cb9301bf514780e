"""Reading pictures: files of every format, folders, labels, metadata, sizes, and what is wrong with some."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

import ensample as en
from ensample.data.pictures import decode, pixels_of
from ensample.data.readers import read
from ensample.errors import FormatError, InputError

RNG = np.random.default_rng(0)
EXACT = {"png": {}, "bmp": {}, "webp": {"lossless": True, "exact": True}}


def noise(height=6, width=5, channels=3):
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(height=32, width=32):
    """Colours that change little from pixel to pixel, which lossy formats keep."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * y, 4 * x, 2 * (x + y)], -1).astype(np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(path, **options)


def images(data, name="image"):
    return pixels_of(data.column(name))


@pytest.mark.parametrize("form", EXACT)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_lossless_formats(tmp_path, form, channels):
    if (form, channels) in (("webp", 1), ("bmp", 4)):
        pytest.skip("the format has no such pictures")
    all_pixels = [noise(channels=channels) for _ in range(3)]
    for j, pixels in enumerate(all_pixels):
        save(tmp_path / f"{j}.{form}", pixels, **EXACT[form])
    data = read(tmp_path)
    assert data.names == ["image"]
    assert np.array_equal(images(data), np.stack(all_pixels))
    one = read(tmp_path / f"1.{form}")
    assert np.array_equal(images(one), all_pixels[1][None])


@pytest.mark.parametrize(("form", "worst"), [("jpg", 8), ("jpeg", 8), ("webp", 12)])
def test_lossy_formats(tmp_path, form, worst):
    save(tmp_path / f"a.{form}", smooth(), quality=95)
    found = images(read(tmp_path))
    assert found.shape == (1, 32, 32, 3)
    assert np.abs(found[0].astype(int) - smooth()).max() <= worst


def test_gif_gives_its_first_frame(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert images(read(tmp_path)).tolist() == np.full((1, 4, 4, 1), 10).tolist()


def test_natural_order(tmp_path):
    for j in (10, 9, 1, 100):
        save(tmp_path / f"a{j}.png", np.full((2, 2, 1), j, np.uint8))
    assert images(read(tmp_path))[:, 0, 0, 0].tolist() == [1, 9, 10, 100]


def test_labels_and_parts_from_folders(tmp_path):
    for j, place in enumerate(("train/cat", "train/dog/big", "test/cat")):
        save(tmp_path / place / "x.png", np.full((2, 2, 1), j, np.uint8))
    data = en.read(tmp_path)
    rows = data.select(["split", "label"]).to_arrow().to_pylist()
    assert rows == [
        {"split": "test", "label": "cat"},
        {"split": "train", "label": "cat"},
        {"split": "train", "label": "dog/big"},
    ]
    assert images(data)[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert data.schema["label"].kind.name == "category"
    assert data.schema["image"].kind.name == "image"
    lone = read(tmp_path / "train" / "cat")
    assert lone.names == ["image"]
    assert read(tmp_path / "train").names == ["image", "label"]


def test_pictures_above_the_labels_have_none(tmp_path):
    save(tmp_path / "a.png", noise())
    save(tmp_path / "cat" / "b.png", noise())
    assert read(tmp_path).column("label").to_pylist() == [None, "cat"]


def test_metadata_beside_the_pictures(tmp_path):
    for name in ("a", "b", "c"):
        save(tmp_path / f"{name}.png", noise())
    (tmp_path / "metadata.csv").write_text("caption,file_name,age\na cat,b.png,3\nthe dog,a.png,\nnone,d.png,1\n")
    data = read(tmp_path)
    assert data.names == ["image", "caption", "age"]
    assert data.column("caption").to_pylist() == ["the dog", "a cat", None]
    assert data.column("age").to_pylist() == [None, 3, None]
    assert "1 rows of the metadata are about pictures that are not there" in data.notes[0]
    assert "1 pictures have no row" in data.notes[1]


def test_metadata_in_every_part(tmp_path):
    for part in ("train", "test"):
        save(tmp_path / part / "img" / "a.png", noise())
        line = json.dumps({"file_name": "img/a.png", "words": ["x", part]})
        (tmp_path / part / "metadata.jsonl").write_text(line + "\n")
    data = read(tmp_path)
    assert data.names == ["image", "words", "split"]
    assert data.column("words").to_pylist() == [["x", "test"], ["x", "train"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,age\na.png,1\n", "column file_name"),
        ("file_name,age\nz.png,1\n", "must name the pictures"),
        ("file_name,age\na.png,1\na.png,2\n", "one row for each picture"),
        ("file_name,image\na.png,1\n", "must differ"),
    ],
)
def test_metadata_that_does_not_fit(tmp_path, text, words):
    save(tmp_path / "a.png", noise())
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read(tmp_path)


def test_bad_files_are_named_and_the_rest_is_kept(tmp_path):
    good = [noise(40, 40) for _ in range(3)]
    for j, pixels in enumerate(good):
        save(tmp_path / f"{j}.png", pixels)
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "1cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "wrong.jpg").write_bytes(whole)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / ".hidden.png").write_text("hello")
    data = read(tmp_path)
    assert np.array_equal(images(data), np.stack(good))
    note, other = data.notes
    assert "4 of 7 pictures cannot be read and are left out" in note
    assert "1cut.png (image file is truncated" in note
    assert "empty.png (an empty file)" in note
    assert "text.jpg (no picture of JPEG, PNG, WEBP, GIF, BMP)" in note
    assert "wrong.jpg (a PNG picture behind the suffix .jpg)" in note
    assert "1 files that are no pictures are left out (readme.txt" in other


def test_labels_stay_with_their_pictures_when_one_is_bad(tmp_path):
    for j, label in enumerate("abc"):
        save(tmp_path / label / "x.png", np.full((30, 30, 1), j, np.uint8))
    save(tmp_path / "b" / "w.png", noise(30, 30, 1))
    (tmp_path / "b" / "w.png").write_bytes((tmp_path / "b" / "w.png").read_bytes()[:500])
    data = read(tmp_path)
    assert data.column("label").to_pylist() == ["a", "b", "c"]
    assert images(data)[:, 0, 0, 0].tolist() == [0, 1, 2]


def test_nothing_readable(tmp_path):
    with pytest.raises(InputError, match="A folder must hold pictures"):
        read(tmp_path)
    (tmp_path / "a.png").write_text("x")
    with pytest.raises(InputError, match=r"a\.png \(no picture of"):
        read(tmp_path)
    with pytest.raises(InputError, match="no picture of"):
        read(tmp_path / "a.png")
    with pytest.raises(FormatError, match="must exist"):
        read(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"\.png, \.webp"):
        (tmp_path / "c.tiff").write_text("x")
        read(tmp_path / "c.tiff")


@pytest.mark.parametrize("side", [11, 15])
def test_decompression_bombs_are_refused(tmp_path, monkeypatch, side):
    """Up to twice the limit Pillow only warns, past that it raises."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    save(tmp_path / "a.png", noise(10, 10))
    save(tmp_path / "b.png", noise(side, 10))
    data = read(tmp_path)
    assert len(data) == 1
    assert "b.png (more than 100 pixels)" in data.notes[0]


@pytest.mark.parametrize("turn", range(1, 9))
def test_orientation_by_the_camera(tmp_path, turn):
    pixels = smooth(16, 24)
    exif = Image.Exif()
    exif[0x0112] = turn
    save(tmp_path / "a.jpg", pixels, quality=97, exif=exif)
    upright = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.transpose(1, 0, 2),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).transpose(1, 0, 2),
        8: np.rot90(pixels),
    }[turn]
    found = images(read(tmp_path))[0]
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).max() <= 8


def test_palettes_16_bits_and_transparency(tmp_path):
    grey = (np.arange(30).reshape(5, 6) * 8).astype(np.uint8)
    deep = grey.astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / "deep.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(grey > 100).save(tmp_path / "truths.png")
    data = read(tmp_path)
    assert data.arrow_schema.field("image").type.shape == [5, 6, 1]
    assert np.array_equal(images(data)[0, ..., 0], grey)
    assert np.array_equal(images(data)[1, ..., 0], grey)
    assert np.array_equal(images(data)[2, ..., 0], np.where(grey > 100, 255, 0))


def test_colours_in_a_palette(tmp_path):
    Image.fromarray(smooth(8, 8)).quantize(200).save(tmp_path / "a.png")
    found = images(read(tmp_path))
    assert found.shape == (1, 8, 8, 3)
    assert np.abs(found[0].astype(int) - smooth(8, 8)).mean() < 8
    save(tmp_path / "b.png", noise(8, 8, 1))
    both = images(read(tmp_path))
    assert both.shape == (2, 8, 8, 3)
    assert np.array_equal(both[1, ..., 0], both[1, ..., 2])


def test_a_transparent_colour_of_a_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png", transparency=0)
    found = images(read(tmp_path))[0]
    assert found[..., 3].tolist() == [[0, 255], [255, 255]]
    assert images(read(tmp_path, mode="RGB"))[0].tolist() == [[[255, 255, 255], [0, 0, 255]], [[0, 0, 255]] * 2]


def test_transparent_parts_are_laid_on_white(tmp_path):
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0, :, 3] = 0, 128, 255
    save(tmp_path / "a.png", pixels)
    assert images(read(tmp_path, mode="L"))[0, 0, :, 0].tolist() == [255, 127, 0]
    save(tmp_path / "b.png", noise(1, 3))
    with pytest.raises(InputError, match="transparency") as caught:
        read(tmp_path)
    assert "RGB: 1" in caught.value.seen
    assert "mode='RGB'" in caught.value.fix
    assert images(read(tmp_path, mode="RGBA"))[1, ..., 3].min() == 255


def test_sizes_must_be_said(tmp_path):
    for j in range(3):
        save(tmp_path / f"a{j}.png", noise(6, 8))
    save(tmp_path / "b.png", noise(7, 8))
    with pytest.raises(InputError, match="one size") as caught:
        read(tmp_path)
    assert caught.value.seen == "(height, width) (6, 8): 3, (7, 8): 1"
    assert "size=32" in caught.value.fix
    assert images(read(tmp_path, size=(4, 5))).shape == (4, 4, 5, 3)
    assert images(read(tmp_path, size=4, mode="L")).shape == (4, 4, 4, 1)


def test_fits(tmp_path):
    """A picture of three bands: crop keeps the middle one, stretch all of them, pad puts black above and below."""
    pixels = np.zeros((10, 30, 3), np.uint8)
    for band in range(3):
        pixels[:, 10 * band : 10 * band + 10, band] = 255
    save(tmp_path / "a.png", pixels)
    cropped = images(read(tmp_path, size=10))[0]
    assert np.array_equal(cropped, pixels[:, 10:20])
    stretched = images(read(tmp_path, size=(10, 15), fit="stretch"))[0]
    assert (stretched[:, 2].argmax(-1) == 0).all()
    assert (stretched[:, 7].argmax(-1) == 1).all()
    assert (stretched[:, 12].argmax(-1) == 2).all()
    padded = images(read(tmp_path, size=30, fit="pad"))[0]
    assert np.array_equal(padded[10:20], pixels)
    assert padded[:10].max() == padded[20:].max() == 0
    clear = images(read(tmp_path, size=30, fit="pad", mode="RGBA"))[0]
    assert clear[:10, ..., 3].max() == 0
    assert clear[10:20, ..., 3].min() == 255


def test_large_photographs_are_as_sharp_as_if_decoded_whole(tmp_path):
    pixels = np.asarray(Image.fromarray(noise(40, 60)).resize((1200, 800), Image.Resampling.BICUBIC))
    save(tmp_path / "a.jpg", pixels, quality=95)
    save(tmp_path / "b.bmp", pixels)
    fast, whole = images(read(tmp_path, size=40))
    assert np.abs(fast.astype(int) - whole).mean() < 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "whole number"),
        ({"size": (4, 5, 6)}, "whole number"),
        ({"size": 2.5}, "whole number"),
        ({"size": True}, "whole number"),
        ({"size": 8, "fit": "zoom"}, "crop, pad, stretch"),
        ({"fit": "crop"}, "without a size"),
        ({"mode": "CMYK"}, "L .grey., RGB or RGBA"),
    ],
)
def test_options_that_make_no_sense(tmp_path, options, words):
    save(tmp_path / "a.png", noise())
    with pytest.raises(InputError, match=words):
        read(tmp_path, **options)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_options_without_pictures(tmp_path, name):
    en.Dataset.from_arrow(pa.table({"x": [1, 2]})).save(tmp_path / name)
    with pytest.raises(InputError, match="no column of them"):
        read(tmp_path / name, size=8)
    with pytest.raises(InputError, match="no column of them"):
        read({"x": [1, 2]}, mode="L")


def test_past_a_limit_pixels_lie_in_a_file(tmp_path, monkeypatch):
    from ensample.data.pictures import buffer

    pixels = [noise() for _ in range(70)]
    for j, one in enumerate(pixels):
        save(tmp_path / "in" / f"{j}.png", one)
    monkeypatch.setattr(buffer, "IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    data = read(tmp_path / "in")
    assert np.array_equal(images(data), np.stack(pixels))
    assert list((tmp_path / "tmp").iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "in")


def test_a_full_disk_is_told(monkeypatch):
    from ensample.data.pictures import buffer

    def full(file, size):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(buffer, "IN_MEMORY", 10)
    monkeypatch.setattr(buffer, "_reserve", full)
    with pytest.raises(FormatError, match="No space left"):
        buffer.room((100,))


def encoded(pixels, form="PNG"):
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, form)
    return packed.getvalue()


def test_what_pictures_begin_with():
    for form in ("PNG", "JPEG", "GIF", "BMP", "WEBP"):
        assert decode.looks_like(encoded(noise(), form)), form
    for other in (b"", b"BMW is a car, not a picture", b"RIFF1234WAVE", b"plain"):
        assert not decode.looks_like(other)
