"""Mutants of filling in: prompts with a suffix, masked diffusion, autoencoders of texts."""

from __future__ import annotations

from tests.mutants import Mutant

HERE = "tests/test_filling.py"
PARTS = "families/sequences/"
REORDERS = PARTS + "autoregressive/rearranging.py"
LAWS = "tests/laws/test_ragged.py"
MUTANTS = [
    Mutant("filler.py", "[place] - behind", "[place]", f"{HERE} -k weighed"),
    Mutant(REORDERS, "(lengths + 1)[:, :, None]", "lengths[:, :, None]", f"{HERE} -k keeps"),
    Mutant(REORDERS, "other[:kept]", "other[-kept:]", f"{HERE} -k next_to"),
    Mutant(PARTS + "masked/model.py", "rounds >= step", "rounds > step", f"{LAWS} -k 'sequence-field and law_3'"),
    Mutant(
        PARTS + "vae/model.py",
        "score = -divergence(mean, log_scale)",
        "score = 0 * divergence(mean, log_scale)",
        f"{LAWS} -k 'sequence-vae and law_3'",
    ),
]
