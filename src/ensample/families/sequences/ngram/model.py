"""A fitted n-gram model: scores, samples, writes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import MISSING_LENGTH, Batch, Discrete, Ragged
from ensample.families.abilities import Steps
from ensample.families.base import Distribution, Guarantee
from ensample.families.sequences.autoregressive.model import check_whole
from ensample.families.sequences.ngram.holes import log_prob_of_known
from ensample.families.sequences.ngram.smoothing import Counts, Smoothed
from ensample.families.sequences.ngram.storage import stored
from ensample.families.sequences.ngram.tally import nearby
from ensample.families.sequences.ngram.windows import Windows, batch_windows, known_symbols

AT_ONCE = 2**18
"""Windows that are looked up together."""


class NgramSequences(Distribution):
    """p(record) = prod over its symbols and its end of p(symbol | the `order` - 1 symbols before it).

    Arguments:
        event: sequences of one class a step.
        levels: counts of n-grams of each order from 1 on.
        missing: share of records that are missing as a whole.
        longest: symbols at which a drawn record is cut.
    """

    measure: ClassVar = "cells"
    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact"}
    event: Ragged  # type: ignore[assignment]  # tables go to other families

    def __init__(self, event: Ragged, levels: Sequence[Counts], missing: float, longest: int) -> None:
        self.event, self.given, self.missing, self.longest = event, None, missing, longest
        self.classes = classes_of(event)
        self.levels = tuple(Smoothed(counts, self.classes + 1) for counts in levels)

    @property
    def order(self) -> int:
        """Symbols of the longest n-grams."""
        return len(self.levels)

    def log_prob(self, batch: Batch) -> Tensor:
        """Log-probability of each record, its end included, float64 [rows].

        Steps that are not known are summed over, which takes time and memory exponential in how many of them lie
        within `order` steps; a record of unknown length is no evidence at all.

        Raises:
            CapabilityError: too many unknown steps lie near each other.
        """
        assert batch.lengths is not None
        if batch.scored is not None:
            return self._log_prob_of_parts(batch)
        lengths = batch.lengths
        log_there = math.log1p(-self.missing) if self.missing < 1 else -math.inf
        total = torch.where(lengths >= 0, log_there, 0.0).to(torch.float64)
        total[lengths == MISSING_LENGTH] = math.log(self.missing) if self.missing else -math.inf
        holes = (batch.steps() & ~batch.mask[..., 0]).any(1)
        if bool(holes.any()):
            rows = holes.nonzero()[:, 0]
            part = batch.take(rows)
            assert part.lengths is not None
            found = log_prob_of_known(self, known_symbols(part, self.classes), part.lengths.numpy())
            total[rows] += torch.from_numpy(found)
        whole = (~holes).nonzero()[:, 0]
        windows, owners = batch_windows(batch.take(whole), self.classes, self.order)
        summed = np.bincount(owners, np.log(self.probabilities(windows)), len(whole))
        total[whole] += torch.from_numpy(summed)
        return total

    def _log_prob_of_parts(self, batch: Batch) -> Tensor:
        """The same of the steps that count alone, each given all before it."""
        assert batch.scored is not None and batch.lengths is not None
        check_whole(batch)
        windows, owners = batch_windows(batch, self.classes, self.order)
        used = torch.arange(batch.scored.shape[1]) <= batch.lengths[:, None]
        counts = batch.scored[used].numpy()
        scores = np.log(self.probabilities(windows.take(counts)))
        return torch.from_numpy(np.bincount(owners[counts], scores, len(batch)))

    def steps_of(self, batch: Batch) -> Steps:
        """See `ScoresSteps`; clues are which contexts were met, and how often.

        Raises:
            InputError: a step inside a record is unset.
        """
        from ensample.families.sequences.ngram.steps import steps_of

        check_whole(batch)
        return steps_of(self, batch)

    def probabilities(self, windows: Windows) -> np.ndarray:
        """P(symbol | symbols before it) of each window, float64 [windows]."""
        out = np.empty(len(windows))
        for start in range(0, len(windows), AT_ONCE):
            part = windows.take(slice(start, start + AT_ONCE))
            order = nearby(part, self.classes)
            part = part.take(order)
            chance = np.full(len(part), 1.0 / (self.classes + 1))
            for level, numbers in zip(self.levels, self.contexts(part.before), strict=True):
                chance = level.mixed(numbers, part.symbols, chance)
            out[start + order] = chance
        return out

    def contexts(self, before: np.ndarray) -> Iterator[np.ndarray]:
        """At each level, the number of the context of each row of `before` [rows, order - 1], -1 where never met."""
        numbers = np.zeros(len(before), np.int64)
        yield numbers
        for k, level in enumerate(self.levels[1:]):
            numbers = level.deeper(numbers, before[:, k])
            yield numbers

    def beginnings(self, rows: int) -> np.ndarray:
        """What stands before the first symbol of records, int64 [rows, order - 1]."""
        before = np.full((rows, self.order - 1), self.classes + 1)
        before[:, :1] = self.classes
        return before

    @cached_property
    def shares(self) -> np.ndarray:
        """P(symbol) where nothing is known of what stands before, float64 [classes + 1]."""
        symbols = np.arange(self.classes + 1)
        return self.levels[0].mixed(np.zeros_like(symbols), symbols, np.full(len(symbols), 1.0 / len(symbols)))

    def sample(self, n: int, generator: Generator, cond: Batch | None = None) -> Batch:
        """N new records, all written side by side, symbol by symbol, each until its end is drawn or it is cut."""
        gone = torch.rand(n, generator=generator, dtype=torch.float64).numpy() < self.missing
        lengths = np.where(gone, MISSING_LENGTH, 0)
        rows, columns = np.flatnonzero(~gone), list[tuple[np.ndarray, np.ndarray]]()
        before = self.beginnings(len(rows))
        while len(rows) and len(columns) < self.longest:
            symbols = self._drawn(before, generator)
            on = symbols < self.classes
            rows, symbols = rows[on], symbols[on]
            lengths[rows] += 1
            columns.append((rows, symbols))
            before = np.concatenate([symbols[:, None], before[on]], 1)[:, : self.order - 1]
        cells = np.zeros((n, int(lengths.max(initial=0)), 1), np.int64)
        for step, (at, symbols) in enumerate(columns[: cells.shape[1]]):
            cells[at, step, 0] = symbols
        there = torch.arange(cells.shape[1]) < torch.from_numpy(lengths)[:, None]
        return Batch(torch.from_numpy(cells), there[..., None], lengths=torch.from_numpy(lengths))

    def _drawn(self, before: np.ndarray, generator: Generator) -> np.ndarray:
        """A symbol for each row: an n-gram of its longest context, or, by the odds gamma, one of the next shorter."""
        numbers = list(self.contexts(before))
        luck = torch.rand(len(before), self.order + 1, generator=generator, dtype=torch.float64).numpy()
        symbols = np.minimum((luck[:, -1] * (self.classes + 1)).astype(np.int64), self.classes)  # from no context
        rows = np.arange(len(before))
        for k in reversed(range(self.order)):
            level, own = self.levels[k], numbers[k][rows]
            taken = (own >= 0) & (luck[rows, k] >= level.gamma[own])
            at, own = rows[taken], own[taken]
            wanted = level.summed[level.first[own]] + luck[at, k] - level.gamma[own]
            place = np.searchsorted(level.summed, wanted, side="right") - 1
            symbols[at] = level.counts.symbols[place.clip(level.first[own], level.first[own + 1] - 1)]
            rows = rows[~taken]
        return symbols

    def continuation(self, prompts: Batch) -> Any:
        """Sequences that begin with the steps of these records; see `Continues`."""
        from ensample.families.sequences.ngram.continuation import NgramContinuation

        assert prompts.lengths is not None
        place = prompts.lengths.numpy().clip(min=0)[:, None] - np.arange(1, self.order)
        symbols = np.pad(known_symbols(prompts, self.classes), ((0, 0), (0, 1)), constant_values=self.classes)
        before = np.take_along_axis(symbols, place.clip(min=-1), 1)  # the mark stands before the first, and behind all
        return NgramContinuation(self, np.where(place < -1, self.classes + 1, before))

    def arrays(self) -> dict[str, Tensor]:
        """The counts of all levels, see `storage`, and how long a drawn record may be."""
        return {"longest": torch.tensor(self.longest), **stored([level.counts for level in self.levels])}

    def facts(self) -> dict[str, Any]:
        """The share of missing records."""
        return {"missing": self.missing}


def classes_of(event: Ragged) -> int:
    """How many classes a step may have; the only span is Discrete."""
    (span,) = event.element.spans
    assert isinstance(span.event, Discrete)
    return span.event.classes
