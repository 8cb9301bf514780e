"""Saving records with pictures: a contact sheet, a film of one frame a record, or a folder of files and a table."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data.nested import is_sequence
from ensample.data.pictures.column import batch_rows, is_pictures, pixels_of, shape_of
from ensample.data.pictures.folder import FILE, SCHEMA_FILE
from ensample.data.pictures.sheets import CELL, MOST, encoded, enlarged, flat, sheet
from ensample.errors import FormatError, InputError

if TYPE_CHECKING:
    from PIL import Image

    from ensample.data.dataset import Dataset

FRAME = 100
"""Milliseconds that a frame of a film is shown."""


def save_sheet(data: Dataset, path: Path, columns: int | None = None) -> None:
    """All pictures on one contact sheet, so many in a row (None: about a square), as PNG, JPEG or WebP."""
    from ensample.storage import write_atomically

    name = picture_column(data, path)
    _refuse_missing(data, name, path)
    height, width, _ = shape_of(data.arrow_schema.field(name).type)
    pixels = pixels_of(data.column(name)) if len(data) * height * width <= MOST else np.zeros((0, 1, 1, 1), np.uint8)
    if not len(pixels):
        fix = "choose fewer, for example data.head(100), or save to a folder (a path without suffix)"
        raise InputError("A contact sheet has a size that can be seen.", str(path), f"{len(data):,} pictures", fix)
    form, options = _SHEETS[path.suffix.lower()]
    packed = encoded(sheet(pixels, columns), form, **options)
    write_atomically(path, lambda temporary: temporary.write_bytes(packed))


def save_film(data: Dataset, path: Path) -> None:
    """A GIF that shows one picture after the other, ten in a second, again and again."""
    from ensample.storage import write_atomically

    name = picture_column(data, path)
    _refuse_missing(data, name, path)

    def write(temporary: Path) -> None:
        frames = _frames(data, name)
        first = next(frames)
        first.save(temporary, "GIF", save_all=True, append_images=frames, duration=FRAME, loop=0, disposal=1)

    write_atomically(path, write)


def _frames(data: Dataset, name: str) -> Iterator[Image.Image]:
    from PIL import Image

    height, width, channels = shape_of(data.arrow_schema.field(name).type)
    scale = max(1, 2 * CELL // max(height, width))
    for batch in data.batches(batch_rows(data.arrow_schema), [name]):
        for one in pixels_of(batch.column(0)):
            large = enlarged(one, scale)
            yield flat(Image.fromarray(large[..., 0] if channels == 1 else large))


def save_folder(data: Dataset, path: Path) -> None:
    """One PNG a record, numbered in order, and `metadata.csv` with the other columns (`.jsonl` if some hold lists).

    A hidden file notes the types of the columns, so that `read` gives the same data set back.

    Raises:
        InputError: the folder holds something else already, or a picture is missing.
    """
    from ensample.storage import replace_folder

    name = picture_column(data, path)
    _refuse_missing(data, name, path)
    others = [other for other in data.names if other != name]
    if FILE in others:
        seen, fix = f"a column {FILE!r}", "rename it: that name is for the files that are written"
        raise InputError("Column names must differ.", str(path), seen, fix)
    foreign = path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / SCHEMA_FILE).exists()))
    if foreign:
        raise InputError("A folder is written anew as a whole.", str(path), "other files there", "choose a new folder")
    digits = len(str(max(1, len(data) - 1)))

    def write(folder: Path) -> None:
        _write_files(data, name, folder, digits)
        (folder / SCHEMA_FILE).write_bytes(data.arrow_schema.serialize().to_pybytes())
        if others:
            _write_table(data.select(others), folder, [f"{j:0{digits}}.png" for j in range(len(data))])

    try:
        replace_folder(path, write)
    except OSError as error:
        if isinstance(error, FormatError):
            raise
        fix = "free some space or choose another path"
        raise FormatError("A folder must be writable to its end.", str(path), str(error), fix) from error


def _write_files(data: Dataset, name: str, folder: Path, digits: int) -> None:
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        first = 0
        for batch in data.batches(batch_rows(data.arrow_schema, 4096), [name]):
            pixels = pixels_of(batch.column(0))
            paths = [folder / f"{j:0{digits}}.png" for j in range(first, first + len(pixels))]
            list(pool.map(lambda path, one: path.write_bytes(encoded(one)), paths, pixels))
            first += len(pixels)


def _write_table(data: Dataset, folder: Path, files: list[str]) -> None:
    from ensample.data.dataset import Dataset

    table = data.to_arrow().add_column(0, FILE, pa.array(files))
    lists = any(is_sequence(kind) for kind in table.schema.types)
    Dataset.from_arrow(table, data.schema).save(folder / ("metadata.jsonl" if lists else "metadata.csv"))


def refuse_video(data: Dataset, path: Path) -> None:
    """Raise InputError: films are GIF."""
    raise InputError("A film is saved as GIF.", str(path), repr(path.suffix), "use a path that ends in .gif")


def picture_column(data: Dataset, path: Path) -> str:
    """The name of the one column of pictures; raises InputError if there is none, or several."""
    names = [name for name in data.names if is_pictures(data.arrow_schema.field(name).type)]
    if len(names) == 1:
        return names[0]
    rule = "What is saved as pictures has one column of them."
    if names:
        fix = f"choose one: data.select([{names[0]!r}])"
        raise InputError(rule, str(path), f"columns {', '.join(map(repr, names))}", fix)
    seen, fix = f"no pictures among {', '.join(data.names)}", "save as .csv, .parquet or another format of tables"
    raise InputError(rule, str(path), seen, fix)


def _refuse_missing(data: Dataset, name: str, path: Path) -> None:
    if len(data) == 0:
        raise InputError("There must be a picture to save.", str(path), "no record", "choose some records")
    first = 0
    for batch in data.batches(batch_rows(data.arrow_schema), [name]):
        if batch.column(0).null_count:
            row = first + int(np.argmax(np.asarray(batch.column(0).is_null())))
            place, fix = f"{path}, record {row + 1:,}", "leave such records out, or save as .parquet"
            raise InputError("Every record must have its picture.", place, "missing", fix)
        first += len(batch)


_SHEETS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95}),
    ".jpeg": ("JPEG", {"quality": 95}),
    ".webp": ("WEBP", {"lossless": True}),
}

WRITERS: dict[str, Callable[[Dataset, Path], None]] = {
    **dict.fromkeys(_SHEETS, save_sheet),
    ".gif": save_film,
    **dict.fromkeys((".mp4", ".webm", ".avi", ".mov"), refuse_video),
}
"""Suffix of a path -> what writes the pictures of a data set there."""
