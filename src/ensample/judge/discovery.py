"""All relations that the judges find by themselves."""

from __future__ import annotations

from ensample.judge.dependencies import dependencies, orders
from ensample.judge.formulas import formulas
from ensample.judge.reference import Reference
from ensample.judge.relations import Relation


def relations(reference: Reference) -> tuple[Relation, ...]:
    """Search the training rows: formulas of up to four columns, dependencies between values, orders. Tightest first."""
    frame = reference.train.sample(reference.sizes.relations, reference.seed)
    found = formulas(frame)
    return (*found, *dependencies(frame), *orders(frame, {f.columns for f in found if f.tight}))
