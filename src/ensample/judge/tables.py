"""Rows of tables as a subject of judging."""

from __future__ import annotations

from typing import Any

from ensample.judge import view
from ensample.judge.doctor import check_data, check_model
from ensample.judge.evaluate import Judgement, ceiling, floor, judge
from ensample.judge.reference import Reference
from ensample.judge.subject import Subject
from ensample.judge.verdict import quality


def detail(reference: Reference, judgement: Judgement) -> dict[str, Any]:
    """What the page shows of rows: columns, pairs, rules, copies."""
    return {
        "columns": view.columns(reference, judgement),
        "matrices": view.matrices(reference, judgement),
        "pairs": view.pairs(reference, judgement),
        "rules": view.rules(reference, judgement),
        "check": judgement.copy,
        "copy_picture": view.copy_picture(judgement),
        "closest": view.closest(reference, judgement),
    }


ROWS = Subject(
    noun="row",
    made=10_000,
    ranked_by="two-sample test with relations",
    columns=(
        ("two-sample test with relations", "relations"),
        ("two-sample test", "two-sample"),
        ("bits", "bits"),
        ("usefulness", "useful"),
        ("column shapes", "shapes"),
        ("pair trends", "pairs"),
        ("coverage", "coverage"),
        ("copy share", "copies"),
    ),
    panels=(
        ("two-sample test with relations", "told apart, relations at hand", "AUC of a classifier, 0.5 is best"),
        ("two-sample test", "told apart", "AUC of a classifier, 0.5 is best"),
        ("bits", "bits per record", "held-out record written with the model as code book"),
        ("usefulness", "usefulness", "skill of a predictor trained on made rows, of one trained on real rows"),
        ("column shapes", "column shapes", "one column at a time"),
        ("pair trends", "pair trends", "two columns at a time"),
        ("coverage", "coverage", "real rows with a made row among their nearest"),
        ("copy share", "copy share", "made rows nearer to training than to held-out rows, 50% is best"),
    ),
    tiles=(
        ("two-sample test", "told apart"),
        ("two-sample test with relations", "told apart with relations"),
        ("bits", "bits per record"),
        ("usefulness", "usefulness"),
        ("coverage", "coverage"),
        ("copy share", "copy share"),
    ),
    floor="every column drawn apart from the others",
    ceiling="the training rows themselves",
    floor_name="shuffled columns",
    ceiling_name="training rows",
    notes=(
        "relations, two-sample: AUC of a classifier that tells made from real rows, 0.5 is best (with relations",
        "between columns at hand, and without); useful: share of the skill of training on real rows; copies: share",
        "nearer to training rows than to held-out rows, 50% is best; ± half of a 95% interval; * no model is better",
        "beyond the noise; floor: columns drawn apart; ceiling: the training rows themselves.",
    ),
    template="rows.html",
    judge=judge,
    make_floor=floor,
    make_ceiling=ceiling,
    check_data=check_data,
    check_model=check_model,
    quality=quality,
    detail=detail,
)
