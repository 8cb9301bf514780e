"""Text files and folders of them as feeds of records."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from ensample.data.pictures.folder import as_levels, from_folders, natural
from ensample.data.readers.feed import Feed
from ensample.data.sources import COMPRESSIONS, File
from ensample.data.texts import COLUMN, SUFFIXES, TEXT
from ensample.data.texts.files import BLOCK, decoded
from ensample.data.texts.records import LOOKED_AT, RECORDS, is_list, whole
from ensample.errors import InputError

FOLDER_FILES = 1024
"""Files of a folder that are handed over at a time, at most; fewer where they hold more than a block."""

ENDS = tuple(suffix + packed for suffix in SUFFIXES for packed in ("", *COMPRESSIONS))
"""How names of text files end."""


def feed(file: File, encoding: str, records: str | None) -> Feed:
    """One text file: one record, or one for each line or paragraph.

    Raises:
        InputError: `records` is none of these words, or the file is no text in this encoding.
    """
    notes = []
    if records is None:
        records = _told(file, encoding)
        if records == "lines":
            notes.append('each line is a record, since it looks like a list; records="whole" makes it one text')
    schema = pa.schema([COLUMN])
    return Feed(
        str(file.path), _Open(file, encoding, records, schema), notes=tuple(notes), schema=schema, texts=(TEXT,)
    )


def known(records: str | None) -> str | None:
    """The word itself. Raises InputError if it is none that says what a record is."""
    if records is not None and records not in RECORDS:
        raise InputError(
            "A record of a text file is one of three things.", "records", repr(records), f"say {', '.join(RECORDS)}"
        )
    return records


def _told(file: File, encoding: str) -> str:
    if file.suffix != ".txt":
        return "whole"
    blocks = decoded(file, encoding)
    head = ""
    while len(head) < LOOKED_AT and (block := next(blocks, None)) is not None:
        head += block
    blocks.close()  # type: ignore[attr-defined]  # a generator
    return "lines" if is_list(head if head.endswith("\n") or len(head) >= LOOKED_AT else head + "\n") else "whole"


@dataclass(frozen=True)
class _Open:
    """A pass over the records of a file."""

    file: File
    encoding: str
    records: str
    schema: pa.Schema

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        for texts in RECORDS[self.records](decoded(self.file, self.encoding), str(self.file.path)):
            columns = [texts] if names is None or TEXT in names else []
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema if columns else pa.schema([]))


def text_files(root: Path) -> tuple[list[Path], list[Path]]:
    """Text files below a folder in natural order, and all other files; hidden ones are passed over."""
    texts, others = list[Path](), list[Path]()
    for folder, below, files in os.walk(os.path.normpath(root)):
        below[:] = [name for name in below if not name.startswith((".", "__MACOSX"))]
        for name in files:
            if not name.startswith("."):
                (texts if name.lower().endswith(ENDS) else others).append(Path(folder, name))
    return sorted(texts, key=lambda path: natural(str(path))), sorted(others)


def folder(root: Path, encoding: str) -> Feed:
    """The text files of a folder, a record each, with `label` and `split` from the names of its folders.

    Raises:
        InputError: a file is no text in this encoding.
    """
    files, others = text_files(root)
    told = {name: as_levels(texts) for name, texts in from_folders(Path(os.path.normpath(root)), files).items()}
    notes = list[str]()
    if others:
        notes.append(f"{len(others):,} files that are no texts are left out ({others[0].name}, ...)")
    schema = pa.schema([COLUMN, *(pa.field(name, levels.type) for name, levels in told.items())])
    opened = _Folder(tuple(files), encoding, told, schema)
    return Feed(str(root), opened, rows=len(files), notes=tuple(notes), schema=schema, texts=(TEXT, *told))


@dataclass(frozen=True)
class _Folder:
    """A pass over the files of a folder."""

    files: tuple[Path, ...]
    encoding: str
    told: dict[str, pa.Array]
    schema: pa.Schema

    def __call__(self, names: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        wanted = self.schema if names is None else pa.schema([self.schema.field(name) for name in names])
        for first, last in self._groups():
            columns = {name: levels.slice(first, last - first) for name, levels in self.told.items()}
            if TEXT in wanted.names:
                columns[TEXT] = pa.concat_arrays([self._text(path) for path in self.files[first:last]])
            yield pa.RecordBatch.from_arrays([columns[name] for name in wanted.names], schema=wanted)

    def _groups(self) -> Iterator[tuple[int, int]]:
        sizes = np.array([path.stat().st_size for path in self.files])
        first = 0
        while first < len(sizes):
            count = int(np.searchsorted(sizes[first : first + FOLDER_FILES].cumsum(), BLOCK)) + 1
            last = min(first + count, first + FOLDER_FILES, len(sizes))
            yield first, last
            first = last

    def _text(self, path: Path) -> pa.Array:
        if not path.stat().st_size:
            return pa.array([""], pa.string())
        return next(whole(decoded(File.find(path), self.encoding), str(path)))


__all__ = ["ENDS", "feed", "folder", "known", "text_files"]
