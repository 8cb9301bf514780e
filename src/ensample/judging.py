"""`compare` and `report`: the judge, given models to judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ensample.budget import Budget
from ensample.data.dataset import Dataset
from ensample.data.schema import Schema
from ensample.errors import CapabilityError
from ensample.events import Mixed
from ensample.families import TABLE
from ensample.families.base import Family, refusal
from ensample.fitting import as_family, fit, read
from ensample.judge.evaluate import judge
from ensample.judge.leaderboard import MADE, MOST_TEST, MOST_TRAIN, Leaderboard, bounded
from ensample.judge.leaderboard import compare as compare_models
from ensample.judge.reference import Reference
from ensample.judge.report import Report
from ensample.judge.report import report as judged_report
from ensample.kinds import guess
from ensample.kinds.codec import TableCodec
from ensample.kinds.sequence import Sequence as SequenceKind
from ensample.model import Model
from ensample.run import Progress


def compare(
    train: Any,
    test: Any,
    families: str | Sequence[str | Family] = "all",
    *,
    budget: str | float | Budget = "20m",
    seed: int = 0,
    targets: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Leaderboard:
    """Fit each family to the same rows and say honestly which is best, and whether one copied.

    Arguments:
        train: rows to learn from, anything that `read` takes.
        test: rows held out, with the same fields.
        families: "all", one name, or several names and family objects. The floor (independent columns) and the ceiling
            (the training rows themselves) always stand beside them.
        budget: for all fits together; judging is not counted.
        seed: of fitting, sampling and judging.
        targets: fields to predict when usefulness is measured; chosen if None.
        progress: called with each `Progress` report.

    Raises:
        InputError: an unknown family, fewer than 20 rows on a side, or other fields in `test`.
    """
    learn, held_out = (data if isinstance(data, Dataset) else read(data) for data in (train, test))
    kinds = None if learn.schema is None else {field.name: field.kind.name for field in learn.schema}
    learn = learn.with_schema(guess(learn, kinds))  # of these rows alone: nothing of the held-out ones is learned
    assert learn.schema is not None
    _check_plain(learn.schema)

    def fitted(data: Dataset, family: Family, share: Budget, number: int) -> Model:
        return fit(data, family, budget=share, seed=number, progress=progress)

    def told(stage: str, done: float) -> None:
        if progress is not None:
            progress(Progress(stage, done))

    return compare_models(
        learn,
        held_out.select(list(learn.names)),
        _named(families, TableCodec(learn.schema, learn.schema.names).event),
        fitted,
        budget=Budget.parse(budget),
        seed=seed,
        targets=None if targets is None else tuple(targets),
        progress=told,
    )


def report(model: Model, test: Dataset, train: Dataset | None, seed: int) -> Report:
    """Judge one model; see `Model.report`."""
    _check_plain(model.schema)
    names = [name for name in model.schema.names if name in (*model.codec.model, *model.codec.given)]
    held_out = bounded(test.select(names), MOST_TEST, seed)
    learned = None if train is None else bounded(train.select(names), MOST_TRAIN, seed)
    reference = Reference(learned, held_out, model.schema.select(names), seed=seed)
    if model.codec.given:  # as many made rows as held-out ones, each under the same given fields
        conditions = Dataset.from_arrow(held_out.select(list(model.codec.given)))
        made = model.sample(where=conditions, seed=seed + 1)
    else:
        made = model.sample(MADE, seed=seed + 1)
    sort = model.can.get("log_prob")
    likelihood = (np.asarray(model.log_prob(held_out)), sort) if sort is not None else ()
    return judged_report(model.family.name, reference, judge(reference, made.to_arrow(), *likelihood))


def _check_plain(schema: Schema) -> None:
    lists = [field.name for field in schema if isinstance(field.kind, SequenceKind)]
    if lists:
        raise CapabilityError(
            "The judge reads tables of plain fields.",
            f"column {lists[0]!r}",
            "sequences",
            "compare models by the mean log_prob of held-out records",
        )


def _named(families: str | Sequence[str | Family], event: Mixed) -> dict[str, Family]:
    """Family objects by the name to show, those of the same family numbered; "all" that do not refuse the event."""
    chosen: list[str | Family] = [families] if isinstance(families, str) else list(families)
    if chosen == ["all"]:
        chosen = [name for name, family in TABLE.items() if refusal(family(), event, None) is None]
    named: dict[str, Family] = {}
    for each in chosen:
        family = as_family(each)
        count = sum(name.partition(" ")[0] == family.name for name in named)
        named[family.name if not count else f"{family.name} {count + 1}"] = family
    return named
