"""What is judged, rows of tables, pictures, texts or series: how they are measured, and what of it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding


def nothing(model: Any, reference: Any, seed: int) -> dict[str, Any]:
    """Of most models nothing is asked but records and likelihoods."""
    return {}


@dataclass(frozen=True)
class Subject:
    """How one sort of records is judged and shown; a reference says which is its own.

    Arguments:
        noun: what a record is called.
        made: how many are made for the leaderboard.
        ranked_by: the measure that ranks models.
        columns: of the leaderboard: (measure, heading).
        panels: of the page: (measure, heading, what it is).
        tiles: what matters most of one model: (measure, heading).
        floor, ceiling: what stands at both ends, in words.
        floor_name, ceiling_name: the same in two words.
        notes: what the columns of the leaderboard mean.
        template: file of the part of the page that shows one model.
        judge: measures of made records: `judge(reference, table, log_prob, sort, **asked)`.
        make_floor, make_ceiling: records that need no model: `make(reference, count)`.
        check_data, check_model: what to know about the data, about a model's records.
        quality: how good a model is, in one or two sentences.
        detail: what the template shows of one model: `detail(reference, judgement)`.
        ask: what else is asked of a fitted model, as arguments of `judge`: `ask(model, reference, seed)`.
    """

    noun: str
    made: int
    ranked_by: str
    columns: tuple[tuple[str, str], ...]
    panels: tuple[tuple[str, str, str], ...]
    tiles: tuple[tuple[str, str], ...]
    floor: str
    ceiling: str
    floor_name: str
    ceiling_name: str
    notes: tuple[str, ...]
    template: str
    judge: Callable[..., Judgement]
    make_floor: Callable[[Any, int], pa.Table]
    make_ceiling: Callable[[Any, int], pa.Table]
    check_data: Callable[[Any], tuple[Finding, ...]]
    check_model: Callable[[Any, Judgement], tuple[Finding, ...]]
    quality: Callable[[Judgement], str]
    detail: Callable[[Any, Judgement], dict[str, Any]]
    ask: Callable[[Any, Any, int], dict[str, Any]] = nothing
