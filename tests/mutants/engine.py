"""Mutants of the techniques of the gradient engine."""

from __future__ import annotations

from tests.mutants import Mutant

TESTS = "tests/train/test_techniques.py"
MUTANTS = [
    Mutant(
        "train/optimisers.py",
        'return gradient.lerp(state["exp_avg"].lerp_(gradient, 1 - momentum), momentum)',
        'return state["exp_avg"].lerp_(gradient, 1 - momentum)',
        TESTS,
    ),
    Mutant("train/optimisers.py", "0.2 * wide.shape[-1] ** 0.5", "0.2", TESTS),
    Mutant("train/optimisers.py", '1 - group["lr"] * group["weight_decay"]', "1.0", TESTS),
    Mutant("train/optimisers.py", "-4.7750 * gram + 2.0315", "-4.7750 * gram - 2.0315", TESTS),
    Mutant("train/optimisers.py", "nesterov=options.momentum > 0", "nesterov=False", TESTS),
    Mutant("train/schedule.py", "return min(1.0, warm) *", "return", TESTS),
    Mutant("train/tuning.py", "up.mT @ gradient", "0 * (up.mT @ gradient)", TESTS),
    Mutant("train/tuning.py", "self.leaves[2 * i].zero_()", "pass", TESTS),
    Mutant("train/gradients.py", "free.write()", "pass", TESTS),
    Mutant("train/gradients.py", "shrink(free.leaves, rate * self.options.l1)", "pass", TESTS),
    Mutant("train/checkpoint.py", 'arrays |= {f"fixed.{i}.{j}"', 'arrays | {f"fixed.{i}.{j}"', TESTS),
]
