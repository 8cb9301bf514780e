"""Mutants of the judge of pictures."""

from __future__ import annotations

from tests.mutants import Mutant

FORMULAS = "tests/judge/test_images_formulas.py"
EXTRACTORS = "tests/judge/test_images_extractors.py"
WHOLE = "tests/judge/test_images_judge.py"
MUTANTS = [
    Mutant("judge/images/frechet.py", "- 2 * overlap)", "- overlap)", FORMULAS),
    Mutant(
        "judge/images/frechet.py", "cut = values > values[-1] * len(values)", "cut = values > values[-1] * 0", FORMULAS
    ),
    Mutant("judge/images/frechet.py", "(real, b, -apart, back, seed)", "(real, b, apart, back, seed)", FORMULAS),
    Mutant("judge/images/kernel.py", "- (((z * z).mean(1) + 1) ** 3).sum()", "", FORMULAS),
    Mutant("judge/images/kernel.py", "/ x.shape[1] + 1) ** 3", "+ 1) ** 3", FORMULAS),
    Mutant("judge/images/measures.py", "math.sqrt(size / rows", "math.sqrt(rows / rows", FORMULAS),
    Mutant("judge/images/measures.py", "/ dimensions, sort, seed)", ", sort, seed)", FORMULAS),
    Mutant(
        "judge/images/neighbourhoods.py",
        "radii(real, neighbours), radii(made, neighbours)",
        "radii(real), radii(made)",
        FORMULAS,
    ),
    Mutant(
        "judge/images/classes.py", "apart = np.abs(have[known] / want[known] - 1)", "apart = have[known] * 0", FORMULAS
    ),
    Mutant("judge/images/extractor.py", "* seen + 255 * (1 - seen)", "* seen", EXTRACTORS),
    Mutant("judge/images/weights.py", "weights_only=True", "weights_only=False", EXTRACTORS),
    Mutant(
        "judge/images/efficientnet.py",
        "margins += [more // 2, more - more // 2]",
        "margins += [more - more // 2, more // 2]",
        EXTRACTORS,
    ),
    Mutant("judge/images/inception.py", "count_include_pad=False", "count_include_pad=True", EXTRACTORS),
    Mutant("judge/images/inception.py", "head.bias.data.zero_()", "pass", EXTRACTORS),
    Mutant(
        "judge/images/dino.py",
        "x = x + self.ls1(self.attn(self.norm1(x)))",
        "x = x + self.attn(self.norm1(x))",
        EXTRACTORS,
    ),
    Mutant("judge/images/resize.py", "* (old / new)", "* (old / new) + 0.5 * (old / new - 1)", EXTRACTORS),
    Mutant(
        "judge/images/copies.py",
        "np.minimum(plain, mirror), np.where(mirror < plain, other, place)",
        "plain, place",
        WHOLE,
    ),
    Mutant(
        "judge/images/copies.py",
        "return share, luck, reference.unseen[:size][near_train]",
        "return share, luck, near_train",
        WHOLE,
    ),
    Mutant(
        "judge/images/evaluate.py",
        "if known is None or wanted is None else np.flatnonzero",
        "if True else np.flatnonzero",
        WHOLE,
    ),
    Mutant("judge/images/reference.py", "return self.halves[1]", "return self.halves[0]", WHOLE),
    Mutant("judge/leaderboard.py", "if not reference.given:", "if True:", WHOLE),
]
