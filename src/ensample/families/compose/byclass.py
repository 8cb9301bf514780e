"""The distribution of a family per class: a generative classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, cast

import torch
from torch import Generator, Tensor

from ensample.events import Batch, Limit, Mixed
from ensample.families.abilities import Draws, Scores
from ensample.families.base import Distribution, Guarantee
from ensample.families.compose.parts import complete_exactly, drawn, evidence, gathered, kept, widest


class ClassConditional(Distribution):
    """`p(x, y) = p(y) [(1 - s_y) p_y(x) + s_y p_0(x)]`: for each class of span `column` its own part and a shared one.

    `parts[0]` is shared; `own` [classes] numbers the part of each class, 0 for a class that has none (s_y is 1).
    `log_shared` [classes] is log s_y. `temperature` divides the log-odds that `log_classes` adds to the prior: models
    of many dependent fields are too sure of themselves, and held-out rows tell by how much (Guo et al. 2017). It does
    not touch `log_prob`.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    def __init__(
        self,
        event: Mixed,
        given: Mixed | None,
        column: int,
        parts: Sequence[Distribution],
        own: Sequence[int],
        log_prior: Tensor,
        log_shared: Tensor,
        temperature: float,
    ) -> None:
        self.event, self.given, self.column, self.parts, self.own = event, given, column, tuple(parts), tuple(own)
        self.log_prior, self.log_shared, self.temperature = log_prior, log_shared, temperature

    @property
    def measure(self) -> Any:  # type: ignore[override]
        """That of the parts."""
        return self.parts[0].measure

    def log_prob(self, batch: Batch) -> Tensor:
        """Log p(y) + log p(x | y), float64 [rows]; the sum over classes where y is not known."""
        joint = self.log_rest(batch) + self.log_prior
        own = joint.gather(1, batch.cells[:, self.column, None])[:, 0]
        return torch.where(batch.mask[:, self.column], own, joint.logsumexp(1))

    def log_rest(self, batch: Batch) -> Tensor:
        """Log p(x | y) [rows, classes] for every class."""
        return self.log_of_classes(self.log_parts(without(batch, self.column)))

    def log_parts(self, rest: Batch) -> Tensor:
        """Log p(x) by every part [rows, parts]."""
        return torch.stack([cast(Scores, p).log_prob(rest).to(torch.float64) for p in self.parts], 1)

    def log_of_classes(self, scores: Tensor) -> Tensor:
        """Log p(x | y) [rows, classes] from what the parts say [rows, parts]."""
        own, shared = self._apart(scores)
        return torch.logaddexp(own, shared)

    def log_classes(self, batch: Batch, column: int) -> Tensor | None:
        """Calibrated log p(y | x) [rows, classes]; None if `column` is not the class of this model."""
        if column != self.column:
            return None
        return (self.log_prior + self.log_rest(batch) / self.temperature).log_softmax(1)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """A class by its share, then the rest by its part or the shared one."""
        chosen = torch.multinomial(self.log_prior.exp(), n, replacement=True, generator=generator)
        shared = torch.rand(n, generator=generator, dtype=torch.float64) < self.log_shared.exp()[chosen]
        number = torch.where(shared, 0, torch.tensor(self.own)[chosen])
        pieces = []
        for k, p in enumerate(self.parts):
            rows = (number == k).nonzero()[:, 0]
            if len(rows):
                made = p.sample(len(rows), generator, None if cond is None else cond.take(rows))
                pieces.append((rows, _with(made, self.column, chosen[rows])))
        return gathered(n, self.event, pieces, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Prior, shares of the shared part, and the arrays of every part."""
        return {"log_prior": self.log_prior, "log_shared": self.log_shared, **kept(self.parts)}

    def facts(self) -> dict[str, Any]:
        """The class, whose part is whose, the temperature, the facts of every part."""
        return {
            "column": self.column,
            "own": list(self.own),
            "temperature": self.temperature,
            "parts": [p.facts() for p in self.parts],
        }

    def _apart(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Log p(x, own part | y) and log p(x, shared part | y) [rows, classes] each, of scores [rows, parts]."""
        log_own = torch.log1p(-self.log_shared.exp())
        return scores[:, self.own] + log_own, scores[:, :1] + self.log_shared


class ExactClassConditional(ClassConditional):
    """`ClassConditional` over parts that complete records exactly: so does it."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "exact"}

    def draw(self, batch: Batch, generator: Generator, limits: Sequence[Limit] = ()) -> tuple[Batch, Tensor]:
        """A class by its posterior given what is known, then a part, then its own completion; see `Draws.draw`."""
        classes = len(self.own)
        others = self._others(limits)

        def complete(option: int, rows: Batch) -> tuple[Batch, Tensor]:
            k, part = option % classes, self.parts[self.own[option] if option < classes else 0]
            made, weight = cast(Draws, part).draw(without(rows, self.column), generator, others)
            return _with(made, self.column, torch.full((len(rows),), k)), weight

        return drawn(batch, self._options(batch, limits), complete, generator)

    def log_within(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        """See `WeighsLimits`."""
        return self._options(batch, limits).logsumexp(1)

    def cell_width(self, batch: Batch) -> Tensor:
        """See `Resolves`: that of the narrowest part."""
        return widest(self.parts, without(batch, self.column))

    def _options(self, batch: Batch, limits: Sequence[Limit]) -> Tensor:
        """Log p(known, y, part) [rows, 2 x classes]: each class by its own part, then each by the shared one."""
        rest, codes = without(batch, self.column), torch.arange(len(self.own))
        others = self._others(limits)
        scores = torch.stack([evidence(p, rest, others) for p in self.parts], 1)
        known, free = batch.mask[:, self.column, None], torch.ones(len(codes), dtype=torch.bool)
        for limit in limits:
            if limit.column == self.column:
                free &= limit.contains(codes)
        allowed = torch.where(known, batch.cells[:, self.column, None] == codes, free)
        joint = torch.where(allowed, self.log_prior, -torch.inf)
        return torch.cat([joint + term for term in self._apart(scores)], 1)

    def _others(self, limits: Sequence[Limit]) -> list[Limit]:
        """Limits on the other spans, as the parts number them."""
        at = self.column
        return [replace(limit, column=limit.column - (limit.column > at)) for limit in limits if limit.column != at]


def class_conditional(
    event: Mixed,
    given: Mixed | None,
    column: int,
    parts: Sequence[Distribution],
    own: Sequence[int],
    log_prior: Tensor,
    log_shared: Tensor,
    temperature: float,
) -> ClassConditional:
    """The distribution of these parts, with conditionals of its own where they have them."""
    leaf = ExactClassConditional if complete_exactly(parts) else ClassConditional
    return leaf(event, given, column, parts, own, log_prior, log_shared, temperature)


def without(batch: Batch, column: int) -> Batch:
    """The batch less one span."""
    others = [j for j in range(batch.cells.shape[1]) if j != column]
    offset = batch.offset[..., others] if isinstance(batch.offset, Tensor) else batch.offset
    return Batch(batch.cells[:, others], batch.mask[:, others], batch.cond, offset)


def _with(batch: Batch, column: int, codes: Tensor) -> Batch:
    """The batch with a span of these classes [rows] put in."""
    cells, mask = batch.cells, batch.mask
    cells = torch.cat([cells[:, :column], codes[:, None], cells[:, column:]], 1)
    mask = torch.cat([mask[:, :column], torch.ones(len(mask), 1, dtype=torch.bool), mask[:, column:]], 1)
    return Batch(cells, mask, batch.cond)
