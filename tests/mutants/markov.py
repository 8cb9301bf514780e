"""Mutants of hidden Markov models and of records that are sequences."""

from __future__ import annotations

from tests.mutants import Mutant

MARKOV = "tests/families/test_markov.py"
LAWS = "tests/laws/test_ragged.py"
KIND = "tests/kinds/test_sequence.py"
MUTANTS = [
    Mutant(
        "families/markov/trellis.py",
        "before.mul_(torch.mm(chain.transitions, message))",
        "before.mul_(torch.mm(chain.transitions.T, message))",
        f"{MARKOV} -k paths",
    ),
    Mutant(
        "families/markov/trellis.py",
        "weights[:, : len(later)] *= chain.transitions[:, later]",
        "pass",
        f"{MARKOV} -k sampled_paths",
    ),
    Mutant(
        "families/markov/trellis.py",
        "score[:, : sizes[t]] + column[:, None]",
        "score[:, : sizes[t]]",
        f"{MARKOV} -k viterbi",
    ),
    Mutant("families/markov/trellis.py", "SMALLEST = 1e-30", "SMALLEST = 0.0", f"{MARKOV} -k extreme"),
    Mutant(
        "families/markov/lengths.py",
        "rate ** (met.to(torch.float64) + 1.0)",
        "rate ** (met + 1.0)",
        f"{MARKOV} -k length_laws",
    ),
    Mutant("families/markov/parameters.py", "if bool(kept.all()):", "if True:", f"{MARKOV} -k few_steps"),
    Mutant(
        "families/markov/expectation.py",
        "torch.cat(tops).sum() * _LN2",
        "torch.cat(tops).sum()",
        f"{MARKOV} -k of_the_book",
    ),
    Mutant(
        "families/markov/emissions.py",
        "evidence.logits = torch.where(inside[chosen], evidence.logits, -torch.inf)",
        "pass",
        f"{LAWS} -k conditionals",
    ),
    Mutant("kinds/sequences.py", "return first + np.arange(int(counts.sum()))", "return first", f"{KIND} -k decoding"),
    Mutant(
        "kinds/sequencecodec.py",
        "lengths = np.where(lengths < 0, UNKNOWN_LENGTH, lengths)",
        "pass",
        f"{KIND} -k unknown",
    ),
    Mutant("kinds/sequencecodec.py", "kept.cumsum() - 1", "kept.cumsum()", "tests/test_sequences.py -k filled"),
    Mutant(
        "families/markov/family.py",
        "return clock.seconds > STARTING * clock.budget.seconds",
        "return False",
        "tests/families/test_markov_stretches.py -k search",
    ),
    Mutant(
        "families/markov/stretches.py",
        "lengths = left.clamp(0, STRETCH).view(-1)",
        "lengths = left.clamp(1, STRETCH).view(-1)",
        "tests/families/test_markov_stretches.py -k every_step",
    ),
]
