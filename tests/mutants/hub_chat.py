"""Mutants of checkpoints that chat: tokens, masks, network, ends."""

from __future__ import annotations

from tests.mutants import Mutant

CHAT = "tests/test_hub_chat.py"
MUTANTS = [
    Mutant("kinds/templated.py", "np.where(numbers == end, self.text.classes, numbers - (numbers > end))",
           "numbers - (numbers > end)", CHAT + " -k 'tokens_are'"),
    Mutant("kinds/templated.py", "spans.append((len(before), stop.end()", "spans.append((len(before), stop.start()",
           CHAT + " -k masks"),
    Mutant("kinds/templated.py", "counts |= (first < end) &", "counts |= (first <= end) &", CHAT + " -k masks"),
    Mutant("kinds/templated.py", "max(own[1], len(before))", "len(before)", CHAT + " -k 'found or masks'"),
    Mutant("families/sequences/pretrained/rendered.py", "((place >= 0) & (shown != self.mark))", "(place >= 0)",
           CHAT + " -k greedy"),
    Mutant("families/sequences/pretrained/rendered.py", "for rows, first in ((marked, 1), (~marked, 0)):",
           "for rows, first in ((marked, 0), (~marked, 0)):", CHAT + " -k log_probabilities"),
    Mutant("families/sequences/pretrained/family.py", "1, int(whole))), records.event.partly)", "1, int(whole))))",
           CHAT + " -k only_replies"),
    Mutant("solvers/replies.py", "        texts[..., ends] = -torch.inf\n", "", CHAT + " -k any_token"),
    Mutant("kinds/tokens/template.py", "return_assistant_tokens_mask=self.tells_spans,",
           "return_assistant_tokens_mask=False,", CHAT + " -k masks"),
]  # fmt: skip
