"""Mutants of texts: their windows, their kind, their tokenizers, their files."""

from __future__ import annotations

from tests.mutants import Mutant

WINDOWS = "tests/kinds/test_windows.py"
KIND = "tests/kinds/test_text.py"
TOKENS = "tests/kinds/test_tokens.py"
FILES = "tests/data/test_texts.py"
MUTANTS = [
    Mutant("kinds/windows.py", "& (ends[before.clip(0)] > self.first)", "& (ends[before.clip(0)] > reach)", WINDOWS),
    Mutant("kinds/windows.py", "(records.lengths[there] + 1).cumsum()", "records.lengths[there].cumsum()", WINDOWS),
    Mutant("kinds/windows.py", "end[piece] + 1", "end[piece]", WINDOWS),
    Mutant("kinds/windows.py", "round(count / self.looks)", "count", WINDOWS),
    Mutant("kinds/text.py", "            total[rows] += counts", "            total[rows] = counts", KIND),
    Mutant("kinds/textcodec.py", "if holes or not self.event.missing:", "if holes:", KIND),
    Mutant("kinds/guessing.py", "if len(prose) == 1 and not others else", "if prose else", KIND),
    Mutant("kinds/tokens/characters.py", "UNICODE - len(SURROGATES) - len(self.", "UNICODE - len(self.", TOKENS),
    Mutant("kinds/tokens/words.py", " - np.log1p(-self._known_share)", "", TOKENS),
    Mutant("kinds/tokens/base.py", "start + tokenizer.cut(text[start:], end - start)", "end", TOKENS),
    Mutant("kinds/tokens/subwords.py", "round(score, SCORE_DIGITS)", "score", TOKENS),
    Mutant("kinds/textprofile.py", 'np.argsort(self._ranks, kind="stable")', "np.arange(len(self._ranks))", TOKENS),
    Mutant("data/texts/files.py", "fed - waiting + error.start", "fed + error.start", FILES),
    Mutant("data/texts/records.py", '_BLANK.sub("", text)', "text", FILES),
    Mutant("data/texts/records.py", "max(short, words, sentences)", "max(short, words)", FILES),
]
