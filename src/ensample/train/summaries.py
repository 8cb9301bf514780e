"""The summaries engine: learning from additive sufficient statistics (EM, counts).

Each step passes over all records once: `summarize` every batch, add the statistics up, `update` once. That is EM for
families with latent variables (Dempster, Laird and Rubin 1977) and plain counting for those without. Because statistics
add, records may stream from disk, and the state between steps is nothing but the distribution itself.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from ensample.budget import Clock
from ensample.errors import InputError, Interrupted, TrainingError
from ensample.families.base import Distribution, Fitted, Statistics, SummaryFamily
from ensample.kinds.records import Records
from ensample.run import Progress, Run
from ensample.train.stepwise import InBatches, Stepwise

PART = "summaries"
"""Name of the part of a run that holds the state after the last whole step."""

KEEP_BYTES = 2**30
"""Prepared batches are kept in memory up to this size; later ones are prepared anew in every step."""


@runtime_checkable
class Prepares(Protocol):
    """A summary family that turns a batch, once, into what its steps look at."""

    def prepare(self, current: Any, batch: Any) -> Any:
        """What `summarize_prepared` wants; has `nbytes`, the memory that it will take."""
        ...

    def summarize_prepared(self, current: Any, prepared: Any) -> Statistics:
        """Like `summarize`."""
        ...


@runtime_checkable
class StartsInTime(Protocol):
    """A summary family whose start is a search, which ends in time."""

    def start_within(self, records: Records, seed: int, clock: Clock) -> Distribution:
        """Like `start`, with part of what is left on the clock."""
        ...


@runtime_checkable
class Penalised(Protocol):
    """A summary family whose update maximises the likelihood times a prior."""

    def log_prior(self, current: Any) -> float:
        """Log prior density of the parameters, nats."""
        ...


def fit_by_summaries(
    family: SummaryFamily,
    records: Records,
    seed: int,
    run: Run,
    batch: int = 65_536,
    start: Fitted | None = None,
) -> Distribution:
    """Summarize and update until the objective changes by less than `family.tolerance` nats a record, or time is up.

    The objective is the mean log-likelihood, plus the log prior of the parameters over the number of records if the
    family has one. A family with a `minibatch` learns by stepwise EM (`ensample.train.stepwise`): a step is still a
    pass, and its likelihood that of the rows as they were met. The state is kept in `run` after every step, so a run
    that was killed goes on from there and ends with the same bits.

    Arguments:
        family: what learns.
        records: in memory or in a file; what `prepare` makes of a batch is kept, up to `KEEP_BYTES` in all.
        seed: of the starting point.
        run: its clock, its folder, its reports. A step is also an epoch.
        batch: rows in one call of `summarize`.
        start: a fitted distribution over the same event to go on from, instead of `family.start`.

    Raises:
        TrainingError: the likelihood is not finite.
        InputError: `start` is over another event or of another family.
        Interrupted: Ctrl-C in a run with a folder. Without one, the last whole step is returned with a warning.
    """
    stepwise = None
    if isinstance(family, InBatches) and family.minibatch is not None:
        stepwise = Stepwise(family, records, family.minibatch, seed)
    current, step, before, finished = _begin(family, records, seed, run, start, stepwise)
    passes = _Passes(family, records, batch)
    try:
        while not finished and step < family.steps and not run.clock.over(steps=step, epochs=step):
            began = run.clock.seconds
            if stepwise is None:
                statistics = passes.total(current)
                objective = _objective(family, current, statistics)
                current = family.update(current, statistics)
            else:
                current, statistics = stepwise.passed(current, step)
                objective = _objective(family, current, statistics)
            step += 1
            finished = abs(objective - before) < family.tolerance  # it falls where a component is given up
            before = objective
            state = current.arrays() | ({} if stepwise is None else stepwise.arrays())
            run.keep(PART, state, _facts(current, step, before, finished, run.clock.seconds))
            seconds = max(run.clock.seconds - began, 1e-9)
            share = max(step / family.steps, run.clock.share(steps=step, epochs=step))
            left = min(seconds * (family.steps - step), run.clock.budget.seconds - run.clock.seconds)
            run.report(Progress("EM", min(share, 1.0), -objective, len(records) / seconds, max(left, 0.0)))
    except KeyboardInterrupt:
        _stop(step, run)
    return current


def _begin(
    family: SummaryFamily,
    records: Records,
    seed: int,
    run: Run,
    start: Fitted | None,
    stepwise: Stepwise | None,
) -> tuple[Distribution, int, float, bool]:
    kept = run.kept(PART)
    if kept is None:
        if start is not None and (not isinstance(start, family.distribution) or start.event != records.event):
            raise InputError(
                "Learning by statistics goes on from a model of the same family and fields.",
                f"start, {family.name}",
                f"a {type(start).__name__} over {len(start.event)} spans",
                "leave start out, or learn the same fields",
            )
        if start is None:
            if isinstance(family, StartsInTime):
                start = family.start_within(records, seed, run.clock)
            else:
                start = family.start(records, seed)
        return start, 0, -math.inf, False
    arrays, facts = kept
    run.clock = Clock(run.clock.budget, max(run.clock.seconds, facts["seconds"]))
    if stepwise is not None:
        stepwise.resume(arrays)
    current = family.restore(records.event, records.given, arrays, facts["facts"])
    return current, facts["step"], float.fromhex(facts["objective"]), facts["finished"]


def _facts(current: Distribution, step: int, objective: float, finished: bool, seconds: float) -> dict[str, Any]:
    return {
        "facts": current.facts(),
        "step": step,
        "objective": objective.hex(),
        "finished": finished,
        "seconds": seconds,
    }


def _stop(step: int, run: Run) -> None:
    """After Ctrl-C: say how to go on, or that the last whole step is what there is."""
    if run.folder is not None:
        raise Interrupted(
            f"Stopped at step {step}; nothing is lost. Go on with: ensample resume {run.folder}"
        ) from None
    warnings.warn(
        f"Stopped at step {step}: the model is what was learned so far. A run with a folder (out=...) could go on.",
        stacklevel=4,
    )


def _objective(family: SummaryFamily, current: Distribution, statistics: Statistics) -> float:
    total = float(statistics["log_prob"])
    if isinstance(family, Penalised):
        total += family.log_prior(current)
    if not math.isfinite(total):
        raise TrainingError(
            "The log-likelihood of the training records must be finite.",
            type(family).__name__,
            str(total),
            "look for values far outside the rest, or allow fewer components",
        )
    return total / float(statistics["rows"])


class _Passes:
    """Sums of statistics over all records, with as many prepared batches kept as fit."""

    def __init__(self, family: SummaryFamily, records: Records, batch: int) -> None:
        self.family, self.records, self.rows = family, records, records.parts(batch)
        self.prepared: list[Any] = []
        self.room = KEEP_BYTES

    def total(self, current: Distribution) -> Statistics:
        """Statistics of all records, added in their order."""
        total: Statistics = {}
        for part in self._parts(current):
            for name, value in part.items():
                total[name] = total[name] + value if name in total else value
        return total

    def _parts(self, current: Distribution) -> Iterator[Statistics]:
        family, parts = self.family, self.rows
        if not isinstance(family, Prepares):
            yield from (family.summarize(current, self.records.batch(rows)) for rows in parts)
            return
        for prepared in self.prepared:
            yield family.summarize_prepared(current, prepared)
        for rows in parts[len(self.prepared) :]:
            prepared = family.prepare(current, self.records.batch(rows))
            self.room -= prepared.nbytes
            if self.room >= 0:
                self.prepared.append(prepared)
            yield family.summarize_prepared(current, prepared)
