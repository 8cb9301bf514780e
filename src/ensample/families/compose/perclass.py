"""A family per class: the generative classifier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Batch, Discrete, Mixed, Span
from ensample.families.base import Distribution, Family, Guarantee, Scores
from ensample.families.compose.parts import gathered, kept, refused, restored
from ensample.families.mixture.family import Mixture
from ensample.kinds.records import Records
from ensample.run import Run

HELD = 0.15
"""Share of the rows that tells how sharp the classes are."""
BLOCK = 16_384
"""Rows scored at a time."""


class ClassConditional(Distribution):
    """`p(x, y) = p(y) p(x | y)` with a part for each class of span `column`.

    `temperature` divides the log-odds of `log_classes`: models of many dependent fields are too sure of themselves, and
    held-out rows tell by how much (Guo et al. 2017). It does not touch `log_prob`.
    """

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "estimate"}

    def __init__(
        self,
        event: Mixed,
        given: Mixed | None,
        column: int,
        parts: Sequence[Distribution],
        log_prior: Tensor,
        temperature: float,
    ) -> None:
        self.event, self.given, self.column, self.parts = event, given, column, tuple(parts)
        self.log_prior, self.temperature = log_prior, temperature

    @property
    def measure(self) -> Any:  # type: ignore[override]
        """That of the parts."""
        return self.parts[0].measure

    def log_prob(self, batch: Batch) -> Tensor:
        """Log p(y) + log p(x | y), float64 [rows]; the sum over classes where y is not known."""
        joint = self.log_joint(batch)
        own = joint.gather(1, batch.cells[:, self.column, None])[:, 0]
        return torch.where(batch.mask[:, self.column], own, joint.logsumexp(1))

    def log_joint(self, batch: Batch) -> Tensor:
        """Log p(x, y) [rows, classes] for every class."""
        rest = without(batch, self.column)
        terms = [cast(Scores, p).log_prob(rest).to(torch.float64) for p in self.parts]
        return torch.stack(terms, 1) + self.log_prior

    def log_classes(self, batch: Batch, column: int) -> Tensor | None:
        """Calibrated log p(y | x) [rows, classes]; None if `column` is not the class of this model."""
        if column != self.column:
            return None
        return (self.log_joint(batch) / self.temperature).log_softmax(1)

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """A class by its share, then the rest by its part."""
        chosen = torch.multinomial(self.log_prior.exp(), n, replacement=True, generator=generator)
        pieces = []
        for k, p in enumerate(self.parts):
            rows = (chosen == k).nonzero()[:, 0]
            if len(rows):
                made = p.sample(len(rows), generator, None if cond is None else cond.take(rows))
                pieces.append((rows, _with(made, self.column, k)))
        return gathered(n, self.event, pieces, cond)

    def arrays(self) -> dict[str, Tensor]:
        """Prior, and the arrays of every part."""
        return {"log_prior": self.log_prior, **kept(self.parts)}

    def facts(self) -> dict[str, Any]:
        """The class, the temperature, the facts of every part."""
        return {
            "column": self.column,
            "temperature": self.temperature,
            "parts": [p.facts() for p in self.parts],
        }


@dataclass(frozen=True)
class PerClass:
    """p(x, y) = p(y) p(x | y): one model of the other fields for each class of one field.

    It classifies by Bayes' rule, with probabilities calibrated on held-out rows (`Model.classify`), and draws a class
    as often as it is met. Use it where classes differ in shape; where they are many or small, one joint model shares
    what they have in common and does better. A class with few rows is learned from the rows of all.

    Arguments:
        of: the family of the parts, which needs a likelihood.
        field: the category that tells the classes; the first one if it is left empty.
        fewest: rows below which a class is not learned on its own.

    Example:
        >>> PerClass(field="species").of.name
        'mixture'
    """

    of: Family = Mixture()  # noqa: RUF009
    field: str = ""
    fewest: int = 20

    name: ClassVar[str] = "perclass"
    distribution: ClassVar[type[Distribution]] = ClassConditional

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Events without a category, or without another field."""
        if not isinstance(event, Mixed):
            return "a family per class needs a table of fields"
        column = self._column(event)
        if column is None:
            return f"there is no category {self.field!r} to tell classes" if self.field else "there is no category"
        if len(event) < 2:
            return "there is no field beside the class"
        return refused(self.of, _rest(event, column), given)

    def fit(self, records: Records, seed: int, run: Run) -> ClassConditional:
        """Learn a part for each class, then the temperature on held-out rows."""
        column = self._column(records.event)
        assert column is not None
        event = cast(Discrete, records.event.spans[column].event)
        learned, held = records.split(HELD, seed) if len(records) >= 100 else (records, records)
        labels, rest = learned.table[:, column], _records_without(learned, column)
        counts = np.bincount(labels, minlength=event.classes)
        parts = []
        for k in range(event.classes):
            rows = np.flatnonzero(labels == k) if counts[k] >= max(self.fewest, 2) else np.arange(len(rest))
            own = run.part(f"class{k}", 1 / (event.classes - k))
            parts.append(own.learn(self.of, rest.select(rows), seed))
        shares = (counts + 0.5) / (counts + 0.5).sum()
        fitted = ClassConditional(records.event, records.given, column, parts, torch.from_numpy(np.log(shares)), 1.0)
        fitted.temperature = _temperature(fitted, held)
        return fitted

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> ClassConditional:
        """Inverse of `ClassConditional.arrays`."""
        column = facts["column"]
        parts = restored(self.of, _rest(event, column), given, arrays, facts)
        return ClassConditional(event, given, column, parts, arrays["log_prior"], facts["temperature"])

    def _column(self, event: Mixed) -> int | None:
        parents = {span.exists[0] for span in event.spans if span.exists is not None}
        for j, span in enumerate(event.spans):
            named = self.field in ("", span.name)
            if named and isinstance(span.event, Discrete) and span.exists is None and j not in parents:
                return j
        return None


