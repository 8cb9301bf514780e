"""Which classes are hidden in learning, and what each that is hidden counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ensample.events import Batch

LEAST = 1e-3
"""Least share that is hidden: a class hidden among so few others counts for as many times as much."""


@dataclass(frozen=True)
class Hidden:
    """Windows as the network sees them.

    Arguments:
        tokens: of which some are hidden, int64 [rows, steps].
        asked: which are told, bool [rows, steps].
        weight: of the nats of each that is told, float32 [rows, steps]; their sum has the mean `count`.
        count: classes that could have been hidden.
    """

    tokens: Tensor
    asked: Tensor
    weight: Tensor
    count: int


def hide(windows: Batch, mark: int, runs: float, generator: Generator) -> Hidden:
    """Hide each class of a record with a chance t of its own, t uniform in (0, 1): the noise of masked diffusion.

    `-log p(x) <= E_t (1 / t) sum over hidden i of -log p(x_i | what is shown)` for a linear schedule, which no other
    changes (Sahoo et al. 2024; Shi et al. 2024). In a share `runs` of the records only a run of classes may be hidden,
    as where a hole is filled or a text goes on. A record is what lies between two marks of a window; marks are shown.

    Arguments:
        windows: as of `ensample.kinds.windows`, cells [rows, steps, 1].
        mark: the class that begins and ends a record; one more is a hidden one.
        runs: share of the records.
        generator: draws t, and what is hidden.
    """
    cells, known = windows.cells[:, :, 0], windows.mask[:, :, 0]
    record = (known & (cells == mark)).cumsum(1)
    inside = known & (cells < mark)
    shape = (len(cells), int(record.max()) + 1)
    order = torch.randperm(shape[0] * shape[1], generator=generator).view(shape)
    level = (order + torch.rand(shape, generator=generator)) / order.numel()
    lengths = torch.zeros(shape, dtype=torch.int64).scatter_add_(1, record, inside.long())
    ends = (torch.rand(*shape, 2, generator=generator).sort(2).values * (lengths + 1)[:, :, None]).long()
    whole = torch.rand(shape, generator=generator) >= runs
    first, last = torch.where(whole, 0, ends[..., 0]), torch.where(whole, lengths, ends[..., 1])
    place = inside.cumsum(1) - 1 - (lengths.cumsum(1) - lengths).gather(1, record)
    may = inside & (place >= first.gather(1, record)) & (place < last.gather(1, record))
    chance = level.clamp(min=LEAST).gather(1, record)
    asked = may & (torch.rand(cells.shape, generator=generator) < chance)
    tokens = torch.where(asked | ~known, mark + 1, cells)
    return Hidden(tokens, asked, 1.0 / chance, int(may.sum()))
