"""Mutants of the autoregressive family, its networks and its bins."""

from __future__ import annotations

from tests.mutants import Mutant

MUTANTS = [
    Mutant("families/bins.py", "gain + gain.mean() > 0", "gain == gain", "tests/families/test_bins.py"),
]
