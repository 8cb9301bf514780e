"""From raw cells to values: one canonical Arrow type per sort of value, missing values null, numbers finite."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.infer import Plan, read_as
from ensample.data.missing import blank_out, no_nan, refuse_infinite
from ensample.data.nested import is_sequence, step_fields
from ensample.data.pictures.column import is_pictures, shape_of, tensor_type
from ensample.errors import FormatError, InputError


def is_text(kind: pa.DataType) -> bool:
    """Whether the type is text, or a dictionary of texts."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """The type a data set holds instead: `string` for every text type, dictionaries with 32-bit codes, `list`."""
    if is_pictures(kind):
        return tensor_type(*shape_of(kind))
    if is_sequence(kind):
        item = kind.value_type
        fields = [f.with_type(canonical_type(f.type)) for f in step_fields(kind)]
        return pa.list_(pa.struct(fields) if pa.types.is_struct(item) else fields[0].type)
    if pa.types.is_dictionary(kind):
        return pa.dictionary(pa.int32(), canonical_type(kind.value_type), kind.ordered)
    return pa.string() if is_text(kind) else kind


def canonical(cells: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The cells in their canonical type."""
    kind = canonical_type(cells.type)
    if is_pictures(kind) and cells.type != kind:  # axes have names
        cells = pc.cast(cells, cells.type.storage_type)
    return cells if cells.type == kind else pc.cast(cells, kind)


def refuse_type(field: pa.Field, source: str) -> None:
    """Raise InputError if a column holds no numbers, texts, truths, times, nor lists of them, nor pictures."""
    if is_sequence(field.type):
        for part in step_fields(field.type):
            if is_pictures(part.type):
                seen, fix = "lists of pictures", "give each picture a record of its own"
                raise InputError("A step holds plain values.", f"{source}, column {field.name!r}", seen, fix)
            refuse_type(part.with_name(f"{field.name}.{part.name}"), source)
        return
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if is_pictures(kind):
        return
    if is_text(kind) or pa.types.is_primitive(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return
    nested = pa.types.is_nested(kind)
    raise InputError(
        "A cell holds one number, text, truth, date or time.",
        f"{source}, column {field.name!r}",
        f"{'nested cells' if nested else 'cells'} of type {kind}",
        "give each part a column of its own" if nested else "turn the column into text or numbers, or leave it out",
    )


def convert(cells: pa.ChunkedArray, plan: Plan, source: str, first_row: int = 0) -> pa.ChunkedArray:
    """The values of one column under its plan.

    Raises:
        InputError: a number is infinite.
        FormatError: a cell is not what the first pass over the source found there.
    """
    chunks = []
    for chunk in canonical(cells).chunks:
        chunks.append(_convert(chunk, plan, source))
    whole = pa.chunked_array(chunks, plan.type)
    refuse_infinite(whole, plan.name, source, first_row)
    return whole


def _convert(cells: pa.Array, plan: Plan, source: str) -> pa.Array:
    if is_text(cells.type):
        cells = blank_out(cells, plan.gone)
    if cells.type != plan.type:
        if pa.types.is_null(plan.type):
            return pa.nulls(len(cells))
        values = read_as(cells, plan.type)
        if values is None:
            raise FormatError(
                "A source must stay as it is while it is read.",
                f"{source}, column {plan.name!r}",
                f"a value that is no {plan.type}, where the first pass found none",
                "read it anew",
            )
        cells = values
    return no_nan(cells)
