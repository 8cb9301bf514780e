"""Tiny pictures of known sorts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ensample.budget import Budget, Clock
from ensample.events import Batch, Continuous, Discrete, Lattice, Mixed, Span
from ensample.kinds.images import Images
from ensample.run import Run
from ensample.train import learn

GIVEN = Mixed((Span("bright", Discrete(2)),))
SORTS = (0.1, 0.3, 0.6)
"""Shares of the sorts of `stripes`."""


def grid(levels: int, *shape: int) -> Continuous:
    """The event of pictures of so many levels."""
    half = (levels - 1) / 2
    return Continuous(Lattice(0, levels - 1, shift=half, scale=half), shape)


def halves(
    count: int, channels: int = 1, height: int = 8, width: int = 8, *, levels: int = 256, given: bool = False
) -> Images:
    """Pictures of which one half is bright: the left (label 0) or the right (label 1), equally often."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, count)
    right = (np.arange(width) >= width // 2).astype(int)
    share = np.where(right == label[:, None], 0.85, 0.15)[:, None, None]
    noise = 0.1 * rng.standard_normal((count, channels, height, width))
    table = np.rint((share + noise).clip(0, 1) * (levels - 1)).astype(np.uint8)
    own = (GIVEN, label[:, None].astype(np.int64)) if given else (None, None)
    return Images(grid(levels, channels, height, width), table, *own)


def sorts(count: int) -> np.ndarray:
    """Which sort each picture of `stripes` is, [count]."""
    return np.random.default_rng(1).choice(len(SORTS), count, p=SORTS)


def stripes(count: int) -> Images:
    """8 by 8 pictures of three sorts that are met unequally often: a bright row, a bright column, a bright square."""
    sort = sorts(count)
    shapes = np.full((3, 1, 8, 8), 0.1)
    shapes[0, :, 1:3], shapes[1, :, :, 5:7], shapes[2, :, 3:6, 1:4] = 0.9, 0.9, 0.9
    noise = 0.05 * np.random.default_rng(2).standard_normal((count, 1, 8, 8))
    table = np.rint((shapes[sort] + noise).clip(0, 1) * 255).astype(np.uint8)
    return Images(grid(256, 1, 8, 8), table)


def labels(wanted: list[int]) -> Batch:
    """Given labels of `halves`, a row each."""
    cells = torch.tensor(wanted)[:, None]
    return Batch(cells, torch.ones(cells.shape, dtype=torch.bool))


def learned(family: Any, records: Images, steps: int, seed: int = 0) -> Any:
    """A family taught for so many steps."""
    return learn(family, records, seed, Run(Clock(Budget(steps=steps))))
