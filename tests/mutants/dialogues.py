"""Mutants of dialogues: their streams, what counts of them, replies."""

from __future__ import annotations

from tests.mutants import Mutant

KIND = "tests/kinds/test_dialogue.py"
PARTS = "tests/families/sequences/test_parts.py"
CHAT = "tests/test_chatting.py"
FILES = "tests/data/test_dialogues.py"
MUTANTS = [
    Mutant(
        "kinds/dialogue.py",
        "own[numbers - self.text.classes], sizes + 1",
        "own[numbers - self.text.classes], sizes",
        KIND,
    ),
    Mutant("kinds/dialogue.py", "owners[turn[inside]] == rows[inside]", "turn[inside] >= 0", KIND),
    Mutant("kinds/dialogue.py", "            of_turns *= np.isin(", "            np.isin(", KIND),
    Mutant("kinds/dialogue.py", "role not in told", "role in told", KIND),
    Mutant("kinds/sequences.py", "self.starts[:-1] + np.arange(len(self))", "self.starts[:-1]", PARTS),
    Mutant("kinds/windows.py", "np.concatenate([[False], scored[there]])", "np.append(scored[there], False)", PARTS),
    Mutant(
        "families/sequences/autoregressive/model.py",
        "there & windows.scored[:, 1:-1]",
        "there & windows.scored[:, :-2]",
        PARTS,
    ),
    Mutant(
        "families/sequences/ngram/model.py", "batch.scored.shape[1]) <= batch", "batch.scored.shape[1]) < batch", PARTS
    ),
    Mutant("solvers/replies.py", "torch.cat(final, -1).logsumexp(-1, keepdim=True)", "final[0][..., -1:]", CHAT),
    Mutant("judge/texts/dialogues.py", '"" if kind.learned and role not in', '"" if kind.learned and role in', CHAT),
    Mutant("judge/texts/dialogues.py", "dialogues[row][: places[row]]", "dialogues[row]", CHAT),
    Mutant("data/readers/dialogues.py", "            row += batch.num_rows", "            row = 0", FILES),
]
