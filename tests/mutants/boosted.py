"""Mutants of boosted digits on wide tables and under short budgets."""

from __future__ import annotations

from tests.mutants import Mutant

SHAPES = "tests/families/test_boosted_shapes.py"
MUTANTS = [
    Mutant("families/boosted/selection.py", "np.argsort(-gains,", "np.argsort(gains,", f"{SHAPES} -k tell_most"),
    Mutant("families/boosted/selection.py", "np.argsort(-information,", "np.argsort(information,", f"{SHAPES} -k tell"),
    Mutant("families/boosted/parallel.py", "usual > HURRIED * seconds * part", "usual < 0", f"{SHAPES} -k hurry"),
]
