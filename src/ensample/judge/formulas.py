"""Search for formulas between number columns: sums, differences, ratios and products with small residuals."""

from __future__ import annotations

import numpy as np

from ensample.judge.frame import Frame
from ensample.judge.relations import Formula, formula_residual, logarithm

MOST, MOST_RATIOS = 12, 4
SCREENED = 3_000
FAR = 2.0
"""Values further than so many spreads (5 to 95 %) from the median say nothing when formulas are looked for."""
EXACT = 1e-6
TIGHT, LOOSE = 0.1, 0.4
"""Spread of the residual over the target's: below the first a rule of the table, below the second a correlation."""
GAIN = 0.7
"""A further term must bring the residual's spread below this share of what it was."""
FEWEST = 100
NUMBERS = 60


def formulas(frame: Frame) -> tuple[Formula, ...]:
    """Formulas with the smallest residuals, one for each set of columns, in the order of their looseness.

    For every number column as target, in its own units and in logarithms: all single partners and all pairs, and the
    best pairs with every third, screened by correlations of robustly scaled columns; the few that pass are fitted by
    least squares that trims outliers. Ratios of two columns that go together come last.
    """
    numbers = [j for j in frame.numbers if _spread(frame.matrix[:, j]) > 0 and _distinct(frame.matrix[:, j]) >= 8]
    numbers = numbers[:NUMBERS]
    small = frame.take(slice(0, SCREENED))
    best: dict[frozenset[int], Formula] = {}
    ratios: dict[frozenset[int], Formula] = {}
    for log in (False, True):
        usable = [j for j in numbers if not log or _positive(frame.matrix[:, j])]
        if len(usable) < 2:
            continue
        table = small.matrix[:, usable]
        table = np.column_stack([logarithm(c) for c in table.T]) if log else table
        grams = (_gram(table, cut=True), _gram(table, cut=False))
        for place in range(len(usable)):
            for chosen, weights, intercept in _for_target(table, grams, place):
                terms = tuple((usable[j],) for j in chosen)
                _keep(best, _formula(frame, usable[place], terms, tuple(weights), intercept, log))
            if log:
                for j in _goes_with(grams[0], place):
                    _keep(ratios, _refit(frame, usable[place], ((usable[j],),), (1.0,), log=True))
    found = sorted(best.values(), key=lambda f: f.looseness)[:MOST]
    told = {frozenset(f.columns) for f in found if f.tight or f.weights == (1.0,)}
    per = [f for key, f in ratios.items() if key not in told and f.looseness < 2 * LOOSE]
    return (*found, *sorted(per, key=lambda f: f.looseness)[:MOST_RATIOS])


def _goes_with(gram: np.ndarray, place: int) -> list[int]:
    """Partners for a ratio: logarithms that rise and fall together."""
    return [int(j) for j in np.argsort(-gram[place])[:4] if j != place and gram[place, j] > 0.9]


def _keep(best: dict[frozenset[int], Formula], formula: Formula) -> None:
    key = frozenset(formula.columns)
    if key not in best or formula.looseness < 0.95 * best[key].looseness:
        best[key] = formula


_Fit = tuple[tuple[int, ...], np.ndarray, float]
"""Places of the partners, their weights, the intercept."""


def _for_target(table: np.ndarray, grams: tuple[np.ndarray, ...], place: int) -> list[_Fit]:
    """The best single partner, and the best pair and triple if each gains on the one before."""
    found: list[_Fit] = []
    looseness = 1.0
    sets = [list(dict.fromkeys(a + b)) for a, b in zip(*(_screened(g, place) for g in grams), strict=True)]
    for candidates in sets:
        best: tuple[float, _Fit] | None = None
        for chosen in candidates:
            fit = _trimmed(table[:, place], table[:, list(chosen)])
            if fit is not None and (best is None or fit[2] < best[0]):
                best = (fit[2], (chosen, fit[0], fit[1]))
        if best is None or best[0] > (GAIN * looseness if found else LOOSE):
            continue
        if best[0] < TIGHT or len(best[1][0]) == 1:
            looseness = best[0]
            found.append(best[1])
        if looseness < EXACT:
            break
    return found[:1] + found[1:][-1:]


