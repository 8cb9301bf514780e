"""Beam search: the most probable texts that a bounded look-ahead finds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ensample.solvers.continuation import Continuation
from ensample.solvers.decoding.constraints import Constraint
from ensample.solvers.decoding.patience import Bound, attainable
from ensample.solvers.decoding.rules import Rules, stuck
from ensample.solvers.decoding.steps import Ended, Passage
from ensample.solvers.decoding.stopping import Watch


@dataclass(frozen=True)
class Hypothesis:
    """One way to go on: `score` is the sum of its log-probabilities under the rules, by its `length` below."""

    total: float
    classes: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    ended: Ended = "tokens"

    def score(self, power: float) -> float:
        """The sum by length to this power; the end counts as a step."""
        return float(self.total / max(1, len(self.log_probs)) ** power)


@dataclass(frozen=True)
class Search:
    """How hypotheses are compared, and when that is over; see `beam_search`."""

    tokens: int
    beams: int
    power: float
    wanted: int
    bound: Bound


@dataclass
class Prompt:
    """The hypotheses of one prompt: `live` ones may go on, `done` ones are over, at most `beams`, the best first."""

    number: int
    live: list[Hypothesis]
    done: list[Hypothesis] = field(default_factory=list)


def beam_search(
    continuation: Continuation,
    past: Tensor,
    tokens: int,
    beams: int,
    rules: Rules,
    *,
    power: float = 1.0,
    wanted: int | None = None,
    bound: Bound = attainable,
    constraint: Constraint | None = None,
    watch: Watch | None = None,
) -> list[list[Passage]]:
    """The best texts of each prompt by the sum of log-probabilities, divided by a power of the length.

    At each step every kept text is extended by every class and the best `beams` are kept (Lowerre 1976); the division
    keeps short texts from winning because they are short (Wu et al. 2016 divide by a like power). A search ends when
    `beams` texts are done and, by the bound, none to come is better than the last of those that are wanted. Use it
    where one best answer is wanted (translation, transcription, completion of code); open-ended text found so is dull
    and repeats itself (Holtzman et al. 2020).

    Arguments:
        continuation: of the prompts; it is used up.
        past: the prompts; see `plain.write`.
        tokens: at most.
        beams: texts kept, at least 1.
        rules: what becomes of the log-probabilities; they are not normalised again.
        power: 0 takes sums as they are.
        wanted: texts, the best of those done; `beams` of them if left out.
        bound: what texts to come are taken for. By `attainable` those wanted are the same as if the search went on to
            the last token; by `patience.at_once` too, where the power is at most 0.
        constraint: what may be written at all.
        watch: looks for stop strings.

    Returns:
        For each prompt up to `wanted` passages, the best first; with the model's own log-probabilities.

    Raises:
        CapabilityError: the constraint leaves nothing to write.
    """
    search = Search(tokens, beams, power, min(wanted or beams, beams), bound)
    # one row a hypothesis, those of a prompt in a row; before the first step there is one
    prompts = [Prompt(number, [Hypothesis(0.0)]) for number in range(len(past))]
    finished = list(prompts)
    for written in range(tokens):
        logits = continuation.logits()
        own = torch.log_softmax(logits, 1)
        shaped = rules.shaped(own, past, written, constraint).double()
        parents, classes = _extended(prompts, own, shaped, search, last=written == tokens - 1)
        stopped = [False] * len(parents)
        if watch is not None and parents:
            watch = watch.take(torch.tensor(parents))
            stopped = watch.append(classes)
        kept = _kept(prompts, stopped, search)
        if not kept:
            break
        rows = torch.tensor([parents[place] for place in kept])
        chosen = torch.tensor([classes[place] for place in kept])
        continuation = continuation.take(rows)
        continuation.append(chosen)
        past = torch.cat([past[rows], chosen[:, None]], 1)
        if constraint is not None:
            constraint = constraint.take(rows)
            constraint.append(chosen)
        watch = None if watch is None else watch.take(torch.tensor(kept))
        prompts = [prompt for prompt in prompts if prompt.live]
    if not all(prompt.done for prompt in finished):
        raise stuck()
    best = [prompt.done[: search.wanted] for prompt in finished]
    return [[Passage(list(h.classes), list(h.log_probs), h.ended) for h in done] for done in best]


def _extended(
    prompts: list[Prompt], own: Tensor, shaped: Tensor, search: Search, *, last: bool
) -> tuple[list[int], list[int]]:
    """Replace the live hypotheses of each prompt by their best extensions; rows these come from, and their classes.

    Extensions by the end go to those that are done, and so do all in the last step.
    """
    parents: list[int] = []
    chosen: list[int] = []
    start, end = 0, shaped.shape[1] - 1
    for prompt in prompts:
        count = len(prompt.live)
        total = torch.tensor([h.total for h in prompt.live], dtype=torch.float64)
        scores = (total[:, None] + shaped[start : start + count]).flatten()
        # of each hypothesis one extension ends: so many are enough for `beams` that do not
        values, places = scores.topk(min(search.beams + count, len(scores)))
        before, prompt.live = prompt.live, []
        for value, place in zip(values.tolist(), places.tolist(), strict=True):
            row, number = divmod(place, end + 1)
            if value == -math.inf:
                break
            told = (*before[row].log_probs, float(own[start + row, number]))
            if number == end:
                _finish(prompt, Hypothesis(value, before[row].classes, told, "end"), search)
            elif last:
                _finish(prompt, Hypothesis(value, (*before[row].classes, number), told), search)
            elif len(prompt.live) < search.beams:
                prompt.live.append(Hypothesis(value, (*before[row].classes, number), told))
                parents.append(start + row)
                chosen.append(number)
        start += count
    return parents, chosen


def _kept(prompts: list[Prompt], stopped: list[bool], search: Search) -> list[int]:
    """Take out hypotheses with a stop string, and all of a prompt whose search is over; places of those that go on."""
    kept, place = [], 0
    for prompt in prompts:
        going: list[int] = []
        live, prompt.live = prompt.live, []
        for hypothesis in live:
            if stopped[place]:
                over = Hypothesis(hypothesis.total, hypothesis.classes, hypothesis.log_probs, "stop")
                _finish(prompt, over, search)
            else:
                prompt.live.append(hypothesis)
                going.append(place)
            place += 1
        if _over(prompt, search):
            prompt.live = []
        else:
            kept += going
    return kept


def _finish(prompt: Prompt, hypothesis: Hypothesis, search: Search) -> None:
    prompt.done.append(hypothesis)
    prompt.done.sort(key=lambda h: -h.score(search.power))  # a stable sort: of equals, the first found stays first
    del prompt.done[search.beams :]


def _over(prompt: Prompt, search: Search) -> bool:
    """Whether nothing that can still come is better than the last that is wanted."""
    if len(prompt.done) < search.beams or not prompt.live:
        return not prompt.live
    best, steps = max(h.total for h in prompt.live), len(prompt.live[0].log_probs)
    to_come = search.bound(best, steps, search.tokens, search.power)
    return bool(to_come <= prompt.done[search.wanted - 1].score(search.power))
