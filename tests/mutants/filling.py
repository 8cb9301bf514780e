"""Mutants of filling in: prompts with a suffix, masked diffusion, autoencoders of texts."""

from __future__ import annotations

from tests.mutants import Mutant

HERE = "tests/test_filling.py"
PARTS = "families/sequences/"
REORDERS = PARTS + "autoregressive/rearranging.py"
LAWS = "tests/laws/test_ragged.py"
MUTANTS = [
    Mutant("filler.py", " - np.array(proposed)", "", f"{HERE} -k weighed"),
    Mutant("filler.py", "np.argsort(-told,", "np.argsort(told,", f"{HERE} -k order"),
    Mutant(REORDERS, ".mul(lengths + 1)", ".mul(lengths)", f"{HERE} -k keeps"),
    Mutant(REORDERS, "real & told & (made", "real & (made", f"{HERE} -k keeps"),
    Mutant(REORDERS, "chosen &= parts | only_parts", "pass", f"{HERE} -k keeps"),
    Mutant(REORDERS, "other[:kept]", "other[-kept:]", f"{HERE} -k next_to"),
    Mutant(PARTS + "masked/model.py", "rounds >= step", "rounds > step", f"{LAWS} -k 'sequence-field and law_3'"),
    Mutant(
        PARTS + "vae/model.py",
        "score = -divergence(mean, log_scale)",
        "score = 0 * divergence(mean, log_scale)",
        f"{LAWS} -k 'sequence-vae and law_3'",
    ),
]
