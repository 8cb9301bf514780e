"""Mutants of energy models: restricted Boltzmann machines, deep energies, Langevin dynamics, annealing."""

from __future__ import annotations

from tests.mutants import Mutant

RBM = "tests/families/test_rbm.py"
DEEP = "tests/families/test_energy.py"
GAUSSIAN = f"{DEEP} -k normaliser_of"
MATCHING = f"{DEEP} -k score_matching"

MUTANTS = [
    Mutant(
        "families/energy/machine.py",
        "self.free_energy(index, now) - self.free_energy(index, then)",
        "self.free_energy(index, then) - self.free_energy(index, now)",
        f"{RBM} -k annealing",
    ),
    Mutant("families/energy/machine.py", "+ len(self.hidden) * math.log(2.0)", "", f"{RBM} -k annealing"),
    Mutant("families/energy/machine.py", "F.softplus(heat * self", "F.softplus(self", f"{RBM} -k annealing"),
    Mutant("families/energy/machine.py", "torch.rand(on.shape", "1 - torch.rand(1", f"{RBM} -k stationary"),
    Mutant(
        "families/energy/units.py",
        "table[:, j].logsumexp(1, keepdim=True)",
        "table[:, j].amax(1, keepdim=True)",
        f"{RBM} -k partition",
    ),
    Mutant(
        "families/energy/rbm.py", "free_energy(data).mean() - m", "free_energy(data).mean() + m", f"{RBM} -k gradient"
    ),
    Mutant("families/energy/deep.py", "+ options.noise * e) + e)", "+ options.noise * e) - e)", MATCHING),
    Mutant("families/energy/deep.py", "0.5 * score.square()", "score.square()", MATCHING),
    Mutant(
        "families/energy/unnormalised.py", "weight += chain.value.double()", "weight -= chain.value.double()", GAUSSIAN
    ),
    Mutant("families/energy/unnormalised.py", "math.log(BASE * math.sqrt(2 * math.pi))", "math.log(BASE)", GAUSSIAN),
    Mutant(
        "families/energy/unnormalised.py",
        "weight -= (x * (1 - free)).square()",
        "weight += (x * (1 - free)).square()",
        f"{DEEP} -k integrated_out",
    ),
    Mutant("solvers/langevin.py", " - self._log_move(self.x, slope, there)", "", f"{DEEP} -k for_its_own"),
]
