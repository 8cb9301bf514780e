"""Usefulness: whether a predictor trained on made rows predicts real ones as well as one trained on real rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ensample.errors import InputError
from ensample.judge.discovery import relations
from ensample.judge.frame import Column, Frame
from ensample.judge.measure import DRAWS, Measure, resamples, spread
from ensample.judge.reference import Made, Reference
from ensample.judge.relations import Depends, Formula
from ensample.judge.twosample import weighted_auc

CLASSES = 12
QUARTERS = 4
LEAST_SKILL = 0.05
"""Skill of training on real rows below which there is nothing to keep, so no share of it is taken."""
NAMES = frozenset(("target", "label", "class", "outcome", "income", "price", "value", "churn", "default", "response"))
"""A column whose name ends in one of these is what people want to predict, unless it cannot be predicted at all."""


@dataclass(frozen=True)
class Score:
    """What a predictor reached on held-out rows: skill (R2, or 2 AUC - 1) with its replicates, and what to show."""

    skill: float
    draws: np.ndarray
    shown: dict[str, float]


def utility(reference: Reference, made: Made) -> tuple[Measure, ...]:
    """Train on made rows, test on real ones (Esteban et al., 2017), as a share of what training on real rows gives.

    Gradient boosting on equal numbers of rows for each target. Skill is R2 for a number, 2 AUC - 1 for a category (one
    class against the rest, weighted by frequency). First the mean share over the targets, then each target.
    """
    real = reference.once(_real_scores)
    if not real:
        return ()
    out, ratios, replicates = [], [], []
    for target, best in real.items():
        score = _score(reference, made.frame, target, 1)
        out.append(_measure(reference, reference.test.columns[target], score, best))
        if best.skill > LEAST_SKILL:
            ratios.append(score.skill / best.skill)
            replicates.append(score.draws / np.maximum(best.draws, LEAST_SKILL / 5))
    if ratios:
        value, draws = float(np.mean(ratios)), np.mean(replicates, axis=0)
        low, high = spread(value, draws)
        words = f"a predictor trained on made rows keeps {value:.1%} of the skill of one trained on real rows"
        parts = {m.name: r for m, r in zip(out, ratios, strict=False)}
        how = f"bootstrap of {_tested(reference):,} held-out rows, paired, and the noise of training"
        out.insert(0, Measure("usefulness", value, low, high, "higher", 1.0, words, how, parts=parts, draws=draws))
    return tuple(out)


def _tested(reference: Reference) -> int:
    return min(reference.sizes.utility, len(reference.test))


def _measure(reference: Reference, column: Column, score: Score, best: Score) -> Measure:
    shown, wanted = next(iter(score.shown.items())), next(iter(best.shown.values()))
    draws = score.draws if column.is_number else (score.draws + 1) / 2
    low, high = spread(shown[1], draws)
    words = f"predicting {column.name}: {shown[0]} {shown[1]:.3f} when trained on made rows, {wanted:.3f} on real rows"
    parts = {**score.shown, **{f"{k} of real": v for k, v in best.shown.items()}}
    how = f"bootstrap of {_tested(reference):,} held-out rows, and the noise of training"
    name = f"{shown[0]} of {column.name}"
    return Measure(name, shown[1], low, high, "higher", wanted, words, how, parts=parts, draws=draws)


def _real_scores(reference: Reference) -> dict[int, Score]:
    return {target: _score(reference, reference.train, target, 0) for target in reference.once(targets)}


def _score(reference: Reference, learn: Frame, target: int, side: int) -> Score:
    """Skill of a predictor trained on one side; its replicates hold the noise of the test rows and of the training.

    The first is a bootstrap of the held-out rows; the second is read off predictors trained on quarters of the rows,
    whose variance is four times that of the whole.
    """
    count = min(reference.sizes.utility, len(reference.train))
    learn = learn.sample(count, reference.seed + 2)
    test = reference.test.sample(reference.sizes.utility, reference.seed)
    weights = resamples(len(test), reference.seed)
    ones = np.ones((1, len(test)))
    skill = _Skill(reference, target, test)
    draws, shown = skill(learn, np.vstack([ones, weights]))
    quarters = [skill(learn.take(slice(k, None, QUARTERS)), ones)[0][0] for k in range(QUARTERS)]
    noise = float(np.std(quarters, ddof=1)) / np.sqrt(QUARTERS)
    refit = noise * np.random.default_rng([reference.seed, side]).standard_normal(DRAWS)
    return Score(float(draws[0]), draws[1:] + refit, shown)


class _Skill:
    """Trains a predictor of one target and scores it on the held-out rows under rows of weights."""

    def __init__(self, reference: Reference, target: int, test: Frame) -> None:
        self.target, self.number = target, reference.test.columns[target].is_number
        self.x, self.y, self.known = _split(test, target)
        codes = [k - (k > target) for k in reference.test.categories if k != target]
        self.options = {"categorical_features": codes or None, "early_stopping": False, "random_state": reference.seed}

    def __call__(self, learn: Frame, weights: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
        """Skill [weights] and what to show of it under the first weights."""
        x, y, _ = _split(learn, self.target)
        weights = weights[:, self.known]
        if self.number:
            if len(y) < 2:
                return np.zeros(len(weights)), {"R2": 0.0}
            guess = HistGradientBoostingRegressor(**self.options).fit(x, y).predict(self.x)
            values = r2(self.y, guess, weights)
            return values, {"R2": float(values[0])}
        classes = np.unique(y)
        if len(classes) < 2:
            right = float((self.y == classes[0]).mean()) if len(classes) else 0.0
            return np.zeros(len(weights)), {"AUC": 0.5, "accuracy": right}
        model = HistGradientBoostingClassifier(**_gentle(len(classes)), **self.options).fit(x, y)
        share = model.predict_proba(self.x)
        values = mean_auc(self.y, model.classes_, share, weights)
        right = float((model.classes_[share.argmax(1)] == self.y).mean())
        return 2 * values - 1, {"AUC": float(values[0]), "accuracy": right}


def _gentle(classes: int) -> dict[str, Any]:
    """Settings for several classes, where full steps on rare classes run away."""
    return {} if classes == 2 else {"max_iter": 60, "max_leaf_nodes": 15, "l2_regularization": 1.0}


def _split(frame: Frame, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Other columns and target of the rows that have one, and which rows these are."""
    y = frame.matrix[:, target]
    known = ~np.isnan(y)
    return np.delete(frame.matrix, target, axis=1)[known], y[known], known


