"""Mutants of fields of pictures, of restoring, and of their networks."""

from __future__ import annotations

from tests.mutants import Mutant

FIELD = "tests/families/images/test_field.py"
NETS = "tests/nets/test_picture_fields.py"
MEASURED = "tests/solvers/test_measured.py"
PACKAGE = "families/images/field"
MUTANTS = [
    Mutant(f"{PACKAGE}/score.py", "return log_p - log_q", "return log_p + log_q", f"{FIELD} -k law_5"),
    Mutant(f"{PACKAGE}/score.py", "keyed(batch.cells.flatten(1),", "keyed(batch.cells.flatten(1)[:1],", FIELD),
    Mutant(
        f"{PACKAGE}/network.py",
        "free + weight.to(said.dtype) *",
        "said + weight.to(said.dtype) *",
        f"{FIELD} -k guidance",
    ),
    Mutant(f"{PACKAGE}/network.py", "(ratio >= self.low) & ", "", f"{FIELD} -k guidance"),
    Mutant(f"{PACKAGE}/learning.py", ">= learning.drop", ">= 0.0", f"{FIELD} -k left_out"),
    Mutant(f"{PACKAGE}/learning.py", "torch.where(known, ", "(", f"{FIELD} -k teach"),
    Mutant(
        f"{PACKAGE}/fitted.py",
        "torch.where(part.mask, part.cells, self.pixels.cells(x))",
        "self.pixels.cells(x)",
        f"{FIELD} -k law_8",
    ),
    Mutant(f"{PACKAGE}/pixels.py", "* self.spread + self.centre", "* self.spread - self.centre", f"{FIELD} -k inverse"),
    Mutant(
        "solvers/paths.py",
        "return ratio / (1.0 + ratio)",
        "return ratio / (2.0 + ratio)",
        "tests/solvers/test_paths.py",
    ),
    Mutant("solvers/density.py", "(row * direction).sum(1)", "(row * direction).sum(1).abs()", f"{FIELD} -k law_5"),
    Mutant("solvers/measured.py", "ridge * self.factor**2", "ridge * self.factor", MEASURED),
    Mutant("solvers/measured.py", "row.square().sum() + ridge", "row.sum() + ridge", MEASURED),
    Mutant("solvers/measured.py", "size / (size.square() + ridge)", "1 / (size.square() + ridge)", MEASURED),
    Mutant("solvers/measured.py", "ridge if self.noise else 0.0", "0.0", f"{MEASURED} -k allowed"),
    Mutant("solvers/measured.py", "            if left:", "            if False:", f"{MEASURED} -k closed_form"),
    Mutant("nets/images/blocks.py", "permute(0, 2, 4, 1, 3, 5)", "permute(0, 4, 2, 1, 3, 5)", NETS),
    Mutant("nets/images/unet.py", "self.setting(t, cond)", "self.setting(t * 0, cond)", NETS),
    Mutant("nets/images/patches.py", "self.setting(t, cond)", "self.setting(t, cond * 0)", NETS),
    Mutant("nets/machine.py", "counter.get_total_flops()) / 2", "counter.get_total_flops())", NETS),
    Mutant("train/optimisers.py", "weight.flatten(1) if weight.dim() == 4 else weight", "weight", NETS),
]