def without(batch: Batch, column: int) -> Batch:
    """The batch less one span."""
    others = [j for j in range(batch.cells.shape[1]) if j != column]
    offset = batch.offset[..., others] if isinstance(batch.offset, Tensor) else batch.offset
    return Batch(batch.cells[:, others], batch.mask[:, others], batch.cond, offset)


def _with(batch: Batch, column: int, code: int) -> Batch:
    """The batch with a span of one class put in."""
    cells, mask = batch.cells, batch.mask
    cells = torch.cat([cells[:, :column], torch.full((len(cells), 1), code), cells[:, column:]], 1)
    mask = torch.cat([mask[:, :column], torch.ones(len(mask), 1, dtype=torch.bool), mask[:, column:]], 1)
    return Batch(cells, mask, batch.cond)


def _rest(event: Mixed, column: int) -> Mixed:
    """The event less one span on which no other depends."""

    def moved(span: Span) -> Span:
        if span.exists is None or span.exists[0] < column:
            return span
        return replace(span, exists=(span.exists[0] - 1, span.exists[1]))

    return Mixed(tuple(moved(span) for j, span in enumerate(event.spans) if j != column))


def _records_without(records: Records, column: int) -> Records:
    table = np.delete(records.table[:], column, axis=1)
    return Records(_rest(records.event, column), table, records.given, records.given_table)


def _temperature(fitted: ClassConditional, held: Records) -> float:
    """The temperature under which the held-out classes are most probable, by golden-section search."""
    joint = torch.cat([fitted.log_joint(batch) for batch in held.batches(BLOCK)])
    truth = torch.from_numpy(np.ascontiguousarray(held.table[:, fitted.column]))

    def loss(log_temperature: float) -> float:
        log_p = (joint / math.exp(log_temperature)).log_softmax(1)
        return -float(log_p.gather(1, truth[:, None]).mean())

    low, high, golden = math.log(0.2), math.log(50.0), (math.sqrt(5) - 1) / 2
    for _ in range(40):
        width = golden * (high - low)
        if loss(high - width) < loss(low + width):
            high = low + width
        else:
            low = high - width
    return math.exp((low + high) / 2)
