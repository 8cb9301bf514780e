"""Holes of a table of series: missing values and missing steps, filled by a model of its windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import torch

from ensample.data.dataset import Dataset
from ensample.data.nested import steps_of
from ensample.data.series import ELAPSED, whole
from ensample.events import Batch
from ensample.forecasting import Told
from ensample.infer.gaps import closed
from ensample.infer.impute import centre, fill
from ensample.kinds.sequencecodec import SequenceCodec, completed
from ensample.sampling import generator_of

if TYPE_CHECKING:
    from ensample.model import Model


def filled(model: Model, table: Dataset, how: str, seed: int | None) -> Dataset:
    """The table with every value and every step; see `Model.impute`.

    Rows are in the order of units and times, a column for each variable; observed values stay as they are.
    """
    codec = cast(SequenceCodec, model.codec)
    plan = codec.plan
    assert plan is not None
    records, times = whole(table, plan)
    told = Told(codec, Dataset.from_arrow(records, None, table.source))
    column = records.column(codec.field)
    steps = steps_of(column)
    holes = np.zeros(len(steps), bool)
    for part in steps.columns:
        holes |= np.asarray(part.is_null())
    gaps = np.zeros(told.batch.cells.shape[:2], bool)
    gaps[told.batch.steps().numpy()] = holes
    generator, number = generator_of(seed)
    limits = codec.present(codec.model)

    def complete(batch: Batch) -> Batch:
        if how == "draw":
            return fill(model._completing, batch, limits, generator)
        return centre(model._completing, batch, limits, generator, how)

    made = closed(model._completing, told.batch, torch.from_numpy(gaps), complete, told.given)
    lists = completed(column, pa.chunked_array([codec.values(made, np.random.default_rng(number))]))
    values = steps_of(lists)
    each = pa.array(np.repeat(np.arange(len(records)), told.lengths()))
    columns = {name: told.units.column(name).take(each) for name in told.units.column_names}
    if plan.columns.time is not None:
        columns[plan.columns.time] = times
    columns |= {name: values.column(name) for name in values.schema.names if name != ELAPSED}
    return Dataset.from_arrow(pa.table(columns), None, "impute")
