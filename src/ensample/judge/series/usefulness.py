"""Usefulness of made series: how well networks that learned from them foretell held-out real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ensample.judge.measure import Measure, mean_draws, spread
from ensample.judge.series.inputs import CLASSES, points
from ensample.judge.series.recurrent import Recipe, Recurrents, laid, told, train
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side

PREDICTIVE = "predictive score"
NETWORKS = 2
RECIPE = Recipe(hidden=12, updates=300, batch=64, rate=1e-2, falls=True)


def usefulness(reference: SeriesReference, made: Side, real: Side) -> Measure | None:
    """Error on held-out series of networks that learned from made ones to tell the next step.

    What networks get that learned from as many training series is the target. After the predictive score (Yoon,
    Jarrett and van der Schaar 2019), but of all variables, from all of them: of numbers the absolute error in standard
    deviations, of classes one less the probability of the right one; the mean over variables. Figures to hold against
    published ones come from `predictive_score`. None where no series has two steps.
    """
    steps = min(max(made.steps, real.steps), reference.sizes.steps)
    if min(made.steps, real.steps) < 2:
        return None
    usual = reference.once(_usual, len(made), len(real), steps)
    each, parts = _errors(reference, made, real, steps)
    value, target, draws = float(each.mean()), float(usual.mean()), mean_draws(each, reference.seed)
    low, high = spread(value, draws, (0.0, np.inf))
    words = (
        f"a network that learned from made series misses the next step of real ones by {value:.3f} standard deviations "
        f"in the mean; one that learned from real series by {target:.3f}"
    )
    how = f"bootstrap of {len(each):,} held-out series; networks learned from {len(made):,} series"
    return Measure(PREDICTIVE, value, low, high, "lower", target, words, how, parts=parts, draws=draws, digits=3)


def _usual(reference: SeriesReference, count: int, others: int, steps: int) -> np.ndarray:
    """Errors of networks that learned from as many training series."""
    rows = np.random.default_rng(reference.seed + 22).permutation(len(reference.train))[:count]
    return _errors(reference, reference.train.take(rows), reference.held_out(others), steps)[0]


def _errors(
    reference: SeriesReference, learned: Side, told_of: Side, steps: int
) -> tuple[np.ndarray, dict[str, float]]:
    """Mean error of each series that has two steps [records], and that of each variable."""
    sides = [side.stretches(steps, reference.seed + k) for k, side in enumerate((learned, told_of))]
    sides = [side.take(np.flatnonzero(side.lengths > 1)) for side in sides]
    mine, real = (torch.from_numpy(points(reference, side, steps)) for side in sides)
    generator = Generator().manual_seed(reference.seed)
    target = _Target(reference)
    teller = Recurrents(NETWORKS, mine.shape[2], RECIPE.hidden, target.outputs, generator)

    def loss() -> Tensor:
        rows = torch.randint(len(mine), (NETWORKS, min(RECIPE.batch, len(mine))), generator=generator)
        drawn = mine[rows]
        said = teller.told(teller(laid(drawn[:, :, :-1]))).permute(1, 3, 0, 2)  # [networks, rows, steps, outputs]
        errors, there = target.errors(said, drawn, True)
        return (errors * there).sum((1, 2, 3)) / there.sum((1, 2, 3)).clamp(min=1)

    train(teller, loss, replace(RECIPE, updates=reference.sizes.updates))
    errors, there = target.errors(told(teller, real[:, :-1]), real.expand(NETWORKS, -1, -1, -1), False)
    total = (errors * there).sum((0, 2, 3)) / there.sum((0, 2, 3)).clamp(min=1)
    parts = (errors * there).sum((0, 1, 2)) / there.sum((0, 1, 2)).clamp(min=1)
    return total.double().numpy(), dict(zip(target.names, parts.tolist(), strict=True))


class _Target:
    """What the networks tell of a step: where it stands among its coordinates, and how wrong they are.

    Coordinates are those of `points`: numbers, which of them are missing, classes one by one, and whether the step is.
    """

    def __init__(self, reference: SeriesReference) -> None:
        self.count = len(reference.numbers)
        names, at = [reference.names[j] for j in reference.numbers], 2 * self.count
        self.classes: list[slice] = []
        for j in reference.categories:
            levels = reference.train.frame.columns[j].levels
            assert levels is not None
            width = min(len(levels), CLASSES) + 1
            self.classes.append(slice(at, at + width))
            names.append(reference.names[j])
            at += width
        self.names, self.outputs = names, at

    def errors(self, said: Tensor, points: Tensor, learning: bool) -> tuple[Tensor, Tensor]:
        """Error of each variable and whether it counts, [networks, rows, steps - 1, variables].

        Of numbers the networks tell the change from the step before.
        """
        before, step = points[:, :, :-1], points[:, :, 1:]
        here = step[..., -1:]
        moved = step[..., : self.count] - before[..., : self.count]
        error, there = [(said[..., : self.count] - moved).abs()], []
        there.append(here * (1 - step[..., self.count : 2 * self.count]))
        for place in self.classes:
            log_p = (F.log_softmax(said[..., place], -1) * step[..., place]).sum(-1, keepdim=True)
            error.append(-log_p if learning else 1 - log_p.exp())
            there.append(here)
        return torch.cat(error, -1), torch.cat(there, -1)
