"""From records with a field of pictures to the reference that judges them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ensample.data.pictures.column import shape_of
from ensample.judge.images.doors import as_extractor
from ensample.judge.images.extractor import Extractor
from ensample.judge.images.reference import PictureReference
from ensample.judge.leaderboard import MOST_TEST, MOST_TRAIN, bounded

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset
    from ensample.data.schema import Schema

BYTES = 2**30
"""Pixels of one side that are held at once, about."""


def picture_of(schema: Schema, given: Sequence[str]) -> str | None:
    """The field of pictures that is learned, None if there is none."""
    return next((f.name for f in schema if f.kind.name == "image" and f.name not in given), None)


def picture_reference(
    train: Dataset | None,
    test: Dataset,
    schema: Schema,
    picture: str,
    given: tuple[str, ...],
    extractor: str | Path | Extractor | None,
    seed: int,
) -> PictureReference:
    """The real pictures, as many as fit; the label is the given field of classes, or the first of the schema's."""
    label = _label(schema, given, test)
    names = [name for name in schema.names if name in (picture, label, *given)]
    size = int(np.prod(shape_of(test.arrow_schema.field(picture).type)))
    most = [min(rows, max(BYTES // size, 1_000)) for rows in (MOST_TRAIN, MOST_TEST)]
    known = None if train is None else [name for name in names if name in train.names]
    learned = None if train is None or known is None else bounded(train.select(known), most[0], seed)
    return PictureReference(
        learned,
        bounded(test.select(names), most[1], seed),
        schema.select(names),
        picture=picture,
        label=label,
        given=given,
        extractor=as_extractor(extractor),
        seed=seed,
    )


def _label(schema: Schema, given: tuple[str, ...], test: Dataset) -> str | None:
    """A field whose values are classes: a given one first; a number counts if it is given and whole."""
    fields = sorted(schema, key=lambda field: field.name not in given)
    for field in fields:
        whole = field.name in given and field.kind.name == "number" and "int" in field.dtype
        if field.name in test.names and (field.kind.name in ("category", "boolean") or whole):
            return str(field.name)
    return None
