"""Rows in the order of time as records: whole series, or windows of one length; missing steps become empty ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ensample.data.nested import lists_of
from ensample.data.series.grids import Grid
from ensample.data.series.layout import Laid
from ensample.errors import InputError

EMPTY = 0.5
"""Windows of which more than this share was inserted are left out."""

MOST_INSERTED = 10
"""Times as many empty steps as there are rows: more are a mistake."""


@dataclass(frozen=True)
class Slots:
    """Steps in order, the missing ones among them, in pieces that no window leaves.

    Attributes:
        rows: row of each step, -1 for an inserted one; int64 [steps].
        sizes: steps of each piece, int64 [pieces].
        heads: first row of each piece, int64 [pieces].
        origins: first row of the unit of each piece, int64 [pieces].
        places: place of the first step of each piece behind the unit's first time, int64 [pieces].
    """

    rows: np.ndarray
    sizes: np.ndarray
    heads: np.ndarray
    origins: np.ndarray
    places: np.ndarray

    @property
    def offsets(self) -> np.ndarray:
        """First step of each piece."""
        return np.asarray(self.sizes.cumsum() - self.sizes)

    def piece_of_steps(self) -> np.ndarray:
        """The piece of each step."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


@dataclass(frozen=True)
class Cut:
    """Records: their first steps, and how many each has.

    Attributes:
        starts: first step of each record, int64 [records].
        lengths: steps of each record, int64 [records].
        pieces: the piece of each record, int64 [records].
    """

    starts: np.ndarray
    lengths: np.ndarray
    pieces: np.ndarray


def slots(table: Laid, grid: Grid | None, longest_gap: int | None) -> Slots:
    """The steps of rows on a grid, or the rows themselves without one; longer gaps end a piece.

    Raises:
        InputError: a time is not on the grid, or nearly all steps would be inserted.
    """
    counts = table.counts
    if grid is None:
        return Slots(np.arange(len(table.ticks)), counts, table.firsts, table.firsts, np.zeros(len(counts), np.int64))
    found = grid.places(table.ticks, np.repeat(table.ticks[table.firsts], counts))
    places = np.round(found).astype(np.int64)
    if len(off := np.flatnonzero(np.abs(found - places) > 1e-3)):
        time = table.axis.times(table.ticks[off[:1]])[0]
        raise InputError(
            "The times of a regular series lie on its steps.",
            f"steps of {grid.describe(table.axis)}",
            f"the time {time}" + (f" and {len(off) - 1:,} others" if len(off) > 1 else ""),
            'round the times, say another step=..., or step="irregular"',
        )
    new = np.zeros(len(places), bool)
    new[table.firsts] = True
    ahead = np.diff(places, prepend=0)
    if longest_gap is not None:
        new |= ahead > longest_gap
    heads = np.flatnonzero(new)
    ends = places[np.append(heads[1:], len(places)) - 1]
    sizes = ends - places[heads] + 1
    if sizes.sum() > (MOST_INSERTED + 1) * len(places) + 100:
        seen = f"{len(places):,} rows on {sizes.sum():,} steps of {grid.describe(table.axis)}"
        fix = 'cut windows (window=...), name the units (by=...), or say step="irregular"'
        raise InputError("Most steps of a series must be there.", "step", seen, fix)
    which = new.cumsum() - 1
    rows = np.full(int(sizes.sum()), -1)
    rows[(sizes.cumsum() - sizes)[which] + places - places[heads][which]] = np.arange(len(places))
    unit = np.searchsorted(table.firsts, heads, side="right") - 1
    return Slots(rows, sizes, heads, table.firsts[unit], places[heads])


def whole(steps: Slots) -> Cut:
    """One record for each piece."""
    return Cut(steps.offsets, steps.sizes, np.arange(len(steps.sizes)))


def windows(steps: Slots, window: int, stride: int) -> tuple[Cut, int]:
    """(all windows that lie in one piece and are not mostly empty, how many were left out for being so)."""
    counts = np.maximum(0, (steps.sizes - window) // stride + 1)
    pieces = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(pieces)) - np.repeat(counts.cumsum() - counts, counts)
    starts = steps.offsets[pieces] + stride * within
    inserted = np.append(0, (steps.rows < 0).cumsum())
    kept = inserted[starts + window] - inserted[starts] <= EMPTY * window
    lengths = np.full(int(kept.sum()), window)
    return Cut(starts[kept], lengths, pieces[kept]), int((~kept).sum())


def lists(table: Laid, steps: Slots, cut: Cut) -> pa.Array:
    """The records as lists of structs; an inserted step has no values."""
    first = np.repeat(cut.starts - (cut.lengths.cumsum() - cut.lengths), cut.lengths)
    rows = steps.rows[first + np.arange(int(cut.lengths.sum()))]
    at = pa.array(rows, mask=rows < 0) if (rows < 0).any() else pa.array(rows)
    parts = [column.combine_chunks().take(at) for column in table.steps.columns]
    parts = [pa.concat_arrays(part.chunks) if isinstance(part, pa.ChunkedArray) else part for part in parts]
    item = pa.struct([pa.field(f.name, f.type) for f in table.steps.schema])
    wide = int(cut.lengths.sum()) > np.iinfo(np.int32).max
    return lists_of(parts, cut.lengths, pa.large_list(item) if wide else pa.list_(item))


def start_ticks(table: Laid, grid: Grid | None, steps: Slots, cut: Cut) -> np.ndarray:
    """The time of the first step of each record [records]."""
    if grid is None:
        return np.asarray(table.ticks[steps.rows[cut.starts]])
    place = steps.places[cut.pieces] + cut.starts - steps.offsets[cut.pieces]
    ticks = grid.ticks(place, table.ticks[steps.origins[cut.pieces]])
    there = steps.rows[cut.starts]  # a time that is there is told as it stands
    return np.where(there >= 0, table.ticks[there], ticks)
