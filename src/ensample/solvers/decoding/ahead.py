"""Writing on by a continuation that chooses by itself, some classes at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ensample.solvers.continuation import Plan, RunsAhead
from ensample.solvers.decoding.choices import Choice, Greedy, Noise, Sampling
from ensample.solvers.decoding.processors import Temperature
from ensample.solvers.decoding.rules import Rules
from ensample.solvers.decoding.steps import DROPPED, Step, ended_at, step_of
from ensample.solvers.decoding.stopping import Watch

MOST = 64
"""Classes that are chosen at once; the first time one, so that a text begins to appear, then twice as many each time.
"""


def plan_of(choice: Choice, rules: Rules, *, told: bool) -> Plan | None:
    """How to choose as these do, if a plan can say it.

    Example:
        >>> plan_of(Sampling(), Rules((Temperature(0.5),), banned=(3,)), told=False)
        Plan(temperature=0.5, banned=(3,), told=False)
    """
    heat = [processor.temperature for processor in rules.processors if isinstance(processor, Temperature)]
    if len(heat) < len(rules.processors) or len(heat) > 1:
        return None
    if isinstance(choice, Greedy):
        return Plan(0.0, rules.banned, told)
    return Plan(heat[0] if heat else 1.0, rules.banned, told) if isinstance(choice, Sampling) else None


def write_ahead(
    continuation: RunsAhead,
    rows: int,
    tokens: int,
    plan: Plan,
    noise: Noise,
    at_least: int,
    watch: Watch | None = None,
) -> Iterator[Step]:
    """Write on all rows, as `plain.write` does for rules that a plan says.

    Arguments:
        continuation: of the prompts; it is used up.
        rows: how many.
        tokens: at most, of each row; at least 1.
        plan: how to choose.
        noise: for the choice.
        at_least: steps before the end may come.
        watch: looks for stop strings.
    """
    numbers, open_, written, size = list(range(rows)), [True] * rows, 0, 1
    end = continuation.logits().shape[1] - 1
    while written < tokens:
        count = min(size, tokens - written)
        uniform = noise.uniforms(count) if plan.temperature else np.zeros((len(numbers), count))
        classes, told = continuation.ahead(plan, uniform, at_least - written)
        if plan.temperature:
            noise.back(uniform.shape[1] - classes.shape[1])
        for column in range(classes.shape[1]):
            own = classes[:, column].tolist()
            ended = ended_at(own, open_, end, watch, last=written + column == tokens - 1)
            values = told[:, column].tolist() if plan.told else None
            yield step_of(numbers, own, values, ended, open_)
            for place in ended:
                open_[place] = False
            if not any(open_):
                return
        written, size = written + classes.shape[1], min(2 * size, MOST)
        if not all(open_) and (len(open_) - sum(open_)) * DROPPED >= len(open_):
            kept = torch.tensor([place for place, is_open in enumerate(open_) if is_open])
            continuation, noise = continuation.take(kept), noise.take(kept)
            watch = None if watch is None else watch.take(kept)
            numbers, open_ = [numbers[place] for place in kept.tolist()], [True] * len(kept)
