"""Texts against the texts that they should be: BLEU and chrF, by sacrebleu."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ensample.errors import CapabilityError, InputError
from ensample.judge.measure import DRAWS, Measure

GROUPS = 20
"""Groups of pairs that are left out in turn."""

References = Sequence[str] | Sequence[Sequence[str]]
"""One right text for each, or several."""


def bleu(made: Sequence[str], right: References, seed: int = 0, **options: Any) -> Measure:
    """BLEU of a corpus (Papineni et al. 2002), 0 to 100, as sacrebleu counts it (Post 2018).

    Arguments:
        made: texts to judge.
        right: what each should be: a text, or a list of texts that are all right.
        seed: of the interval.
        options: of `sacrebleu.BLEU`, for example `tokenize="zh"`, `lowercase=True`.

    Raises:
        CapabilityError: sacrebleu is not installed.
        InputError: no texts, or not as many right ones.

    Example:
        >>> m = bleu(["the cat sat on the mat", "all is well"], ["the cat sat on the mat", "all was very well"])
        >>> m.name, round(m.value, 1)
        ('BLEU', 75.5)
    """
    metric = _sacrebleu().BLEU(**options)
    return _scored("BLEU", made, right, metric, "shares of runs of one to four words, and length", seed)


def chrf(made: Sequence[str], right: References, seed: int = 0, **options: Any) -> Measure:
    """F-score of n-grams of characters, chrF (Popovic 2015), 0 to 100; with `word_order=2` chrF++.

    Arguments and errors are those of `bleu`; `options` those of `sacrebleu.CHRF`.
    """
    metric = _sacrebleu().CHRF(**options)
    return _scored("chrF", made, right, metric, "runs of one to six characters found, in both directions", seed)


def _scored(name: str, made: Sequence[str], right: References, metric: Any, about: str, seed: int) -> Measure:
    if not len(made) or len(made) != len(right):
        raise InputError(
            "Texts are judged against one right text, or list of them, each.",
            name,
            f"{len(made):,} texts against {len(right):,}",
            "give as many of both",
        )
    lists = [[each] if isinstance(each, str) else list(each) for each in right]
    most = max(len(each) for each in lists)
    columns: list[list[str | None]] = [[each[k] if k < len(each) else None for each in lists] for k in range(most)]

    def score(rows: np.ndarray) -> float:
        references = [[column[i] for i in rows] for column in columns]
        return float(metric.corpus_score([made[i] for i in rows], references).score)

    value = score(np.arange(len(made)))
    draws = _jackknife(score, len(made), value, seed)
    half = 1.96 * float(draws.std())
    low, high = max(value - half, 0.0), min(value + half, 100.0)
    words = f"{value:.1f} of 100: {about} ({len(made):,} pairs; {metric.get_signature()})"
    how = f"jackknife over groups of {len(made):,} pairs"
    return Measure(name, value, low, high, "higher", 100.0, words, how, draws=draws, digits=1)


def _jackknife(score: Callable[[np.ndarray], float], rows: int, value: float, seed: int) -> np.ndarray:
    """Replicates [DRAWS] around the value; groups of pairs are left out in turn."""
    count = min(GROUPS, rows)
    if count < 2:
        return np.full(DRAWS, value)
    group = np.random.default_rng(seed).permutation(rows) % count
    left = np.array([score(np.flatnonzero(group != g)) for g in range(count)])
    weight = np.random.default_rng(seed + 1).standard_normal((DRAWS, count))
    return np.asarray(value + np.sqrt((count - 1) / count) * weight @ (left - left.mean()))


def _sacrebleu() -> Any:
    try:
        from sacrebleu import metrics
    except ImportError as error:
        raise CapabilityError(
            "BLEU and chrF are counted by sacrebleu.", "judging pairs", str(error), "pip install 'ensample[text]'"
        ) from error
    return metrics
