"""How varied texts are: different n-grams, likeness among themselves, repetition inside each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ensample.judge.binned import jackknife
from ensample.judge.measure import Measure, mean_draws, resamples, spread
from ensample.judge.texts.tokens import Tokens, counted, grams, mixed

SELF_BLEU, REPETITION, LONGEST_REPEAT = "self-BLEU", "repetition", "longest repeat"
DISTINCT = ("distinct-1", "distinct-2", "distinct-3")
REPEATED = 4
"""Tokens of the n-grams whose return is a repetition."""
FLOOR = 0.1
"""Matches that stand in for none in a BLEU of one text (smoothing 1 of Chen and Cherry 2014)."""


def distinct(made: Tokens, real: Tokens, unit: str, seed: int) -> list[Measure]:
    """Different n-grams as a share of all (Li et al. 2016), n = 1, 2, 3; real texts' own share is the target.

    The share falls with the number of tokens, so both sides are cut to equally many.
    """
    size = min(len(made.ids), len(real.ids))
    made, real = made.first(size), real.first(size)
    out = []
    for n, name in enumerate(DISTINCT, 1):
        fake, target = counted([made, real], n, (seed + 1, seed))

        def share(_: object, stats: tuple[np.ndarray, ...]) -> np.ndarray:
            return np.array([(stats[0] > 0).sum() / max(stats[0].sum(), 1.0)])

        value, wanted = (float(share(None, (side.sum(0),))[0]) for side in (fake, target))
        # leaving a group out is fewer tokens: what that does to all groups alike, the jackknife takes off
        draws = jackknife((target,), (fake,), share, seed)[:, 0]
        low, high = spread(value, draws, (0.0, 1.0))
        kind = {1: f"{unit}s", 2: f"pairs of {unit}s", 3: f"runs of three {unit}s"}[n]
        words = f"{value:.1%} of {kind} are different ones; in as many of real texts {wanted:.1%}"
        how = f"jackknife over groups of texts, {size:,} {unit}s a side"
        out.append(Measure(name, value, low, high, "nearer", wanted, words, how, draws=draws))
    return out


def self_bleu(made: Tokens, real: Tokens, unit: str, seed: int) -> Measure:
    """Mean BLEU of each text with all others as its references (Zhu et al. 2018); equally many texts a side."""
    each, other = self_bleus(made), self_bleus(real)
    value, wanted = float(each.mean()), float(other.mean())
    draws = mean_draws(each, seed + 1)
    low, high = spread(value, draws, (0.0, 1.0))
    words = f"texts are {value:.1%} like each other ({unit} runs of up to four); real ones are {wanted:.1%}"
    how = f"bootstrap of {len(each):,} texts, references held fast"
    return Measure(SELF_BLEU, value, low, high, "nearer", wanted, words, how, draws=draws)


def self_bleus(tokens: Tokens) -> np.ndarray:
    """BLEU-4 of each text against all others, 0 to 1, [texts]; with smoothing `FLOOR`, over the orders it has."""
    rows, lengths = len(tokens), tokens.lengths
    logs, orders = np.zeros(rows), np.zeros(rows)
    for n, keys, owners in grams(tokens, 1, 4):
        clipped, total = _clipped(keys, owners, rows), (lengths - n + 1).clip(min=0)
        there = total > 0
        logs[there] += np.log(np.maximum(clipped[there], FLOOR) / total[there])
        orders += there
    known = orders > 0
    scores = np.zeros(rows)
    scores[known] = np.exp(logs[known] / orders[known]) * _brevity(lengths)[known]
    return scores


def _clipped(keys: np.ndarray, owners: np.ndarray, rows: int) -> np.ndarray:
    """N-grams of each text that others have as well, each counted at most as often as in the one that has most."""
    _, place = np.unique(keys, return_inverse=True)
    pairs, counts = np.unique(place * rows + owners, return_counts=True)
    gram, text = pairs // rows, pairs % rows
    order = np.lexsort((counts, gram))
    gram, text, counts = gram[order], text[order], counts[order]
    last = np.flatnonzero(np.append(gram[1:] != gram[:-1], True)) if len(gram) else order
    ends = np.repeat(last, np.diff(np.concatenate([[-1], last])))  # of each pair's n-gram, where the most stands
    alone = np.concatenate([[True], gram[1:] != gram[:-1]]) if len(gram) else np.zeros(0, bool)
    second = np.where(alone, 0, np.concatenate([[0], counts[:-1]]) if len(gram) else 0)
    most = np.where(np.arange(len(gram)) == ends, second, counts[ends])
    return np.bincount(text, np.minimum(counts, most), rows)


def _brevity(lengths: np.ndarray) -> np.ndarray:
    """Brevity penalty against the text nearest in length (the shorter of two), of each text."""
    known, counts = np.unique(lengths, return_counts=True)
    place = np.searchsorted(known, lengths)
    below = np.where(place > 0, known[place - 1], -(10**9))
    above = np.where(place + 1 < len(known), known[np.minimum(place + 1, len(known) - 1)], 10**9)
    near = np.where(lengths - below <= above - lengths, below, above)
    near = np.where(counts[place] > 1, lengths, near)
    return np.where(near > lengths, np.exp(1.0 - near / np.maximum(lengths, 1)), 1.0)


def repetition(made: Tokens, real: Tokens, unit: str, seed: int) -> list[Measure]:
    """Share of tokens in n-grams that return inside their text, and how long the longest return is, in the mean."""
    found, wanted = (repeated(side) for side in (made, real))
    value, target = (float(r.inside.sum() / max(r.tokens.sum(), 1)) for r in (found, wanted))
    draws = _share_draws(found, seed + 1)
    low, high = spread(value, draws, (0.0, 1.0))
    words = f"{value:.1%} of {unit}s stand in runs of {REPEATED} that return in their text; in real texts {target:.1%}"
    how = f"bootstrap of {len(made):,} texts"
    share = Measure(REPETITION, value, low, high, "nearer", target, words, how, draws=draws)
    mean, usual = float(found.longest.mean()), float(wanted.longest.mean())
    draws = mean_draws(found.longest.astype(np.float64), seed + 1)
    low, high = spread(mean, draws, (0.0, math.inf))
    words = f"the longest run that returns in a text has {mean:.1f} {unit}s in the mean; in real texts {usual:.1f}"
    parts = {"longest of all": float(found.longest.max(initial=0))}
    return [share, Measure(LONGEST_REPEAT, mean, low, high, "nearer", usual, words, how, "exact", parts, draws, 1)]


@dataclass(frozen=True)
class Repeats:
    """Of each text: its tokens, those in n-grams that return, and the longest run that returns (may overlap itself)."""

    tokens: np.ndarray
    inside: np.ndarray
    longest: np.ndarray


def repeated(tokens: Tokens) -> Repeats:
    """Repetition inside each text."""
    inside = np.zeros(len(tokens.ids) + 1, np.int64)
    again = _again(tokens, np.full(len(tokens), REPEATED))
    np.add.at(inside, again, 1)
    np.add.at(inside, again + REPEATED, -1)
    covered = np.bincount(tokens.owners, inside.cumsum()[:-1] > 0, len(tokens))
    low, high = np.zeros(len(tokens), np.int64), (tokens.lengths - 1).clip(min=0)
    while bool((low < high).any()):  # all texts halve their own ranges at once
        middle = (low + high + 1) // 2
        returns = np.zeros(len(tokens), dtype=bool)
        returns[tokens.owners[_again(tokens, middle)]] = True
        low, high = np.where(returns, middle, low), np.where(returns, high, np.minimum(high, middle - 1))
    return Repeats(tokens.lengths, covered, low)


def _again(tokens: Tokens, sizes: np.ndarray) -> np.ndarray:
    """Where runs begin that stand in their text more than once; each text has its own size of runs."""
    powers = np.ones(int(tokens.lengths.max(initial=0)) + 1, np.uint64)
    powers[1:] = np.cumprod(np.full(len(powers) - 1, 0xD1342543DE82EF95, np.uint64))
    if not len(tokens.ids):
        return np.zeros(0, np.int64)
    # hash of a run: sum of its tokens' numbers times powers, from sums up to each place, at the power of the text's end
    inverse = np.uint64(pow(0xD1342543DE82EF95, -1, 2**64))
    at = np.arange(len(tokens.ids)) - tokens.starts[:-1][tokens.owners]
    back = np.ones(len(powers), np.uint64)
    back[1:] = np.cumprod(np.full(len(powers) - 1, inverse, np.uint64))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed(tokens.ids) * powers[at])])
    size = sizes[tokens.owners]
    fits = (size > 0) & (at + size <= tokens.lengths[tokens.owners])
    start = np.flatnonzero(fits)
    run = (sums[start + size[start]] - sums[start]) * back[at[start]]
    keys = mixed(run ^ mixed(tokens.owners[start].astype(np.uint64)))
    _, place, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return start[counts[place] > 1]


def _share_draws(found: Repeats, seed: int) -> np.ndarray:
    weights = resamples(len(found.tokens), seed)
    return np.asarray(weights @ found.inside / np.maximum(weights @ found.tokens, 1))
