"""The machine that learning runs on: how many threads, and how matrix products are rounded, chosen and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

SMALL = 4e9
"""Floating-point operations of one step below which one thread is faster than two that wait for each other."""


def threads_for(operations: float, rows: int) -> int:
    """Threads for steps of `rows` rows, of so many multiplications each: one for small steps, all for large ones.

    All are as many as torch uses at present: `OMP_NUM_THREADS` and `torch.set_num_threads` have the last word.
    """
    return 1 if 6.0 * operations * rows < SMALL else torch.get_num_threads()


def operations_per_row(module: nn.Module) -> float:
    """Multiplications of one row's way through a module: what it says itself, or one for each weight.

    A module that uses its weights at many places of a row (convolutions, tokens) says so in an attribute of this name.

    Example:
        >>> operations_per_row(nn.Linear(10, 10))
        110.0
    """
    said = getattr(module, "operations_per_row", None)
    return float(sum(p.numel() for p in module.parameters()) if said is None else said)


def operations(run: Callable[[], Any]) -> float:
    """Multiplications in the matrix products and convolutions of a call, counted by making it.

    Example:
        >>> layer = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        >>> operations(lambda: layer(torch.zeros(1, 1, 4, 4)))
        288.0
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    return float(counter.get_total_flops()) / 2


@contextmanager
def machine(threads: int) -> Iterator[None]:
    """Inside, torch uses this many threads and the faster matrix product; both are put back."""
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(before)


@contextmanager
def careful_products() -> Iterator[None]:
    """Inside, float32 matrix products are rounded like float32 on every processor: for likelihoods."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
