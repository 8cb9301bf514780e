"""Classifier two-sample test of series: whether recurrent networks can tell made series from held-out real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ensample.judge.measure import Measure, resamples, spread
from ensample.judge.series.classifier import logits
from ensample.judge.series.inputs import inputs
from ensample.judge.series.recurrent import Recipe
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side
from ensample.judge.twosample import FOLDS, WIDER, Scores, reading

TWO_SAMPLE, DISCRIMINATIVE = "two-sample test", "discriminative score"
RECIPE = Recipe(hidden=8, updates=300, batch=64, rate=1e-2, falls=True)


def two_sample(reference: SeriesReference, made: Side, real: Side) -> list[Measure]:
    """Cross-validated AUC of recurrent networks (Lopez-Paz and Oquab 2017), and their discriminative score.

    The score, `|accuracy - 1/2|` (Yoon, Jarrett and van der Schaar 2019), is that of the same networks on series that
    they did not learn from. They read changes beside values and are larger than the published ones, and so tell more;
    figures to hold against published ones come from `discriminative_score`.

    Arguments:
        reference: the real series.
        made: made ones.
        real: as many held-out ones.
    """
    scores = _scores(reference, made, real)
    value, draws = scores.auc, scores.draws(reference.seed)
    low, high = spread(value, draws, (0.0, 1.0))
    how = f"bootstrap of {len(real):,} real and {len(made):,} made series scored out of fold, widened for the refits"
    told = reading(value, low, "record")
    words = f"a recurrent network {told} (AUC {value:.3f})"
    auc = Measure(TWO_SAMPLE, value, low, high, "lower", 0.5, words, how, draws=draws)
    return [auc, _discriminative(scores, reference.seed, how)]


def _discriminative(scores: Scores, seed: int, how: str) -> Measure:
    right = [scores.real <= 0, scores.made > 0]
    weights = resamples(len(right[0]), seed), resamples(len(right[1]), seed + 7_919)
    accuracy = float(np.mean([side.mean() for side in right]))
    each = np.mean([w @ side / len(side) for w, side in zip(weights, right, strict=True)], 0)
    drawn = each.mean() + WIDER * (each - each.mean())
    value = abs(accuracy - 0.5)
    draws = np.sign(accuracy - 0.5) * (drawn - 0.5)
    low, high = spread(value, draws, (0.0, 0.5))
    words = f"a recurrent network is right about {accuracy:.1%} of records, 50% being guesses (score {value:.3f})"
    return Measure(DISCRIMINATIVE, value, low, high, "lower", 0.0, words, how, draws=draws, digits=3)


def _scores(reference: SeriesReference, made: Side, real: Side) -> Scores:
    """Score every series by a network that did not see it; folds are stratified, and learned side by side."""
    rng = np.random.default_rng(reference.seed)
    steps = reference.sizes.steps
    sides = [side.stretches(steps, reference.seed + k) for k, side in enumerate((real, made))]
    most = max(side.steps for side in sides)
    read = [inputs(reference, side, most) for side in sides]
    folds = [rng.permutation(len(side)) % FOLDS for side in sides]
    size = [min(int((fold != k).sum()) for k in range(FOLDS)) for fold in folds]
    learns = [
        tuple(rng.permutation(np.flatnonzero(fold != k))[:count] for fold, count in zip(folds, size, strict=True))
        for k in range(FOLDS)
    ]
    recipe = replace(RECIPE, updates=reference.sizes.updates)
    said = logits(read[0], read[1], learns, recipe, reference.seed)  # type: ignore[arg-type]  # pairs
    own = [each[fold, np.arange(len(fold))] for each, fold in zip(said, folds, strict=True)]
    return Scores(own[0], own[1], folds[0], folds[1])
