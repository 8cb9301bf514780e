"""`compare` and `report`: the judge, given models to judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ensample.budget import Budget
from ensample.data.dataset import Dataset
from ensample.data.schema import Schema
from ensample.events import Array, Mixed, Ragged
from ensample.families import TABLE, Flat
from ensample.families.base import Distribution, Family, refusal
from ensample.fitting import PICTURES, as_family, fit, read
from ensample.judge.images.extractor import Extractor
from ensample.judge.images.records import picture_of, picture_reference
from ensample.judge.leaderboard import MOST_TEST, MOST_TRAIN, Leaderboard, bounded, compare_on, sampled_from
from ensample.judge.reference import Reference
from ensample.judge.report import Report
from ensample.judge.report import report as judged_report
from ensample.judge.series.records import series_of, series_reference
from ensample.judge.texts.records import forms_of, text_of, text_reference
from ensample.kinds import guess
from ensample.kinds.codecs import codec_of
from ensample.kinds.replies import parted
from ensample.model import Model
from ensample.run import Progress

ALONE = (picture_of, text_of, series_of)
"""Fields that are learned alone: a field of a schema beside given ones, or None."""


def compare(
    train: Any,
    test: Any,
    families: str | Sequence[str | Family] = "all",
    *,
    given: str | Sequence[str] | None = None,
    budget: str | float | Budget = "20m",
    seed: int = 0,
    targets: Sequence[str] | None = None,
    extractor: str | Path | Extractor | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Leaderboard:
    """Fit each family to the same records and say honestly which is best, and whether one copied.

    Tables, texts and series are ranked by a classifier that tries to tell made from real records, pictures by the
    Frechet distance of features.

    Arguments:
        train: records to learn from, anything that `read` takes.
        test: records held out, with the same fields.
        families: "all", one name, or several names and family objects. The floor (independent columns, pixels,
            characters or steps) and the ceiling (the training records themselves) always stand beside them.
        given: fields to condition on; each family makes records for those of the held-out ones.
        budget: for all fits together; judging is not counted.
        seed: of fitting, sampling and judging.
        targets: fields to predict when usefulness is measured (tables); chosen if None.
        extractor: what makes features of pictures: "own" (a small network trained on half of the training pictures,
            the default), "pixels", "efficientnet-lite0", a file of weights, or an object.
        progress: called with each `Progress` report.

    Raises:
        InputError: an unknown family or extractor, fewer than 20 records on a side, or other fields in `test`.
    """
    learn, held_out = (data if isinstance(data, Dataset) else read(data) for data in (train, test))
    kinds = None if learn.schema is None else forms_of(learn.schema)
    schema, _, conditions = parted(guess(learn, kinds), None, given)  # of these records, and none of the held-out ones
    learn = learn.with_schema(schema)
    assert learn.schema is not None
    alone = next((name for of in ALONE if (name := of(learn.schema, conditions)) is not None), None)
    model = None if alone is None else [alone]

    def fitted(data: Dataset, family: Family, share: Budget, number: int) -> Model:
        return fit(data, family, model=model, given=conditions, budget=share, seed=number, progress=progress)

    def told(stage: str, done: float) -> None:
        if progress is not None:
            progress(Progress(stage, done))

    plain = tuple(name for name in learn.names if name not in conditions)
    codec = codec_of(learn.schema, plain if alone is None else (alone,), conditions)
    named = _named(families, codec.event, codec.given_event)
    held_out = held_out.select(list(learn.names))
    chosen = None if targets is None else tuple(targets)
    reference = _reference(learn, held_out, learn.schema, plain, conditions, seed, extractor, chosen)
    parsed = Budget.parse(budget)
    return compare_on(reference, learn, named, fitted, budget=parsed, seed=seed, progress=told)


def report(
    model: Model, test: Dataset, train: Dataset | None, seed: int, extractor: str | Path | Extractor | None = None
) -> Report:
    """Judge one model; see `Model.report`."""
    given = tuple(model.codec.given)
    reference = _reference(train, test, model.schema, tuple(model.codec.model), given, seed, extractor)
    made = sampled_from(model, reference, seed)
    sort = model.can.get("log_prob")
    likelihood = (np.asarray(model.log_prob(reference.scored)), sort) if sort is not None else ()
    asked = reference.subject.ask(model, reference, seed)
    judgement = reference.subject.judge(reference, made, *likelihood, **asked)
    return judged_report(_name(model), reference, judgement)


def _name(model: Model) -> str:
    """What to call a model."""
    if not isinstance(model.family, Flat):
        return model.family.name
    return f"{model.family.of.name} over {'windows' if isinstance(model.codec.event, Ragged) else 'pixels'}"


def _reference(
    train: Dataset | None,
    test: Dataset,
    schema: Schema,
    learned: tuple[str, ...],
    given: tuple[str, ...],
    seed: int,
    extractor: str | Path | Extractor | None = None,
    targets: tuple[str, ...] | None = None,
) -> Any:
    """The real side of judging, of the sort that the learned fields are."""
    if (picture := picture_of(schema, given)) is not None:
        return picture_reference(train, test, schema, picture, given, extractor, seed)
    if (text := text_of(schema, given)) is not None:
        return text_reference(train, test, schema, text, given, seed)
    if (series := series_of(schema, given)) is not None:
        return series_reference(train, test, schema, series, given, seed)
    names = [name for name in schema.names if name in (*learned, *given)]
    known = None if train is None else bounded(train.select(names), MOST_TRAIN, seed)
    held_out = bounded(test.select(names), MOST_TEST, seed)
    return Reference(known, held_out, schema.select(names), given=given, targets=targets, seed=seed)


def _named(
    families: str | Sequence[str | Family], event: Mixed | Ragged | Array, given: Mixed | None
) -> dict[str, Family]:
    """Family objects by the name to show, those of the same name numbered.

    "all" are those that have samples to judge and do not refuse the event.
    """
    chosen: list[str | Family] = [families] if isinstance(families, str) else list(families)
    if chosen == ["all"]:
        drawing = {name: family for name, family in TABLE.items() if issubclass(family.distribution, Distribution)}
        able = [name for name, family in drawing.items() if refusal(family(), event, given) is None]
        chosen = [name for name in able if isinstance(event, Mixed | Ragged) or name.startswith(PICTURES)]
        if isinstance(event, Ragged) and event.fixed:  # and those of tables, over rows of steps
            chosen += [name for name in drawing if name not in able and _learns(name, event, given)]
    named: dict[str, Family] = {}
    for each in chosen:
        family = as_family(each, event)
        shown = each if isinstance(each, str) else family.name
        count = sum(name.partition(" ")[0] == shown for name in named)
        named[shown if not count else f"{shown} {count + 1}"] = family
    return named


def _learns(name: str, event: Ragged, given: Mixed | None) -> bool:
    """Whether a family of tables learns windows as rows, and no other name means the same."""
    family = as_family(name, event)
    return isinstance(family, Flat) and refusal(family, event, given) is None
