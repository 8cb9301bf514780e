"""Mutants of autoencoders of pictures and of what is composed of them."""

from __future__ import annotations

from tests.mutants import Mutant

TESTS = "tests/families/images/test_vae.py"
LATENT = "tests/families/images/test_latent.py"
MUTANTS = [
    Mutant("families/images/vae/ladder.py", "- narrower - log_scale)", "- log_scale)", TESTS + " -k ladder"),
    Mutant(
        "families/images/vae/ladder.py",
        "base = own if posterior else (own - shift) * torch.exp(-narrower)",
        "base = own",
        TESTS + " -k probability_one",
    ),
    Mutant("families/images/vae/heads.py", "-F.softplus(", "F.softplus(", TESTS + " -k heads"),
    Mutant("families/images/vae/heads.py", "torch.where(cells == 0, -FAR, cells)", "cells", TESTS + " -k heads"),
    Mutant("families/images/vae/model.py", "wide if prior else None", "None", TESTS + " -k probability_one"),
    Mutant("families/images/vae/codes.py", "flat + (near - flat).detach()", "near", TESTS + " -k four_sorts"),
    Mutant("families/images/vae/codes.py", "and chance < ANEW", "and chance < 0", TESTS + " -k dead"),
    Mutant("families/vae/latents.py", "score(z) + share * self.beta", "score(z) + self.beta", TESTS + " -k annealing"),
    Mutant("families/images/latent.py", "- dims * math.log(STEP)", "", LATENT + " -k truth"),
]
