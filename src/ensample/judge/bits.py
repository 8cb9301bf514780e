"""Bits per record: how many bits it takes to write a held-out record with the model as the code book."""

from __future__ import annotations

import math

import numpy as np

from ensample.judge.measure import Measure, Sort, mean_draws, spread


def bits(log_prob: np.ndarray, sort: Sort = "exact", seed: int = 0) -> Measure:
    """Mean of -log2 p over held-out records, lower is better; comparable between models of the same table.

    Arguments:
        log_prob: nats per record, [rows]; the probability of the record's cell.
        sort: whether the model's log-probability is exact, a bound or an estimate.
        seed: of the bootstrap.

    A record that the model calls impossible makes the mean infinite; that is said, with the count and the mean of the
    others, and not hidden.

    Example:
        >>> bits(np.log(np.full(100, 0.25))).value
        2.0
    """
    each = -np.asarray(log_prob, dtype=np.float64) / math.log(2)
    unknown = int(np.isnan(each).sum())
    impossible = int(np.isposinf(each).sum())
    fine = each[np.isfinite(each)]
    how = "bootstrap of the held-out records"
    if unknown or impossible or not len(fine):
        left = f"; the others take {fine.mean():.2f} bits" if len(fine) else ""
        what = f"{impossible + unknown:,} of {len(each):,} held-out records have no probability under the model{left}"
        value = math.nan if unknown else math.inf
        return Measure("bits", value, value, value, "lower", -math.inf, what, how, sort, _parts(impossible, fine))
    value = float(fine.mean())
    draws = mean_draws(fine, seed)
    low, high = spread(value, draws)
    kind = {"exact": "", "bound": " at most", "estimate": " about"}[sort]
    words = f"a held-out record takes{kind} {value:.2f} bits"
    return Measure("bits", value, low, high, "lower", -math.inf, words, how, sort, {}, draws)


def _parts(impossible: int, fine: np.ndarray) -> dict[str, float]:
    rest = float(fine.mean()) if len(fine) else math.nan
    return {"impossible records": float(impossible), "bits of the others": rest}
