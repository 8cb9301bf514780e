"""Mutants of learned worlds."""

from __future__ import annotations

from tests.mutants import Mutant

RECORDING = "tests/worlds/test_recording.py"
LEARNED = "tests/worlds/test_learned.py"
MUTANTS = [
    Mutant("worlds/recording.py", "kept = ~(resetting | done)", "kept = ~done", RECORDING),
    Mutant("worlds/recording.py", "_final(after, info, layout) if same_step else after", "after", RECORDING),
    Mutant("worlds/recording.py", "counts = kept if by_step else kept & over", "counts = kept", RECORDING),
    Mutant(
        "worlds/learning.py",
        "moved = _numbers(table, after) - _numbers(table, name)",
        "moved = _numbers(table, after)",
        LEARNED,
    ),
    Mutant("worlds/world.py", "state[name] + drawn[told] if", "drawn[told] if", LEARNED),
    Mutant("worlds/world.py", "**self.actions.inside(action)", "**action", LEARNED),
    Mutant("worlds/world.py", "np.flatnonzero(columns_of(source, (STEP,))[STEP] == 0)", "slice(None)", LEARNED),
    Mutant("worlds/envs.py", "outcome.terminated & ~again", "outcome.terminated", LEARNED),
    Mutant("worlds/envs.py", "np.where(again, 0, self._taken + 1)", "self._taken + 1", LEARNED),
    Mutant("worlds/distance.py", "return 2.0 * float(np.mean(", "return float(np.mean(", LEARNED),
    Mutant("worlds/distance.py", "same & (real[STEP]", "same | (real[STEP]", LEARNED),
]
