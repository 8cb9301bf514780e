"""Mutants of vector fields and their solvers."""

from __future__ import annotations

from tests.mutants import Mutant

STEPS = "tests/solvers/test_steps.py"
PATHS = "tests/solvers/test_paths.py"
MASKED = "tests/solvers/test_masked.py"
DENSITY = "tests/solvers/test_density.py"
FIELD = "tests/families/test_field.py"

MUTANTS = [
    Mutant("solvers/steps.py", "first, second = near + r_0", "first, second = near - r_0", f"{STEPS} -k law_13"),
    Mutant("solvers/steps.py", "2 * (near - far) / (r_0 + r_1)", "(near - far) / (r_0 + r_1)", f"{STEPS} -k law_13"),
    Mutant("solvers/steps.py", "torch.sqrt((1 - kept)", "torch.sqrt((1 + kept)", f"{STEPS} -k in_distribution"),
    Mutant("solvers/adaptive.py", "-2187 / 6784, 11 / 84", "2187 / 6784, 11 / 84", f"{STEPS} -k adaptive"),
    Mutant("solvers/paths.py", "return 2 * sigma * (d_sigma", "return sigma * (d_sigma", PATHS),
    Mutant("solvers/density.py", "d1 + 2 * d2 + 2 * d3", "d1 + 2 * d2 + d3", DENSITY),
    Mutant(
        "families/field/parameterisation.py",
        "sigma * along - alpha * output",
        "sigma * along + alpha * output",
        f"{FIELD} -k way_back",
    ),
    Mutant(
        "families/field/parameterisation.py",
        "turn = alpha * d_sigma - sigma * d_alpha",
        "turn = alpha * d_sigma + sigma * d_alpha",
        f"{FIELD} -k way_back",
    ),
    Mutant(
        "families/field/learning.py",
        "    shown = shown & learning.view.decided(shown, learning.view.classes)\n",
        "",
        f"{FIELD} -k shown_only",
    ),
    Mutant("families/field/learning.py", "-0.5 * alpha * scale]", "0.5 * alpha * scale]", f"{FIELD} -k pooled"),
    Mutant("families/field/learning.py", "(x - alpha * mean) / sigma", "noise[rows]", f"{FIELD} -k pooled"),
    Mutant("solvers/masked.py", "now - later + (1 - now) * again", "now - later", f"{MASKED} -k share"),
    Mutant("solvers/masked.py", "codes[:, j] = torch.where(here, new", "codes[:, j] = torch.where(~here, new", MASKED),
    Mutant(
        "families/field/warp.py", "torch.log(rate[piece]) + 0.5 *", "torch.log(rate[piece]) - 0.5 *", f"{FIELD} -k warp"
    ),
    Mutant(
        "families/field/score.py",
        "log_p = log_p + torch.where(alive",
        "log_p = log_p - torch.where(alive",
        f"{FIELD} -k gaussian_is",
    ),
]
