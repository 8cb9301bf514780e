"""Mutants of the judge of texts."""

from __future__ import annotations

from tests.mutants import Mutant

FORMULAS = "tests/judge/test_texts_formulas.py"
WHOLE = "tests/judge/test_texts_judge.py"
MUTANTS = [
    Mutant("judge/texts/tokens.py", "inside = left[:size] >= n", "inside = left[:size] >= 1", FORMULAS),
    Mutant("judge/texts/tokens.py", "& (owners[1:] == owners[:-1])", "", FORMULAS),
    Mutant("judge/texts/suffixes.py", "np.where(own, step, 0)", "0 * own", FORMULAS),
    Mutant("judge/texts/suffixes.py", "np.minimum(self._common(at, other), left)", "self._common(at, other)", FORMULAS),
    Mutant("judge/texts/variety.py", "second = np.where(alone, 0,", "second = np.where(alone, 1,", FORMULAS),
    Mutant("judge/texts/variety.py", "near > lengths, np.exp(", "near < 0, np.exp(", FORMULAS),
    Mutant("judge/texts/variety.py", "made, real = made.first(size), real.first(size)", "pass", FORMULAS),
    Mutant("judge/texts/novelty.py", "~stands_in(own, keys)", "stands_in(own, keys)", FORMULAS),
    Mutant("judge/texts/likelihood.py", "(points >= 0x800)", "(points >= 0x8000)", FORMULAS),
    Mutant("judge/texts/twosample.py", "label[fold != k]", "label[fold != k][::-1]", FORMULAS),
    Mutant("judge/texts/copies.py", "2 * self.long.target + MORE", "2.0", WHOLE),
    Mutant("judge/texts/copies.py", "ratio / (1.0 + ratio)", "0.5", WHOLE),
    Mutant("judge/texts/evaluate.py", "np.isin(codes(made.texts), known)", "np.isin(known, known)", WHOLE),
    Mutant("judge/texts/reference.py", "len(each) + 1 for each", "len(each) for each", WHOLE),
    Mutant("judge/texts/records.py", 'return f"{kind.name}:{kind.tokenizer}{size}"', "return kind.name", WHOLE),
]
