"""Back-off trees: the instant preset. One small forest per column, fitted in a second or two, with exact likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from ensample.events import Continuous, Discrete, Mixed
from ensample.families.base import Distribution, Guarantee, at_least
from ensample.families.bins import Bins, fit_all
from ensample.families.chain import Chain, Seen
from ensample.families.independent import part
from ensample.families.trees.forest import Forest, Look
from ensample.families.trees.forest_fit import Task, fit_forest
from ensample.families.trees.partition import Input, classed, numbered
from ensample.kinds.records import ABSENT, Records
from ensample.run import Progress, Run

HELD, FEW = 0.08, 1000
"""Share of rows that the weights are chosen on; a quarter where there are fewer than FEW rows."""


class BackoffTrees(Chain):
    """p(x) = product over spans, in the event's order, of a forest on the given fields and the spans before."""

    guarantees: ClassVar[dict[str, Guarantee]] = {"sample": "exact", "log_prob": "exact", "draw": "estimate"}

    def __init__(self, event: Mixed, given: Mixed | None, bins: tuple[Bins, ...], forests: tuple[Forest, ...]) -> None:
        self.event, self.given, self.bins, self.forests = event, given, bins, forests

    def table(self, column: int, seen: Seen) -> Tensor:
        """Log-probabilities [rows, bins] float64."""
        return torch.log(self._look(column, seen).shares())

    def score(self, column: int, index: Tensor, seen: Seen) -> Tensor:
        """Log-probability [rows] of these bins, without the leaves' whole tables."""
        return torch.log(self._look(column, seen).share_of(index))

    def choose(self, column: int, seen: Seen, generator: Generator) -> Tensor:
        """Draw bins [rows]."""
        return self._look(column, seen).draw(generator)

    def _look(self, column: int, seen: Seen) -> Look:
        return self.forests[column].look(_inputs(column, seen))

    def arrays(self) -> dict[str, Tensor]:
        """Bins and forest of every span."""
        state = {f"{j}.bins.{k}": v for j, bins in enumerate(self.bins) for k, v in bins.arrays().items()}
        return state | {f"{j}.forest.{k}": v for j, f in enumerate(self.forests) for k, v in f.arrays().items()}


@dataclass(frozen=True)
class Trees:
    """Back-off trees: for each column a decision tree on the columns before it, smoothed along the path to the root.

    A number is also predicted by least squares from the columns before it. The trees separate what is left, and the
    column's distribution is a mixture of the leaf's histogram and of a bump around the corrected prediction. All
    weights are chosen on held-out rows. Use it for a first answer in seconds, or where there are few rows.

    Arguments:
        trees: trees for each column; more are smoother and cost as many times the time.
        leaf: fewest training rows in a leaf.
        bins: most bins of a column.
        rows: most rows that trees grow on; of a larger table a random sample is taken, which bounds time and memory.
    """

    trees: int = 1
    leaf: int = 20
    bins: int = 256
    rows: int = 200_000

    name: ClassVar[str] = "trees"
    distribution: ClassVar[type[Distribution]] = BackoffTrees

    def __post_init__(self) -> None:
        at_least(self, trees=1, leaf=1, bins=1, rows=1)

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event, and any given fields."""
        return None if isinstance(event, Mixed) else "back-off trees need a table of fields"

    def fit(self, records: Records, seed: int, run: Run) -> BackoffTrees:
        """Grow a forest for each span; one that the budget does not reach keeps its plain histogram."""
        bins = fit_all(records.event, records.table, ABSENT, self.bins)
        records = records.sample(self.rows, seed)
        # A stream of its own: rows made from the same seed must not decide by their values who is held out.
        held = np.random.default_rng([seed, len(records)]).random(len(records)) < (
            HELD if len(records) >= FEW else 0.25
        )
        inputs, forests = _given_inputs(records, self.bins), []
        for j, span in enumerate(records.event.spans):
            kept = run.kept(f"span{j}")
            if kept:
                forests.append(Forest.restore(kept[0]))
            else:
                seen = [] if run.clock.over() else inputs
                forests.append(self._fit_span(j, records, bins[j], seen, held, seed + j))
                run.keep(f"span{j}", forests[j].arrays(), {})
            inputs.append(_as_input(span.event, bins[j], records.table[:, j]))
            run.report(Progress(f"trees of {span.name}", (j + 1) / len(records.event)))
        return BackoffTrees(records.event, records.given, bins, tuple(forests))

    def _fit_span(
        self, column: int, records: Records, bins: Bins, inputs: list[Input], held: np.ndarray, seed: int
    ) -> Forest:
        cells = records.table[:, column]
        rows = np.flatnonzero(cells != ABSENT)
        cells = cells[rows]
        spans = (*(records.given.spans if records.given else ()), *records.event.spans[:column])
        task = Task(
            values=_values(records, column, rows),
            classes=np.array([s.event.classes if isinstance(s.event, Discrete) else 0 for s in spans], dtype=np.int64),
            inputs=tuple(i.take(rows) for i in inputs),
            index=bins.index(torch.from_numpy(cells)).numpy(),
            cells=cells.astype(np.float64),
            bins=bins,
            number=isinstance(records.event.spans[column].event, Continuous),
        )
        return fit_forest(task, self.trees, self.leaf, held[rows], seed)

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> BackoffTrees:
        """Inverse of `BackoffTrees.arrays`."""
        spans = [part(arrays, str(j)) for j in range(len(event))]
        bins = tuple(Bins.restore(part(s, "bins")) for s in spans)
        return BackoffTrees(event, given, bins, tuple(Forest.restore(part(s, "forest")) for s in spans))


def _inputs(column: int, seen: Seen) -> np.ndarray:
    """Given fields, then the spans before `column`: [rows, columns] float64, NaN where there is none."""
    parts = [] if seen.cond is None else [_real(seen.cond.cells, seen.cond.mask)]
    parts.append(_real(seen.cells[:, :column], seen.known[:, :column]))
    return np.concatenate(parts, 1)


def _real(cells: Tensor, known: Tensor) -> np.ndarray:
    return torch.where(known, cells.to(torch.float64), torch.nan).numpy()


def _values(records: Records, column: int, rows: np.ndarray) -> np.ndarray:
    tables = [] if records.given_table is None else [records.given_table[rows]]
    table = np.concatenate([*tables, records.table[rows, :column]], 1)
    return np.where(table == ABSENT, np.nan, table.astype(np.float64))


def _given_inputs(records: Records, most: int) -> list[Input]:
    if records.given is None or records.given_table is None:
        return []
    bins = fit_all(records.given, records.given_table, ABSENT, most)
    return [
        _as_input(s.event, b, records.given_table[:, j])
        for j, (s, b) in enumerate(zip(records.given.spans, bins, strict=True))
    ]


def _as_input(event: Continuous | Discrete, bins: Bins, cells: np.ndarray) -> Input:
    values = np.where(cells == ABSENT, np.nan, cells.astype(np.float64))
    if isinstance(event, Discrete):
        return classed(values, event.classes)
    return numbered(values, ((bins.last[:-1] + bins.first[1:]).numpy()) / 2)
