"""All measures of one model's rows against the real ones."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ensample.judge.bits import bits
from ensample.judge.copies import CopyCheck, copies
from ensample.judge.manifold import manifold
from ensample.judge.measure import Measure, Sort
from ensample.judge.pairs import pairs
from ensample.judge.reference import Made, Reference
from ensample.judge.shapes import shapes
from ensample.judge.twosample import two_sample, two_sample_relations
from ensample.judge.utility import utility


@dataclass(frozen=True)
class Judgement:
    """Every measure of one model, the copy check in detail, what was judged, and the seconds it took.

    `made` is `Made` for tables and `MadePictures` for pictures; both have a length and a `table`.
    """

    measures: tuple[Measure, ...]
    copy: CopyCheck | None
    made: Any
    seconds: float

    def __getitem__(self, name: str) -> Measure:
        return next(m for m in self.measures if m.name == name)

    def get(self, name: str) -> Measure | None:
        """The measure of this name, None if it could not be taken."""
        return next((m for m in self.measures if m.name == name), None)


def judge(reference: Reference, table: pa.Table, log_prob: np.ndarray | None = None, sort: Sort = "exact") -> Judgement:
    """Measure made rows against a reference.

    Arguments:
        reference: the real rows.
        table: made rows, same columns.
        log_prob: the model's nats for each row of `reference.scored`, [rows]; None if it has no likelihood.
        sort: how far that likelihood can be trusted.

    Raises:
        InputError: fewer than 20 made rows, or a column is missing.
    """
    start = time.perf_counter()
    made = Made.of(reference, table)
    check = copies(reference, made) if reference.knows_train else None
    measures = [
        *([bits(log_prob, sort, reference.seed)] if log_prob is not None else []),
        two_sample(reference, made),
        two_sample_relations(reference, made),
        shapes(reference, made),
        pairs(reference, made),
        *utility(reference, made),
        *manifold(reference, made),
        *((check.share, check.exact) if check is not None else ()),
    ]
    return Judgement(tuple(measures), check, made, time.perf_counter() - start)


def ceiling(reference: Reference, count: int) -> pa.Table:
    """Training rows handed out as if they were made, each once as far as they last: the best that any model could do.

    It is a perfect sample and a perfect copy at once: no model should come as near to the training rows.
    """
    rng = np.random.default_rng(reference.seed + 11)
    rows = len(reference.train)
    order = np.concatenate([rng.permutation(rows) for _ in range(-(-count // rows))])[:count]
    return reference.train_table.take(pa.array(order))


def floor(reference: Reference, count: int) -> pa.Table:
    """Each column drawn from the training rows on its own: perfect columns, no relation at all."""
    rng = np.random.default_rng(reference.seed + 12)
    table = reference.train_table
    columns = [table.column(name).take(pa.array(rng.integers(0, table.num_rows, count))) for name in table.column_names]
    return pa.table(columns, names=table.column_names)
