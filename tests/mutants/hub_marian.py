"""Mutants of Marian checkpoints: pieces, numbers, what is never written, weights of places."""

from __future__ import annotations

from tests.mutants import Mutant

MARIAN = "tests/test_hub_marian.py"
MUTANTS = [
    Mutant("kinds/tokens/marian.py", "self._vocabulary.get(one.tokens[j], self._unknown)", "self._unknown",
           MARIAN + " -k best_pieces"),
    Mutant("kinds/tokens/sentencepiece.py", 'f"{_HIDDEN}{piece}"', "piece", MARIAN + " -k best_pieces"),
    Mutant("kinds/tokens/sentencepiece.py", "made.normalizers.Prepend(BLANK), ", "", MARIAN + " -k best_pieces"),
    Mutant("families/sequences/pretrained/translator.py", "shown[..., list(self.never)] = NEVER", "pass",
           MARIAN + " -k log_prob"),
    Mutant("hub.py", "source = _marian(folder, words, MARIAN) if paired else tokens", "source = tokens",
           MARIAN + " -k 'log_prob or written_back'"),
    Mutant("families/sequences/pretrained/stored.py", " if weight.requires_grad", "", MARIAN + " -k tuned"),
]  # fmt: skip
