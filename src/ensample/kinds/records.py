"""A data set encoded once: integer cells and their mask, in memory or memory-mapped."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from ensample.errors import FormatError
from ensample.events import Batch, Mixed

ABSENT = np.iinfo(np.int64).min
"""The stored cell of a coordinate that is missing or does not exist."""

ABSENT_NARROW = np.iinfo(np.int32).min
"""The same in 32-bit storage."""

IN_MEMORY = 256 * 2**20
"""A table of more bytes than this goes to a temporary file."""


@dataclass(frozen=True)
class Records:
    """Encoded rows: `table` [rows, spans] int64 holds cells, `ABSENT` where the mask is unset.

    `table` may be `Packed`, which reads only the rows and columns asked for. `given_table` holds the given fields in
    the same way.
    """

    event: Mixed
    table: np.ndarray
    given: Mixed | None = None
    given_table: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, rows: slice | np.ndarray = slice(None)) -> Batch:
        """These rows as a batch of tensors (a copy)."""
        cond = None if self.given_table is None else _batch(self.given_table[rows])
        return _batch(self.table[rows], cond)

    def batches(self, size: int = 65_536) -> Iterator[Batch]:
        """All rows, in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def select(self, rows: np.ndarray | slice) -> Records:
        """The records of these rows, held in memory."""
        given = None if self.given_table is None else self.given_table[rows]
        return Records(self.event, self.table[rows], self.given, given)

    def sample(self, count: int, seed: int) -> Records:
        """At most `count` rows drawn without repetition, in their order; a pure function of the seed."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self.select(np.sort(chosen))

    def split(self, share: float, seed: int) -> tuple[Records, Records]:
        """(learn, validate): a random `share` of the rows is set apart to stop early on."""
        held = np.random.default_rng(seed).random(len(self)) < share
        if len(self) > 1:
            held[0], held[-1] = False, True
        return self.select(np.flatnonzero(~held)), self.select(np.flatnonzero(held))


def _batch(table: np.ndarray, cond: Batch | None = None) -> Batch:
    cells = torch.from_numpy(np.array(table, dtype=np.int64))
    mask = cells != int(ABSENT)
    return Batch(torch.where(mask, cells, 0), mask, cond)


class Packed:
    """A table of cells in a temporary file, 32 bits each where they fit: indexed like an int64 array [rows, spans].

    The file is column by column, so that a column, or some rows of all columns, are read without the rest; it is
    removed with the last reference.
    """

    def __init__(self, stored: np.ndarray, folder: Path | None = None) -> None:
        self.stored = stored  # [spans, rows]
        self.shape = stored.shape[::-1]
        self.dtype = np.dtype(np.int64)
        self.ndim = 2
        if folder is not None:
            weakref.finalize(self, shutil.rmtree, folder, True)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(rows, np.ndarray) and isinstance(columns, slice):
            if rows.dtype == bool:
                rows = np.flatnonzero(rows)
            found = np.stack([column[rows] for column in self.stored[columns]]).T
        else:
            found = self.stored[columns, rows].T
        return _wide(found)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.int64, copy=False)


def _wide(cells: np.ndarray) -> np.ndarray:
    if cells.dtype == np.int64:
        return np.array(cells)
    wide = np.asarray(cells).astype(np.int64)
    wide[wide == ABSENT_NARROW] = ABSENT
    return wide


class Writer:
    """Collects batches of cells into one table: in memory, or past `IN_MEMORY` bytes in a temporary file."""

    def __init__(self, rows: int, spans: int) -> None:
        self.rows, self.spans, self.filled = rows, spans, 0
        self.folder: Path | None = None
        self.stored: np.ndarray
        if rows * spans * 8 <= IN_MEMORY:
            self.stored = np.empty((rows, spans), np.int64)
        else:
            self.folder = Path(tempfile.mkdtemp(prefix="ensample-"))
            self.stored = self._file(np.int32)

    def _file(self, dtype: Any) -> np.ndarray:
        assert self.folder is not None
        path = self.folder / f"cells-{np.dtype(dtype).name}.bin"
        shape = (self.spans, self.rows)
        try:
            free, needed = shutil.disk_usage(self.folder).free, int(np.prod(shape)) * np.dtype(dtype).itemsize
            if free < needed:
                raise OSError(f"{needed / 2**20:,.0f} MiB needed, {free / 2**20:,.0f} MiB free")
            return np.memmap(path, dtype, "w+", shape=shape)
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            fix = "free some space, set TMPDIR to another disk, or use fewer rows"
            raise FormatError("Encoded rows must fit on the disk.", str(path), str(error), fix) from error

    def add(self, cells: np.ndarray) -> None:
        """The next rows, [rows, spans] int64."""
        place = slice(self.filled, self.filled + len(cells))
        self.filled += len(cells)
        if self.folder is None:
            self.stored[place] = cells
            return
        narrow = self.stored.dtype == np.int32
        if narrow:
            known = cells != ABSENT
            if (np.abs(np.where(known, cells, 0)) > np.iinfo(np.int32).max).any():
                narrow = False
                self._widen(place.start)
            else:
                cells = np.where(known, cells, ABSENT_NARROW)
        self.stored[:, place] = cells.T

    def _widen(self, filled: int) -> None:
        """A cell does not fit into 32 bits: go on with 64."""
        narrow, self.stored = self.stored, self._file(np.int64)
        for column in range(self.spans):
            self.stored[column, :filled] = _wide(narrow[column, :filled])
        assert self.folder is not None
        (self.folder / "cells-int32.bin").unlink()

    def done(self) -> np.ndarray:
        """The table, an array or indexed like one."""
        if self.folder is None:
            return self.stored[: self.filled]
        return cast("np.ndarray", Packed(self.stored[:, : self.filled], self.folder))
