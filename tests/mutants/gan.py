"""Mutants of generative adversarial networks."""

from __future__ import annotations

from tests.mutants import Mutant

GAN = "tests/families/test_gan.py"

MUTANTS = [
    Mutant("families/gan/objectives.py", "F.softplus(-real) + F.softplus(made)", "F.softplus(-real)", f"{GAN} -k both"),
    Mutant("families/gan/objectives.py", "F.softplus(made - real)", "F.softplus(real - made)", f"{GAN} -k best_critic"),
    Mutant("families/gan/objectives.py", "torch.softmax(made.detach(), 0)", "made.softmax(0)", f"{GAN} -k importance"),
    Mutant("families/gan/objectives.py", "(norm - 1).square()", "norm.square()", f"{GAN} -k quadratic"),
    Mutant("families/gan/view.py", " + soft - soft.detach()", " + soft.detach() - soft", f"{GAN} -k straight_through"),
    Mutant("families/gan/view.py", "place * numbers, values * numbers", "place, values", f"{GAN} -k hidden_from_both"),
    Mutant("families/gan/modes.py", "- scale.log() - 0.5 *", "- 0.5 *", f"{GAN} -k are_found"),
    Mutant("families/gan/score.py", "across - 0.5 * within", "across", f"{GAN} -k held_out"),
    Mutant("families/gan/networks.py", "(self.match(given) * f).mean(1)", "f.mean(1)", f"{GAN} -k projection"),
    Mutant(
        "families/gan/family.py", "1.0 - float(self.right)) / spare", "float(self.right)) / spare", f"{GAN} -k balance"
    ),
]
