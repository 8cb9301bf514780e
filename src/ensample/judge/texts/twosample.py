"""Classifier two-sample test of texts: whether a linear classifier of character n-grams tells made from real."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from ensample.judge.measure import Measure, spread
from ensample.judge.texts.tokens import Tokens, grams, mixed
from ensample.judge.twosample import FOLDS, Scores, reading

TWO_SAMPLE = "two-sample test"
FEATURES = 2**17
"""Places that n-grams are hashed to."""
ORDERS = (1, 5)
"""Lengths of the n-grams of characters, the ends of a text among them."""


def two_sample(made: Tokens, real: Tokens, seed: int) -> Measure:
    """Cross-validated AUC of a logistic regression on hashed n-grams of characters (Lopez-Paz and Oquab 2017).

    Features are logarithms of counts, weighted by how rare they are and scaled to unit length, as for sorting texts by
    topic or author, and the logarithm of the length. 0.5: made and real texts cannot be told apart by these; it does
    not read for sense.

    Arguments:
        made: characters of made texts.
        real: characters of as many real texts.
        seed: of folds and bootstrap.
    """
    scores = _scores(features([real, made]), len(real), seed)
    value, draws = scores.auc, scores.draws(seed)
    low, high = spread(value, draws, (0.0, 1.0))
    how = f"bootstrap of {len(real):,} real and {len(made):,} made texts scored out of fold, widened for the refits"
    words = f"a classifier of runs of characters {reading(value, low, 'text')} (AUC {value:.3f})"
    return Measure(TWO_SAMPLE, value, low, high, "lower", 0.5, words, how, draws=draws)


def features(sides: list[Tokens]) -> sparse.csr_matrix:
    """Features of all texts of the sides, one after the other, sparse float64 [texts, FEATURES + 1]."""
    owners, places, first = [], [], 0
    for side in sides:
        for n, keys, own in grams(_ended(side), *ORDERS):
            places.append((mixed(keys + np.uint64(n)) % np.uint64(FEATURES)).astype(np.int64))
            owners.append(own + first)
        first += len(side)
    pairs, counts = np.unique(np.concatenate(owners) * FEATURES + np.concatenate(places), return_counts=True)
    rows, columns = pairs // FEATURES, pairs % FEATURES
    rarity = np.log((1.0 + first) / (1.0 + np.bincount(columns, minlength=FEATURES))) + 1.0
    values = (1.0 + np.log(counts)) * rarity[columns]
    values /= np.sqrt(np.bincount(rows, values**2, first))[rows]
    table = sparse.csr_matrix((values, (rows, columns)), (first, FEATURES))
    size = np.log1p(np.concatenate([side.lengths for side in sides]))
    size = (size - size.mean()) / max(float(size.std()), 1e-9)
    return sparse.hstack([table, sparse.csr_matrix(size[:, None] * 0.3)], "csr")


def _ended(side: Tokens) -> Tokens:
    """The same with a sign at both ends of each text."""
    lengths = side.lengths + 2
    ids = np.full(int(lengths.sum()), 0x110000, np.uint64)
    at = np.repeat(lengths.cumsum() - lengths - (side.lengths.cumsum() - side.lengths), side.lengths)
    ids[at + np.arange(len(side.ids)) + 1] = side.ids
    return Tokens(ids, lengths, np.zeros((len(ids), 2), np.int64))


def _scores(table: sparse.csr_matrix, real: int, seed: int) -> Scores:
    """Score every text by a classifier that did not see it; folds are stratified."""
    rng = np.random.default_rng(seed)
    real_fold, made_fold = (rng.permutation(count) % FOLDS for count in (real, table.shape[0] - real))
    label, fold = np.arange(table.shape[0]) >= real, np.concatenate([real_fold, made_fold])
    scores = np.zeros(table.shape[0])
    for k in range(FOLDS):
        judge = LogisticRegression(C=10.0, solver="liblinear", random_state=seed)
        judge.fit(table[fold != k], label[fold != k])
        scores[fold == k] = judge.decision_function(table[fold == k])
    return Scores(scores[:real], scores[real:], real_fold, made_fold)
