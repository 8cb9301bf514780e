"""Mutants of what mixtures choose, of their cells, and of stepwise EM."""

from __future__ import annotations

from tests.mutants import Mutant

CHOICE = "tests/families/test_mixture_choice.py"
CELLS = "tests/families/test_mixture_cells.py"
MUTANTS = [
    Mutant(
        "families/mixture/choice.py", "0.5 * math.log(len(trials.sample)) * free", "0.0 * free", f"{CHOICE} -k true"
    ),
    Mutant("families/mixture/choice.py", "left = (count - price)", "left = (count - 0.0 * price)", f"{CHOICE} -k pay"),
    Mutant("families/mixture/moves.py", "log_share - log_share.logsumexp(0)", "log_share", f"{CHOICE} -k misfit"),
    Mutant("families/mixture/moves.py", "if objective > best + GAIN", "if 0 * best + GAIN", f"{CHOICE} -k worse"),
    Mutant("families/mixture/choice.py", "STARTING * self.clock", "1e9 * self.clock", f"{CHOICE} -k half_of_the_time"),
    Mutant("train/stepwise.py", "(self.step + 2.0) ** -FORGETTING", "1.0", f"{CHOICE} -k stepwise"),
    Mutant("train/stepwise.py", "self.step = int(own.pop", "own.pop", f"{CHOICE} -k bits"),
    Mutant("families/mixture/cells.py", "distinct.abs() < FAR", "distinct.abs() < 0", f"{CELLS} -k difference"),
    Mutant("families/mixture/cells.py", "narrow = width.exp() < NARROW", "narrow = width.exp() < 1e9", CELLS),
    Mutant("families/mixture/model.py", ".rsqrt().amin(0)", ".rsqrt().amax(0)", f"{CELLS} -k narrow"),
    Mutant("infer/likelihood.py", "yield rows, points\n", "yield rows, 1\n", f"{CELLS} -k middle"),
]
