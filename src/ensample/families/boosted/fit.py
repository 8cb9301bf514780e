"""Learning one column of boosted digits: its inputs, its locations, and a classifier for each digit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from ensample.families.bins import Bins
from ensample.families.boosted.adaptive import Adaptive
from ensample.families.boosted.classifier import Classifier, Example, Growth, loss
from ensample.families.boosted.column import Column
from ensample.families.boosted.digits import Digits
from ensample.families.boosted.parallel import Pace
from ensample.families.boosted.residual import Residual
from ensample.families.location import Location, scales_of

PSEUDO_ROWS = 1.0
"""Rows added to either side of a decision before its training share becomes a starting logit."""


@dataclass(frozen=True)
class Target:
    """The span to learn in the rows where it exists: `cells` [rows] float64 counted from cell `zero`, and its bins."""

    cells: np.ndarray
    bins: Bins
    zero: float
    number: bool

    def index(self) -> np.ndarray:
        """Bins [rows] int64."""
        return self.bins.index(torch.from_numpy(np.rint(self.cells + self.zero).astype(np.int64))).numpy()

    def edges(self) -> np.ndarray:
        """Boundaries [bins + 1] counted from zero: halfway between neighbours, and the outer ends."""
        first, last = self.bins.first.numpy().astype(np.float64), self.bins.last.numpy().astype(np.float64)
        return np.concatenate([first[:1], (first[1:] + last[:-1]) / 2, last[-1:]]) - self.zero


def fit_column(
    x: np.ndarray,
    classes: np.ndarray,
    chosen: np.ndarray,
    target: Target,
    held: np.ndarray,
    hidden: np.ndarray | None,
    growth: Growth,
    pace: Pace,
) -> Column:
    """Learn one span.

    Arguments:
        x: [rows, inputs] float64, the chosen inputs of the rows in which the span exists, NaN for absent.
        classes: [inputs] int64, classes of each input, 0 for numbers.
        chosen: [inputs] int64, where these inputs lie in the input matrix.
        target: the span itself.
        held: [rows] bool, rows set apart to stop growing on.
        hidden: [rows, inputs] bool, what a row may not look at, so that any set of inputs will do later; None: nothing.
        growth: how trees are grown.
        pace: gives, for the number of digits left, the question whether this digit has had its time. Where it is
            hurried, the column goes without locations.
    """
    index, cells, learn = target.index(), target.cells, ~held
    locations: tuple[Location | Adaptive, ...] = ()
    residual = None
    if target.number and x.shape[1] and learn.any() and not pace.hurried and len(target.bins) > 2:
        locations = find_locations(x[learn], classes, cells[learn], hidden is not None)
    if hidden is not None:
        x = np.where(hidden, np.nan, x)
    if locations:
        center, spread = locations[0].around(x[learn])
        residual = Residual.fit((locations[0].warp(cells[learn]) - center) / spread)
    shares = _shares(len(target.bins), index[learn])
    depth = Digits(len(target.bins)).depth
    column = Column(
        chosen, target.edges(), shares, np.zeros(depth, dtype=bool), locations, residual, (), hidden is not None
    )
    features = column.features(x)
    classifiers = []
    for level in column.code.path(index):
        rows = np.flatnonzero(level.open)
        check = np.flatnonzero(held[rows])
        answer = level.digit(index)[rows]
        start = column.start(level, features, rows)
        if residual is not None:
            guess = residual.logit(*features.ends(level, rows))
            if loss(guess[check], answer[check]) < loss(start[check], answer[check]):
                column.guided[level.number], start = True, guess
        example = Example(features.of(level, rows), answer, start)
        paced = replace(growth, enough=pace.digit(depth - level.number))
        classifiers.append(Classifier.fit(example.take(np.flatnonzero(~held[rows])), example.take(check), paced))
    return replace(column, classifiers=tuple(classifiers))


def find_locations(
    x: np.ndarray, classes: np.ndarray, cells: np.ndarray, holes: bool
) -> tuple[Location | Adaptive, ...]:
    """A prediction from all inputs, and one from the number that predicts best alone: simple relations stay exact.

    On diamonds the second saves 0.4 bits a row, and a judge that sees x - y falls from 0.66 to 0.53. Where inputs may
    be hidden the first is made from whichever are known, in both scales of the target.
    """
    scales = scales_of(x)
    plain = Location.best(x, classes, cells, scales=scales)
    numbers = [i for i in np.flatnonzero(classes == 0) if not np.isnan(x[:, i]).all()]
    alone = [Location.fit(x, classes, cells, only=np.array([i]), scales=scales) for i in numbers]
    nearest = sorted(alone, key=lambda location: location.spread)
    if not holes:
        return (plain, *nearest[:1])
    other = Location.fit(x, classes, cells, log=bool(np.isnan(plain.log_shift)), scales=scales)
    return (Adaptive.fit(plain, x, cells), Adaptive.fit(other, x, cells), *nearest[:1])


def _shares(bins: int, index: np.ndarray) -> np.ndarray:
    """Log-odds [decisions] of the upper half in the training column, decision 0 unused."""
    code = Digits(bins)
    ones, both = np.zeros(1 << code.depth), np.zeros(1 << code.depth)
    for level in code.path(index):
        both += np.bincount(level.node, minlength=len(both))
        ones += np.bincount(level.node, weights=level.digit(index), minlength=len(both))
    return np.log((ones + PSEUDO_ROWS) / (both - ones + PSEUDO_ROWS))
