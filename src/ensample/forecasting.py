"""The verb `forecast`: histories of series to the distribution of their next steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from ensample.calibrating import widened, widths
from ensample.data.dataset import Dataset
from ensample.data.nested import lengths_of, steps_of
from ensample.data.series import ELAPSED, histories
from ensample.data.series.calendar import fields as calendar_fields
from ensample.errors import InputError
from ensample.events import Batch
from ensample.forecasts import Forecast
from ensample.infer.forecast import continued
from ensample.kinds.codec import TableCodec
from ensample.kinds.codecs import CELLS_AT_ONCE
from ensample.kinds.records import ABSENT
from ensample.kinds.sequencecodec import SequenceCodec
from ensample.sampling import counted, generator_of

if TYPE_CHECKING:
    from ensample.model import Model

SHOWN = 96
"""Steps of history that a forecast keeps, to be drawn before it."""


def forecast(
    model: Model,
    history: Any,
    steps: int | None = None,
    level: float | Sequence[float] = (0.5, 0.9),
    draws: int = 200,
    seed: int | None = None,
    at_once: int | None = None,
    calibration: Any = None,
) -> Forecast:
    """The distribution of the next steps of series, given their beginnings.

    A model of windows of W steps draws `at_once` steps given the W - `at_once` before them, and goes on from what it
    has drawn for as long as it takes; one of series of any length sees all that is known. What is missing in a history
    is integrated out, and no step of a forecast is missing. Fields that are given and follow from the time (calendar
    fields) are made for each window; others stand in the history.

    Arguments:
        model: one that was learned from series.
        history: a table of the form that `Dataset.series` cut the training records from, or records that are series.
        steps: how many; half a window if None.
        level: masses of the central bands that are told, between 0 and 1.
        draws: paths of each series.
        seed: same seed, same paths.
        at_once: steps of a window that are drawn together; a quarter of a window if None. Fewer see more of what was
            before, and take longer; where many small steps add up, their mistakes do too.
        calibration: data that came after what was learned from, in the form of `history`: forecasts are made within it,
            and bands of each number widened, or narrowed, until they would have held their share of it (see
            `infer.conformal`). For series whose ways change. None leaves the bands to the model.

    Raises:
        InputError: a count or level is out of range, the history has not the variables of the model, or there is too
            little data to calibrate by.
    """
    codec = cast(SequenceCodec, model.codec)
    window = codec.event.max_length
    count = counted(max(1, window // 2) if steps is None else steps, "steps")
    together = counted(max(1, window // 4) if at_once is None else at_once, "at_once")
    if codec.event.fixed and together >= max(2, window):
        fix = f"say at most {max(1, window - 1)}"
        raise InputError("A window holds something to go on from.", "at_once", f"{together} of {window} steps", fix)
    told = Told(codec, _records(model, history))
    paths = _drawn(model, told, count, counted(draws, "draws"), together, seed)
    values, ticks = _decoded(codec, told, paths, count, draws)
    if calibration is not None:
        context = window - together if codec.event.fixed else 0

        def ahead(records: Dataset, number: int) -> dict[str, np.ndarray]:
            begun = Told(codec, records)
            return _decoded(codec, begun, _drawn(model, begun, count, number, together, seed), count, number)[0]

        values = widened(codec, values, widths(codec, model._table(calibration), count, context, ahead))
    times = None if ticks is None or told.plan is None else told.plan.axis.times(ticks.reshape(-1))
    return Forecast(values, times, told.units, told.shown(), _levels(level), told.plan, told.shown_times())


def _levels(level: float | Sequence[float]) -> tuple[float, ...]:
    levels = (level,) if isinstance(level, int | float) else tuple(level)
    for one in levels:
        if not 0 < one < 1:
            raise InputError("A level is a share between 0 and 1.", "level", repr(one), "say level=0.9")
    return tuple(float(one) for one in levels)


def _records(model: Model, history: Any) -> Dataset:
    """Histories as records with the field of series."""
    codec = cast(SequenceCodec, model.codec)
    data = model._table(history)
    plan = codec.plan
    if codec.field in data.names or plan is None:
        return data  # whose fields the codec checks
    last = max(codec.event.max_length - 1, SHOWN) if codec.event.fixed else None
    return Dataset.from_arrow(histories(data, plan, last), None, data.source)


class Told:
    """What is known of each series: its steps, when it begins, and its unit."""

    def __init__(self, codec: SequenceCodec, data: Dataset) -> None:
        self.codec, self.plan, self.data = codec, codec.plan, data
        self.batch = SequenceCodec(codec.schema, (codec.field,)).encode(data, holes=True).batch()
        names = () if self.plan is None else (*self.plan.columns.by, *self.plan.columns.keep)
        self.units = data.select([name for name in names if name in data.names]).to_arrow()
        self.start: np.ndarray | None = None
        if self.plan is not None and self.plan.columns.start in data.names:
            self.start = self.plan.axis.ticks(data.column(self.plan.columns.start))

    def lengths(self) -> np.ndarray:
        """Known steps of each series."""
        assert self.batch.lengths is not None
        return self.batch.lengths.clamp(min=0).numpy()

    def ticks(self, rows: np.ndarray, step: np.ndarray) -> np.ndarray | None:
        """Time of one step of each of these series, counted from its first; None if that is not known."""
        if self.start is None or self.plan is None:
            return None
        if self.plan.grid is not None:
            return self.plan.times_from(self.start[rows], step)
        passed = self._passed()
        return np.asarray(self.start[rows] + passed[rows, step.clip(max=passed.shape[1] - 1)])

    def _passed(self) -> np.ndarray:
        """Ticks between the first step and each other one of irregular series [series, steps]."""
        assert self.plan is not None
        column = self.data.column(self.codec.field)
        lengths = lengths_of(column, 0)
        own = np.asarray(steps_of(column).column(ELAPSED).cast(pa.float64()).fill_null(0.0))
        out = np.zeros((len(lengths), max(1, int(lengths.max(initial=0)))))
        out[np.arange(out.shape[1]) < lengths[:, None]] = own
        out[:, 0] = 0
        return np.asarray(out.cumsum(1) * self.plan.unit)

    def given(self, rows: Tensor, first: Tensor) -> Batch | None:
        """The given fields of windows of these series that begin at these steps."""
        names = self.codec.given
        if not names:
            return None
        at = pa.array(rows.numpy())
        table = {name: self.data.column(name).take(at) for name in names if name in self.data.names}
        plan = self.plan
        if plan is not None and (ticks := self.ticks(rows.numpy(), first.numpy())) is not None:
            times = plan.axis.times(ticks)
            made = dict(zip(plan.fields, calendar_fields(times, plan.fields), strict=True))
            made[plan.columns.start] = times
            table |= {name: part for name, part in made.items() if name in names}
        codec = TableCodec(self.codec.schema, names, ())
        return codec.encode(Dataset.from_arrow(pa.table(table))).batch()

    def _last(self, lengths: np.ndarray) -> np.ndarray:
        """The steps of each series that are shown [series, steps], negative in front of shorter ones."""
        width = min(SHOWN, int(lengths.max(initial=0)))
        return np.asarray(lengths[:, None] - width + np.arange(width))

    def shown_times(self) -> pa.Array | None:
        """Times of the values that are shown, Arrow [series x steps], null where there is none; None if not known."""
        own = self._last(self.lengths())
        rows = np.repeat(np.arange(len(own)), own.shape[1])
        ticks = self.ticks(rows[:, None], own.reshape(-1, 1).clip(min=0))
        if ticks is None or self.plan is None:
            return None
        times = self.plan.axis.times(ticks.reshape(-1))
        return pc.if_else(pa.array(own.ravel() >= 0), times, pa.nulls(len(times), times.type))

    def shown(self) -> dict[str, np.ndarray]:
        """The last values of every number [series, steps], NaN where there is none."""
        column = self.data.column(self.codec.field)
        lengths, steps = lengths_of(column, 0), steps_of(column)
        own = self._last(lengths)
        place, there = own + (lengths.cumsum() - lengths)[:, None], own >= 0
        out = {}
        for name in steps.schema.names:
            if _is_number(steps.schema.field(name).type):
                values = np.asarray(steps.column(name).cast(pa.float64()).fill_null(np.nan))
                out[name] = np.where(there, values[place.clip(min=0)], np.nan) if len(values) else np.zeros(own.shape)
        return out


def _drawn(model: Model, told: Told, steps: int, draws: int, at_once: int, seed: int | None) -> Batch:
    """Paths [series x draws, steps, spans], the draws of one series together."""
    codec = told.codec
    generator, _ = generator_of(seed)
    limits = codec.present(codec.model)
    size = max(1, 4 * CELLS_AT_ONCE // ((told.batch.cells.shape[1] + steps) * max(1, len(codec.event.element)) * draws))
    cells, mask = [], []
    for low in range(0, len(told.batch), size):
        rows = torch.arange(low, min(low + size, len(told.batch)))
        here = told.batch.take(rows).repeat(draws)

        def given(paths: Tensor, first: Tensor, rows: Tensor = rows) -> Batch | None:
            cond = told.given(rows[paths[::draws] // draws], first[::draws])  # all paths of a series begin alike
            return None if cond is None else cond.repeat(draws)

        made = continued(model._completing, here, steps, at_once, limits, generator, given)
        cells.append(made.cells)
        mask.append(made.mask)
    return Batch(torch.cat(cells), torch.cat(mask))


def _decoded(
    codec: SequenceCodec, told: Told, paths: Batch, steps: int, draws: int
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """(values of each variable [series, draws, steps], time of each step [series, steps])."""
    table = np.where(paths.mask.numpy(), paths.cells.numpy(), ABSENT).reshape(-1, paths.cells.shape[-1])
    columns = codec.kind.steps.columns(table, np.random.default_rng(0))
    values, shape = {}, (len(told.batch), draws, steps)
    for name, column in zip(codec.kind.steps.model, columns, strict=True):
        if _is_number(column.type):
            values[name] = np.asarray(column.cast(pa.float64()).fill_null(np.nan)).reshape(shape)
        else:
            values[name] = np.array([*column.to_pylist(), None], dtype=object)[:-1].reshape(shape)
    return values, _times(told, values, steps)


def _times(told: Told, values: dict[str, np.ndarray], steps: int) -> np.ndarray | None:
    if told.start is None or told.plan is None:
        return None
    lengths = told.lengths()
    if told.plan.grid is not None:
        return told.plan.times_from(told.start[:, None], lengths[:, None] + np.arange(steps))
    last = told.ticks(np.arange(len(lengths)), lengths - 1)
    assert last is not None
    passed = np.median(np.nan_to_num(values[ELAPSED]).cumsum(2), 1) * told.plan.unit
    return np.asarray(last[:, None] + passed)


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_decimal(dtype))
