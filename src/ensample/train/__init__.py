"""How learning is run: engines, budgets, checkpoints, guards."""

from __future__ import annotations

from ensample.families.base import DirectFamily, Distribution, Family, GradientFamily, SummaryFamily
from ensample.kinds.records import Records
from ensample.run import Run

__all__ = ["learn"]


def learn(family: Family, records: Records, seed: int, run: Run) -> Distribution:
    """Learn a family on records with the engine that its protocol asks for.

    Arguments:
        family: the options; one of the three protocols of `ensample.families.base`.
        records: encoded rows, at least one.
        seed: of everything random in the fit.
        run: clock, progress, and the folder from which a stopped run goes on.

    Raises:
        TrainingError: the loss is not finite and going back did not help.
        Interrupted: Ctrl-C, with a folder to go on from.
    """
    if isinstance(family, GradientFamily):
        from ensample.train.gradients import fit_by_gradients

        module: Distribution = fit_by_gradients(family, records, seed, run)
        return module
    if isinstance(family, SummaryFamily):
        from ensample.train.summaries import fit_by_summaries

        return fit_by_summaries(family, records, seed, run)
    if isinstance(family, DirectFamily):
        fitted: Distribution = family.fit(records, seed, run)
        return fitted
    raise TypeError(f"{type(family).__name__} has neither `fit`, nor `summarize`, nor `players`")
