"""A data set encoded once: integer cells and their mask, in memory or memory-mapped."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
import torch

from ensample.errors import FormatError
from ensample.events import Batch, Mixed
from ensample.kinds.stretches import apart

if TYPE_CHECKING:
    from ensample.kinds.sequences import Sequences

ABSENT = np.iinfo(np.int64).min
"""The stored cell of a coordinate that is missing or does not exist."""
SAMPLE_STREAM, SPLIT_STREAM = 0x5A, 0x59
"""Keep the choice of rows apart from data made with the same seed: equal streams would choose by value."""

ABSENT_NARROW = np.iinfo(np.int32).min
"""The same in 32-bit storage."""

IN_MEMORY = 256 * 2**20
"""A table of more bytes than this goes to a temporary file."""


class Given(TypedDict):
    """What is given of some records: plain fields, or a sequence each."""

    given_table: np.ndarray | None
    sources: Sequences | None


@dataclass(frozen=True)
class Records:
    """Encoded rows: `table` [rows, spans] int64 holds cells, `ABSENT` where the mask is unset.

    `table` may be `Packed`, which reads only the rows and columns asked for. `given_table` holds the given fields in
    the same way; where what is given is a sequence, `sources` holds it, one for each record, and `given` is its event.
    `near`: so many rows before and behind a row share something with it, so that they are not held out beside it.
    """

    event: Mixed
    table: np.ndarray
    given: Mixed | None = None
    given_table: np.ndarray | None = None
    sources: Sequences | None = field(default=None, kw_only=True)
    near: int = field(default=0, kw_only=True)

    def __len__(self) -> int:
        return len(self.table)

    def batch(self, rows: slice | np.ndarray = slice(None)) -> Batch:
        """These rows as a batch of tensors (a copy)."""
        return _batch(self.table[rows], self.given_batch(rows))

    def given_batch(self, rows: slice | np.ndarray) -> Batch | None:
        """The given fields of these rows, None if nothing is given."""
        if self.sources is not None:
            return self.sources.batch(rows)
        return None if self.given_table is None else _batch(self.given_table[rows])

    @property
    def conditional(self) -> bool:
        """Whether anything is given."""
        return self.given_table is not None or self.sources is not None

    def given_of(self, rows: slice | np.ndarray) -> Given:
        """What is given of these rows, as arguments of another `Records`."""
        table = None if self.given_table is None else self.given_table[rows]
        return {"given_table": table, "sources": None if self.sources is None else self.sources.select(rows)}

    def batches(self, size: int = 65_536) -> Iterator[Batch]:
        """All rows, in order, `size` at a time."""
        for start in range(0, len(self), size):
            yield self.batch(slice(start, start + size))

    def parts(self, size: int) -> list[slice | np.ndarray]:
        """Rows of the batches for learning; together all rows, once."""
        return [slice(start, start + size) for start in range(0, len(self), size)]

    def select(self, rows: np.ndarray | slice) -> Records:
        """The records of these rows, held in memory."""
        return Records(self.event, self.table[rows], self.given, **self.given_of(rows), near=self.near)

    def apart(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers (to learn from, `count` held out), each ascending; what is held out is nowhere learned."""
        if self.near and (parts := apart(len(self), count, self.near, np.random.default_rng([seed, 1]))) is not None:
            return parts
        held = np.sort(np.random.default_rng([seed, 1]).choice(len(self), count, replace=False))
        return np.setdiff1d(np.arange(len(self)), held, assume_unique=True), held

    @property
    def looks(self) -> float:
        """How often the rows show each cell when all are seen once: more than 1 where rows overlap."""
        return 1

    def sample(self, count: int, seed: int) -> Records:
        """At most `count` rows drawn without repetition, in their order; a pure function of the seed."""
        if count >= len(self):
            return self
        chosen = np.random.default_rng((seed, SAMPLE_STREAM)).choice(len(self), count, replace=False)
        return self.select(np.sort(chosen))

    def split(self, share: float, seed: int) -> tuple[Records, Records]:
        """(learn, validate): a random `share` of the rows is set apart to stop early on."""
        rng = np.random.default_rng((seed, SPLIT_STREAM))
        if self.near and (parts := apart(len(self), round(share * len(self)), self.near, rng)) is not None:
            return self.select(parts[0]), self.select(parts[1])
        held = rng.random(len(self)) < share
        if len(self) > 1:
            held[0], held[-1] = False, True
        return self.select(np.flatnonzero(~held)), self.select(np.flatnonzero(held))


