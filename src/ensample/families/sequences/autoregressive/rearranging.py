"""Filling in by a network that reads forwards: what stands behind a hole is put before it (Bavarian et al. 2022)."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ensample.events import Batch

BEHIND, BEFORE = 1, 2
"""Classes that are inputs alone, so many above the mark: what follows stood behind the hole, stood before it."""

NEW = 2
"""How many such classes there are."""

_MARK, _BEHIND, _AFTER, _BEFORE, _REST = range(5)
"""Order of the parts of a record that is rearranged."""
_RANKS = 8
_NOWHERE = 2**40


def rearranged(windows: Batch, mark: int, share: float, generator: Generator) -> Batch:
    """Windows in which this share of the records reads `mark, BEHIND, end, BEFORE, beginning, middle, mark`.

    Of two places of a record, drawn alike, its end begins at the later one: as it does behind a random hole. Where the
    hole begins changes nothing here. The mark behind the middle means that it is whole. What stands behind a hole is
    read, never told: its mask is unset, and that of the new classes, so that the network spends nothing on records that
    begin anywhere. A record that the window cuts off is rearranged only where the window shows none that is whole: so
    long texts are, of which prompts show a part as well, while the beginnings of short ones are true beginnings.
    Windows grow by the new classes of one record; what has no room there drops out at the end.

    Arguments:
        windows: as of `ensample.kinds.windows`, cells [rows, steps, 1].
        mark: the class that begins and ends a record.
        share: of the records.
        generator: draws records and places.

    Returns:
        Windows [rows, steps + 2, 1].

    Example:
        >>> letters = torch.tensor([[9, 1, 2, 3, 9, 4]])[:, :, None]  # a record of three classes, and one cut off
        >>> made = rearranged(Batch(letters, letters > 0), 9, 1 - 1e-9, Generator().manual_seed(6))
        >>> made.cells[0, :, 0].tolist()
        [9, 10, 3, 11, 1, 2, 9, 4]
        >>> made.mask[0, :, 0].int().tolist()
        [1, 0, 0, 0, 1, 1, 1, 1]
    """
    cells, there = windows.cells[:, :, 0], windows.mask[:, :, 0]
    rows, width = cells.shape
    record = (there & (cells == mark)).cumsum(1)
    chosen = torch.rand(rows, int(record.max()) + 1, generator=generator) < share
    parts = _whole(record, there, cells != mark, chosen.shape[1])
    only_parts = ~parts.any(1, keepdim=True)
    chosen &= parts | only_parts
    chosen &= _lengths(record, there & (cells != mark), chosen.shape[1]) > 0
    there = _fitting(there, record, chosen)
    chosen &= _whole(record, there, cells != mark, chosen.shape[1]) | only_parts
    marks = there & (cells == mark)
    inside = there & ~marks
    lengths = _lengths(record, inside, chosen.shape[1])
    chosen &= lengths > 0
    last = torch.rand(rows, chosen.shape[1], 2, generator=generator).amax(2).mul(lengths + 1).long()
    place = inside.cumsum(1) - 1 - (lengths.cumsum(1) - lengths).gather(1, record)
    part = torch.full_like(cells, _REST)
    part[place >= last.gather(1, record)] = _AFTER
    part[~chosen.gather(1, record)] = _REST
    part[marks] = _MARK
    old = torch.where(there, record * _RANKS + part, _NOWHERE)
    number = torch.arange(chosen.shape[1]) * _RANKS
    new = [torch.where(chosen, number + rank, _NOWHERE) for rank in (_BEHIND, _BEFORE)]
    ends = _ends(record, there, chosen)
    keys = torch.cat([old, *new, ends], 1)
    added = torch.tensor([BEHIND, BEFORE]).repeat_interleave(chosen.shape[1]).add(mark)
    codes = torch.cat([cells, added.expand(rows, -1), torch.full((rows, 2), mark)], 1)
    order = keys.sort(dim=1, stable=True)
    kept = order.indices[:, : width + NEW]
    real = (order.values[:, : width + NEW] < _NOWHERE)[:, :, None]
    made = torch.where(real, codes.gather(1, kept)[:, :, None], 0)
    told = F.pad(part != _AFTER, (0, codes.shape[1] - width), value=True).gather(1, kept)[:, :, None]
    return Batch(made, real & told & (made <= mark), windows.cond, lengths=real[:, :, 0].sum(1))


def _whole(record: Tensor, there: Tensor, inside: Tensor, records: int) -> Tensor:
    """Which records a window shows from the mark before them to the mark behind them, bool [rows, records]."""
    number, last = torch.arange(records), torch.where(there, record, 0).amax(1, keepdim=True)
    return (number > 0) & (number < last) & (_lengths(record, there & inside, records) > 0)


def _lengths(record: Tensor, inside: Tensor, records: int) -> Tensor:
    """Classes of each record of each window, [rows, records]."""
    return torch.zeros(len(record), records, dtype=torch.int64).scatter_add_(1, record, inside.long())


def _fitting(there: Tensor, record: Tensor, chosen: Tensor) -> Tensor:
    """What is there without what has no room beside the new classes, bool [rows, steps]."""
    last = torch.where(there, record, 0).amax(1, keepdim=True)
    more = NEW * chosen.sum(1) + chosen[:, 0] + chosen.gather(1, last)[:, 0]
    room = there.shape[1] + NEW - more
    return there & (there.cumsum(1) <= room[:, None])


def _ends(record: Tensor, there: Tensor, chosen: Tensor) -> Tensor:
    """Keys of marks before a record that began before its window, and behind one that goes on, [rows, 2]."""
    last = torch.where(there, record, 0).amax(1, keepdim=True)
    before = torch.where(chosen[:, :1], 0, _NOWHERE)
    behind = torch.where(chosen.gather(1, last), (last + 1) * _RANKS, _NOWHERE)
    return torch.cat([before, behind], 1)


def around(before: Batch, after: Batch, mark: int, context: int, room: int) -> Batch:
    """Prompts behind which the middle follows: `BEHIND, after, BEFORE, before`, as much of both as is looked back on.

    Arguments:
        before: what stands before each hole, whole records of one class a step.
        after: likewise what stands behind it.
        mark: of the network.
        context: inputs that it looks back on.
        room: of these to keep for the middle.
    """
    assert before.lengths is not None and after.lengths is not None
    most, made = max(0, context - room - NEW - 1), []
    new = torch.tensor([[mark + BEHIND], [mark + BEFORE]])
    for one, other, (length, behind) in zip(
        before.cells[:, :, 0], after.cells[:, :, 0],
        torch.stack([before.lengths, after.lengths], 1).clamp(min=0).tolist(), strict=True,
    ):  # fmt: skip
        kept = min(behind, max(most // 2, most - length))
        begin = max(0, length - (most - kept))
        made.append(torch.cat([new[0], other[:kept], new[1], one[begin:length]]))
    lengths = torch.tensor([len(row) for row in made])
    cells = torch.nn.utils.rnn.pad_sequence(made, batch_first=True)[:, :, None]
    return Batch(cells, (torch.arange(cells.shape[1]) < lengths[:, None])[:, :, None], before.cond, lengths=lengths)
