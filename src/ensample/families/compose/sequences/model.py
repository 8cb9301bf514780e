"""A fitted blend of models of sequences: scores, draws and writes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from ensample.events import MISSING_LENGTH, UNKNOWN_LENGTH, Batch, Mixed, Ragged
from ensample.families.abilities import Continues, ScoresSteps
from ensample.families.base import Distribution, Guarantee
from ensample.families.compose.parts import kept
from ensample.families.compose.sequences.gate import Gate, mixed
from ensample.families.compose.sequences.writing import Blended, blended
from ensample.families.sequences.autoregressive.model import check_whole
from ensample.families.sequences.drawing import drawn

AT_ONCE = 2**20
"""Steps that are scored together, or one record."""


class BlendedSequences(Distribution):
    """`p(x_t | x_<t) = sum_k w_k(x_<t) p_k(x_t | x_<t)` at each step, with the end of the record as the last one.

    Arguments:
        event: sequences of one class a step.
        given: what is given, which some parts may not look at.
        parts: fitted models.
        gate: gives the weights.
        missing: share of records that are missing as a whole.
        longest: classes at which a drawn record is cut.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact"}
    event: Ragged  # type: ignore[assignment]  # tables go to other families

    def __init__(
        self,
        event: Ragged,
        given: Mixed | None,
        parts: Sequence[Distribution],
        gate: Gate,
        missing: float,
        longest: int,
    ) -> None:
        self.event, self.given, self.parts, self.gate = event, given, tuple(parts), gate
        self.missing, self.longest = missing, longest

    @torch.no_grad()
    def log_prob(self, batch: Batch) -> Tensor:
        """Exact log-probability of each record, its end included, nats [rows] float64.

        A record of unknown length is integrated out, 0. Where records are partly given, the scored steps count alone.

        Raises:
            InputError: a step inside a record is unset.
        """
        assert batch.lengths is not None
        check_whole(batch)
        total = torch.zeros(len(batch), dtype=torch.float64)
        if batch.scored is None:
            total += math.log1p(-self.missing) if self.missing < 1 else -math.inf
            total[batch.lengths == MISSING_LENGTH] = math.log(self.missing) if self.missing else -math.inf
            total[batch.lengths == UNKNOWN_LENGTH] = 0.0
        there = (batch.lengths >= 0).nonzero()[:, 0]
        size = max(1, AT_ONCE // (batch.cells.shape[1] + 1))
        for first in range(0, len(there), size):
            rows = there[first : first + size]
            total[rows] += self._scored(batch.take(rows))
        return total

    def _scored(self, batch: Batch) -> Tensor:
        assert batch.lengths is not None
        log_p, clues = told(self.parts, batch)
        counts = torch.arange(log_p.shape[1]) <= batch.lengths[:, None]
        if batch.scored is not None:
            counts = counts & batch.scored
        return torch.where(counts, mixed(self.gate, log_p, clues), 0.0).sum(1)

    @torch.no_grad()
    def continuation(self, prompts: Batch) -> Blended:
        """Records that begin with these, which every part goes on with.

        Raises:
            InputError: a step inside a prompt is unset.
        """
        check_whole(prompts)
        begun = [cast(Continues, part).continuation(shown(part, prompts)) for part in self.parts]
        return blended(begun, self.gate)

    @torch.no_grad()
    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records, drawn class after class until they end, or have `longest` classes."""
        return drawn(self, n, self.longest, self.missing, generator, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Those of the gate and of every part, the share of missing records, and how long a drawn one may be."""
        own = {"missing": torch.tensor(self.missing, dtype=torch.float64), "longest": torch.tensor(self.longest)}
        return {**own, **self.gate.arrays(), **kept(self.parts)}

    def facts(self) -> dict[str, Any]:
        """Those of every part."""
        return {"parts": [part.facts() for part in self.parts]}


def told(parts: Sequence[Distribution], batch: Batch) -> tuple[Tensor, Tensor]:
    """What parts say of every step, float64 [rows, steps + 1, parts], and all their clues [rows, steps + 1, clues]."""
    steps = [cast(ScoresSteps, part).steps_of(shown(part, batch)) for part in parts]
    return torch.stack([own.log_p for own in steps], 2), torch.cat([own.clues for own in steps], 2)


def shown(part: Distribution, batch: Batch) -> Batch:
    """Records as a part learned them: without what is given where it does not look at that."""
    return replace(batch, cond=None) if part.given is None else batch
