"""Classifier two-sample test: whether a boosted classifier can tell made rows from held-out real ones."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from ensample.judge.discovery import relations
from ensample.judge.frame import Frame
from ensample.judge.measure import Measure, resamples, spread
from ensample.judge.reference import Made, Reference
from ensample.judge.relations import Relation, features

FOLDS = 4
WIDER = math.sqrt(1 + FOLDS / (FOLDS - 1))
"""Rows that a fold is scored by also trained the other folds' classifiers: factor of Nadeau & Bengio (2003) on the
standard deviation; simulated deviations are 1.4 times those of the bootstrap alone."""


def two_sample(reference: Reference, made: Made) -> Measure:
    """Cross-validated AUC of a gradient-boosted classifier on the columns as they are (Lopez-Paz & Oquab, 2017).

    0.5: made and real rows cannot be told apart; 1: each row gives itself away. Equal numbers of real and made rows;
    a missing value is a value, a category is a category.
    """
    return _test(reference, made, "two-sample test", ())


def two_sample_relations(reference: Reference, made: Made) -> Measure:
    """The same with the relations between columns, found on the training rows, handed to the classifier.

    Trees split one column at a time and miss what involves three: a table that keeps each pair can still break
    `total = net + tax` in every row.
    """
    found = reference.once(relations)
    return _test(reference, made, "two-sample test with relations", found)


def _test(reference: Reference, made: Made, name: str, found: tuple[Relation, ...]) -> Measure:
    count = min(reference.sizes.two_sample, len(reference.test), len(made.frame))
    real = reference.test.sample(count, reference.seed)
    fake = made.frame.sample(count, reference.seed + 1)
    scores = cross_scores(_inputs(real, found), _inputs(fake, found), real.categories, reference.seed)
    value, draws = scores.auc, scores.draws(reference.seed)
    low, high = spread(value, draws, (0.0, 1.0))
    how = f"bootstrap of {count:,} real and {count:,} made rows scored out of fold, widened for the {FOLDS} refits"
    extra = f", also given {len(found)} relations found in the training rows" if found else ""
    words = f"a boosted classifier{extra} {reading(value, low)} (AUC {value:.3f})"
    return Measure(name, value, low, high, "lower", 0.5, words, how, draws=draws)


def reading(value: float, low: float, noun: str = "row") -> str:
    """What an AUC and the lower end of its interval say of made and real records, without a subject."""
    same = f"made {noun}s from real ones"
    if low <= 0.5:
        return f"cannot tell {same}"
    readings = (
        (0.55, f"hardly tells {same}"),
        (0.65, f"tells {same} now and then"),
        (0.8, f"often tells {same}"),
        (0.95, f"mostly tells {same}"),
    )
    return next(
        (words for limit, words in readings if value < limit), f"tells nearly every made {noun} from a real one"
    )


def _inputs(frame: Frame, found: tuple[Relation, ...]) -> np.ndarray:
    return np.hstack([frame.matrix, features(found, frame)]) if found else frame.matrix


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of real and made rows, and the fold of each row."""

    real: np.ndarray
    made: np.ndarray
    real_fold: np.ndarray
    made_fold: np.ndarray

    @property
    def auc(self) -> float:
        """Mean of the folds' areas under the ROC curve."""
        ones = np.ones((1, len(self.real)), dtype=np.int32)
        return float(self._aucs(ones, np.ones((1, len(self.made)), dtype=np.int32))[0])

    def draws(self, seed: int) -> np.ndarray:
        """Bootstrap replicates [DRAWS]; the resampling of real rows depends on the seed alone."""
        draws = self._aucs(resamples(len(self.real), seed), resamples(len(self.made), seed + 7_919))
        return np.asarray(draws.mean() + WIDER * (draws - draws.mean()))

    def _aucs(self, real_weight: np.ndarray, made_weight: np.ndarray) -> np.ndarray:
        total = np.zeros(len(real_weight))
        folds = np.unique(self.real_fold)
        for fold in folds:
            r, m = self.real_fold == fold, self.made_fold == fold
            total += weighted_auc(self.real[r], self.made[m], real_weight[:, r], made_weight[:, m])
        return total / len(folds)


def cross_scores(real: np.ndarray, made: np.ndarray, categories: tuple[int, ...], seed: int) -> Scores:
    """Score every row by a classifier that did not see it; folds are stratified."""
    rng = np.random.default_rng(seed)
    real_fold, made_fold = (rng.permutation(len(side)) % FOLDS for side in (real, made))
    both = np.vstack([real, made])
    label = np.r_[np.zeros(len(real)), np.ones(len(made))]
    fold = np.r_[real_fold, made_fold]
    scores = np.zeros(len(both))
    for k in range(FOLDS):
        judge = HistGradientBoostingClassifier(
            categorical_features=list(categories) or None, early_stopping=False, random_state=seed
        )
        judge.fit(both[fold != k], label[fold != k])
        scores[fold == k] = judge.decision_function(both[fold == k])
    return Scores(scores[: len(real)], scores[len(real) :], real_fold, made_fold)


def weighted_auc(real: np.ndarray, made: np.ndarray, real_weight: np.ndarray, made_weight: np.ndarray) -> np.ndarray:
    """P(made score > real score) + half of P(equal) under each row of weights.

    Scores [n] and [m], weights [draws, n] and [draws, m]; returns [draws].

    Example:
        >>> one = np.ones((1, 2), dtype=int)
        >>> weighted_auc(np.array([0.0, 1.0]), np.array([1.0, 2.0]), one, one).tolist()
        [0.875]
    """
    _, place = np.unique(np.r_[real, made], return_inverse=True)
    order_r, order_m = np.argsort(place[: len(real)], kind="stable"), np.argsort(place[len(real) :], kind="stable")
    sorted_r, sorted_m = place[: len(real)][order_r], place[len(real) :][order_m]
    below = np.searchsorted(sorted_r, sorted_m, side="left")
    upto = np.searchsorted(sorted_r, sorted_m, side="right")
    summed = np.zeros((len(real_weight), len(real) + 1), dtype=np.float64)
    np.cumsum(real_weight[:, order_r], axis=1, out=summed[:, 1:])
    wins = ((summed[:, below] + summed[:, upto]) * 0.5 * made_weight[:, order_m]).sum(1)
    pairs = summed[:, -1] * made_weight.sum(1)
    return np.asarray(np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5))
