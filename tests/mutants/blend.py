"""Mutants of blends of sequences, and of compiled writing."""

from __future__ import annotations

from tests.mutants import Mutant

BLEND = "tests/families/sequences/test_blend.py"
COMPILED = "tests/nets/sequences/test_compiled.py"
STUCK = "tests/solvers/decoding/test_constraints.py"
MUTANTS = [
    Mutant("families/compose/sequences/gate.py", "self.bias).log_softmax(-1)", "self.bias)", BLEND),
    Mutant(
        "families/compose/sequences/held.py", "self._gone[np.searchsorted(", "0 * self._gone[np.searchsorted(", BLEND
    ),
    Mutant("families/compose/sequences/held.py", "step >= lead[:, None]", "step >= 0 * lead[:, None]", BLEND),
    Mutant("families/compose/sequences/model.py", "counts & batch.scored", "counts", BLEND),
    Mutant("nets/sequences/compiled/kernels.py", "one * sin + two * cos", "one * sin - two * cos", COMPILED),
    Mutant("nets/sequences/compiled/decoder.py", "else layer.scale**2", "else layer.scale", COMPILED),
    Mutant("nets/sequences/compiled/decoder.py", "known != now", "False", COMPILED),
    Mutant("solvers/decoding/plain.py", 'dict.fromkeys(lost, "stuck")', "{}", STUCK),
]
