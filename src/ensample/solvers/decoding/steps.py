"""What happens step by step while rows are written that end at different times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from ensample.solvers.decoding.stopping import Watch

Ended = Literal["end", "stop", "tokens", "stuck"]
"""Why a row is over: it ended by itself, it wrote a stop string, it was long enough, or a constraint left it nothing to
write."""

DROPPED = 4
"""Rows that have ended are dropped when they are at least one in so many: each drop copies what the model remembers."""


@dataclass(frozen=True)
class Step:
    """One class more in each row that is still open.

    `rows` are their numbers, `classes` what they wrote (the number of classes is the end, or that nothing could come),
    `log_probs` the model's log-probability of it before any rule, `ended` why rows are over that end here.
    """

    rows: Sequence[int]
    classes: Sequence[int]
    log_probs: Sequence[float] | None
    ended: dict[int, Ended]


@dataclass
class Passage:
    """What one row wrote.

    `log_probs` holds a number for each class, and behind them one for the end if it ended by itself; it is empty where
    nobody asked.
    """

    classes: list[int] = field(default_factory=list)
    log_probs: list[float] = field(default_factory=list)
    ended: Ended = "tokens"


def collected(steps: Iterable[Step], rows: int) -> list[Passage]:
    """What each of so many rows wrote."""
    passages = [Passage() for _ in range(rows)]
    for step in steps:
        for row, number in zip(step.rows, step.classes, strict=True):
            passages[row].classes.append(number)
        for row, value in zip(step.rows, step.log_probs or (), strict=False):
            passages[row].log_probs.append(value)
        for row, why in step.ended.items():
            passages[row].ended = why
            if why in ("end", "stuck"):
                passages[row].classes.pop()
            if why == "stuck" and passages[row].log_probs:
                passages[row].log_probs.pop()
    return passages


def log_probs_of(logits: Tensor, classes: Tensor) -> list[float]:
    """The log-probability of one class [rows] of each row of logits [rows, classes + 1]."""
    chosen = logits.gather(1, classes[:, None])[:, 0]
    found: list[float] = (chosen.double() - logits.double().logsumexp(1)).tolist()
    return found


def ended_at(classes: list[int], open_: list[bool], end: int, watch: Watch | None, *, last: bool) -> dict[int, Ended]:
    """Places that are over after this step."""
    ended: dict[int, Ended] = {}
    if last:
        ended = {place: "tokens" for place, is_open in enumerate(open_) if is_open}
    if watch is not None:
        stopped = watch.append([0 if number == end else number for number in classes])
        for place, (now, number) in enumerate(zip(stopped, classes, strict=True)):
            if now and open_[place] and number != end:
                ended[place] = "stop"
    if end in classes:
        for place, number in enumerate(classes):
            if number == end and open_[place]:
                ended[place] = "end"
    return ended


def step_of(
    rows: list[int], classes: list[int], told: list[float] | None, ended: dict[int, Ended], open_: list[bool]
) -> Step:
    """What happened in the rows that were open before this step."""
    if all(open_):
        return Step(rows, classes, told, {rows[place]: why for place, why in ended.items()})
    here = [place for place, is_open in enumerate(open_) if is_open]
    return Step(
        [rows[place] for place in here],
        [classes[place] for place in here],
        None if told is None else [told[place] for place in here],
        {rows[place]: why for place, why in ended.items()},
    )
