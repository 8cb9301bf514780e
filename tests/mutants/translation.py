"""Mutants of sequences that are given another, of encoder and decoder, and of their judging."""

from __future__ import annotations

from tests.mutants import Mutant

LEARNED = "tests/families/sequences/test_translation.py"
WHOLE = "tests/test_translation.py"
MUTANTS = [
    Mutant(
        "nets/sequences/crosscache.py", "torch.arange(places) <= self.used", "torch.arange(places) < self.used", LEARNED
    ),
    Mutant("nets/sequences/crosscache.py", "self.seen[rows], parts", "self.seen[: len(rows)], parts", LEARNED),
    Mutant(
        "nets/sequences/cross.py",
        "turned(torch.addcmul(g, kept, along, value=-1.0), turn, -1.0)",
        "turned(torch.addcmul(g, kept, along, value=-1.0), turn, 1.0)",
        LEARNED,
    ),
    Mutant(
        "families/sequences/translation/model.py",
        "torch.where(place > lengths[:, None], NOTHING, ended)",
        "ended",
        LEARNED,
    ),
    Mutant("kinds/windows.py", "self.given_batch(record[:, 0])", "self.given_batch(rows)", LEARNED),
    Mutant("writer.py", "self._told[asked.row]", "str(asked.row)", WHOLE),
    Mutant("judge/texts/translations.py", "others = [*wanted[1:], wanted[0]]", "others = wanted", WHOLE),
]
