"""What a classifier says of made pictures: the wanted class, and whether every class is made as often as it should."""

from __future__ import annotations

import numpy as np

from ensample.judge.copies import wilson
from ensample.judge.measure import DRAWS, Measure, mean_draws, spread

ACCURACY, SHARES = "class accuracy", "class shares"
RARE = 0.1
"""A class is found if it is made at least so often, as a share of how often it should be."""


def accuracy(found: np.ndarray, wanted: np.ndarray, names: tuple[str, ...], seed: int) -> Measure:
    """Share of made pictures in which the classifier finds the class that was asked for.

    Arguments:
        found: class by the classifier, [rows].
        wanted: class asked for, [rows]; -1 is one that the classifier does not know, never right.
        names: of the classes; `parts` has the share of each that was asked for.
        seed: of the replicates.
    """
    right = found == wanted
    value = float(right.mean())
    low, high = wilson(value, len(right))
    parts = {names[k]: float(right[wanted == k].mean()) for k in np.unique(wanted[wanted >= 0])}
    worst = min(parts, key=lambda k: parts[k])
    words = (
        f"{value:.1%} of made pictures show the wanted class to the classifier; least {worst!r} ({parts[worst]:.1%})"
    )
    draws = mean_draws(right.astype(np.float64), seed + 1)
    how = f"Wilson, {len(right):,} made pictures"
    return Measure(ACCURACY, value, low, high, "higher", 1.0, words, how, parts=parts, draws=draws)


def shares(made: np.ndarray, real: np.ndarray, names: tuple[str, ...], seed: int) -> Measure:
    """Furthest that the share of a class among made pictures is from its share among real ones, as a part of that.

    0 if every class is made as often as it should be, 1 if one is never made. Both shares are by the same classifier,
    so that its errors cancel. `parts` are the shares among made pictures.

    Arguments:
        made: class of made pictures by the classifier, [rows].
        real: class of real pictures by the classifier, [rows].
        names: of the classes.
        seed: of the replicates.

    Example:
        >>> found = shares(np.array([0] * 60 + [1] * 40), np.array([0] * 50 + [1] * 50), ("a", "b"), 0)
        >>> round(found.value, 3), found.parts
        (0.2, {'a': 0.6, 'b': 0.4})
    """
    have, want = (np.bincount(side, minlength=len(names)) / len(side) for side in (made, real))
    known = np.flatnonzero(want)
    apart = np.abs(have[known] / want[known] - 1)
    worst, value = known[int(apart.argmax())], float(apart.max())
    drawn = np.random.default_rng(seed + 1).multinomial(len(made), have, DRAWS) / len(made)
    base = np.random.default_rng(seed).multinomial(len(real), want, DRAWS) / len(real)
    draws = np.abs(drawn[:, known] / np.maximum(base[:, known], 0.5 / len(real)) - 1).max(1)
    low, high = spread(value, draws, (0.0, np.inf))
    reached = int((have[known] >= RARE * want[known]).sum())
    words = (
        f"{reached} of {len(known)} classes are made; furthest from its share is {names[worst]!r} with "
        f"{have[worst]:.1%} of made and {want[worst]:.1%} of real pictures"
    )
    parts = {names[k]: float(have[k]) for k in known}
    how = f"bootstrap of {len(made):,} made and {len(real):,} held-out pictures"
    return Measure(SHARES, value, low, high, "lower", 0.0, words, how, parts=parts, draws=draws)
