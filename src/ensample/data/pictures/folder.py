"""Folders of pictures: labels and parts from the names of sub-folders, other columns from a table beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.dataset import Dataset, refuse_twins
from ensample.data.pictures.column import is_pictures, tensor_column
from ensample.data.pictures.decode import FORMATS, decode
from ensample.data.pictures.form import Form
from ensample.data.store import Memory
from ensample.data.texts import SUFFIXES
from ensample.errors import InputError

IMAGE, LABEL, SPLIT, FILE = "image", "label", "split", "file_name"
"""Names of the columns; the last one is that of a table of metadata, and says which picture a row is about."""

PARTS = ("train", "training", "test", "testing", "validation", "valid", "val", "dev")
"""Sub-folders of these names are parts of a data set, not labels."""

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SCHEMA_FILE = ".schema.arrow"
"""Holds the Arrow types of all columns in a folder that a data set was saved as."""


@dataclass(frozen=True)
class Found:
    """What lies below a folder: pictures and tables of metadata, and how many other files."""

    root: Path
    pictures: tuple[Path, ...]
    tables: tuple[Path, ...]
    others: int = 0
    other: str = ""


def find(root: Path) -> Found:
    """Look through a folder and all below it; hidden files are passed over."""
    top = os.path.normpath(root)
    pictures, tables, others = list[str](), list[str](), list[str]()
    for folder, below, files in os.walk(top):
        below[:] = [name for name in below if not name.startswith((".", "__MACOSX"))]
        inside = os.path.relpath(folder, top)
        for name in files:
            path = name if inside == "." else f"{inside}{os.sep}{name}"
            picture = name.lower().endswith(tuple(FORMATS))
            if not name.startswith("."):
                (tables if name in METADATA else pictures if picture else others).append(path)
    pictures.sort(key=natural)
    found, beside = (tuple(Path(top, path) for path in paths) for paths in (pictures, sorted(tables)))
    return Found(Path(top), found, beside, len(others), min(others, default=""))


def natural(name: str) -> list[tuple[int, str]]:
    """A key by which 2 comes before 10.

    Example:
        >>> sorted(["b10.png", "b2.png", "a.png"], key=natural)
        ['a.png', 'b2.png', 'b10.png']
    """
    return [(int(part) if j % 2 else -1, part) for j, part in enumerate(re.split(r"([0-9]+)", name))]


def read_folder(root: Path, form: Form, read_table: Callable[[Path, pa.Schema | None], Dataset]) -> Dataset:
    """The pictures of a folder as a data set.

    Columns: `image`; `label` if the pictures lie in two or more sub-folders; `split` if the folders above these are
    called train, test, ...; and those of a `metadata.csv`, `.jsonl` or `.parquet` beside the pictures, whose column
    `file_name` says which picture a row is about. A folder that `Dataset.save` wrote gives back its columns.

    Arguments:
        root: the folder.
        form: what the pictures are to look like.
        read_table: reads a table of metadata, with these types if they are known.

    Raises:
        InputError: there is no picture that can be read, they are of several sizes, or the metadata is not about them.
    """
    found = find(root)
    if not found.pictures:
        raise InputError(
            "A folder must hold pictures or texts.",
            str(root),
            f"{found.others:,} files, none of them {', '.join((*FORMATS, *SUFFIXES))}" if found.others else "no file",
            "name a folder of pictures or texts, or a file",
        )
    schema = stored_schema(root)
    decoded = decode(found.pictures, form, lambda j: str(found.pictures[j].relative_to(found.root)), str(root))
    kept = [found.pictures[j] for j in decoded.kept]
    notes = list(decoded.notes)
    if found.others:
        notes.append(f"{found.others:,} files that are no pictures are left out ({found.other}, ...)")
    own = IMAGE if schema is None else next((f.name for f in schema if is_pictures(f.type)), IMAGE)
    table = pa.table({own: tensor_column(decoded.pixels)})
    beside, remarks = _metadata(found, kept, schema, read_table)
    refuse_twins([own, *beside.column_names], str(root))
    for field in beside.schema:
        table = table.append_column(field, beside.column(field.name))
    for name, texts in from_folders(found.root, kept).items():
        if name not in table.column_names:
            table = table.append_column(name, as_levels(texts))
    if schema is not None:
        table = _as_noted(table, schema)
    return Dataset(Memory(table), None, str(root), (*notes, *remarks))


def read_file(path: Path, form: Form) -> Dataset:
    """One picture as a data set of one record. Raises InputError if it cannot be read."""
    decoded = decode([path], form, lambda j: path.name, str(path))
    return Dataset(Memory(pa.table({IMAGE: tensor_column(decoded.pixels)})), None, str(path))


def stored_schema(root: Path) -> pa.Schema | None:
    """The types that `Dataset.save` noted in a folder, None if it did not make the folder."""
    path = root / SCHEMA_FILE
    try:
        return pa.ipc.read_schema(pa.py_buffer(path.read_bytes())) if path.exists() else None
    except (pa.ArrowInvalid, OSError):
        return None


def _as_noted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns in the order and of the types that they had when the folder was saved."""
    for noted in schema:
        place = table.schema.get_field_index(noted.name)
        if place >= 0 and table.schema.field(place).type != noted.type and not is_pictures(noted.type):
            table = table.set_column(place, noted, _cast(table.column(place), noted.type))
    names = [name for name in schema.names if name in table.column_names]
    return table.select(names + [name for name in table.column_names if name not in names])


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    try:
        if not pa.types.is_dictionary(kind):
            return column.cast(kind)
        coded = column.cast(kind.value_type).combine_chunks().dictionary_encode()
        indices = coded.indices.cast(kind.index_type)
        return pa.chunked_array([pa.DictionaryArray.from_arrays(indices, coded.dictionary, ordered=kind.ordered)])
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        seen, fix = " ".join(str(error).split()), f"repair the values, or remove {SCHEMA_FILE}"
        raise InputError("Metadata must be of the types that were noted with it.", f"type {kind}", seen, fix) from error


