"""Forecasts of data that came after learning, to learn how wide bands must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.data.nested import lengths_of, lists_of, steps_of
from ensample.data.series import again
from ensample.errors import InputError
from ensample.infer.conformal import Widths
from ensample.kinds.number import Number
from ensample.kinds.sequencecodec import SequenceCodec

ORIGINS = 250
"""Steps from which forecasts are made, spread evenly over the data."""

MOST = 20_000
"""Stretches of which they are picked, about."""

FEWEST = 20
"""Forecasts that must have come true, at least."""

DRAWS = 100
"""Paths of each."""

Ahead = Callable[[Dataset, int], Mapping[str, np.ndarray]]
"""Paths [series, draws, steps] of each variable, behind the ends of these records; so many draws."""


def widths(codec: SequenceCodec, data: Dataset, steps: int, context: int, ahead: Ahead) -> dict[str, Widths]:
    """How wide bands of each number must be to have held what came in this data.

    Arguments:
        codec: of the model.
        data: a table of the form that was learned from, or records that are series.
        steps: of a forecast.
        context: steps that are known before it; 0 takes whole series as they are, where there are enough of them.
        ahead: forecasts of `steps` steps.

    Raises:
        InputError: there is too little data for `FEWEST` forecasts.
    """
    records = _stretches(codec, data, steps, context)
    column = records.column(codec.field)
    enough = np.flatnonzero(lengths_of(column, 0) > steps)
    if len(enough) < FEWEST:
        seen = f"{len(enough)} stretches of more than {steps} steps"
        fix = "give more of what came after learning, or forecast fewer steps"
        raise InputError(f"Widths are learned from at least {FEWEST} forecasts.", "calibration", seen, fix)
    picked = enough[np.linspace(0, len(enough) - 1, min(ORIGINS, len(enough))).round().astype(np.int64)]
    records = records.take(picked)
    begun, came = parted(records.column(codec.field), steps)
    table = records.to_arrow()
    place = table.column_names.index(codec.field)
    table = table.set_column(place, table.schema.field(codec.field), begun)
    paths = ahead(Dataset.from_arrow(table, None, data.source), DRAWS)
    return {name: Widths.learned(paths[name], came[name]) for name in paths if name in came and _measures(codec, name)}


def widened(codec: SequenceCodec, paths: Mapping[str, np.ndarray], by: Mapping[str, Widths]) -> dict[str, np.ndarray]:
    """Paths with bands as wide as that, of values that the variable can have."""
    return {name: _possible(codec, name, by[name].of(one)) if name in by else one for name, one in paths.items()}


def parted(column: pa.ChunkedArray, steps: int) -> tuple[pa.Array, dict[str, np.ndarray]]:
    """(series without their last steps, these of each variable that is plain numbers [series, steps])."""
    lengths, every = lengths_of(column, 0), steps_of(column)
    ends = lengths.cumsum()
    last = ends[:, None] - steps + np.arange(steps)
    kept = np.ones(int(ends[-1]), bool)
    kept[last] = False
    begun = lists_of(every.filter(pa.array(kept)).columns, lengths - steps, column.type)
    came = {}
    for name in every.schema.names:
        part = every.column(name)
        if pa.types.is_integer(part.type) or pa.types.is_floating(part.type) or pa.types.is_decimal(part.type):
            came[name] = np.asarray(part.cast(pa.float64()).fill_null(np.nan))[last]
    return begun, came


def _stretches(codec: SequenceCodec, data: Dataset, steps: int, context: int) -> Dataset:
    """Records of which the last steps are to be forecast."""
    plan = codec.plan
    if plan is None or not codec.is_table(data):
        return data
    if not context:
        whole = Dataset.from_arrow(again(data, replace(plan, window=None)), None, data.source)
        if len(whole) >= FEWEST:
            return whole
        context = int(lengths_of(whole.column(codec.field), 0).max()) // 2
    length = context + steps
    stride = max(1, len(data) // MOST)
    try:
        return Dataset.from_arrow(again(data, replace(plan, window=length, stride=stride)), None, data.source)
    except InputError as error:
        rule, fix = f"Forecasts come true within {length} steps.", "give a longer stretch, or forecast fewer steps"
        raise InputError(rule, "calibration", error.seen, fix) from error


def _measures(codec: SequenceCodec, name: str) -> bool:
    return isinstance(codec.kind.steps.schema[name].kind, Number)


def _possible(codec: SequenceCodec, name: str, values: np.ndarray) -> np.ndarray:
    """The nearest values of the variable's grid, within its hard bounds; NaN stays."""
    kind, out = codec.kind.steps.schema[name].kind, values.copy()
    there = ~np.isnan(values)
    cells = kind.encode(pa.array(values[there]), name)
    out[there] = np.asarray(kind.decode(cells, np.random.default_rng(0)).cast(pa.float64()))
    return out
