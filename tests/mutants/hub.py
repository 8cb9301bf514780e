"""Mutants of checkpoints of Hugging Face: network, memory, tokenizer, folder."""

from __future__ import annotations

from tests.mutants import Mutant

HUB = "tests/test_hub.py"
PARTS = "families/sequences/pretrained/"

MUTANTS = [
    Mutant(PARTS + "network.py", "tokens + (tokens >= self.end).to(torch.int64)", "tokens", HUB + " -k logits"),
    Mutant(PARTS + "network.py",
           "parts = (logits[..., : self.end], logits[..., self.end + 1 :], logits[..., self.end : self.end + 1])",
           "parts = (logits,)", HUB + " -k logits"),
    Mutant(PARTS + "network.py", "(there.cumsum(1) - 1).clamp(min=0)", "(torch.ones_like(there).cumsum(1) - 1)",
           HUB + " -k logits"),
    Mutant(PARTS + "network.py", "cache = copy.deepcopy(self.cache)", "cache = self.cache", HUB + " -k written_on"),
    Mutant(PARTS + "network.py", "found.setdefault(id(weight), (name, weight.detach()))",
           "found.setdefault(len(found), (name, weight.detach()))", HUB + " -k 'kept or export'"),
    Mutant(PARTS + "writing.py", "self.memory = self._read()[1]", "pass", HUB + " -k slide"),
    Mutant(PARTS + "model.py", "begins = inputs == self.net.mark",
           "begins = torch.zeros_like(inputs, dtype=torch.bool)",
           "tests/laws/test_ragged.py -k 'law_5 and pretrained'"),
    Mutant("kinds/tokens/pretrained.py", "return numbers - (numbers > self.end)", "return numbers",
           HUB + " -k tokens_are"),
    Mutant("kinds/tokens/pretrained.py", "made.encode_special_tokens = True", "pass", HUB + " -k come_back"),
    Mutant("kinds/tokens/pretrained.py", 'pc.replace_substring_regex(made, "^ ", "", max_replacements=1)', "made",
           HUB + " -k come_back"),
    Mutant("kinds/tokens/pretrained.py", "return len(text)", "return place", HUB + " -k 'long and read'"),
    Mutant("hub.py", "given.get(name, given.get(name.removeprefix(prefix)))", "given.get(name)", HUB + " -k prefix"),
    Mutant("hub.py", "if found is not None and found.shape != weight.shape:", "if False:", HUB + " -k bad_folders"),
]  # fmt: skip
