"""Mutants of the autoregressive family, its networks and its bins."""

from __future__ import annotations

from tests.mutants import Mutant

NETS = "tests/nets/test_ordered.py"
FAMILY = "tests/families/test_autoregressive.py"
MUTANTS = [
    Mutant("families/bins.py", "gain + gain.mean() > 0", "gain == gain", "tests/families/test_bins.py"),
    Mutant("nets/made.py", "degree[:, None] >= degree)", "degree[:, None] >= 0)", NETS),
    Mutant(
        "nets/made.py", "self.degree <= rows.place.t()[:, :, None]", "self.degree < rows.place.t()[:, :, None]", NETS
    ),
    Mutant("nets/transformer.py", ".tril_(past)", ".tril_(past + 1)", NETS),
    Mutant("nets/transformer.py", "(g - out * along) * rate", "(g + out * along) * rate", NETS),
    Mutant("nets/sequence.py", "order[:, :-1]]", "order[:, 1:]]", NETS),
    Mutant("nets/heads.py", "g -= smoothing / bins", "pass", "tests/nets/test_heads.py"),
    Mutant(
        "families/autoregressive/model.py",
        "self._ordered(batch if seen is None else seen, places)",
        "self._ordered(batch, places)",
        f"{FAMILY} -k scheduled",
    ),
    Mutant(
        "families/autoregressive/model.py",
        "settled = seen.known.clone()",
        "settled = ~seen.known",
        f"{FAMILY} -k one_pass",
    ),
    Mutant("families/autoregressive/outlets.py", "> HEAPED * len(bins)", "< 0", f"{FAMILY} -k head_by"),
    Mutant("nets/ordered.py", " * (self.seen_at[:, None, :] < self.place[:, :, None])", "", NETS),
]
