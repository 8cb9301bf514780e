"""What held-out texts cost under a model: bits per character and per byte, perplexity."""

from __future__ import annotations

import math

import numpy as np

from ensample.judge.bits import bits as bits_of_records
from ensample.judge.measure import Measure, Sort, resamples, spread
from ensample.judge.texts.tokens import codes

BITS, BYTES, PERPLEXITY = "bits", "bits per byte", "perplexity"


def likelihood(
    log_prob: np.ndarray, texts: list[str], tokens: np.ndarray | None, sort: Sort = "exact", seed: int = 0
) -> list[Measure]:
    """Bits per character and per byte of UTF-8, and perplexity per token, of held-out texts.

    Sums over all texts are divided, so that long texts count as long; the end of a text is paid for and is no
    character. Bits do not depend on how a model cuts texts into tokens; perplexity does: compare it for one tokenizer.

    Arguments:
        log_prob: nats of each text, its end included, [texts].
        texts: the same texts.
        tokens: tokens of each text, its end included, [texts]; None leaves perplexity out.
        sort: whether the log-probabilities are exact, bounds or estimates.
        seed: of the bootstrap.

    Example:
        >>> each = likelihood(np.log(np.full(4, 0.25)), ["ab", "é", "xy", "z"], np.full(4, 2))
        >>> [round(m.value, 3) for m in each]
        [1.333, 1.143, 2.0]
    """
    nats = -np.asarray(log_prob, np.float64)
    if not np.isfinite(nats).all():
        whole = bits_of_records(-nats, sort, seed)
        words = whole.words.replace("records", "texts").replace("bits", "bits each")
        return [Measure(BITS, whole.value, whole.low, whole.high, "lower", 0.0, words, whole.interval, sort, digits=3)]
    weights = resamples(len(nats), seed).astype(np.float64)
    about = {"exact": "", "bound": " at most", "estimate": " about"}[sort]
    how = f"bootstrap of {len(nats):,} held-out texts"
    out = []
    sizes = np.array([len(text) for text in texts], np.float64)
    for name, size, unit in ((BITS, sizes, "character"), (BYTES, bytes_of(texts), "byte")):
        value, draws = _ratio(nats / math.log(2), size, weights)
        low, high = spread(value, draws, (0.0, math.inf))
        words = f"a held-out text takes{about} {value:.3f} bits per {unit} ({value * math.log(2):.3f} nats)"
        out.append(Measure(name, value, low, high, "lower", 0.0, words, how, sort, {}, draws, 3))
    if tokens is not None:
        mean, draws = _ratio(nats, tokens.astype(np.float64), weights)
        value, draws = math.exp(min(mean, 700.0)), np.exp(np.minimum(draws, 700.0))
        low, high = spread(value, draws, (1.0, math.inf))
        words = f"as uncertain of the next token as of {value:.4g} equally likely ones (ends of texts are tokens)"
        digits = 2 if value < 1_000 else 0
        out.append(Measure(PERPLEXITY, value, low, high, "lower", 1.0, words, how, sort, {}, draws, digits))
    return out


def _ratio(top: np.ndarray, bottom: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
    """Sum over sum, and its replicates."""
    whole = max(float(bottom.sum()), 1.0)
    return float(top.sum()) / whole, np.asarray(weights @ top / np.maximum(weights @ bottom, 1.0))


def bytes_of(texts: list[str]) -> np.ndarray:
    """Bytes of each text in UTF-8, float64 [texts].

    Example:
        >>> bytes_of(["a", "é", "漢字", ""]).tolist()
        [1.0, 2.0, 6.0, 0.0]
    """
    points = codes(texts)
    each = 1.0 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
    owners = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    return np.bincount(owners, each, len(texts))
