"""How learning is run: engines, budgets, checkpoints, guards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ensample.errors import CapabilityError
from ensample.families.base import DirectFamily, Family, Fitted, GoesOn, GradientFamily, SummaryFamily
from ensample.kinds.records import Records
from ensample.run import Run

__all__ = ["learn"]


def learn(family: Family, records: Records, seed: int, run: Run, start: Fitted | None = None) -> Any:
    """Learn a family on records with the engine that its protocol asks for.

    Arguments:
        family: the options; one of the three protocols of `ensample.families.base`.
        records: encoded rows, at least one.
        seed: of everything random in the fit.
        run: clock, progress, and the folder from which a stopped run goes on.
        start: a fitted distribution of this family to go on from, instead of a fresh one.

    Returns:
        What the family says that it learns: a `family.distribution`.

    Raises:
        TrainingError: the loss is not finite and going back did not help.
        CapabilityError: there is a `start`, and this family cannot go on from one.
        Interrupted: Ctrl-C, with a folder to go on from.
    """
    if isinstance(family, GradientFamily):
        from ensample.train.gradients import fit_by_gradients

        return fit_by_gradients(family, records, seed, run, start)
    if isinstance(family, SummaryFamily):
        from ensample.train.summaries import fit_by_summaries

        return fit_by_summaries(family, records, seed, run, start=start)
    if isinstance(family, DirectFamily):
        own = replace(run, learner=learn)
        if start is not None and isinstance(family, GoesOn):
            return family.go_on(records, seed, own, start)
        if start is not None:
            raise CapabilityError(
                "Only some families can go on from a fitted model.",
                "start",
                f"{family.name} learns in one go",
                "leave start out, or use a family that learns in steps (autoregressive, flow, mixture, ...)",
            )
        return family.fit(records, seed, own)
    raise TypeError(f"{type(family).__name__} has neither `fit`, nor `summarize`, nor `players`")
