"""Mutants of decoders, variational autoencoders and latent spaces."""

from __future__ import annotations

from tests.mutants import Mutant

EMISSIONS = "tests/nets/test_emissions.py"
PLANE = "tests/families/test_vae.py -k probabilistic"
CODES = "tests/families/test_vae.py -k codes"
POSTERIOR = "tests/families/test_vae.py -k density_of_a_posterior"
VERBS = "tests/test_latent.py"

MUTANTS = [
    Mutant("nets/emissions/mixtures.py", "+ math.log(2.0) + log_half", "+ log_half", EMISSIONS + " -k scipy"),
    Mutant("nets/emissions/mixtures.py", "F.relu(torch.maximum(a, -b))", "F.relu(a)", EMISSIONS + " -k sum_to_one"),
    Mutant("nets/emissions/spline.py", "+ d1 * a * b", "+ d0 * a * b", EMISSIONS + " -k sum_to_one"),
    Mutant("nets/emissions/binned.py", "torch.log1p(-stray)", "torch.log1p(stray)", EMISSIONS + " -k sum_to_one"),
    Mutant("families/vae/latents.py", "log_q = log_q - log_det", "log_q = log_q + log_det", POSTERIOR),
    Mutant("families/vae/latents.py", "(_log_normal(noise) - log_scale)", "(_log_normal(noise))", PLANE),
    Mutant("families/vae/codes.py", "flat + (book - flat).detach()", "book", CODES),
    Mutant(
        "families/vae/model.py",
        "times * relative, middle",
        "0 * relative, middle",
        "tests/families/test_vae.py -k tends",
    ),
    Mutant("infer/latent.py", "torch.sin((1 - t) * angle)", "torch.cos((1 - t) * angle)", VERBS + " -k arc"),
    Mutant("infer/latent.py", "positive.mean(0) - negative", "positive.mean(0) + negative", VERBS + " -k attribute"),
]
