"""The machine that learning runs on: how many threads, and how matrix products are rounded, chosen and put back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

SMALL = 4e9
"""Floating-point operations of one step below which one thread is faster than two that wait for each other."""


def threads_for(weights: int, rows: int) -> int:
    """Threads for steps of `rows` rows through `weights` weights: one for small steps, all cores for large ones."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if 6.0 * weights * rows < SMALL else cores


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
