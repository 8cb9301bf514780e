"""Mutants of checkpoints with an encoder and a decoder."""

from __future__ import annotations

from tests.mutants import Mutant

HUB = "tests/test_hub_sourced.py"
BUILT = "tests/families/test_pretrained-translation.py"
PARTS = "families/sequences/pretrained/"

MUTANTS = [
    Mutant(PARTS + "translator.py", "inner + (inner >= self.end).to(torch.int64)", "inner", HUB + " -k logits"),
    Mutant(PARTS + "translator.py", "number in enumerate(self.behind):", "number in enumerate(()):",
           HUB + " -k logits"),
    Mutant(PARTS + "translator.py", "there = (torch.arange(numbers.shape[1]) < whole[:, None])",
           "there = (torch.arange(numbers.shape[1]) < whole.max())", HUB + " -k logits"),
    Mutant(PARTS + "translator.py", "out.logits[:, len(self.prefix) :]", "out.logits[:, : tokens.shape[1]]",
           HUB + " -k log_probabilities"),
    Mutant(PARTS + "translator.py", "return torch.cat(found)[order], Remembered", "return torch.cat(found), Remembered",
           HUB + " -k logits"),
    Mutant(PARTS + "translator.py", "cache = _shell(self.cache)", "cache = self.cache", HUB + " -k written_on"),
    Mutant(PARTS + "sourced.py", "loss_of(self._fits(module, batch), batch, self.label_smoothing)",
           "loss_of(self._fits(module, batch), batch, 0.0)", BUILT + " -k matters"),
    Mutant("hub.py", "*(before if forced is None else [int(forced)])", "", HUB + " -k beginnings"),
    Mutant("kinds/tokens/pretrained.py", "math.log(2 * (UNICODE", "math.log(1 * (UNICODE", HUB + " -k price"),
]  # fmt: skip
