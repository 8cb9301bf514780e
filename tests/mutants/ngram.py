"""Mutants of n-gram models."""

from __future__ import annotations

from tests.mutants import Mutant

FOLDER = "families/sequences/ngram/"
OWN = "tests/families/sequences/test_ngram.py"
LAWS = "tests/laws/test_ragged.py -k ngram"
MUTANTS = [
    Mutant(FOLDER + "smoothing.py", "k - (k + 1) * t[0]", "k - k * t[0]", OWN),
    Mutant(FOLDER + "smoothing.py", "np.bincount(owners, adjusted, len", "np.bincount(owners, level.met, len", OWN),
    Mutant(FOLDER + "levels.py", "np.where(begins, level.met, np.maximum(ways, 1))", "np.maximum(ways, 1)", OWN),
    Mutant(FOLDER + "windows.py", "before[before[:, k - 1] >= classes, k] = nothing", "pass", OWN),
    Mutant(FOLDER + "tally.py", "inside - 1 - place", "held - 1 - place", OWN),
    Mutant(FOLDER + "holes.py", "_joined(owners[~ended]", "_joined(owners[~ended] * 0", OWN),
    Mutant(FOLDER + "model.py", "+ luck[at, k] - level.gamma[own]", "+ luck[at, k]", LAWS),
    Mutant(
        FOLDER + "model.py", "1.0 / (self.classes + 1))\n            for", "1.0 / self.classes)\n            for", LAWS
    ),
    Mutant(FOLDER + "continuation.py", "chance[rows] *= level.gamma[own, None]", "pass", OWN),
    Mutant(FOLDER + "choice.py", "shorter = lower_level.mixed", "shorter = highest_level.mixed", OWN),
]
