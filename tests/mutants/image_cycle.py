"""Mutants of unpaired translation of pictures."""

from __future__ import annotations

from tests.mutants import Mutant

CYCLE = "tests/families/images/test_cycle.py"
F = "families/images/cycle"

MUTANTS = [
    Mutant(f"{F}/model.py", "back = self._made(made, own)", "back = self._made(made, to)", f"{CYCLE} -k way_back"),
    Mutant(f"{F}/model.py", "self.options.identity * F", "self.options.cycle * F", f"{CYCLE} -k changing_what"),
    Mutant(f"{F}/model.py", "self.options.anneal)).clamp(max=1.0)", "self.options.anneal))", f"{CYCLE} -k more_and"),
    Mutant(f"{F}/model.py", "randint(1, self.sorts", "randint(0, self.sorts", f"{CYCLE} -k other_sort"),
    Mutant(f"{F}/model.py", "torch.cat([own, to]))", "torch.cat([own, own]))", f"{CYCLE} -k critic_tells"),
    Mutant(f"{F}/model.py", "+ weight * slope_of", "- weight * slope_of", f"{CYCLE} -k critic_tells"),
    Mutant(f"{F}/networks.py", "* sort[:, :, None, None]", "", f"{CYCLE} -k head_of"),
    Mutant("families/gan/objectives.py", "return (made - 1)", "return (made + 1)", f"{CYCLE} -k found_out"),
    Mutant("cli/pictures.py", "bare + wish for", "wish for", "tests/cli/test_pictures.py -k one_sort"),
]
