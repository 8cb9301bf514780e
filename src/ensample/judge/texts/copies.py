"""Copy check of texts: the longest spans that made texts have in common with training texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from ensample.judge.copies import CopyCheck, Pair, nearer_share, wilson
from ensample.judge.measure import Measure, mean_draws, spread
from ensample.judge.texts.reference import Side, TextReference
from ensample.judge.texts.suffixes import Spans, Suffixes

SPAN, LONG = "copied span", "texts with copies"
MORE = 0.02
"""How much more made than held-out texts with copies are no copying yet."""

CLOSEST = 8


@dataclass(frozen=True)
class TextCopies(CopyCheck):
    """The copy check with what only texts have.

    `to_train` and `to_test` are 1 less the share of a made text that its longest common span takes; `span` is the mean
    length of the longest span found in any training text, with that of held-out texts as its target.

    Arguments:
        span: that measure.
        long: share of made texts with a span of at least `told` characters.
        by_luck: chance of so many exact copies by luck.
        judged: the made texts that were looked at.
        found: their longest spans in the training texts of `learned`, numbers of texts among these.
        learned: the training texts that were looked through.
        marks: which characters of each judged text stand in a span that is long enough to be told, bool [characters].
        told: characters from which on a span is told.
    """

    span: Measure
    long: Measure
    by_luck: float
    judged: Side
    found: Spans
    learned: Side
    marks: tuple[np.ndarray, ...]
    told: int

    @property
    def copied(self) -> bool:
        """Whether made texts hold long spans of training texts, or equal them, clearly more often than held-out ones.

        Short spans do not count: whoever learns from texts takes words and phrases over, and shares them rather with
        these texts than with others.
        """
        return self.repeats or self.long.low > 2 * self.long.target + MORE

    @property
    def repeats(self) -> bool:
        """Whether whole training texts are made again more often than held-out ones, beyond luck."""
        return self.exact.value - self.exact.target > 0.001 and self.by_luck < 0.001

    def sentence(self, ceiling: CopyCheck | None, noun: str) -> str:
        """Whether the texts are copies, in words; beside them what training texts themselves show."""
        told = self.exact if self.repeats else self.long
        plain = ""
        if isinstance(ceiling, TextCopies):
            plain = f" (plain copies: {(ceiling.exact if self.repeats else ceiling.long).value:.1%})"
        return f"{'It copies training texts' if self.copied else 'It did not copy'}: {told.words}{plain}."


def text_copies(reference: TextReference, made: Side) -> TextCopies:
    """Longest common spans of made texts with training and held-out texts, and exact copies.

    Equal numbers of training and held-out texts are drawn: a made text of a model that knows the distribution only has
    as often a longer span in common with the one as with the other.
    """
    learned = reference.learned
    held = reference.held_out(len(learned)).bounded(reference.sizes.characters)
    judged = made.take(np.random.default_rng(reference.seed + 1).permutation(len(made)))
    judged = judged.bounded(reference.sizes.characters)
    size = min(len(held), len(learned))
    first, second = len(learned), len(learned) + len(held)
    suffixes = Suffixes([*learned.texts, *held.texts, *judged.texts], _longest(held, judged))
    mine, real = np.arange(second, second + len(judged)), np.arange(first, second)
    pools = np.arange(size), np.arange(first, first + size)
    near_train, near_test = (suffixes.spans(mine, pool) for pool in pools)
    lengths = np.array([len(text) for text in judged.texts])
    to_train, to_test = (1.0 - near.sizes / np.maximum(lengths, 1) for near in (near_train, near_test))
    witness = near_train.others.clip(min=0), (near_test.others - first).clip(min=0)
    share, luck = nearer_share(to_train, witness[0], to_test, witness[1], size, reference.seed, "text")
    found, usual = suffixes.spans(mine, np.arange(first)), suffixes.spans(real, np.arange(first))
    told = int(np.quantile(usual.sizes, 0.95)) + 1
    long = _long(found.sizes, usual.sizes, told)
    span = _span(found.sizes, usual.sizes, len(learned), reference.seed)
    excess = found.sizes - np.quantile(usual.sizes, 0.5)
    worst = np.argsort(-excess, kind="stable")[:CLOSEST]
    pairs = tuple(Pair(int(k), int(found.others[k]), float(to_train[k]), float(to_test[k])) for k in worst)
    covered = tuple(suffixes.covered(mine, np.arange(first), told))
    exact, by_luck = exact_copies(reference.train, reference.test, made)
    return TextCopies(
        share, exact, luck, to_train, to_test, pairs, span, long, by_luck, judged, found, learned, covered, told
    )


def _longest(*sides: Side) -> int:
    return max(len(text) for side in sides for text in side.texts)


def _span(sizes: np.ndarray, usual: np.ndarray, texts: int, seed: int) -> Measure:
    value, target = float(sizes.mean()), float(usual.mean())
    draws = mean_draws(sizes.astype(np.float64), seed + 1)
    low, high = spread(value, draws, (0.0, float("inf")))
    words = (
        f"the longest span that stands in a training text word for word has {value:.1f} characters in the mean, at "
        f"most {sizes.max():,}; of held-out texts {target:.1f}, at most {usual.max():,}"
    )
    how = f"bootstrap of {len(sizes):,} made texts, against {texts:,} training texts"
    parts = {"longest": float(sizes.max()), "longest held out": float(usual.max())}
    return Measure(SPAN, value, low, high, "nearer", target, words, how, "exact", parts, draws, 1)


def _long(sizes: np.ndarray, usual: np.ndarray, told: int) -> Measure:
    """Share of texts whose longest span is a copy: longer than those of 19 of 20 held-out texts."""
    value, target = float((sizes >= told).mean()), float((usual >= told).mean())
    low, high = wilson(value, len(sizes))
    words = (
        f"{value:.1%} of made texts hold {told} characters and more of a training text word for word; {target:.1%} of "
        "held-out texts do"
    )
    return Measure(LONG, value, low, high, "lower", target, words, f"Wilson, {len(sizes):,} made texts")


def exact_copies(train: Side, test: Side, made: Side) -> tuple[Measure, float]:
    """Share of made texts that equal a training text, and the chance of so many by luck.

    Short texts are met again by anybody who knows how such texts are made, and where the data hold each text once, no
    held-out text ever equals a training one. But a model that knows the distribution only meets each held-out text as
    often as each training text: of the equal ones, the share that equal training texts is binomial.

    Returns:
        The measure, whose target is what the texts equal to held-out ones lead to expect, one more being counted, and
        the chance.
    """
    known, held, own = (_numbers(side) for side in (train, test, made))
    hits, others = int(np.isin(own, known).sum()), int(np.isin(own, held).sum())
    ratio = len(np.unique(known)) / len(np.unique(held))
    share = hits / len(made)
    target = max(float(np.isin(held, known).mean()), min((others + 1) * ratio / len(made), 1.0))
    low, high = wilson(share, len(made))
    words = (
        f"{share:.2%} of made texts equal one of {len(train):,} training texts, {others / len(made):.2%} one of "
        f"{len(test):,} held-out texts"
    )
    luck = float(binom.sf(hits - 1, hits + others, ratio / (1.0 + ratio))) if hits else 1.0
    how = f"Wilson, {len(made):,} made texts"
    return Measure("exact copies", share, low, high, "lower", target, words, how), luck


def _numbers(side: Side) -> np.ndarray:
    """A number for each text, equal for equal texts."""
    return np.array([hash(text) for text in side.texts])
