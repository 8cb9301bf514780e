"""Classification of records by a fitted model, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import torch

from ensample.data.dataset import Dataset
from ensample.errors import InputError
from ensample.events import Batch, Mixed, unknown
from ensample.families.base import Distribution
from ensample.infer.classify import class_log_prob, is_class
from ensample.kinds.codec import TableCodec

if TYPE_CHECKING:
    from ensample.model import Model

AT_ONCE = 16_384
"""Rows in one batch."""


def classified(model: Model, table: Dataset, field: str) -> Dataset:
    """See `Model.classify`."""
    column = _column(model, field)
    others = tuple(name for name in model.codec.model if name != field)
    missing = [name for name in (*others, *model.codec.given) if name not in table.names]
    if missing:
        raise InputError(
            "A record is classified by all its other fields.",
            "classify",
            f"nothing for {', '.join(missing)}",
            "add these columns (missing values are fine)",
        )
    part = TableCodec(model.schema, others, model.codec.given)
    records = part.encode(table.select([*others, *model.codec.given]))
    own = cast(Distribution, model.distribution)
    shares = np.concatenate(
        [class_log_prob(own, _placed(model, part, b), column).exp() for b in records.batches(AT_ONCE)]
    )
    values = _values(model, field, column, shares.shape[1])
    best = values.take(pa.array(shares.argmax(1)))
    columns = {field: best}
    columns |= {
        f"p({field}={'' if v is None else v})": pa.array(shares[:, k]) for k, v in enumerate(values.to_pylist())
    }
    return Dataset.from_arrow(pa.table(columns), None, "classify")


def _column(model: Model, field: str) -> int:
    if field not in model.codec.model:
        raise InputError(
            "The class must be a field that the model has learned.",
            "classify, field",
            repr(field),
            f"choose from {', '.join(model.codec.model)}",
        )
    able = _classes(model)
    if field not in able:
        raise InputError(
            "The class must be a category or a truth.",
            "classify, field",
            f"{field} is a {model.schema[field].kind.name}",
            f"choose from {', '.join(able) or 'nothing: this model has no category'}",
        )
    return model.codec.columns_of(field).start


def _classes(model: Model) -> list[str]:
    """Fields that are one class each."""
    event = model.codec.event
    if not isinstance(event, Mixed):
        return []
    places = {name: model.codec.columns_of(name) for name in model.codec.model}
    return [name for name, at in places.items() if len(at) == 1 and is_class(event, at.start)]


def _placed(model: Model, part: TableCodec, batch: Batch) -> Batch:
    """Rows without their class as rows of the model's event."""
    out = unknown(len(batch), model.codec.event, batch.cond)
    for name in part.model:
        here, there = list(model.codec.columns_of(name)), list(part.columns_of(name))
        out.cells[:, here], out.mask[:, here] = batch.cells[:, there], batch.mask[:, there]
    return out


def _values(model: Model, field: str, column: int, classes: int) -> pa.Array:
    """The values that the classes stand for, null for missing."""
    codec = TableCodec(model.schema, (field,), ())
    codes = torch.arange(classes)[:, None]
    made = codec.decode(Batch(codes, torch.ones_like(codes, dtype=torch.bool)), 0)
    values = made.column(field).combine_chunks()
    return values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values
