"""Speculative decoding: a small model drafts, a large one checks; the text is the large one's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ensample.solvers.continuation import Continuation, Rewindable
from ensample.solvers.decoding.choices import Choice, Noise, drawn
from ensample.solvers.decoding.constraints import Constraint
from ensample.solvers.decoding.rules import Rules, check_way
from ensample.solvers.decoding.steps import Ended, Step, log_probs_of
from ensample.solvers.decoding.stopping import Watch


@dataclass(frozen=True)
class Place:
    """Where a text stands before its next class: all `past` classes [1, steps], how many of them are new."""

    past: Tensor
    written: int
    constraint: Constraint | None

    def after(self, number: int) -> Place:
        """One class on, which is not the end."""
        constraint, added = self.constraint, torch.tensor([number])
        if constraint is not None:
            constraint = constraint.take(torch.zeros(1, dtype=torch.int64))
            constraint.append(added)
        return Place(torch.cat([self.past, added[None]], 1), self.written + 1, constraint)

    def probabilities(self, logits: Tensor, rules: Rules, choice: Choice) -> Tensor:
        """How the next class is distributed, float64 [1, classes + 1]."""
        shaped = rules.shaped(logits, self.past, self.written, self.constraint)
        if self.constraint is not None:
            check_way(shaped)
        return choice.probabilities(shaped.double())


@dataclass(frozen=True)
class Draft:
    """Proposed classes (the last may be the end), the distribution of each, and the place before each and at last."""

    classes: list[int]
    q: list[Tensor]
    places: list[Place]


def speculate(
    target: Continuation,
    draft: Continuation,
    past: Tensor,
    tokens: int,
    choice: Choice,
    noise: Noise,
    rules: Rules,
    *,
    ahead: int = 4,
    constraint: Constraint | None = None,
    watch: Watch | None = None,
    log_probs: bool = False,
) -> Iterator[Step]:
    """Write on one row, with the distribution of `plain.write` exactly (Leviathan, Kalman and Matias 2023, theorem 1).

    The draft proposes classes x from its q; the target, which sees all of them at once, keeps each with probability
    min(1, p(x) / q(x)); in place of the first that it does not keep comes one from max(0, p - q), normalised. Both p
    and q are what the rules and the choice make of the models' logits. Faster where the draft is much cheaper than the
    target, often right, and one call for several classes costs the target little more than one for one.

    Arguments:
        target: of one prompt; it is used up. One that is `Rewindable` checks all drafted classes in one call.
        draft: of the same prompt, over the same classes; it is used up.
        past: the prompt, int64 [1, steps].
        tokens: at most.
        choice: of the next class from the rules' logits.
        noise: of one row.
        rules: what becomes of the logits of both models.
        ahead: classes drafted at once, at least 1.
        constraint: what may be written at all.
        watch: looks for stop strings.
        log_probs: whether to tell the target's own log-probabilities.

    Raises:
        CapabilityError: the constraint leaves nothing to write.
    """
    own, quick = _rewindable(target, ahead + 1), _rewindable(draft, ahead + 1)
    place, end = Place(past, 0, constraint), draft.logits().shape[1] - 1
    pending: list[int] = []  # what is written and neither model has seen
    while True:
        proposed = _drafted(quick, pending, place, min(ahead, tokens - place.written), choice, noise, rules)
        seen = [number for number in proposed.classes if number != end]
        logits = _after(own, pending, seen)
        accepted, classes = _checked(logits, proposed, choice, noise, rules)
        for at, number in enumerate(classes[: tokens - place.written]):
            ended = _why(number, end, watch, last=place.written + at == tokens - 1)
            told = log_probs_of(logits[at : at + 1], torch.tensor([number])) if log_probs else None
            yield Step([0], [number], told, {} if ended is None else {0: ended})
            if ended is not None:
                return
        own.rewind(len(seen) - accepted)
        quick.rewind(len(seen) - accepted)
        pending = classes[-1:]
        place = proposed.places[accepted].after(pending[0])


def _drafted(
    draft: Rewindable, pending: list[int], place: Place, ahead: int, choice: Choice, noise: Noise, rules: Rules
) -> Draft:
    found = Draft([], [], [place])
    for number in pending:
        draft.append(torch.tensor([number]))
    for _ in range(ahead):
        q = place.probabilities(draft.logits(), rules, choice)
        number = int(drawn(q, noise.uniform()))
        found.q.append(q[0])
        found.classes.append(number)
        if number == q.shape[1] - 1:
            break
        draft.append(torch.tensor([number]))
        place = place.after(number)
        found.places.append(place)
    return found


def _after(target: Rewindable, pending: list[int], drafted: list[int]) -> Tensor:
    """The target's logits before each drafted class and behind the last, [drafted + 1, classes + 1]."""
    first = [] if pending else [target.logits()]
    classes = pending + drafted
    more = [target.extend(torch.tensor([classes]))[0]] if classes else []
    return torch.cat(first + more)


def _checked(logits: Tensor, proposed: Draft, choice: Choice, noise: Noise, rules: Rules) -> tuple[int, list[int]]:
    """How many drafted classes are kept, and all that is written: these and one more, unless the last is the end."""
    kept: list[int] = []
    for at, (number, q) in enumerate(zip(proposed.classes, proposed.q, strict=True)):
        p = proposed.places[at].probabilities(logits[at : at + 1], rules, choice)
        if float(noise.uniform()) * float(q[number]) < float(p[0, number]):
            kept.append(number)
            continue
        rest = (p - q).clamp(min=0.0)
        other = rest if bool(rest.sum() > 0) else p  # equal but for rounding
        return at, [*kept, int(drawn(other, noise.uniform()))]
    if kept[-1] == logits.shape[1] - 1:
        return len(kept) - 1, kept
    p = proposed.places[-1].probabilities(logits[-1:], rules, choice)
    return len(kept), [*kept, int(drawn(p, noise.uniform()))]


def _why(number: int, end: int, watch: Watch | None, *, last: bool) -> Ended | None:
    if number == end:
        return "end"
    if watch is not None and watch.append([number])[0]:
        return "stop"
    return "tokens" if last else None


class _Stepwise:
    """Any continuation, rewindable by at most `kept` steps: class by class, by copies of all that it remembers."""

    def __init__(self, continuation: Continuation, kept: int) -> None:
        self._now, self._before, self._kept = continuation, list[Continuation](), kept

    def logits(self) -> Tensor:
        return self._now.logits()

    def append(self, classes: Tensor) -> None:
        self._before.append(self._now)
        del self._before[: -self._kept]
        self._now = self._now.take(torch.zeros(1, dtype=torch.int64))
        self._now.append(classes)

    def take(self, rows: Tensor) -> _Stepwise:
        return _Stepwise(self._now.take(rows), self._kept)

    def extend(self, classes: Tensor) -> Tensor:
        found = []
        for step in classes.unbind(1):
            self.append(step)
            found.append(self.logits())
        return torch.stack(found, 1)

    def rewind(self, steps: int) -> None:
        for _ in range(steps):
            self._now = self._before.pop()


def _rewindable(continuation: Continuation, kept: int) -> Rewindable:
    return continuation if isinstance(continuation, Rewindable) else _Stepwise(continuation, kept)
