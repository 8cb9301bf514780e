"""Mutants of flows of pictures."""

from __future__ import annotations

from tests.mutants import Mutant

TESTS = "tests/families/images/test_flow.py"
MUTANTS = [
    Mutant(
        "families/images/flow/steps.py",
        "(self.log_diagonal.sum() * x.shape[2] * x.shape[3]).expand",
        "self.log_diagonal.sum().expand",
        TESTS + " -k autodiff",
    ),
    Mutant("families/images/flow/steps.py", "y[:, self.order.argsort()]", "y[:, self.order]", TESTS + " -k both_ways"),
    Mutant(
        "families/images/flow/steps.py",
        "torch.cat([a, (b - mean) * (-log_scale).exp()], 1), -log_scale",
        "torch.cat([a, (b - mean) * (-log_scale).exp()], 1), log_scale",
        TESTS + " -k law_2",
    ),
    Mutant("families/images/flow/scales.py", "return x, total + log_det", "return x, total", TESTS + " -k both_ways"),
    Mutant("families/images/flow/model.py", "base - log_det - volume", "base - log_det", TESTS + " -k integrates"),
    Mutant(
        "families/images/flow/model.py", "* (0.5 * (high + 1)) - 0.5", "* (0.5 * (high + 1))", TESTS + " -k come_back"
    ),
    Mutant(
        "families/images/flow/steps.py",
        "h = h + self.given(cond)[:, :, None, None]\n        out",
        "out",
        TESTS + " -k given",
    ),
]