def from_folders(root: Path, files: Sequence[Path]) -> dict[str, list[str | None]]:
    """Columns that the names of the folders tell: `split` and `label` of each file below `root`."""
    places = [path.relative_to(root).parent.parts for path in files]
    told: dict[str, list[str | None]] = {}
    if all(place and place[0].lower() in PARTS for place in places):
        told[SPLIT] = [place[0] for place in places]
        places = [place[1:] for place in places]
    if len(set(places)) > 1:
        told[LABEL] = ["/".join(place) or None for place in places]
    return told


def as_levels(texts: Sequence[str | None]) -> pa.Array:
    """Names as a dictionary column, its levels in natural order."""
    levels = sorted({text for text in texts if text is not None}, key=natural)
    codes = pc.index_in(pa.array(texts, pa.string()), value_set=pa.array(levels, pa.string()))
    return pa.DictionaryArray.from_arrays(codes, pa.array(levels, pa.string()))


def _metadata(
    found: Found,
    pictures: Sequence[Path],
    schema: pa.Schema | None,
    read_table: Callable[[Path, pa.Schema | None], Dataset],
) -> tuple[pa.Table, list[str]]:
    """The columns of all tables of metadata, a row for each picture, and remarks."""
    if not found.tables:
        return pa.table({}), []
    tables, remarks = [], list[str]()
    for path in found.tables:
        data = read_table(path, schema)
        remarks += data.notes
        tables.append(_keyed(path, data.to_arrow()))
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        place = ", ".join(map(str, found.tables))
        raise InputError("Tables of metadata must agree.", place, str(error), "write them alike") from error
    keys = table.column(FILE).combine_chunks()
    _refuse_repeated(keys, found.root)
    rows = pc.index_in(pa.array([str(path) for path in pictures], pa.string()), value_set=keys)
    lost = len(keys) - (len(rows) - rows.null_count)
    if rows.null_count == len(rows):
        seen, fix = f"{keys[0]} and others", "write them relative to the table's own folder"
        raise InputError(f"The column {FILE} must name the pictures.", str(found.tables[0]), seen, fix)
    if lost:
        remarks.append(f"{lost:,} rows of the metadata are about pictures that are not there or cannot be read")
    if rows.null_count:
        remarks.append(f"{rows.null_count:,} pictures have no row in the metadata: their other columns are missing")
    return table.drop_columns([FILE]).take(rows), remarks


def _keyed(path: Path, table: pa.Table) -> pa.Table:
    """A table of metadata with the whole paths of its pictures."""
    if FILE not in table.column_names:
        seen = ", ".join(map(repr, table.column_names))
        raise InputError(f"Metadata must have a column {FILE}.", str(path), seen, "say there which picture a row means")
    names = table.column(FILE).cast(pa.string()).to_pylist()
    whole = [None if name is None else os.path.normpath(path.parent / name) for name in names]
    return table.set_column(table.column_names.index(FILE), FILE, pa.array(whole, pa.string()))


def _refuse_repeated(keys: pa.Array, root: Path) -> None:
    counts = pc.value_counts(keys)
    most = int(np.argmax(counts.field("counts").to_numpy())) if len(counts) else 0
    if len(counts) and counts.field("counts")[most].as_py() > 1:
        entry = counts[most].as_py()
        raise InputError(
            "Metadata has one row for each picture.",
            str(root),
            f"{entry['counts']} rows about {entry['values']}",
            "keep one row of them, or put what they say into one list",
        )
