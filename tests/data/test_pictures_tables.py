"""Pictures in arrays and tables: NPZ, NPY, Parquet, Arrow, objects; every verb of a data set on such a column."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import ensample as en
from ensample.data.dataset import Dataset
from ensample.data.pictures import pixels_of, tensor_column
from ensample.data.readers import read
from ensample.errors import InputError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)


def images(data, name="image"):
    return pixels_of(data.column(name))


def encoded(pixels, form="PNG"):
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, form)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("array", "pixels"),
    [
        (PIXELS, PIXELS),
        (PIXELS[..., 0], PIXELS[..., :1]),
        (PIXELS[..., :1], PIXELS[..., :1]),
        (np.moveaxis(PIXELS, -1, 1), PIXELS),
        (np.moveaxis(PIXELS[..., :1], -1, 1), PIXELS[..., :1]),
        (PIXELS.astype(np.float32), PIXELS),
        (PIXELS[..., 0] > 9, np.where(PIXELS[..., :1] > 9, 255, 0)),
        (PIXELS[:, ::2, ::-1], PIXELS[:, ::2, ::-1]),
    ],
)
def test_arrays(tmp_path, array, pixels):
    np.save(tmp_path / "x.npy", array)
    for source in (array, tmp_path / "x.npy", {"image": array}):
        assert np.array_equal(images(read(source)), pixels)


def test_digits_as_floats():
    digits = load_digits()
    data = en.read({"image": digits.images, "label": digits.target})
    assert data.schema["image"].kind.describe() == "pictures of 8 x 8, grey, 17 levels"
    assert data.schema["label"].kind.name == "category"


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (PIXELS / 255, "whole numbers from 0 to 255, in record 1"),
        (PIXELS.astype(np.float64) - 1, "whole numbers from 0 to 255"),
        (np.where(PIXELS > 254, np.nan, PIXELS), "whole numbers from 0 to 255"),
        (PIXELS.astype(np.int64), "values of type int64"),
        (PIXELS[..., [0, 1]], "array of several axes"),
        (PIXELS[..., None], "array of several axes"),
    ],
)
def test_arrays_that_are_no_pictures(array, words):
    with pytest.raises(InputError, match=words):
        read({"image": array})


def test_objects():
    arrays = list(PIXELS)
    assert np.array_equal(images(read({"image": arrays})), PIXELS)
    assert np.array_equal(images(read({"image": [Image.fromarray(one) for one in arrays]})), PIXELS)
    packed = [encoded(one) for one in arrays]
    assert np.array_equal(images(read({"image": packed})), PIXELS)
    structs = [{"bytes": one, "path": None} for one in packed]
    assert np.array_equal(images(read({"image": structs})), PIXELS)
    mixed = [Image.fromarray(arrays[0]), Image.fromarray(arrays[1]).resize((9, 4))]
    with pytest.raises(InputError, match="one size"):
        read({"image": mixed})
    assert images(read({"image": mixed}, size=(6, 5))).shape == (2, 6, 5, 3)


@pytest.mark.parametrize("names", ["{0}_{1}", "{1}_{0}"])
def test_parts_of_an_npz(tmp_path, names):
    arrays = {}
    for part, rows in (("train", slice(0, 20)), ("test", slice(20, 30))):
        arrays[names.format("x", part)] = PIXELS[rows]
        arrays[names.format("y", part)] = np.arange(30)[rows] % 3
    np.savez(tmp_path / "a.npz", **arrays)
    data = en.read(tmp_path / "a.npz")
    assert data.names == ["x", "y", "split"]
    assert np.array_equal(images(data, "x"), PIXELS)
    assert data.column("y").to_pylist() == [j % 3 for j in range(30)]
    assert data.column("split").to_pylist() == ["train"] * 20 + ["test"] * 10
    assert data.schema["y"].kind.describe() == "3 levels: 0, 1, 2"


def test_parts_that_do_not_match(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=PIXELS[:20], x_test=PIXELS[20:], y_train=np.arange(20))
    with pytest.raises(InputError, match="one length"):
        read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x_train=PIXELS[:20], x_test=PIXELS[20:, 1:])
    with pytest.raises(InputError, match="All parts of a data set have the same columns"):
        read(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", train=PIXELS[:20], test=PIXELS[20:])
    assert read(tmp_path / "c.npz").names == ["x", "split"]


def test_encoded_pictures_one_after_the_other(tmp_path):
    packed = [encoded(one) for one in PIXELS]
    offset = np.cumsum([0, *map(len, packed)])
    data = np.frombuffer(b"".join(packed), np.uint8)
    classes, label = np.array(["cat", "dog", "owl"]), np.arange(30, dtype=np.uint8) % 3
    np.savez(tmp_path / "a.npz", jpeg=data, offset=offset, label=label, classes=classes)
    read_back = read(tmp_path / "a.npz")
    assert read_back.names == ["jpeg", "label"]
    assert np.array_equal(images(read_back, "jpeg"), PIXELS)
    assert read_back.column("label").to_pylist() == ["cat", "dog", "owl"] * 10
    np.savez(tmp_path / "b.npz", jpeg=data, offset=offset[:-1])
    with pytest.raises(InputError, match="one length"):
        read(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x=PIXELS, label=label + 1, classes=classes)
    with pytest.raises(InputError, match="one length"):
        read(tmp_path / "c.npz")
    np.savez(tmp_path / "d.npz", word=np.array(["a", "b"]), label=np.array([0, 1]), classes=np.array(["x", "y"]))
    assert read(tmp_path / "d.npz").names == ["word", "label", "classes"]


def test_numbers_beside_pictures_are_labels_only_if_called_so():
    counts = np.arange(30) % 3
    schema = en.read({"image": PIXELS, "label": counts, "count": counts, "class": counts + 5}).schema
    assert [field.kind.name for field in schema] == ["image", "category", "number", "number"]
    assert en.read({"label": counts}).schema["label"].kind.name == "number"
    wished = en.read({"image": PIXELS, "label": counts}, kinds={"label": "number"})
    assert wished.schema["label"].kind.name == "number"


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize("struct", [False, True])
def test_encoded_pictures_in_a_table(tmp_path, suffix, struct):
    packed = [encoded(one) for one in PIXELS]
    if struct:
        column = pa.array([{"bytes": one, "path": "x.png"} for one in packed])
    else:
        column = pa.array(packed, pa.large_binary() if suffix == ".arrow" else pa.binary())
    table = pa.table({"id": list(range(30)), "picture": column, "name": ["a", "?", "b"] * 10})
    if suffix == ".parquet":
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=7)
    else:
        with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as writer:
            writer.write_table(table, max_chunksize=7)
    data = read(tmp_path / f"a{suffix}")
    assert data.names == ["id", "picture", "name"]
    assert np.array_equal(images(data, "picture"), PIXELS)
    assert data.column("name").to_pylist() == ["a", None, "b"] * 10
    assert images(read(tmp_path / f"a{suffix}", size=4, mode="L"), "picture").shape == (30, 4, 4, 1)


def test_bad_pictures_in_a_table_take_their_records_along():
    packed = [encoded(one) for one in PIXELS]
    packed[3], packed[7] = None, packed[7][:-40]
    data = read(pa.table({"image": packed, "id": list(range(30))}))
    kept = [j for j in range(30) if j not in (3, 7)]
    assert data.column("id").to_pylist() == kept
    assert np.array_equal(images(data), PIXELS[kept])
    assert "2 of 30 pictures" in data.notes[0]
    assert "record 4 (missing)" in data.notes[0]
    assert "record 8 (" in data.notes[0]


def test_names_of_axes_are_dropped():
    named = pa.fixed_shape_tensor(pa.uint8(), (6, 5, 3), dim_names=["H", "W", "C"])
    column = pa.ExtensionArray.from_storage(named, tensor_column(PIXELS).storage)
    for source in (column, pa.chunked_array([column.slice(0, 4), column.slice(4)])):
        data = en.read(pa.table({"image": source}))
        assert np.array_equal(images(data), PIXELS)
        assert data.schema["image"].kind.name == "image"


def test_bytes_that_are_no_pictures_are_refused():
    with pytest.raises(InputError, match="cells of type binary"):
        read(pa.table({"x": [b"abc", b"def"]}))


def test_tensors_are_brought_into_another_form():
    column = pa.concat_arrays([tensor_column(PIXELS), pa.nulls(1, tensor_column(PIXELS).type)])
    data = read(pa.table({"image": column, "id": list(range(31))}), size=3)
    assert images(data).shape == (30, 3, 3, 3)
    assert "record 31 (missing)" in data.notes[0]
    again = read(data, mode="L")
    assert images(again).shape == (30, 3, 3, 1)
    assert again.notes == data.notes
    grey = Image.fromarray(images(data)[4]).convert("L")
    assert np.array_equal(images(again)[4, ..., 0], np.asarray(grey))
    assert read(data, size=3) is not None
    assert np.array_equal(images(read(data, size=3)), images(data))


def table_of(rows=30):
    return pa.table({"id": list(range(rows)), "image": tensor_column(PIXELS[:rows]), "word": ["a", None, "b"] * 10})


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".feather", ".arrows", ".npz"])
@pytest.mark.parametrize("missing", [False, True])
def test_saved_tables_come_back_exactly(tmp_path, suffix, missing):
    table = table_of()
    if missing:
        column = pa.concat_arrays([tensor_column(PIXELS[:29]), pa.nulls(1, tensor_column(PIXELS).type)])
        table = table.set_column(1, "image", column)
    data = Dataset.from_arrow(pa.concat_tables([table.slice(0, 11), table.slice(11)]))
    data.save(tmp_path / f"a{suffix}")
    back = read(tmp_path / f"a{suffix}")
    assert back.arrow_schema.types == table.schema.types
    assert back.names == table.column_names
    assert back.column("image").is_null().to_pylist() == [False] * 29 + [missing]
    assert np.array_equal(images(back)[:29], PIXELS[:29])
    assert back.column("id").to_pylist() == list(range(30))
    assert back.column("word").to_pylist() == ["a", None, "b"] * 10


def test_every_verb_of_a_data_set(tmp_path):
    data = Dataset.from_arrow(pa.concat_tables([table_of().slice(0, 11), table_of().slice(11)]))
    assert np.array_equal(images(data), PIXELS)
    assert np.array_equal(images(data.take([4, 20, 4])), PIXELS[[4, 20, 4]])
    assert np.array_equal(images(data.take(np.arange(30) % 2 == 0)), PIXELS[::2])
    assert np.array_equal(images(data.head(13)), PIXELS[:13])
    assert np.array_equal(images(data.select(["image"])), PIXELS)
    train, test = data.split(test=10, seed=1)
    assert np.array_equal(images(train), PIXELS[train.column("id").to_numpy()])
    assert np.array_equal(images(test), PIXELS[test.column("id").to_numpy()])
    parts = list(data.batches(7, ["image"]))
    assert [len(part) for part in parts] == [7, 7, 7, 7, 2]
    assert np.array_equal(np.concatenate([pixels_of(part.column(0)) for part in parts]), PIXELS)
    both = Dataset.from_arrow(pa.concat_tables([data.to_arrow(), test.to_arrow()]))
    assert len(images(both)) == 40
    assert en.read(data).schema["image"].kind.name == "image"
    data.save(tmp_path / "a.parquet")
    streamed = read(tmp_path / "a.parquet", limit=1)
    assert streamed.streams
    assert np.array_equal(images(streamed.take([25, 3])), PIXELS[[25, 3]])
    assert np.array_equal(images(streamed.split(test=10, seed=1)[1]), images(test))
    assert en.read(streamed).schema == en.read(data).schema


def test_frames():
    data = Dataset.from_arrow(table_of())
    frame = data.to_pandas()
    assert list(frame.columns) == ["id", "image", "word"]
    assert np.array_equal(frame["image"][4], PIXELS[4])
    back = read(frame)
    assert np.array_equal(images(back), PIXELS)
    assert back.column("word").to_pylist() == ["a", None, "b"] * 10
    assert np.array_equal(images(read(data.to_polars())), PIXELS)
    alone = data.select(["image"]).to_pandas()
    assert np.array_equal(images(read(alone)), PIXELS)
    holed = pa.concat_arrays([tensor_column(PIXELS[:2]), pa.nulls(1, tensor_column(PIXELS).type)])
    assert Dataset.from_arrow(pa.table({"image": holed})).to_pandas()["image"][2] is None


@pytest.mark.parametrize("options", [{"by": "id"}, {"by": "image"}, {"by": "id", "keep": ["image"]}])
def test_pictures_are_no_steps(options):
    with pytest.raises(InputError, match="column 'image'"):
        Dataset.from_arrow(table_of()).sequences(**options)


def test_lists_of_pictures_are_refused():
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 30], pa.int32()), tensor_column(PIXELS))
    with pytest.raises(InputError, match="lists of pictures"):
        read(pa.table({"x": lists}))
    with pytest.raises(InputError, match="column 'image', record 1"):
        read({"image": [PIXELS[0], 3]})


def test_parts_of_what_lies_in_a_file_are_not_copied(monkeypatch):
    data = Dataset.from_arrow(pa.concat_tables([table_of().slice(0, 11), table_of().slice(11)]))
    held = data.split(test=10, seed=1)
    monkeypatch.setattr("ensample.data.pictures.buffer.IN_MEMORY", 1000)
    monkeypatch.setattr("ensample.data.pictures.column.BATCH_BYTES", 500)
    for part, other in zip(data.split(test=10, seed=1), held, strict=True):
        assert part.streams
        assert part.to_arrow().equals(other.to_arrow())
        assert len(part.split(test=3, seed=0)[1]) == 3
    monkeypatch.setattr("ensample.data.pictures.buffer.IN_MEMORY", 10_000)
    assert not data.split(test=10)[0].streams


def test_tensors_as_arrow_makes_them_are_pictures():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 1), dtype=np.uint8)
    column = pa.FixedShapeTensorArray.from_numpy_ndarray(pixels)  # says that no axis is moved
    data = en.read(pa.table({"picture": column}))
    assert data.arrow_schema.field("picture").type == tensor_column(pixels).type
    assert np.array_equal(pixels_of(data.column("picture")), pixels)
