"""Writing on, class by class, of many rows that end at different times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from ensample.solvers.continuation import Continuation
from ensample.solvers.decoding.choices import Choice, Noise
from ensample.solvers.decoding.constraints import Constraint
from ensample.solvers.decoding.rules import Rules, check_way
from ensample.solvers.decoding.stopping import Watch

Ended = Literal["end", "stop", "tokens"]
"""Why a row is over: it ended by itself, it wrote a stop string, or it was long enough."""

DROPPED = 4
"""Rows that have ended are dropped when they are at least one in so many: each drop copies what the model remembers."""


@dataclass(frozen=True)
class Step:
    """One class more in each row that is still open.

    `rows` are their numbers, `classes` what they wrote (the number of classes is the end), `log_probs` the model's
    log-probability of it before any rule, `ended` why rows are over that end here.
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
            if why == "end":
                passages[row].classes.pop()
    return passages


def write(
    continuation: Continuation,
    past: Tensor,
    tokens: int,
    choice: Choice,
    noise: Noise,
    rules: Rules,
    *,
    constraint: Constraint | None = None,
    watch: Watch | None = None,
    log_probs: bool = False,
) -> Iterator[Step]:
    """Write on all rows, at most so many classes each.

    Arguments:
        continuation: of the prompts; it is used up.
        past: the prompts, int64 [rows, steps], of which shorter ones begin with the number of classes.
        tokens: at most, of each row; at least 1.
        choice: of the next class from the rules' logits.
        noise: for the choice.
        rules: what becomes of the model's logits.
        constraint: what may be written at all.
        watch: looks for stop strings.
        log_probs: whether to tell the model's own log-probabilities.

    Raises:
        CapabilityError: the constraint leaves nothing to write.

    Example:
        >>> from ensample.solvers.decoding import Greedy
        >>> class Coin:  # writes 1 after 0 and 0 after 1; never ends
        ...     def __init__(self, last):
        ...         self.last = last
        ...     def logits(self):
        ...         return torch.eye(3)[1 - self.last]
        ...     def append(self, classes):
        ...         self.last = classes
        ...     def take(self, rows):
        ...         return Coin(self.last[rows])
        >>> past = torch.tensor([[0], [1]])
        >>> steps = write(Coin(past[:, -1]), past, 3, Greedy(), Noise([0, 1]), Rules())
        >>> [passage.classes for passage in collected(steps, 2)]
        [[1, 0, 1], [0, 1, 0]]
    """
    rows, before = list(range(len(past))), past.shape[1]
    whole = torch.nn.functional.pad(past, (0, tokens))
    open_ = [True] * len(rows)
    for written in range(tokens):
        logits = continuation.logits()
        shaped = rules.shaped(logits, whole[:, : before + written], written, constraint)
        if constraint is not None:
            check_way(shaped)
        chosen = choice.choose(shaped, noise)
        whole[:, before + written] = chosen
        classes, end = chosen.tolist(), logits.shape[1] - 1
        ended = _ended(classes, open_, end, watch, last=written == tokens - 1)
        told = log_probs_of(logits, chosen) if log_probs else None
        yield _step(rows, classes, told, ended, open_)
        for place in ended:
            open_[place] = False
        alive = sum(open_)
        if not alive:
            return
        if constraint is not None:
            constraint.append(_kept_ended(chosen, open_, end))
        if alive < len(rows) and (len(rows) - alive) * DROPPED >= len(rows):
            kept = torch.tensor([place for place, is_open in enumerate(open_) if is_open])
            continuation, noise, whole, chosen = continuation.take(kept), noise.take(kept), whole[kept], chosen[kept]
            constraint = None if constraint is None else constraint.take(kept)
            watch = None if watch is None else watch.take(kept)
            rows, open_ = [rows[place] for place in kept.tolist()], [True] * alive
        elif alive < len(rows):
            chosen = chosen.masked_fill(chosen == end, 0)  # whatever follows an end is never looked at
        continuation.append(chosen)


def log_probs_of(logits: Tensor, classes: Tensor) -> list[float]:
    """The log-probability of one class [rows] of each row of logits [rows, classes + 1]."""
    chosen = logits.gather(1, classes[:, None])[:, 0]
    found: list[float] = (chosen.double() - logits.double().logsumexp(1)).tolist()
    return found


def _ended(classes: list[int], open_: list[bool], end: int, watch: Watch | None, *, last: bool) -> dict[int, Ended]:
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


def _step(
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


def _kept_ended(chosen: Tensor, open_: list[bool], end: int) -> Tensor:
    """The end for every row that is over, whatever it was made to write since."""
    return torch.where(torch.tensor(open_), chosen, end)
