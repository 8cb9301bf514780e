"""All measures of one model's series against the real ones."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ensample.data.nested import lists_of
from ensample.judge.bits import bits
from ensample.judge.evaluate import Judgement
from ensample.judge.measure import Measure, Sort
from ensample.judge.real import enough
from ensample.judge.series.copies import series_copies
from ensample.judge.series.dynamics import autocorrelation, crossed
from ensample.judge.series.forecasts import Told, forecasts
from ensample.judge.series.marginals import changes, missing, values
from ensample.judge.series.reference import MORE, SeriesReference
from ensample.judge.series.side import Side, step_table
from ensample.judge.series.spectrum import spectrum
from ensample.judge.series.twosample import two_sample
from ensample.judge.series.usefulness import usefulness
from ensample.judge.text import figure
from ensample.judge.texts.shapes import lengths

REAL = "real series"
"""In `Measure.parts`: what training series get in the place of made ones."""


@dataclass(frozen=True)
class MadeSeries:
    """Series that a model made: the records, their values, and what it forecast, if it can."""

    table: pa.Table
    side: Side
    told: Told | None = None

    def __len__(self) -> int:
        return len(self.side)


def judge_series(
    reference: SeriesReference,
    table: pa.Table,
    log_prob: np.ndarray | None = None,
    sort: Sort = "exact",
    told: Told | None = None,
) -> Judgement:
    """Measure made series against a reference.

    Beside each distance stands in words what real series get in the place of made ones (training against held-out
    series, the same number).

    Arguments:
        reference: the real series.
        table: made records.
        log_prob: the model's nats for each record of `reference.scored`, [rows]; None if it has no likelihood.
        sort: how far that likelihood can be trusted.
        told: what it forecasts of held-out series; None if it cannot.

    Raises:
        InputError: fewer than 20 made series, no such field, or steps that lack a variable.
    """
    start = time.perf_counter()
    made = MadeSeries(table, reference.side(table), told)
    enough("made", "series", len(made.side), MORE)
    if not made.side.steps:
        made = replace(made, side=_one_empty_step(made.side))
    fake, real = sides(reference, made.side)
    floor = reference.once(real_against_real, len(fake))
    measures = [_with_floor(m, floor.get(m.name)) for m in _distances(reference, fake, real)]
    useful = usefulness(reference, *_read(reference, fake, real))
    measures += [] if useful is None else [useful]
    measures += [] if told is None else forecasts(reference, told)
    if log_prob is not None:
        measures = [_likelihood(reference, log_prob, sort), *measures]
    check = None
    if reference.knows_train:
        check = series_copies(reference, made.side)
        measures += [check.close, check.share, check.exact]
    return Judgement(tuple(measures), check, made, time.perf_counter() - start)


def sides(reference: SeriesReference, made: Side) -> tuple[Side, Side]:
    """Equally many made and held-out series, and of long ones a stretch."""
    count = min(len(made), len(reference.test), reference.sizes.records)
    rows = np.random.default_rng(reference.seed + 1).permutation(len(made))[:count]
    steps = reference.sizes.steps
    fake = made.take(rows).stretches(steps, reference.seed + 3)
    return fake, reference.held_out(count).stretches(steps, reference.seed + 4)


def _read(reference: SeriesReference, *both: Side) -> tuple[Side, ...]:
    """As many of them as networks read."""
    return tuple(side.take(np.arange(min(len(side), reference.sizes.read))) for side in both)


def _distances(reference: SeriesReference, fake: Side, real: Side) -> list[Measure]:
    """What has its floor in real series."""
    found = [
        *two_sample(reference, *_read(reference, fake, real)),
        values(reference, fake, real),
        changes(reference, fake, real),
        autocorrelation(reference, fake, real),
        crossed(reference, fake, real),
        spectrum(reference, fake, real),
        missing(fake, real, reference.seed),
    ]
    if len(np.unique(np.concatenate([fake.lengths, real.lengths]))) > 1:
        found.append(lengths(fake.lengths, real.lengths, reference.seed, "series", "steps"))
    return [m for m in found if m is not None]


def _likelihood(reference: SeriesReference, log_prob: np.ndarray, sort: Sort) -> Measure:
    """Bits per record, with nats per record and per step in words."""
    measure = bits(log_prob, sort, reference.seed)
    if not math.isfinite(measure.value):
        return measure
    nats = measure.value * math.log(2)
    steps = max(float(reference.side(reference.scored).lengths.mean()), 1e-9)
    words = f"{measure.words} ({nats:.2f} nats), {nats / steps:.3f} nats a step"
    return replace(measure, words=words)


def real_against_real(reference: SeriesReference, count: int) -> dict[str, Measure]:
    """What training series get in the place of made ones: the best that any model could do, at this number."""
    rows = np.random.default_rng(reference.seed + 22).permutation(len(reference.train))[:count]
    fake, real = sides(reference, reference.train.take(rows))
    return {m.name: m for m in _distances(reference, fake, real)}


def _with_floor(measure: Measure, floor: Measure | None) -> Measure:
    """The same measure, with the real-against-real number in its words."""
    if floor is None:
        return measure
    words = f"{measure.words}; real series get {figure(floor)}"
    return replace(measure, words=words, parts={**measure.parts, REAL: floor.value})


def real_series(reference: SeriesReference, count: int) -> pa.Table:
    """Training records handed out as if they were made, each once as far as they last: the ceiling."""
    order = np.random.default_rng(reference.seed + 11).permutation(len(reference.train))
    return reference.train_table.take(pa.array(np.resize(order, count)))


def loose_values(reference: SeriesReference, count: int) -> pa.Table:
    """Lengths of training series, each value drawn on its own from all training steps: the floor."""
    rng = np.random.default_rng(reference.seed + 12)
    column = reference.train_table.column(reference.series)
    steps = step_table(column)
    sizes = reference.train.lengths[rng.integers(0, len(reference.train), count)]
    drawn = [
        part.take(pa.array(rng.integers(0, len(part), int(sizes.sum())))).combine_chunks() for part in steps.columns
    ]
    return pa.table({reference.series: lists_of(drawn, sizes, column.type)})


def _one_empty_step(side: Side) -> Side:
    """The same, where all series are empty, the first one with a step of which nothing is known."""
    frame = replace(side.frame, rows=1)
    columns = tuple(replace(column, values=np.array([np.nan])) for column in frame.columns)
    lengths = side.lengths.copy()
    lengths[0] = 1
    return Side(replace(frame, columns=columns), lengths)
