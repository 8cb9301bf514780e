"""The meeting point of data and mathematics: what one record looks like to a family.

Every value in a file has finite precision, so a record *is* a cell: a category, a price in whole dollars, a pixel
level. A codec therefore turns records into **integer cells**, and an event says what those integers mean. Families that
count cells use them as they are; families with a density ask the event for real numbers (`Mixed.values`), and the
event knows the volume of each cell, so that the log-probability of a record is comparable whatever the family.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Lattice:
    """Real numbers behind cells: `x = (warp(k) - shift) / scale`, `warp(k) = knee * asinh((k - center) / knee)`.

    An infinite `knee` is the linear case; a small one is the logarithm far from `center`, on both sides. `low` and
    `high` are the smallest and largest cell met in the training data. `zero` is the position of the number 0, about
    which products and ratios are taken.

    Example:
        >>> grid = Lattice(low=0, high=100, shift=50.0, scale=25.0)
        >>> grid.encode(torch.tensor([25, 50])).tolist()
        [-1.0, 0.0]
        >>> grid.index(torch.tensor([-1.0, 0.01])).tolist()
        [25, 50]
    """

    low: int
    high: int
    shift: float = 0.0
    scale: float = 1.0
    center: float = 0.0
    knee: float = math.inf
    zero: float = 0.0

    def encode(self, position: Tensor) -> Tensor:
        """Real number of a cell position; `k` is the middle of cell k, `k + u` with |u| < 1/2 lies inside it."""
        position = position.to(torch.float64) - self.center
        if math.isfinite(self.knee):
            position = self.knee * torch.asinh(position / self.knee)
        return (position - self.shift) / self.scale

    def index(self, x: Tensor) -> Tensor:
        """The cell that holds a real number, int64."""
        return torch.round(self.position(x)).to(torch.int64)

    def position(self, x: Tensor) -> Tensor:
        """Inverse of `encode`, float64."""
        warped = x.to(torch.float64) * self.scale + self.shift
        if math.isfinite(self.knee):
            warped = self.knee * torch.sinh((warped / self.knee).clamp(-700, 700))
        return warped + self.center

    def log_slope(self, position: Tensor) -> Tensor:
        """Logarithm of d x / d position, float64: the width of an infinitely fine cell there."""
        distance = (position.to(torch.float64) - self.center) / self.knee
        return -0.5 * torch.log1p(distance.square()) - math.log(self.scale)

    def log_volume(self, cells: Tensor) -> Tensor:
        """Logarithm of the width of each cell in units of x."""
        cells = cells.to(torch.float64)
        return torch.log(self.encode(cells + 0.5) - self.encode(cells - 0.5))


@dataclass(frozen=True)
class Continuous:
    """Real numbers, each on its lattice of cells."""

    lattice: Lattice
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Discrete:
    """One of `classes` unordered classes per coordinate."""

    classes: int
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Span:
    """One coordinate of a mixed event.

    `exists` names an earlier Discrete span and the classes for which this one has a value: the amount of a capital
    gain exists only where the state of the column is "a number", not where it is "missing" or the spike "zero".
    """

    name: str
    event: Continuous | Discrete
    exists: tuple[int, tuple[int, ...]] | None = None


@dataclass(frozen=True)
class Mixed:
    """A row of spans of different sorts: a table."""

    spans: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.spans)

    def existing(self, cells: Tensor, column: int) -> Tensor:
        """Which rows have a value at this span at all, from the span it depends on. Bool [rows]."""
        exists = self.spans[column].exists
        if exists is None:
            return torch.ones(len(cells), dtype=torch.bool)
        parent, classes = exists
        return torch.isin(cells[:, parent], torch.tensor(classes))

    def values(self, cells: Tensor, offset: Tensor | float = 0.0) -> Tensor:
        """Real numbers of cells, float64 [rows, spans]; classes keep codes.

        `offset` is the place inside the cell, from the middle: one number, [spans], or [rows, spans].
        """
        out = cells.to(torch.float64)
        for j, span in enumerate(self.spans):
            if isinstance(span.event, Continuous):
                out[:, j] = span.event.lattice.encode(out[:, j] + _at(offset, j))
        return out

    def cells(self, values: Tensor) -> Tensor:
        """Inverse of `values`: the cells [rows, spans] int64 that hold these real numbers."""
        out = torch.empty(values.shape, dtype=torch.int64)
        for j, span in enumerate(self.spans):
            column = values[:, j]
            out[:, j] = (
                span.event.lattice.index(column) if isinstance(span.event, Continuous) else column.to(torch.int64)
            )
        return out

    def log_slope(self, cells: Tensor, mask: Tensor, offset: Tensor | float = 0.0) -> Tensor:
        """Log of d values / d cell positions, summed over the Continuous spans whose mask is set: the volume of a cell.

        [rows] float64; what turns a log density of `values` into one per cell.
        """
        total = torch.zeros(len(cells), dtype=torch.float64)
        for j, span in enumerate(self.spans):
            if isinstance(span.event, Continuous):
                slope = span.event.lattice.log_slope(cells[:, j].to(torch.float64) + _at(offset, j))
                total += torch.where(mask[:, j], slope, 0.0)
        return total


def _at(offset: Tensor | float, column: int) -> Tensor | float:
    return offset[..., column] if isinstance(offset, Tensor) else offset


@dataclass(frozen=True)
class Ragged:
    """Sequences (`ordered`) or sets of elements, each an event of its own.

    `max_length` is the longest met in the training data: a family whose memory is bounded may refuse what is longer,
    others give it a probability. `missing`: whether a whole record may be missing, which is a value of its length.
    `fixed`: every record has `max_length` steps (a window of a series). `partly`: some steps are given where they stand
    and not learned (what others say in a dialogue), see `Batch.scored`.
    """

    element: Mixed
    max_length: int
    ordered: bool = True
    missing: bool = False
    fixed: bool = False
    partly: bool = False


MISSING_LENGTH, UNKNOWN_LENGTH = -1, -2
"""Lengths of a ragged record that is missing as a whole (a value), and of one that is to be filled or integrated out.
"""


Array = Continuous | Discrete
"""An event with a shape is an array of such coordinates: a picture is `Continuous(lattice, (channels, height, width))`.
"""

Event = Continuous | Discrete | Mixed | Ragged


def coordinates(event: Mixed | Ragged | Array) -> int:
    """How many cells one record has, at most.

    Example:
        >>> coordinates(Continuous(Lattice(0, 255), (3, 32, 32)))
        3072
    """
    if isinstance(event, Ragged):
        return event.max_length * len(event.element)
    return len(event) if isinstance(event, Mixed) else math.prod(event.shape)


@dataclass(frozen=True)
class Batch:
    """Records as cells [rows, spans] int64 and a mask of the same shape.

    A set mask means "known". An unset mask means that the coordinate does not exist or is unknown: `log_prob` and
    learning leave it out (integrate over it), `draw` fills it. Cells without mask hold 0. `cond` holds the fields that
    are given, as a batch of its own over the given event. `offset` (a number in (-1/2, 1/2) per span, [spans]) places
    the real numbers of a density family inside their cells: `event.values(batch.cells, batch.offset)`.

    Records of a `Ragged` event are padded: cells and mask [rows, steps, spans], and `lengths` [rows] int64, of which
    `MISSING_LENGTH` and `UNKNOWN_LENGTH` are negative. Steps from a record's length on are padding: cells 0, mask
    unset, and never looked at. `scored` [rows, steps + 1] tells, where an event is `partly` given, which steps count,
    and behind a record's last step whether its end does: the probability of a record is that of these, each given all
    steps before it; None counts all. Records of an array event have cells and mask [rows, *shape]. Where what is given
    is itself a sequence, `cond` is a ragged batch.

    Example:
        >>> words = Batch(torch.tensor([[[3], [1]], [[2], [0]]]), torch.tensor([[[True], [True]], [[True], [False]]]),
        ...               lengths=torch.tensor([2, 1]))
        >>> words.take(slice(1, 2)).steps().tolist()
        [[True, False]]
    """

    cells: Tensor
    mask: Tensor
    cond: Batch | None = None
    offset: Tensor | float = 0.0
    lengths: Tensor | None = None
    scored: Tensor | None = None

    def __len__(self) -> int:
        return len(self.cells)

    def take(self, rows: Tensor | slice) -> Batch:
        """The batch of these rows."""
        cond = None if self.cond is None else self.cond.take(rows)
        lengths, scored = (None if part is None else part[rows] for part in (self.lengths, self.scored))
        return Batch(self.cells[rows], self.mask[rows], cond, self.offset, lengths, scored)

    def repeat(self, times: int) -> Batch:
        """Each row `times` times in a row."""
        cond = None if self.cond is None else self.cond.repeat(times)
        parts = (self.cells, self.mask, self.lengths, self.scored)
        cells, mask, lengths, scored = (None if part is None else part.repeat_interleave(times, 0) for part in parts)
        assert cells is not None and mask is not None
        return Batch(cells, mask, cond, self.offset, lengths, scored)

    def steps(self) -> Tensor:
        """Which steps of a ragged batch are there, bool [rows, steps]."""
        assert self.lengths is not None
        return torch.arange(self.cells.shape[1]) < self.lengths[:, None]

    def padded(self, steps: int) -> Batch:
        """A ragged batch with room for this many steps, at least as many as it has."""
        more = steps - self.cells.shape[1]
        cells, mask = (torch.nn.functional.pad(part, (0, 0, 0, more)) for part in (self.cells, self.mask))
        scored = None if self.scored is None else torch.nn.functional.pad(self.scored, (0, more))
        return Batch(cells, mask, self.cond, self.offset, self.lengths, scored)


def unknown(rows: int, event: Mixed | Ragged | Array, cond: Batch | None = None) -> Batch:
    """A batch of which nothing is known, lengths included: what `draw` fills to make new records."""
    if isinstance(event, Ragged):
        cells = torch.zeros(rows, 0, len(event.element), dtype=torch.int64)
        return Batch(cells, cells.bool(), cond, lengths=torch.full((rows,), UNKNOWN_LENGTH))
    shape = (rows, len(event)) if isinstance(event, Mixed) else (rows, *event.shape)
    return Batch(torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.bool), cond)


def concatenate(batches: Sequence[Batch]) -> Batch:
    """The rows of all batches, in order; ragged ones are padded to the longest."""
    conds = [b.cond for b in batches if b.cond is not None]
    lengths = [b.lengths for b in batches if b.lengths is not None]
    if lengths:
        longest = max(b.cells.shape[1] for b in batches)
        batches = [b.padded(longest) for b in batches]
    scored = [b.scored for b in batches if b.scored is not None]
    return Batch(
        torch.cat([b.cells for b in batches]),
        torch.cat([b.mask for b in batches]),
        concatenate(conds) if conds else None,
        lengths=torch.cat(lengths) if lengths else None,
        scored=torch.cat(scored) if scored else None,
    )


@dataclass(frozen=True)
class Limit:
    """The values that span `column` may take: a union of inclusive integer ranges of cells or classes.

    Example:
        >>> Limit(0, ((1, 3), (7, 7))).contains(torch.tensor([0, 2, 7])).tolist()
        [False, True, True]
    """

    column: int
    ranges: tuple[tuple[int, int], ...]

    def contains(self, cells: Tensor) -> Tensor:
        """Which of these cells are allowed, bool."""
        inside = torch.zeros(cells.shape, dtype=torch.bool)
        for low, high in self.ranges:
            inside |= (cells >= low) & (cells <= high)
        return inside
