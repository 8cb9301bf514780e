"""Mutants of normalising flows and the networks they are made of."""

from __future__ import annotations

from tests.mutants import Mutant

FLOW = "tests/families/test_flow.py"
SPLINE = "tests/nets/test_spline.py"
STAIRCASE = "tests/nets/test_staircase.py"

MUTANTS = [
    Mutant("nets/spline.py", "n, d = s * t * t + k.d0 * q", "n, d = s * t * t + k.d1 * q", SPLINE + " -k paper"),
    Mutant("nets/spline.py", "of_d1 = over_a * t * t - down * q", "of_d1 = over_a * t * t", SPLINE + " -k differences"),
    Mutant(
        "nets/staircase.py", "torch.arange(inputs) < reach", "torch.arange(inputs) <= reach", STAIRCASE + " -k later"
    ),
    Mutant("nets/staircase.py", "source is self.known[0] else seen", "True else seen", STAIRCASE + " -k position"),
    Mutant(
        "families/flow/transforms/margins.py",
        "only(log_slope - self.scale.log(), exists)",
        "only(log_slope, exists)",
        FLOW + " -k margins",
    ),
    Mutant(
        "families/flow/transforms/mixing.py",
        "only(self.log_diagonal.expand_as(x), there)",
        "self.log_diagonal.expand_as(x)",
        FLOW + " -k law_2",
    ),
    Mutant(
        "families/flow/transforms/autoregressive.py",
        "y, log_slope = only(y, exists[self.order]), only(log_slope, exists[self.order])",
        "y = only(y, exists[self.order])",
        FLOW + " -k law_2",
    ),
    Mutant(
        "families/flow/transforms/norms.py",
        "x * self.log_scale.exp() + self.shift",
        "x * self.log_scale.exp()",
        FLOW + " -k actnorm",
    ),
    Mutant(
        "families/flow/classes.py",
        "known[:, j] = self.event.existing(codes, j)",
        "known[:, j] = True",
        FLOW + " -k classes",
    ),
    Mutant(
        "families/flow/model.py",
        "count = len(z) if exists is None else exists.sum(0)",
        "count = len(z)",
        FLOW + " -k mixed",
    ),
    Mutant("infer/condition.py", "return min(top, mean", "return max(top, mean", "tests/infer"),
]
