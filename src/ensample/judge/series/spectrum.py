"""How much series move at each frequency: power spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensample.judge.binned import Stats, groups
from ensample.judge.measure import Measure
from ensample.judge.series.dynamics import distance, standardised
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side

SPECTRUM = "spectrum distance"
LEAST_STEPS, LONGEST = 8, 64
"""Steps that a series has for a spectrum, and those of it that are transformed."""
QUIET = 1e-4
"""Powers below this share of the real mean one at a frequency count as that."""


@dataclass(frozen=True)
class Spectra:
    """Power of each number at each frequency, of each series; [records, numbers, frequencies], NaN if not known."""

    power: np.ndarray
    steps: int


def spectra(reference: SeriesReference, side: Side) -> Spectra:
    """Power spectra of series with the usual number of steps, up to 64 of them.

    Of `x` less its mean, faded out to both ends by Hann's window `w`:
    `|sum_t w_t x_t exp(-2 pi i f t)|^2 / sum_t w_t^2` at `f = 1/n .. 1/2`. Missing values are put on the line between
    their neighbours; series of which more than half is missing are left out.
    """
    steps = int(min(LONGEST, np.quantile(reference.train.lengths, 0.25)))
    values = standardised(reference, side)
    rows = np.flatnonzero(side.lengths >= steps)
    if steps < LEAST_STEPS or not len(rows) or not values.shape[1]:
        return Spectra(np.full((len(side), values.shape[1], 0), np.nan), steps)
    whole = values[(side.starts[:-1][rows][:, None] + np.arange(steps))]  # [rows, steps, numbers]
    gone = np.isnan(whole)
    whole = _filled(whole, gone)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(steps) + 0.5) / steps)
    waves = np.fft.rfft((whole - whole.mean(1, keepdims=True)) * window[:, None], axis=1)[:, 1:]
    power = np.square(np.abs(waves)) / np.square(window).sum()
    power[np.repeat((gone.mean(1) > 0.5)[:, None], power.shape[1], 1)] = np.nan
    out = np.full((len(side), values.shape[1], power.shape[1]), np.nan)
    out[rows] = power.transpose(0, 2, 1)
    return Spectra(out, steps)


def _filled(whole: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Missing values on the line between their neighbours in time, [rows, steps, numbers]."""
    place = np.arange(whole.shape[1])
    for row, number in zip(*np.nonzero(gone.any(1)), strict=True):
        known = ~gone[row, :, number]
        if known.any():
            whole[row, :, number] = np.interp(place, place[known], whole[row, known, number])
        else:
            whole[row, :, number] = 0.0
    return whole


def spectrum(reference: SeriesReference, made: Side, real: Side) -> Measure | None:
    """Mean distance of logarithmic power spectra in decibels, over numbers and frequencies.

    Powers of single series are averaged as logarithms, so that a few wild series do not rule. None where there is no
    number, or series are shorter than eight steps.
    """
    both = [spectra(reference, side).power for side in (real, made)]
    if not both[0].shape[2] or np.isnan(both[0]).all() or np.isnan(both[1]).all():
        return None
    quiet = QUIET * np.nanmean(both[0], 0) + 1e-12
    stats = [_decibels(power, quiet, reference.seed + k) for k, power in enumerate(both)]

    def score(left: Stats, right: Stats) -> np.ndarray:
        one, other = (side[0] / np.maximum(side[1], 1.0) for side in (left, right))
        return np.asarray(np.abs(one - other).mean(1))

    names = [reference.names[j] for j in reference.numbers]
    words = ("the power of movements is off by", " decibels in the mean over frequencies (3 is twice or half)")
    return distance(SPECTRUM, stats, score, names, words, reference.seed, (made, real), 2)


def _decibels(power: np.ndarray, quiet: np.ndarray, seed: int) -> Stats:
    """Sums of decibels and counts by groups, [groups, numbers, frequencies] each."""
    group = groups(len(power), seed)
    count = int(group.max()) + 1
    there = ~np.isnan(power)
    level = 10 * np.log10(np.maximum(np.where(there, power, 1.0), quiet))
    sums, counts = np.zeros((2, count, *power.shape[1:]))
    np.add.at(sums, group, np.where(there, level, 0.0))
    np.add.at(counts, group, there)
    return sums, counts
