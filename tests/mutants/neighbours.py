"""Mutants of the families that are made of training rows, and of composites."""

from __future__ import annotations

from tests.mutants import Mutant

NEIGHBOURS = "tests/families/test_neighbours.py"
COMPOSITES = "tests/test_classes.py"
MUTANTS = [
    Mutant(
        "families/neighbours/kernels.py",
        "total.masked_fill(torch.eye(*shape, dtype=torch.bool),",
        "total.masked_fill(torch.zeros(shape, dtype=torch.bool),",
        f"{NEIGHBOURS} -k chosen",
    ),
    Mutant("families/neighbours/kernels.py", "other / max(size - 1, 1)", "other", NEIGHBOURS),
    Mutant("families/neighbours/kernels.py", "if ahead > left:", "if False:", f"{NEIGHBOURS} -k fewer"),
    Mutant("families/neighbours/smote.py", "start + u[:, 0] * (end - start)", "end", NEIGHBOURS),
    Mutant("families/neighbours/smote.py", "largest=False", "largest=True", NEIGHBOURS),
    Mutant(
        "families/compose/byclass.py", "self.log_rest(batch) / self.temperature", "self.log_rest(batch)", COMPOSITES
    ),
    Mutant("families/compose/byclass.py", "return torch.logaddexp(own, shared)", "return own", COMPOSITES),
    Mutant("families/compose/byclass.py", "free &= limit.contains(codes)", "pass", COMPOSITES),
    Mutant(
        "families/compose/perclass.py",
        "log_shared[k] = math.log(max(share, SHARED))",
        "log_shared[k] = -20.0",
        COMPOSITES,
    ),
    Mutant(
        "families/compose/parts.py",
        "[evidence(p, batch, limits) for p in self.parts], 1) + self.log_weights",
        "[0.0 * evidence(p, batch, limits) for p in self.parts], 1) + self.log_weights",
        COMPOSITES,
    ),
]
