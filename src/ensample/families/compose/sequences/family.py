"""Blends of families over sequences: options, and how parts and weights are learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from ensample.errors import InputError
from ensample.events import MISSING_LENGTH, Mixed, Ragged
from ensample.families.abilities import Continues, ScoresSteps
from ensample.families.base import DirectFamily, Distribution, Family, LearnsAgain, at_least, refusal
from ensample.families.compose.sequences.gate import Gate, learned
from ensample.families.compose.sequences.held import LEAST, Held, apart
from ensample.families.compose.sequences.model import BlendedSequences, told
from ensample.families.independent import part
from ensample.families.sequences.autoregressive import SequenceAutoregressive
from ensample.families.sequences.drawing import longest_of
from ensample.families.sequences.ngram import Ngram
from ensample.kinds.records import Records
from ensample.kinds.sequences import Sequences
from ensample.run import Progress, Run

TOLD = 300
"""Held-out steps for each second of the budget, at most."""

STEP = 1.5e-4
"""Seconds that telling and weighing a held-out step takes, about."""

AGAIN = 0.3
"""Share of the time for quick parts that learning them again takes, what they choose being known."""

RESERVE = 0.3
"""Most of the time that is kept for both."""


@dataclass(frozen=True)
class SequenceBlend:
    """p(x_t | x_<t) = sum_k w_k(x_<t) p_k(x_t | x_<t): several models of sequences, mixed at every step.

    Counting and a network err in different places: counts hold rare words and names to the letter, a network knows what
    is alike and looks far back. Mixed with weights that look at how sure each is (mixtures of experts: Jacobs et al.
    1991; for counts Jelinek and Mercer 1980), they tell much more than either, in the same time. All stays exact, since
    weights of a step sum to 1 and depend on what comes before it alone.

    Parts are learned in turn, the last one in all the time that is left; a part that learns in one go, like `ngram`, is
    learned again from all records at the end. Weights are learned on stretches that no part has seen: a small network
    of clues (entropies, how often contexts were met), or the same weights for all steps where that tells held-out
    steps better, or there are too few. Where fields are given, parts that cannot look at them learn without.

    Take it for texts of any length; take a part alone where the model has to be small or fast.

    Arguments:
        of: the families, quick ones first.
        held: most steps that are held out to learn the weights; three in a hundred of fewer.
        longest: most classes of a drawn record; what has no end by then is cut, and only the beginning of a draw. Four
            times the longest record, from 64 to 4,096, if left out; 1,024 where most records are longer than that.

    Example:
        >>> [part.name for part in SequenceBlend().of]
        ['ngram', 'sequence-autoregressive']
    """

    of: tuple[Family, ...] = (Ngram(), SequenceAutoregressive())
    held: int = 30_000
    longest: int | None = None

    name: ClassVar[str] = "sequence-blend"
    scores_parts: ClassVar[bool] = True
    distribution: ClassVar[type[Distribution]] = BlendedSequences

    def __post_init__(self) -> None:
        at_least(self, held=1, longest=1)
        if not self.of:
            raise InputError("A blend has parts.", f"{self.name}, of", "none", "name at least one family")

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "it mixes models of texts and sequences step by step; `blend` mixes models of tables"

    def refuses_sequences(self, event: Ragged, given: Mixed | None) -> str | None:
        """Sequences that a part refuses, and given fields that no part looks at."""
        for family in self.of:
            if not issubclass(family.distribution, ScoresSteps) or not issubclass(family.distribution, Continues):
                return f"its parts must tell every step, and {family.name} tells whole records"
            if (reason := refusal(family, event, None)) is not None:
                return reason
        if given is not None and not any(_looks(family, event, given) for family in self.of):
            return f"no part looks at what is given: {refusal(self.of[-1], event, given)}"
        return None

    def fit(self, records: Records, seed: int, run: Run) -> BlendedSequences:
        """Learn the parts, then the weights."""
        return self.go_on(records, seed, run, None)

    def go_on(self, records: Records, seed: int, run: Run, start: BlendedSequences | None) -> BlendedSequences:
        """The same from a fitted blend: parts that learn step by step go on, the others begin anew."""
        assert isinstance(records, Sequences)
        in_time = max(LEAST, int(min(TOLD * run.clock.budget.seconds, self.held)))
        rest, held = apart(records, min(self.held, in_time), seed)
        parts: list[Distribution] = []
        for k, family in enumerate(self.of):
            own = run.part(f"part{k}", self._share(k, held, run))
            before = None if start is None or isinstance(family, DirectFamily) else start.parts[k]
            parts.append(own.learn(family, _visible(rest, family), seed, before))
        run.report(Progress("weigh", 0.99))
        gate = _weighed(parts, held, seed)
        for k, family in enumerate(self.of):
            if isinstance(family, LearnsAgain) and len(held.stretches):
                again = run.part(f"again{k}", 1.0)
                parts[k] = again.learn(family.again(parts[k]), _visible(records, family), seed)
        missing = float((records.lengths == MISSING_LENGTH).mean())
        longest = self.longest or longest_of(torch.from_numpy(records.lengths))
        return BlendedSequences(records.event, records.given, parts, gate, missing, longest)

    def _share(self, number: int, held: Held, run: Run) -> float:
        """Part of the time that is left for a part: equal ones, and of the last one what telling steps takes less."""
        waiting = len(self.of) - number
        if waiting > 1:
            return 1 / waiting
        left = max(run.clock.budget.seconds - run.clock.seconds, 1e-3)
        quick = run.clock.seconds if number else 0.0
        return 1.0 - min(RESERVE, (STEP * held.steps + AGAIN * quick) / left)

    def restore(
        self, event: Any, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> BlendedSequences:
        """Inverse of `BlendedSequences.arrays` and `facts`."""
        parts = [
            family.restore(event, given if _looks(family, event, given) else None, part(arrays, f"part.{k}"), own)
            for k, (family, own) in enumerate(zip(self.of, facts["parts"], strict=True))
        ]
        return BlendedSequences(event, given, parts, Gate.of(arrays), float(arrays["missing"]), int(arrays["longest"]))


def _weighed(parts: Sequence[Distribution], held: Held, seed: int) -> Gate:
    """The gate that tells the held-out steps best."""
    steps, clues, halves = [], [], []
    with torch.no_grad():
        for batch, counts, half in held.batches():
            log_p, own = told(parts, batch)
            steps.append(log_p[counts])
            clues.append(own[counts])
            halves.append(half[counts])
    if not steps:
        steps, clues, halves = [torch.zeros(0, len(parts))], [torch.zeros(0, 0)], [torch.zeros(0, dtype=torch.bool)]
    return learned(torch.cat(steps).double(), torch.cat(clues), torch.cat(halves), seed)


def _visible(records: Sequences, family: Family) -> Sequences:
    """Records without what is given where a family does not look at that."""
    if not records.conditional or _looks(family, records.event, records.given):
        return records
    return replace(records, given=None, given_table=None, sources=None)


def _looks(family: Family, event: Ragged, given: Any) -> bool:
    return given is not None and refusal(family, event, given) is None
