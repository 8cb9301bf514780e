"""Mutants of Bayesian networks and the picture of their graph."""

from __future__ import annotations

from tests.mutants import Mutant

BAYES = "tests/families/test_bayesnet.py"
MUTANTS = [
    Mutant("families/bayesnet/tables.py", "torch.log(n - 1.0 + a * left)", "torch.log(n + a * left)", BAYES),
    Mutant("families/bayesnet/tables.py", "outer[..., view] * backed_off(counts, view)", "outer[..., view]", BAYES),
    Mutant("families/bayesnet/scores.py", "0.5 * math.log(max(rows, 1.0)) * free", "0.0 * free", BAYES),
    Mutant("families/bayesnet/structure.py", "strength[:, child] > best)", "strength[:, child] < best)", BAYES),
    Mutant("families/bayesnet/structure.py", "<= WIDEST", "<= 1e9 * WIDEST", BAYES),
    Mutant("families/bayesnet/elimination.py", "log_total += scale.log()", "pass", BAYES),
    Mutant("families/bayesnet/network.py", "kind == 0 and j >= self.network.given", "kind == 0", BAYES),
    Mutant("families/bayesnet/network.py", "share * (node.view == coarse[j][:, None])", "share", BAYES),
    Mutant("families/bayesnet/nodes.py", "(bins >= 0)) * of_group[group]", "(bins >= 0)) * 0.0", BAYES),
    Mutant(
        "judge/graph.py",
        "layer[p] + 1 for p in parents[v]",
        "layer[p] for p in parents[v]",
        "tests/judge/test_graph.py",
    ),
]
