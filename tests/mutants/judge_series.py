"""Mutants of the judge of series."""

from __future__ import annotations

from tests.mutants import Mutant

FORMULAS = "tests/judge/test_series_formulas.py"
WHOLE = "tests/judge/test_series_judge.py"
MUTANTS = [
    Mutant("judge/series/recurrent.py", "(1.0 - update) * (1.0 - news.square())", "(1.0 - news.square())", FORMULAS),
    Mutant("judge/series/classifier.py", "last = (lengths - 1)", "last = (lengths + 99)", FORMULAS),
    Mutant("judge/series/dynamics.py", "xy / n - x / n * y / n", "xy / n", FORMULAS),
    Mutant("judge/series/dynamics.py", "(hits / np.maximum(n, 1.0) - luck)", "(hits / np.maximum(n, 1.0))", FORMULAS),
    Mutant("judge/series/spectrum.py", "/ np.square(window).sum()", "/ window.sum()", FORMULAS),
    Mutant("judge/series/forecasts.py", "max(draws * (draws - 1), 1)", "draws**2", FORMULAS),
    Mutant("judge/series/forecasts.py", "np.abs(rank - 0.5) - level / 2", "np.abs(rank - 0.5) - level", FORMULAS),
    Mutant("judge/series/stretches.py", "np.where(overlap, np.inf,", "np.where(overlap, 0.0,", FORMULAS),
    Mutant("judge/series/side.py", "out[self.starts[:-1][self.lengths > 0]] = False", "pass", FORMULAS),
    Mutant("judge/series/copies.py", "> 2 * self.close.target + MORE", "> 2.0", WHOLE),
    Mutant("judge/series/doctor.py", "last / first", "first / last", WHOLE),
    Mutant("judge/series/forecasts.py", "1 + int(np.argmin(means))", "1", WHOLE),
]
