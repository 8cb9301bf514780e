"""Whole records drawn class after class, by any model that writes on."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from ensample.events import MISSING_LENGTH, Batch, concatenate
from ensample.families.abilities import Continues

AT_ONCE = 256
"""Records drawn at once."""

FEWEST, MOST, PAGE = 64, 4_096, 1_024
"""Classes at which a drawn record is cut: see `longest_of`."""


def longest_of(lengths: Tensor) -> int:
    """At how many classes a drawn record is cut, if nothing else is said: int64 [rows] lengths of the training records.

    Four times the longest, at least 64 and at most 4,096; where most records are longer than that, like a book, no draw
    would be whole, and a page of 1,024 is drawn.

    Example:
        >>> [longest_of(torch.tensor(lengths)) for lengths in ([3, 9], [300, 9_000, 80], [1_000_000])]
        [64, 4096, 1024]
    """
    there = lengths[lengths >= 0]
    if len(there) and float(there.double().median()) > MOST:
        return PAGE
    return min(MOST, max(FEWEST, 4 * int(there.max()) if len(there) else 0))


def drawn(
    model: Continues, n: int, longest: int, missing: float, generator: Generator, cond: Batch | None = None
) -> Batch:
    """N new records, each until it ends or has `longest` classes; a share of them is missing.

    Arguments:
        model: writes on.
        n: how many.
        longest: classes at which a record is cut.
        missing: chance that a record is missing as a whole.
        generator: of the random numbers.
        cond: what is given of each record, n rows.
    """
    parts = []
    for start in range(0, n, AT_ONCE):
        rows = slice(start, min(n, start + AT_ONCE))
        own = None if cond is None else cond.take(rows)
        parts.append(_drawn(model, rows.stop - start, longest, missing, generator, own))
    return concatenate(parts) if parts else nothing(0, cond)


def _drawn(
    model: Continues, rows: int, longest: int, missing: float, generator: Generator, cond: Batch | None
) -> Batch:
    written, alive = model.continuation(nothing(rows, cond)), torch.arange(rows)
    lengths, steps = torch.full((rows,), longest), []
    gone = torch.rand(rows, generator=generator, dtype=torch.float64) < missing
    for step in range(longest + 1):
        logits = written.logits()
        end, chosen = logits.shape[1] - 1, one_of(logits, generator)
        ended = chosen == end
        lengths[alive[ended]] = lengths[alive[ended]].clamp(max=step)
        open_ = lengths[alive] > step
        if step == longest or not bool(open_.any()):
            break
        steps.append(torch.zeros(rows, dtype=torch.int64))
        steps[-1][alive] = torch.where(open_, chosen, 0)
        if int(open_.sum()) <= len(alive) // 2:  # half of what is computed would be for nothing
            keep = open_.nonzero()[:, 0]
            written, alive, chosen = written.take(keep), alive[keep], chosen[keep]
        written.append(chosen.where(chosen != end, 0))
    lengths[gone] = MISSING_LENGTH
    cells = torch.stack(steps, 1)[:, :, None] if steps else torch.zeros(rows, 0, 1, dtype=torch.int64)
    made = Batch(cells, torch.zeros_like(cells, dtype=torch.bool), cond, lengths=lengths)
    there = made.steps()[:, :, None]
    return Batch(torch.where(there, cells, 0), there, cond, lengths=lengths)


def nothing(rows: int, cond: Batch | None) -> Batch:
    """Records without a step: what begins new ones."""
    cells = torch.zeros(rows, 0, 1, dtype=torch.int64)
    return Batch(cells, cells.bool(), cond, lengths=torch.zeros(rows, dtype=torch.int64))


def one_of(logits: Tensor, generator: Generator) -> Tensor:
    """A class drawn for each row of logits [rows, classes], int64 [rows], by one uniform number a row."""
    share = logits.to(torch.float64).softmax(1).cumsum(1)
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64) * share[:, -1:]
    return torch.searchsorted(share, uniform, right=True)[:, 0].clamp(max=logits.shape[1] - 1)
