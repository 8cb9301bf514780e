"""Drawing new records from a fitted model."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import torch

from ensample.data.dataset import Dataset
from ensample.errors import CapabilityError, InputError
from ensample.events import Batch, unknown
from ensample.families.base import Distribution
from ensample.infer.condition import draw_where, split_limits
from ensample.infer.impute import fill
from ensample.kinds.alone import AloneCodec
from ensample.kinds.codec import TableCodec
from ensample.kinds.codecs import rows_at_once

if TYPE_CHECKING:
    from ensample.model import Model

DRAWN_AT_ONCE = 100_000
"""Rows sampled in one batch."""


def sample(
    model: Model, n: int | None = None, where: Mapping[str, Any] | Any = None, seed: int | None = None
) -> Dataset:
    """New records.

    Arguments:
        model: a fitted model.
        n: how many; may be left out when `where` is a table with a row for each.
        where: conditions by field: a value, a list of allowed values, or a range `(low, high)` with both ends
            included. Given fields must be here. A table (anything that `read` takes) makes one record for each row.
        seed: same seed, same records; None draws a fresh one.

    Returns:
        A Dataset of exactly n rows, in the schema's order and types.

    Raises:
        InputError: an unknown field, level or range, a given field without a value, or n that is not positive.
        CapabilityError: the condition is too rare to be met by drawing; nothing was sampled.
    """
    generator, number = generator_of(seed)
    own = cast(Distribution, model.distribution)
    if where is not None and not isinstance(where, Mapping):
        return _sample_each(model, model._dataset(where), n, generator, number)
    conditions = dict(where or {})
    rows = counted(1 if n is None else n)
    cond = given_row(model, conditions)
    limits = model.codec.limits({k: v for k, v in conditions.items() if k not in model.codec.given})
    parts = []
    for start, count in _pieces(model, rows):
        if limits:
            batch = draw_where(own, count, limits, generator, cond)
        else:
            batch = own.sample(count, generator, None if cond is None else cond.repeat(count))
        parts.append(model.codec.decode(batch, number + start, first=start))
    return _joined(parts)


def given_rows(model: Model, table: Dataset) -> Batch | None:
    """The given fields of a table as a batch; None if the model has none.

    Raises:
        InputError: a given field is not there.
    """
    if not model.codec.given:
        return None
    missing = [name for name in model.codec.given if name not in table.names]
    if missing:
        raise _given_missing(missing, table.names)
    given = table.select(list(model.codec.given))
    if (source := _source(model)) is not None:
        return source.whole(given).batch()
    return _given_codec(model).encode(given).batch()


def given_row(model: Model, conditions: Mapping[str, Any]) -> Batch | None:
    """The given fields as one row, from conditions that must each name one value; None if the model has none.

    Raises:
        InputError: nothing for a given field, or more than one value.
    """
    if not model.codec.given:
        return None
    missing = [name for name in model.codec.given if name not in conditions]
    if missing:
        raise _given_missing(missing, list(conditions))
    if (source := _source(model)) is not None:
        return source.whole(_one(source, conditions[source.field])).batch()
    codec = _given_codec(model)
    row, rest = split_limits(codec.event, codec.limits({name: conditions[name] for name in model.codec.given}))
    if rest:
        fields = [name for name in model.codec.given if any(limit.column in codec.columns_of(name) for limit in rest)]
        raise InputError(
            "A given field needs one value.",
            f"where, {', '.join(fields)}",
            "a set or a range",
            "name one value for each",
        )
    return row


def generator_of(seed: int | None) -> tuple[torch.Generator, int]:
    """A generator and a number for the codec, from a seed or a fresh one."""
    number = secrets.randbits(48) if seed is None else int(seed)
    return torch.Generator().manual_seed(number), number


def counted(count: int, name: str = "n") -> int:
    """A count as it is. Raises InputError if it is no whole number of at least 1."""
    if not isinstance(count, int | np.integer) or count < 1:
        raise InputError("A count must be a whole number of at least 1.", name, repr(count), f"say {name}=1 or more")
    return int(count)


def _pieces(model: Model, rows: int) -> Iterator[tuple[int, int]]:
    """(first row, number of rows) of what is drawn at once."""
    step = rows_at_once(model.codec.event, DRAWN_AT_ONCE)
    for start in range(0, rows, step):
        yield start, min(step, rows - start)


def _sample_each(model: Model, table: Dataset, n: int | None, generator: torch.Generator, number: int) -> Dataset:
    if n is not None and n != len(table):
        raise InputError(
            "A table of conditions makes one record for each of its rows.",
            "sample, n",
            f"n={n} for {len(table)} rows",
            "leave n out",
        )
    cond = given_rows(model, table)
    for name in table.names:
        model.codec.columns_of(name)  # says which fields there are
    known = [name for name in table.names if name in model.codec.model]
    if known:
        return model.codec.decode(_completed(model, table, known, cond, generator), number)
    parts, own = [], cast(Distribution, model.distribution)
    for start, count in _pieces(model, len(table)):
        rows = None if cond is None else cond.take(slice(start, start + count))
        parts.append(model.codec.decode(own.sample(count, generator, rows), number + start, first=start))
    return _joined(parts)


def _completed(model: Model, table: Dataset, known: list[str], cond: Batch | None, generator: torch.Generator) -> Batch:
    """Records of which these fields are known."""
    if "impute" not in model.can:
        raise CapabilityError(
            "Completing rows needs a family with conditional draws.",
            "sample, where",
            f"{model.family.name} has none",
            "fit boosted, mixture or autoregressive",
        )
    batch = unknown(len(table), model.codec.event, cond)
    part = TableCodec(model.schema, tuple(f for f in model.codec.model if f in known), ())
    encoded = part.encode(table.select(known)).batch()
    for name in part.model:
        here, there = list(model.codec.columns_of(name)), list(part.columns_of(name))
        batch.cells[:, here], batch.mask[:, here] = encoded.cells[:, there], encoded.mask[:, there]
    return fill(model._completing, batch, [], generator)


def _given_codec(model: Model) -> TableCodec:
    return TableCodec(model.schema, model.codec.given, ())


def _source(model: Model) -> AloneCodec[Any] | None:
    """The codec of the given sequence, None where plain fields are given."""
    return model.codec.source if isinstance(model.codec, AloneCodec) else None


def _one(source: AloneCodec[Any], value: Any) -> Dataset:
    """A given sequence as a table of one row."""
    try:
        return Dataset.from_arrow(pa.table({source.field: pa.array([value], source.kind.type)}))
    except (pa.ArrowException, TypeError, ValueError) as error:
        seen = f"{value!r:.60}: {error}"
        fix = f"name one {source.kind.name}, or give a table with a row for each"
        raise InputError("A given field needs one value.", f"where, {source.field}", seen, fix) from error


def _joined(parts: list[Dataset]) -> Dataset:
    whole = pa.concat_tables([part.to_arrow() for part in parts])
    return Dataset.from_arrow(whole, parts[0].schema, "sample")


def _given_missing(names: list[str], said: Sequence[str]) -> InputError:
    what = f"nothing for {', '.join(names)}" + (f" among {', '.join(map(repr, said))}" if said else "")
    return InputError(
        "A model of p(x | given) needs the given fields.",
        "where",
        what,
        f'say where={{"{names[0]}": ...}}',
    )
