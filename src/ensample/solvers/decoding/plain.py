"""Writing on, class by class, of many rows that end at different times."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ensample.solvers.continuation import Continuation, Quickens, RunsAhead
from ensample.solvers.decoding.ahead import plan_of, write_ahead
from ensample.solvers.decoding.choices import Choice, Noise
from ensample.solvers.decoding.constraints import Constraint
from ensample.solvers.decoding.rules import Rules, stuck, without_way
from ensample.solvers.decoding.steps import DROPPED, Step, ended_at, log_probs_of, step_of
from ensample.solvers.decoding.stopping import Watch


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
        CapabilityError: the constraint leaves every row with nothing to write; where other rows end well, those that it
            does so are over as "stuck".

    Example:
        >>> from ensample.solvers.decoding import Greedy, collected
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
    if isinstance(continuation, Quickens):
        continuation = continuation.quickened(tokens)
    plan = plan_of(choice, rules, told=log_probs) if constraint is None else None
    if plan is not None and isinstance(continuation, RunsAhead):
        yield from write_ahead(continuation, len(past), tokens, plan, noise, rules.at_least, watch)
        return
    rows, before = list(range(len(past))), past.shape[1]
    whole = torch.nn.functional.pad(past, (0, tokens))
    open_, well = [True] * len(rows), False  # whether a row has ended well
    for written in range(tokens):
        logits = continuation.logits()
        shaped = rules.shaped(logits, whole[:, : before + written], written, constraint)
        lost = [] if constraint is None else [place for place in without_way(shaped) if open_[place]]
        if lost and len(lost) == sum(open_) and not well:
            raise stuck()
        if lost:
            shaped[lost, -1] = 0.0
        chosen = choice.choose(shaped, noise)
        whole[:, before + written] = chosen
        classes, end = chosen.tolist(), logits.shape[1] - 1
        ended = ended_at(classes, open_, end, watch, last=written == tokens - 1)
        ended.update(dict.fromkeys(lost, "stuck"))
        well = well or len(ended) > len(lost)
        told = log_probs_of(logits, chosen) if log_probs else None
        yield step_of(rows, classes, told, ended, open_)
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


def _kept_ended(chosen: Tensor, open_: list[bool], end: int) -> Tensor:
    """The end for every row that is over, whatever it was made to write since."""
    return torch.where(torch.tensor(open_), chosen, end)
