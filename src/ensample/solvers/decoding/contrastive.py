"""Contrastive search: probable classes whose state is unlike all states before, so that text does not go round."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from ensample.solvers.continuation import Represents
from ensample.solvers.decoding.constraints import Constraint
from ensample.solvers.decoding.rules import Rules, check_way
from ensample.solvers.decoding.steps import Ended, Step, log_probs_of
from ensample.solvers.decoding.stopping import Watch


def contrast(
    continuation: Represents,
    past: Tensor,
    tokens: int,
    candidates: int,
    weight: float,
    rules: Rules,
    *,
    constraint: Constraint | None = None,
    watch: Watch | None = None,
    log_probs: bool = False,
) -> Iterator[Step]:
    """Write on one row by contrastive search (Su et al. 2022, equation 5); nothing is drawn.

    Of the most probable classes x that one is taken whose `(1 - weight) p(x) - weight max_j cos(h_x, h_j)` is highest,
    where h are the states of the model behind x and behind all classes before, the prompt's too. The end has no state,
    and its second part is 0. Every step computes a step for each candidate.

    Arguments:
        continuation: one row of which nothing is written; it is used up.
        past: the prompt, int64 [1, steps], which is read class by class.
        tokens: at most.
        candidates: how many classes are tried.
        weight: of the second part, from 0 (greedy) to 1.
        rules: what becomes of the model's logits.
        constraint: what may be written at all.
        watch: looks for stop strings.
        log_probs: whether to tell the model's own log-probabilities.

    Raises:
        CapabilityError: the constraint leaves nothing to write.
    """
    states, one = [], torch.zeros(1, dtype=torch.int64)
    for step in past.unbind(1):
        continuation.append(step)
        states.append(F.normalize(continuation.hidden(), dim=1))
    for written in range(tokens):
        logits = continuation.logits()
        end = logits.shape[1] - 1
        shaped = rules.shaped(logits, past, written, constraint)
        if constraint is not None:
            check_way(shaped)
        p, classes = torch.softmax(shaped, 1)[0].topk(min(candidates, end + 1))
        tried = continuation.take(one.expand(len(classes)))
        tried.append(classes.masked_fill(classes == end, 0))
        new = F.normalize(tried.hidden(), dim=1)
        like = (new @ torch.cat(states).T).amax(1) if states else torch.zeros(len(new))
        like = like.masked_fill(classes == end, 0.0)
        score = (1 - weight) * p - weight * like
        place = int(score.masked_fill(p == 0, -torch.inf).argmax())
        number = int(classes[place])
        ended: Ended | None = "tokens" if written == tokens - 1 else None
        if number == end:
            ended = "end"
        elif watch is not None and watch.append([number])[0]:
            ended = "stop"
        told = log_probs_of(logits, classes[place : place + 1]) if log_probs else None
        yield Step([0], [number], told, {} if ended is None else {0: ended})
        if ended is not None:
            return
        continuation = tried.take(one + place)
        states.append(new[place : place + 1])
        past = torch.cat([past, classes[None, place : place + 1]], 1)
        if constraint is not None:
            constraint.append(classes[place : place + 1])