def r2(truth: np.ndarray, guess: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Coefficient of determination under each row of weights, [draws]."""
    total = weights.sum(1)
    middle = weights @ truth / total
    wide = weights @ truth**2 / total - middle**2
    left = weights @ (truth - guess) ** 2 / total
    return np.asarray(1 - left / np.maximum(wide, 1e-300))


def mean_auc(truth: np.ndarray, classes: np.ndarray, share: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each class against the rest, weighted by how frequent it is, [draws]."""
    total, mass = np.zeros(len(weights)), 0.0
    present = np.unique(truth)
    for level in present[1:] if len(present) == 2 else present:
        place = np.flatnonzero(classes == level)
        score = share[:, place[0]] if len(place) else np.zeros(len(truth))
        yes = truth == level
        total += yes.mean() * weighted_auc(score[~yes], score[yes], weights[:, ~yes], weights[:, yes])
        mass += yes.mean()
    return np.asarray(total / mass) if mass else np.full(len(weights), 0.5)


def targets(reference: Reference) -> tuple[int, ...]:
    """Positions of the columns to predict: those that were named, else at most one category and one number.

    Of each sort the one that people want to predict, by its name or as the last column, if it can be predicted at all;
    else the one that a small tree predicts best without its being fixed by others.

    Raises:
        InputError: a named column is not there, or cannot be predicted.
    """
    frame = reference.train
    if reference.targets is not None:
        return tuple(_named(frame, name) for name in reference.targets)
    if len(frame.columns) < 2:
        return ()
    small = frame.sample(4_000, reference.seed)
    rules = [r for r in reference.once(relations) if isinstance(r, Formula) or (isinstance(r, Depends) and r.full)]
    fixed = {j for rule in rules if rule.tight for j in rule.columns}
    ranked: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
    for j, column in enumerate(frame.columns):
        skill = 0.0 if j in fixed else _tree_skill(small, j)
        if 0.05 < skill < 0.995:
            named = re.split(r"[^a-z]+", column.name.lower().strip("_ "))[-1] in NAMES
            last = j == len(frame.columns) - 1
            ranked[column.is_number].append((skill + named + last, j))
    return tuple(max(found)[1] for found in (ranked[False], ranked[True]) if found)


def _named(frame: Frame, name: str) -> int:
    fine = name in frame.names and (frame.columns[frame.names.index(name)].levels is None or _classes(frame, name) >= 2)
    if not fine:
        raise InputError(
            "A target is a column of the table that varies and is not an identifier.",
            f"target {name!r}",
            "no such column among those judged",
            f"name one of {', '.join(frame.names[:8])}",
        )
    return frame.names.index(name)


def _classes(frame: Frame, name: str) -> int:
    values = frame.columns[frame.names.index(name)].values
    return len(np.unique(values[~np.isnan(values)]))


def _tree_skill(frame: Frame, target: int) -> float:
    """How much better than a constant a small tree predicts the column on the other half of the rows."""
    x, y, _ = _split(frame, target)
    x = np.nan_to_num(x, nan=-1e9)
    half = len(y) // 2
    if half < 50:
        return 0.0
    learn, test = slice(0, half), slice(half, None)
    if frame.columns[target].is_number:
        if len(np.unique(y)) < 8:
            return 0.0
        tree = DecisionTreeRegressor(min_samples_leaf=20, random_state=0).fit(x[learn], y[learn])
        return float(r2(y[test], tree.predict(x[test]), np.ones((1, len(y[test]))))[0])
    levels, counts = np.unique(y, return_counts=True)
    if not 2 <= len(levels) <= CLASSES or counts.min() < 5:
        return 0.0
    tree = DecisionTreeClassifier(min_samples_leaf=20, random_state=0).fit(x[learn], y[learn])
    base = float((y[test] == levels[counts.argmax()]).mean())
    right = float((tree.predict(x[test]) == y[test]).mean())
    return (right - base) / max(1 - base, 1e-9)
