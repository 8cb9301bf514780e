"""Which codec the fields of a schema need."""

from __future__ import annotations

from typing import Any

from ensample.data.schema import Schema
from ensample.errors import CapabilityError
from ensample.events import Array, Mixed, Ragged, coordinates
from ensample.kinds.alone import AloneCodec
from ensample.kinds.codec import TableCodec
from ensample.kinds.dialoguecodec import DialogueCodec
from ensample.kinds.imagecodec import ImageCodec
from ensample.kinds.sequencecodec import SequenceCodec
from ensample.kinds.textcodec import TextCodec

Codec = TableCodec | SequenceCodec | TextCodec | DialogueCodec | ImageCodec
"""Records of a schema as cells, and back."""

ALONE: tuple[tuple[type[AloneCodec[Any]], str], ...] = (
    (SequenceCodec, "put the other fields into every step"),
    (ImageCodec, "give the other fields"),
    (TextCodec, "give the other fields"),
    (DialogueCodec, "give the other fields"),
)
"""Codecs of fields that are learned alone, and what else may be done with the fields beside."""


CELLS_AT_ONCE = 2**20
"""Cells of one batch of records that are more than a row: sequences and pictures."""


def rows_at_once(event: Mixed | Ragged | Array, most: int) -> int:
    """Rows of a batch: at most so many, and where a record is more than a row no more than `CELLS_AT_ONCE` cells.

    Example:
        >>> from ensample.events import Discrete
        >>> rows_at_once(Discrete(2, (1, 32, 32)), 16_384)
        1024
    """
    return most if isinstance(event, Mixed) else max(1, min(most, CELLS_AT_ONCE // max(1, coordinates(event))))


def codec_of(schema: Schema, model: tuple[str, ...], given: tuple[str, ...] = ()) -> Codec:
    """The codec that these fields need.

    Raises:
        CapabilityError: a sequence, a text or a picture stands beside other learned fields, or is given where it
            cannot be.
    """
    source = _source(schema, model, given)
    for codec, other in ALONE:
        found = [name for name in model if isinstance(schema[name].kind, codec.sort)]
        if not found:
            continue
        beside = [
            name
            for name in model
            if name != found[0] and (schema[name].kind.spans(name) or isinstance(schema[name].kind, codec.sort))
        ]
        if beside:
            raise CapabilityError(
                f"A field of {codec.sort.name}s is learned alone.",
                f"column {found[0]!r}",
                f"also to learn: {', '.join(beside)}",
                f'say model=["{found[0]}"], or {other}',
            )
        return codec(schema, model, given, source)  # type: ignore[return-value]  # one of those of `Codec`
    return TableCodec(schema, model, given)


def _source(schema: Schema, model: tuple[str, ...], given: tuple[str, ...]) -> AloneCodec[Any] | None:
    """The codec of the sequence that is given, None if plain fields are, or nothing."""
    sorts = {name: codec for name in (*model, *given) if (codec := _sort(schema, name)) is not None}
    told = [name for name in given if name in sorts]
    if not told:
        return None
    name, codec = told[0], sorts[told[0]]
    beside = [other for other in given if other != name and (other in sorts or schema[other].kind.spans(other))]
    learner = next((sorts[other] for other in model if other in sorts), None)
    if beside or not codec.sequential or learner is None or not learner.sequential:
        seen = f"also given: {', '.join(beside)}" if beside else "it is given"
        more = ", and write what else is known into it" if issubclass(codec, TextCodec) else ""
        fix = f'say given=["{name}"]{more}' if beside else f'say model=["{name}"], or give other fields'
        rule = f"A field of {codec.sort.name}s is learned alone."
        if codec.sequential:
            rule = "A sequence or a text may be given alone, and only to a sequence or a text."
        raise CapabilityError(rule, f"column {name!r}", seen, fix)
    return codec(schema, (name,))


def _sort(schema: Schema, name: str) -> type[AloneCodec[Any]] | None:
    """The codec of a field that is learned alone, None for a plain one."""
    return next((codec for codec, _ in ALONE if isinstance(schema[name].kind, codec.sort)), None)