def _batch(table: np.ndarray, cond: Batch | None = None) -> Batch:
    cells = torch.from_numpy(np.array(table, dtype=np.int64))
    mask = cells != int(ABSENT)
    return Batch(torch.where(mask, cells, 0), mask, cond)


class Packed:
    """A table of cells in temporary files, a file a column: indexed like an int64 array [rows, spans].

    A column, or some rows of all columns, are read without the rest. The files are removed with the last reference.
    """

    def __init__(self, columns: Sequence[np.ndarray], rows: int, folder: Path) -> None:
        self.columns = columns  # of each span: [rows] int32 or int64
        self.shape = (rows, len(columns))
        self.dtype = np.dtype(np.int64)
        self.ndim = 2
        weakref.finalize(self, shutil.rmtree, folder, True)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        rows, columns = key if isinstance(key, tuple) else (key, slice(None))
        if isinstance(columns, int | np.integer):
            return _wide(self.columns[int(columns)][rows])
        if isinstance(rows, np.ndarray) and rows.dtype == bool:
            rows = np.flatnonzero(rows)
        chosen = self.columns[columns] if isinstance(columns, slice) else [self.columns[j] for j in columns]
        if not chosen:
            return np.zeros(
                (len(range(*rows.indices(len(self)))) if isinstance(rows, slice) else len(rows), 0), np.int64
            )
        return np.stack([_wide(column[rows]) for column in chosen], -1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:].astype(dtype or np.int64, copy=False)


def _wide(cells: np.ndarray) -> np.ndarray:
    """Stored cells as int64 with their own sign of absence; a copy."""
    wide = np.array(cells, np.int64)
    if cells.dtype == np.int32:
        wide[wide == ABSENT_NARROW] = ABSENT
    return wide


class Writer:
    """Collects batches of cells into one table: in memory, or past `IN_MEMORY` bytes in temporary files.

    Files are written, not mapped, so that a full disk is an error and not a crash.
    """

    def __init__(self, rows: int, spans: int) -> None:
        self.rows, self.spans, self.filled = rows, spans, 0
        self.folder: Path | None = None
        if rows * spans * 8 > IN_MEMORY:
            self.folder = Path(tempfile.mkdtemp(prefix="ensample-"))
            self.dtypes: list[Any] = [np.dtype(np.int32)] * spans
            self._stop = weakref.finalize(self, shutil.rmtree, self.folder, True)
        else:
            self.table = np.empty((rows, spans), np.int64)

    def add(self, cells: np.ndarray) -> None:
        """The next rows, [rows, spans] int64. Raises FormatError if the disk is full."""
        if self.folder is None:
            self.table[self.filled : self.filled + len(cells)] = cells
        else:
            try:
                for column in range(self.spans):
                    self._append(column, cells[:, column])
            except OSError as error:
                fix = "free some space, set TMPDIR to another disk, or use fewer rows"
                raise FormatError("Encoded rows must fit on the disk.", str(self.folder), str(error), fix) from error
        self.filled += len(cells)

    def _append(self, column: int, cells: np.ndarray) -> None:
        known = cells != ABSENT
        if self.dtypes[column] == np.int32:
            if (np.abs(np.where(known, cells, 0)) <= np.iinfo(np.int32).max).all():
                cells = np.where(known, cells, ABSENT_NARROW).astype(np.int32)
            else:  # a cell does not fit into 32 bits: go on with 64
                self._widen(column)
        with self._path(column).open("ab") as file:
            file.write(np.ascontiguousarray(cells).tobytes())

    def _widen(self, column: int) -> None:
        path, wider = self._path(column), self._path(column).with_suffix(".wide")
        if path.exists():
            with path.open("rb") as narrow, wider.open("wb") as wide:
                while piece := narrow.read(2**22):
                    wide.write(_wide(np.frombuffer(piece, np.int32)).tobytes())
            wider.replace(path)
        self.dtypes[column] = np.dtype(np.int64)

    def _path(self, column: int) -> Path:
        assert self.folder is not None
        return self.folder / f"{column}.bin"

    def done(self) -> np.ndarray:
        """The table: an array, or indexed like one."""
        if self.folder is None:
            return self.table[: self.filled]
        columns = [np.memmap(self._path(j), dtype, "r", shape=(self.filled,)) for j, dtype in enumerate(self.dtypes)]
        self._stop.detach()
        return cast("np.ndarray", Packed(columns, self.filled, self.folder))
