"""Writing on with a transformer by compiled code, where the package `numba` is installed (extra `fast`)."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec


@cache
def installed() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


LONG, FEW = 32, 8
"""Steps from which compiled code is worth its start, and rows up to which it is faster than products of all of them."""


def pays(rows: int, steps: int) -> bool:
    """Whether to write so many rows so many steps on by compiled code."""
    return steps >= LONG and 0 < rows <= FEW and installed()


__all__ = ["installed", "pays"]
