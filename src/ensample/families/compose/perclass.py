"""A family per class: the generative classifier."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor

from ensample.events import Batch, Discrete, Mixed, Span
from ensample.families.base import Distribution, Family, at_least
from ensample.families.compose.byclass import ClassConditional, class_conditional, without
from ensample.families.compose.parts import refused, restored
from ensample.families.mixture.family import Mixture
from ensample.kinds.records import Records
from ensample.run import Run

HELD = 0.15
"""Share of the rows that tells how sharp the classes are, and how far each trusts a part of its own."""
BLOCK = 16_384
"""Rows scored at a time."""
LEARNING = 0.9
"""Share of the time that the parts may take; the rest is for what the held-out rows tell."""
ROUNDS = 30
"""Steps of EM for the weight of the shared part."""
SHARED = 1e-9
"""The smallest weight of the shared part: no class is without it."""


@dataclass(frozen=True)
class PerClass:
    """p(x, y) = p(y) [(1 - s_y) p_y(x) + s_y p_0(x)]: a model of the other fields for each class of one field.

    p_0 is learned from the rows of all classes, and held-out rows tell how much s_y of it each class takes (deleted
    interpolation: Jelinek and Mercer 1980), so that what few rows of a class have not shown is not impossible in it. A
    class with very few rows has no part of its own.

    It classifies by Bayes' rule, with probabilities calibrated on held-out rows (`Model.classify`), and draws a class
    as often as it is met. Use it where classes differ in shape; where they are many, one joint model does better.
    Time is shared among the parts by the square root of their rows.

    Arguments:
        of: the family of the parts, which needs a likelihood.
        field: the category that tells the classes; the last one if it is left empty, where tables keep their label.
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

    def __post_init__(self) -> None:
        at_least(self, fewest=1)

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
        """Learn the shared part and those of the classes, then weights and temperature on held-out rows."""
        column = self._column(records.event)
        assert column is not None
        event = cast(Discrete, records.event.spans[column].event)
        learned, held = records.split(HELD, seed)
        if not len(learned):  # a single row
            learned = held
        labels, rest = learned.table[:, column], _records_without(learned, column)
        counts = np.bincount(labels, minlength=event.classes)
        large = [k for k in range(event.classes) if counts[k] >= max(self.fewest, 2)]
        sets = [np.arange(len(rest)), *(np.flatnonzero(labels == k) for k in large)]
        effort = np.sqrt([len(rows) for rows in sets])
        parts: list[Distribution] = []
        for number, rows in enumerate(sets):
            name = f"class{large[number - 1]}" if number else "all"
            own = run.part(name, LEARNING * effort[number] / effort[number:].sum())
            parts.append(own.learn(self.of, rest.select(rows), seed))
        numbers = [large.index(k) + 1 if k in large else 0 for k in range(event.classes)]
        shares = (counts + 0.5) / (counts + 0.5).sum()
        log_prior, log_shared = torch.from_numpy(np.log(shares)), torch.zeros(event.classes, dtype=torch.float64)
        fitted = class_conditional(
            records.event, records.given, column, parts, numbers, log_prior, log_shared, temperature=1.0
        )
        truth = torch.from_numpy(np.ascontiguousarray(held.table[:, column]))
        scores = _by_blocks(held, lambda batch: fitted.log_parts(without(batch, column)))
        fitted.log_shared = _weights(scores, truth, fitted.own)
        fitted.temperature = _temperature(fitted.log_prior, fitted.log_of_classes(scores), truth)
        return fitted

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> ClassConditional:
        """Inverse of `ClassConditional.arrays`."""
        column = facts["column"]
        parts = restored(self.of, _rest(event, column), given, arrays, facts)
        prior, shared, temperature = arrays["log_prior"], arrays["log_shared"], facts["temperature"]
        return class_conditional(event, given, column, parts, facts["own"], prior, shared, temperature)

    def _column(self, event: Mixed) -> int | None:
        parents = {span.exists[0] for span in event.spans if span.exists is not None}
        found = None
        for j, span in enumerate(event.spans):
            named = self.field in ("", span.name)
            if named and isinstance(span.event, Discrete) and span.exists is None and j not in parents:
                found = j
        return found


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


def _by_blocks(records: Records, score: Callable[[Batch], Tensor]) -> Tensor:
    return torch.cat([score(batch) for batch in records.batches(BLOCK)])


def _weights(scores: Tensor, truth: Tensor, own: tuple[int, ...]) -> Tensor:
    """Log s_y [classes], by EM on held-out scores [rows, parts]; one row more is counted on either side."""
    log_shared = torch.zeros(len(own), dtype=torch.float64)
    for k, number in enumerate(own):
        rows = scores[truth == k]
        if not number:
            continue
        odds, share = rows[:, 0] - rows[:, number], 0.5
        for _ in range(ROUNDS):
            taken = torch.sigmoid(odds + math.log(share) - math.log1p(-share))
            share = (float(taken.sum()) + 1.0) / (len(rows) + 2.0)
        log_shared[k] = math.log(max(share, SHARED))
    return log_shared


def _temperature(log_prior: Tensor, log_rest: Tensor, truth: Tensor) -> float:
    """The temperature under which the held-out classes are most probable, by golden-section search.

    A normal prior of its logarithm, worth one row, keeps it near 1 where there are few rows.
    """

    def loss(log_temperature: float) -> float:
        log_p = (log_prior + log_rest / math.exp(log_temperature)).log_softmax(1)
        return 0.5 * log_temperature**2 - float(log_p.gather(1, truth[:, None]).sum())

    low, high, golden = math.log(0.2), math.log(50.0), (math.sqrt(5) - 1) / 2
    for _ in range(40):
        width = golden * (high - low)
        if loss(high - width) < loss(low + width):
            high = low + width
        else:
            low = high - width
    return math.exp((low + high) / 2)
