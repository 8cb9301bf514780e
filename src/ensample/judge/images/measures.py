"""Distances between features of made and of real pictures as measures: value, interval, words."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from ensample.judge.bits import bits
from ensample.judge.images.extractor import probabilities
from ensample.judge.images.frechet import frechet_draws
from ensample.judge.images.kernel import kernel_distances
from ensample.judge.measure import Measure, Sort, resamples, spread

SUBSETS, SUBSET = 100, 1_000
"""Pairs of subsets behind the kernel distance, and rows of each (at most half of what there is)."""

SPLITS = 10
"""Parts whose Inception Scores are averaged."""

FRECHET, KERNEL, SCORE, BITS = "Frechet distance", "kernel distance", "Inception Score", "bits"


def frechet(made: np.ndarray, real: np.ndarray, seed: int) -> Measure:
    """Frechet distance of features [rows, d]; too large for few rows, so compare equal numbers only."""
    value, draws = frechet_draws(made, real, seed)
    low, high = spread(value, draws, (0.0, math.inf))
    words = f"{number(value)} between the means and covariances of made and real features"
    if min(len(made), len(real)) <= made.shape[1]:
        words += f" (too few pictures for {made.shape[1]:,} features: mostly noise)"
    how = f"bootstrap to first order, {len(made):,} made and {len(real):,} held-out pictures"
    return Measure(FRECHET, value, low, high, "lower", 0.0, words, how, draws=draws, digits=digits(value))


def kernel(made: np.ndarray, real: np.ndarray, seed: int) -> Measure:
    """Kernel distance of features [rows, d]: right on average whatever the number of rows, and may be negative."""
    rows = min(len(made), len(real))
    size = max(2, min(SUBSET, rows // 2))
    generators = (np.random.default_rng(seed + 1), np.random.default_rng(seed))  # real subsets: alike for all models
    each = kernel_distances(made, real, SUBSETS, size, *generators)
    value = float(each.mean())
    # a subset has (rows / size) times the variance of the whole, less what subsets of the same rows share
    draws = value + (each - value) * math.sqrt(size / rows / max(1 - size / rows, 0.5))
    low, high = spread(value, draws)
    words = f"{number(value)} between made and real features in the mean (a kernel of degree three)"
    how = f"{SUBSETS} pairs of subsets of {size:,} out of {len(made):,} made and {len(real):,} held-out pictures"
    return Measure(KERNEL, value, low, high, "lower", 0.0, words, how, draws=draws, digits=digits(value, 1))


def inception_scores(logits: np.ndarray, splits: int = SPLITS) -> np.ndarray:
    """`exp(mean KL(p(class | picture) from p(class)))` of consecutive parts (Salimans et al., 2016), [splits].

    Example:
        >>> inception_scores(np.array([[99.0, 0.0], [0.0, 99.0]]), splits=1).tolist()
        [2.0]
    """
    p = probabilities(logits)
    cuts = [k * len(p) // splits for k in range(splits + 1)]
    return np.array([math.exp(_information(p[a:b])) for a, b in pairwise(cuts)])


def score(logits: np.ndarray, seed: int) -> Measure:
    """Inception Score of a classifier's logits [rows, classes]: 1 to the number of classes, blind to real pictures."""
    shuffled = logits[np.random.default_rng(seed + 1).permutation(len(logits))]
    value = float(inception_scores(shuffled, min(SPLITS, len(logits))).mean())
    p = probabilities(logits)
    weights = resamples(len(p), seed + 1) / len(p)
    draws = np.exp(_entropy(weights @ p) - weights @ _entropy(p))
    low, high = spread(value, draws, (1.0, float(logits.shape[1])))
    words = f"{value:.2f} of at most {logits.shape[1]}: how sure the classifier is of single pictures, and how varied"
    how = f"bootstrap of {len(p):,} made pictures, {SPLITS} parts"
    return Measure(SCORE, value, low, high, "higher", float(logits.shape[1]), words, how, draws=draws, digits=2)


def _information(p: np.ndarray) -> float:
    return float(_entropy(p.mean(0)) - _entropy(p).mean())


def _entropy(p: np.ndarray) -> np.ndarray:
    """Nats, over the last axis."""
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1.0))).sum(-1))


def bits_per_dimension(log_prob: np.ndarray, dimensions: int, sort: Sort, seed: int) -> Measure:
    """`-log2 p / dimensions` of held-out pictures, where dimensions = height * width * channels.

    Example:
        >>> nats = np.full(30, -28 * 28 * np.log(2))
        >>> bits_per_dimension(nats, 28 * 28, "exact", 0).value
        1.0
    """
    whole = bits(np.asarray(log_prob, np.float64) / dimensions, sort, seed)
    kind = {"exact": "", "bound": " at most", "estimate": " about"}[sort]
    finite = math.isfinite(whole.value)
    nats = whole.value * dimensions * math.log(2)
    words = f"a held-out picture takes{kind} {whole.value:.3f} bits per dimension ({nats:,.1f} nats)"
    words = words if finite else whole.words.replace("bits", "bits per dimension").replace("records", "pictures")
    return Measure(
        BITS,
        whole.value,
        whole.low,
        whole.high,
        "lower",
        -math.inf,
        words,
        whole.interval,
        sort,
        whole.parts,
        whole.draws,
        3,
    )


def digits(value: float, more: int = 2) -> int:
    """Decimals that show a value to `more` + 1 figures.

    Example:
        >>> digits(123.4), digits(1.29), digits(0.045)
        (0, 2, 4)
    """
    if not math.isfinite(value) or value == 0:
        return more
    return min(max(more - math.floor(math.log10(abs(value))), 0), 6)


def number(value: float) -> str:
    """A distance in three figures.

    Example:
        >>> number(8.4949), number(0.00123)
        ('8.49', '0.00123')
    """
    return f"{value:.{digits(value)}f}"
