"""Writing on with a transformer by compiled code, where the package `numba` is installed (extra `fast`)."""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec


@cache
def installed() -> bool:
    """Whether there is a compiler."""
    return find_spec("numba") is not None


LONG = 32
"""Steps from which compiled code is worth its state."""

FEW, MANY, SMALL = 2, 64, 2_000_000
"""Rows up to which it is faster than products of all rows: few, or many where all weights stay near the processor."""

START = 4_000
"""Steps that a process is asked for before compiled code is loaded, which takes most of a second."""

_asked = [0]


def pays(rows: int, steps: int, weights: int) -> bool:
    """Whether compiled code, if installed, is worth it for so many rows and steps, with so many weights."""
    if steps < LONG or not 0 < rows <= (MANY if weights <= SMALL else FEW):
        return False
    _asked[0] += rows * steps
    return _asked[0] >= START or f"{__name__}.kernels" in sys.modules


__all__ = ["installed", "pays"]
