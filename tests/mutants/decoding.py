"""Mutants of choosing what comes next."""

from __future__ import annotations

from tests.mutants import Mutant

HERE = "tests/solvers/decoding"
PUBLIC = "tests/test_writing.py"
CACHE = "tests/nets/sequences/test_cache.py"
BACK = "tests/families/sequences/test_rewinding.py"
MUTANTS = [
    Mutant(
        "solvers/decoding/processors.py",
        "torch.where(met > 0, met / self.penalty,",
        "torch.where(met < 0, met / self.penalty,",
        HERE,
    ),
    Mutant("solvers/decoding/processors.py", "kept = total - share < mass", "kept = total < mass", HERE),
    Mutant("solvers/decoding/processors.py", "entropy = -(p * surprise)", "entropy = (p * surprise)", HERE),
    Mutant("solvers/decoding/choices.py", "(1 - 2.0**-40) * ", "", HERE),
    Mutant(
        "solvers/decoding/choices.py",
        "self._rows = [np.random.default_rng(seed) for seed in seeds]",
        "self._rows = [np.random.default_rng([len(seeds), place]) for place in range(len(seeds))]",
        HERE,
    ),
    Mutant("solvers/decoding/plain.py", "noise.take(kept)", "noise", HERE),
    Mutant(
        "solvers/decoding/rules.py",
        "shape[1], written < self.at_least)",
        "shape[1], written < self.at_least - 1)",
        HERE,
    ),
    Mutant("solvers/decoding/stopping.py", "self._tails[row] + self._pieces[number]", "self._pieces[number]", HERE),
    Mutant("solvers/decoding/stopping.py", "- self._beginning()", "", HERE),
    Mutant("solvers/decoding/patience.py", ", total / most**power)", ", total / (steps + 1) ** power)", HERE),
    Mutant("solvers/decoding/beam.py", "prompt.done[search.wanted - 1]", "prompt.done[0]", HERE),
    Mutant(
        "solvers/decoding/beam.py", "min(search.beams + count, len(scores))", "min(search.beams, len(scores))", HERE
    ),
    Mutant("solvers/decoding/speculative.py", "rest = (p - q).clamp(min=0.0)", "rest = p", HERE),
    Mutant(
        "solvers/decoding/speculative.py",
        "float(noise.uniform()) * float(q[number]) < float(p[0, number])",
        "float(noise.uniform()) < float(p[0, number])",
        HERE,
    ),
    Mutant("solvers/decoding/speculative.py", "own.rewind(len(seen) - accepted)", "own.rewind(0)", HERE),
    Mutant("solvers/decoding/grammar.py", "mask[-1] = bool(matcher.is_accepting())", "pass", HERE),
    Mutant("solvers/decoding/constraints.py", "mask[-1] = written in self._options", "mask[-1] = not mask.any()", HERE),
    Mutant("solvers/decoding/options.py", "() if unknown is None else (unknown,)", "()", PUBLIC),
    Mutant("writer.py", "*digest.tolist(), self._seen[whole]]", "self._seen[whole], len(self._seen)]", PUBLIC),
    Mutant("writer.py", 'padding_side="left"', 'padding_side="right"', PUBLIC),
    Mutant(
        "nets/sequences/cache.py", "torch.where(lengths[:, None] > 1, n_middle[:, 0], 0.0)", "n_middle[:, 0]", CACHE
    ),
    Mutant("nets/sequences/cache.py", "alpha=self.scale**2)", "alpha=self.scale)", CACHE),
    Mutant("nets/sequences/cache.py", "scores.masked_fill_(hidden, -torch.inf)", "pass", CACHE),
    Mutant("nets/sequences/cache.py", "tril_(self.level)", "tril_(self.level - 1)", CACHE),
    Mutant(
        "families/sequences/autoregressive/writing.py", "if slide[0] >= self.count", "if slide[0] > self.count", BACK
    ),
    Mutant("solvers/decoding/contrastive.py", "states.append(new[place : place + 1])", "pass", HERE),
    Mutant("solvers/decoding/contrastive.py", "like.masked_fill(classes == end, 0.0)", "like", HERE),
    Mutant("solvers/decoding/processors.py", "if whole or bool((total[:, -1] >= mass).all())", "if True", HERE),
]