def _screened(gram: np.ndarray, place: int) -> list[list[tuple[int, ...]]]:
    """Sets of one, two and three partners that leave little of the target by the correlations alone."""
    width = len(gram)
    toward = gram[place].copy()
    toward[place] = 0
    singles: list[tuple[int, ...]] = [(int(j),) for j in np.argsort(-np.abs(toward))[:3] if toward[j] ** 2 > 0.6]
    free = np.maximum(1 - gram**2, 1e-9)
    explained = (toward[:, None] ** 2 + toward[None, :] ** 2 - 2 * np.outer(toward, toward) * gram) / free
    explained[(1 - gram**2) < 1e-7] = -1
    explained[place], explained[:, place] = -1, -1
    explained[np.tril_indices(width)] = -1
    best = np.argsort(-explained, axis=None)[:8]
    pairs: list[tuple[int, ...]] = [(int(k // width), int(k % width)) for k in best if explained.flat[k] > 0.9]
    triples: dict[tuple[int, ...], float] = {}
    for pair in pairs:
        rest = _partial(gram, pair)
        gain = np.where(np.diag(rest) > 1e-7, rest[place] ** 2 / np.maximum(np.diag(rest), 1e-9), 0)
        gain[[place, *pair]] = 0
        for third in np.argsort(-gain)[:2]:
            if gain[third] > 0.3 * rest[place, place]:
                triples[tuple(sorted((*pair, int(third))))] = float(rest[place, place] - gain[third])
    return [singles, pairs, sorted(triples, key=triples.__getitem__)[:6]]


def _partial(gram: np.ndarray, pair: tuple[int, ...]) -> np.ndarray:
    """What is left of the products of all columns once those of a pair are projected out."""
    inside = gram[np.ix_(pair, pair)] + 1e-9 * np.eye(2)
    return np.asarray(gram - gram[:, pair] @ np.linalg.solve(inside, gram[pair, :]))


def _gram(table: np.ndarray, cut: bool) -> np.ndarray:
    """Products of columns centred, scaled by robust measures, of length one, missing values at the centre.

    Outliers are cut (which suits heavy tails) or put at the centre (which suits wrong entries).
    """
    out = np.zeros_like(table)
    for j, column in enumerate(table.T):
        known = column[~np.isnan(column)]
        if len(known) >= FEWEST and (scale := _spread(known)) > 0:
            out[:, j] = (column - np.median(known)) / scale
            far = np.clip(out[:, j], -FAR, FAR) if cut else 0.0
            out[:, j] = np.nan_to_num(np.where(np.abs(out[:, j]) < FAR, out[:, j], far))
            out[:, j] -= out[:, j].mean()
            out[:, j] /= np.sqrt((out[:, j] ** 2).sum()) or 1.0
    return np.asarray(out.T @ out)


def _trimmed(target: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, float, float] | None:
    """(weights, intercept, looseness) by least squares without the 3% largest residuals, twice."""
    rows = ~np.isnan(target) & ~np.isnan(others).any(1)
    if rows.sum() < max(FEWEST, 0.3 * len(target)):
        return None
    y, x = target[rows], np.column_stack([others[rows], np.ones(rows.sum())])
    scale = np.maximum(np.abs(x).max(0), 1e-300)
    kept = np.abs(y - np.median(y)) <= FAR * _spread(y)
    for column in x[:, :-1].T:
        kept &= np.abs(column - np.median(column)) <= FAR * _spread(column)
    if kept.sum() < FEWEST:
        return None
    for _ in range(3):
        weights = np.linalg.lstsq(x[kept] / scale, y[kept], rcond=None)[0] / scale
        left = np.abs(y - x @ weights)
        kept = left <= np.quantile(left, 0.97)
    wide = _spread(y)
    return (weights[:-1], float(weights[-1]), _spread(y - x @ weights) / wide) if wide > 0 else None


def _formula(
    frame: Frame,
    target: int,
    terms: tuple[tuple[int, ...], ...],
    weights: tuple[float, ...],
    intercept: float,
    log: bool,
) -> Formula:
    """Try rounder weights, and a sum in place of two equal factors; keep what costs next to nothing."""
    best = _built(frame, target, terms, weights, intercept, log)
    if log and len(terms) >= 2:
        for a in range(len(terms)):
            for b in range(a + 1, len(terms)):
                if abs(weights[a] - weights[b]) < 0.3 * abs(weights[a] + weights[b]):
                    rest = [k for k in range(len(terms)) if k not in (a, b)]
                    joined = (*(terms[k] for k in rest), terms[a] + terms[b])
                    summed = (*(weights[k] for k in rest), weights[a] + weights[b])
                    best = _rounder(frame, _refit(frame, target, joined, summed, log), best)
    return _rounder(frame, best, best)


def _rounder(frame: Frame, formula: Formula, best: Formula) -> Formula:
    """The first of ever less round versions of `formula` that is about as close as `best`."""
    for step in (1.0, 0.5, 0.1):
        weights = tuple(round(w / step) * step for w in formula.weights)
        if all(weights):
            candidate = _refit(frame, formula.target, formula.terms, weights, formula.log)
            if candidate.looseness <= 1.03 * best.looseness + 1e-12:
                return candidate
    return formula if formula.looseness < best.looseness else best


def _refit(
    frame: Frame, target: int, terms: tuple[tuple[int, ...], ...], weights: tuple[float, ...], log: bool
) -> Formula:
    """The formula with these weights and the intercept that centres its residual (zero if that is as good)."""
    right = [frame.matrix[:, list(t)].sum(1) for t in terms]
    left = formula_residual(frame.matrix[:, target], right, weights, 0.0, log)
    return _built(frame, target, terms, weights, float(np.nanmedian(left)), log)


def _built(
    frame: Frame,
    target: int,
    terms: tuple[tuple[int, ...], ...],
    weights: tuple[float, ...],
    intercept: float,
    log: bool,
) -> Formula:
    right = [frame.matrix[:, list(t)].sum(1) for t in terms]
    left = formula_residual(frame.matrix[:, target], right, weights, intercept, log)
    goal = logarithm(frame.matrix[:, target]) if log else frame.matrix[:, target]
    looseness = _spread(left) / max(_spread(goal[~np.isnan(left)]), 1e-300)
    # Residuals of a sum that holds exactly are rounding errors of the arithmetic: nobody breaks a rule by those.
    rounding = 1e-9 * (1.0 if log else float(np.nanquantile(np.abs(goal), 0.95)))
    tolerance = max(float(np.nanquantile(np.abs(left), 0.99)), rounding)
    words = _words(frame.names, target, terms, weights, intercept if abs(intercept) > rounding else 0.0, log)
    return Formula(target, terms, weights, intercept, log, tolerance, looseness, words)


def _words(
    names: tuple[str, ...],
    target: int,
    terms: tuple[tuple[int, ...], ...],
    weights: tuple[float, ...],
    intercept: float,
    log: bool,
) -> str:
    labels = [" + ".join(names[j] for j in term) for term in terms]
    if not log:
        text = " ".join(
            f"{'-' if w < 0 else '+'} {'' if abs(w) == 1 else f'{abs(w):.3g} '}{label}"
            for w, label in zip(weights, labels, strict=True)
        )
        tail = f" {'-' if intercept < 0 else '+'} {abs(intercept):.3g}" if intercept else ""
        return f"{names[target]} = {text.removeprefix('+ ')}{tail}"
    labels = [f"({label})" if len(term) > 1 else label for label, term in zip(labels, terms, strict=True)]
    over = [_power(label, w) for w, label in zip(weights, labels, strict=True) if w > 0]
    under = [_power(label, -w) for w, label in zip(weights, labels, strict=True) if w < 0]
    factor = np.exp(intercept)
    front = [] if abs(factor - 1) < 1e-9 and over else [f"{factor:.3g}"]
    bottom = f" / ({' · '.join(under)})" if len(under) > 1 else f" / {under[0]}" if under else ""
    return f"{names[target]} = {' · '.join(front + over)}{bottom}"


def _power(label: str, weight: float) -> str:
    return label if abs(weight - 1) < 1e-9 else f"{label}^{weight:.2g}"


def _spread(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    if not len(known):
        return 0.0
    low, high = np.quantile(known, (0.05, 0.95))
    return float(high - low)


def _distinct(values: np.ndarray) -> int:
    return len(np.unique(values[~np.isnan(values)]))


def _positive(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    return bool(len(known)) and float((known > 0).mean()) > 0.5
