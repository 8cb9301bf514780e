"""Mutants of circuits: warps, messages, evidence, draws, plans."""

from __future__ import annotations

from tests.mutants import Mutant

OWN = "tests/families/test_circuit.py"
WARP = "tests/families/test_circuit_warp.py"
MUTANTS = [
    Mutant("families/circuit/warp.py", "(total[place[repeated]] + 1.0)", "1.0", WARP),
    Mutant("families/circuit/warp.py", "repeated = counts > 1", "repeated = counts > 0", WARP),
    Mutant("families/circuit/learning.py", "ratio = posterior[plan.parents[v]] / upward[v]", "ratio = upward[v]", OWN),
    Mutant(
        "families/circuit/learning.py",
        "(within + prior.scatter * current.scatter)",
        "within",
        f"{OWN} -k one_state",
    ),
    Mutant(
        "families/circuit/learning.py",
        "torch.where(upper[0] == upper[1], 0.5, 1.0)",
        "0.5",
        f"{OWN} -k narrow_gaussians",
    ),
    Mutant("families/circuit/evidence.py", "torch.where(inside, allowed[child][..., None], 0.0)", "0.0", OWN),
    Mutant(
        "families/circuit/evidence.py",
        "logits = block.logsumexp((1, 2)) - math",
        "logits = 0 * block.amax((1, 2)) - math",
        OWN,
    ),
    Mutant(
        "families/circuit/drawing.py", "weight += torch.where(here, cut", "weight += 0 * torch.where(here, cut", OWN
    ),
    Mutant("families/circuit/drawing.py", "mean = mean + shift[:, evidence.at_unknown]", "pass", OWN),
    Mutant("families/circuit/design.py", "if gain > best[u][0]:", "if gain < best[u][0]:", WARP),
    Mutant("families/circuit/expectations.py", "weight = whole * _existing(evidence, j)", "weight = whole", OWN),
]
