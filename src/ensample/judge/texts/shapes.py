"""Distances between distributions: of lengths, and of the n-grams of characters and of words."""

from __future__ import annotations

import math

import numpy as np

from ensample.judge.binned import jackknife
from ensample.judge.measure import Measure, resamples, spread
from ensample.judge.texts.tokens import Tokens, counted

LENGTHS, CHARACTERS, WORDS = "length distance", "character n-grams", "word shares"
RUN = 3
"""Characters of the n-grams that are counted."""


def lengths(made: np.ndarray, real: np.ndarray, seed: int, noun: str = "texts", unit: str = "characters") -> Measure:
    """Wasserstein-1 distance of the numbers of characters [texts], as a share of the mean of real texts."""
    scale = max(float(real.mean()), 1.0)
    value = _moved(made, real, np.ones((1, len(made))), np.ones((1, len(real))))[0] / scale
    weights = resamples(len(made), seed + 1), resamples(len(real), seed)
    draws = _moved(made, real, *weights) / scale
    low, high = spread(float(value), draws, (0.0, math.inf))
    words = (
        f"lengths would have to move by {value:.1%} of the mean: made {noun} have {made.mean():,.1f} {unit} in the "
        f"mean (median {np.median(made):,.0f}), real ones {real.mean():,.1f} (median {np.median(real):,.0f})"
    )
    how = f"bootstrap of {len(made):,} made and {len(real):,} held-out {noun}"
    return Measure(LENGTHS, float(value), low, high, "lower", 0.0, words, how, draws=draws)


def _moved(made: np.ndarray, real: np.ndarray, made_weight: np.ndarray, real_weight: np.ndarray) -> np.ndarray:
    """Area between distribution functions under each row of weights, [draws]."""
    known, place = np.unique(np.concatenate([made, real]), return_inverse=True)
    gap = np.zeros((len(made_weight), len(known)))
    for at, weight, sign in ((place[: len(made)], made_weight, 1.0), (place[len(made) :], real_weight, -1.0)):
        order = np.argsort(at, kind="stable")
        sums = np.concatenate([np.zeros((len(weight), 1)), np.cumsum(weight[:, order], axis=1)], axis=1)
        upto = np.searchsorted(at[order], np.arange(len(known)), side="right")
        gap += sign * sums[:, upto] / sums[:, -1:]
    return np.asarray(np.abs(gap[:, :-1]) @ np.diff(known).astype(np.float64))


def characters_distance(made: Tokens, real: Tokens, seed: int) -> Measure:
    """Jensen-Shannon divergence of runs of three characters, in bits: 0 is equal, 1 has nothing in common."""
    return _divergence(made, real, RUN, CHARACTERS, f"runs of {RUN} characters", seed)


def words_distance(made: Tokens, real: Tokens, seed: int) -> Measure:
    """Jensen-Shannon divergence of single words, in bits."""
    return _divergence(made, real, 1, WORDS, "words", seed)


def _divergence(made: Tokens, real: Tokens, n: int, name: str, what: str, seed: int) -> Measure:
    fake, wanted = counted([made, real], n, (seed + 1, seed))

    def score(left: tuple[np.ndarray, ...], right: tuple[np.ndarray, ...]) -> np.ndarray:
        return np.array([divergence(left[0], right[0])])

    value = float(score((wanted.sum(0),), (fake.sum(0),))[0])
    draws = jackknife((wanted,), (fake,), score, seed)[:, 0]
    low, high = spread(value, draws, (0.0, 1.0))
    words = f"{value:.3f} bits between the shares of {what} in made and in real texts (0 is equal, 1 nothing in common)"
    how = f"jackknife over groups of {len(made):,} made and {len(real):,} held-out texts"
    return Measure(name, value, low, high, "lower", 0.0, words, how, draws=draws, digits=3)


def divergence(one: np.ndarray, other: np.ndarray) -> float:
    """Jensen-Shannon divergence of two lists of counts, bits.

    Example:
        >>> divergence(np.array([1.0, 0.0]), np.array([0.0, 3.0])), divergence(np.array([1.0]), np.array([2.0]))
        (1.0, 0.0)
    """
    p, q = one / max(one.sum(), 1e-300), other / max(other.sum(), 1e-300)
    middle = (p + q) / 2

    def against(side: np.ndarray) -> float:
        there = side > 0
        return float((side[there] * np.log2(side[there] / middle[there])).sum())

    return (against(p) + against(q)) / 2
