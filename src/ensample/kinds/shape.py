"""The shape of a number column on its grid: spikes, hard bounds, and the lattice that makes it most like a bell."""

from __future__ import annotations

import math

import numpy as np
import torch

from ensample.events import Lattice

SPIKE_SHARE = 0.03
"""A spike holds at least this share of the rows ..."""

SPIKE_RATIO = 8.0
"""... and this many times as many as any of its two nearest values on each side ..."""

SPIKE_CROWD = 3.0
"""... and, where more than two values do, this many times as many as is common among them: else they are a grid."""

MOST_SPIKES = 8

WARP_GAIN = 0.02
"""Nats per row that a warp must gain over the straight lattice."""

WARP_TIE = 0.005
"""Of warps within this many nats per row of the best, the mildest is taken."""

FARTHEST = 8.0
"""Standard deviations beyond which a warp may push no end of the range further than the straight lattice does."""

FINEST = 2.0**49
"""Cells further from the centre than this cannot be told apart from their neighbours in float64 arithmetic."""


def spikes(cells: np.ndarray) -> tuple[int, ...]:
    """Values whose share stands far above all neighbours, such as the zeros of a capital gain. Ascending cells."""
    values, counts = np.unique(cells, return_counts=True)
    if len(values) < 12:
        return ()
    padded = np.pad(counts, 2)
    around = np.max([np.roll(padded, shift)[2:-2] for shift in (-2, -1, 1, 2)], axis=0)
    far_above = (counts >= SPIKE_SHARE * len(cells)) & (counts >= SPIKE_RATIO * around)
    found = np.flatnonzero(far_above)
    if len(found) > 2:
        found = found[counts[found] >= SPIKE_CROWD * np.median(counts[found])]
    found = found[np.argsort(-counts[found], kind="stable")][:MOST_SPIKES]
    return tuple(sorted(int(v) for v in values[found]))


def hard_bound(distances: np.ndarray) -> bool:
    """Whether values end at a wall, not in a tail. `distances` [rows] >= 0 are those from the outermost value.

    Next to a wall the distance grows with the share of rows as `share^(1/(a+1))` for a density that starts as `x^a`;
    it doubles from the first to the second hundredth where the density is flat, and hardly grows in a tail.
    """
    if len(distances) < 200:
        return False
    at_end = int((distances == 0).sum())
    next_value = distances[distances > 0].min(initial=np.iinfo(np.int64).max)
    next_to_it = int((distances == next_value).sum())
    if at_end >= 5 and at_end > 2 * next_to_it:
        return True
    first, second = np.quantile(distances, [0.01, 0.02])
    return bool(at_end >= 0.01 * len(distances) or (first > 0 and second >= 1.5 * first))


def fit_lattice(cells: np.ndarray, high: int) -> Lattice:
    """The lattice on which the cells (a sample of the column) look most like a normal distribution.

    Straight, or `asinh` about one of a few centres with one of a few knees: chosen by the likelihood of a normal fit,
    per cell, so that the volume of the cells (the Jacobian of the warp) counts.
    """
    straight = _standardised(cells, Lattice(0, high))
    if len(np.unique(cells)) < 8:
        return straight
    few = cells[:: max(1, len(cells) // 5_000)]
    farthest = max(FARTHEST, _farthest(straight))
    scores: dict[Lattice, float] = {}
    for lattice in _candidates(cells, high):
        if _farthest(_standardised(few, lattice)) <= farthest:
            scores[lattice] = _normal_score(few, lattice)
    top = max(scores.values(), default=-math.inf)
    if top < _normal_score(few, straight) + WARP_GAIN:
        return straight
    best = max((lattice for lattice, score in scores.items() if score >= top - WARP_TIE), key=lambda la: la.knee)
    while not _sound(best):  # two cells would collide: a milder warp
        best = Lattice(0, high, center=best.center, knee=best.knee * 8)
        if best.knee > high + 1:
            return straight
    return _standardised(cells, best)


def _candidates(cells: np.ndarray, high: int) -> list[Lattice]:
    low_tail, quarter, median, three_quarters, high_tail = np.quantile(cells, [0.01, 0.25, 0.5, 0.75, 0.99])
    spread = max(three_quarters - quarter, (high_tail - low_tail) / 50, 1.0)
    centers = sorted({-0.5, float(low_tail), float(median), float(high_tail), high + 0.5})
    knees = sorted({max(spread * 4.0**power, 0.25) for power in range(-5, 3)})
    return [Lattice(0, high, center=center, knee=float(knee)) for center in centers for knee in knees]


def _farthest(lattice: Lattice) -> float:
    """The larger distance of the two ends of the range from 0."""
    return float(lattice.encode(torch.tensor([0, lattice.high])).abs().max())


def _normal_score(cells: np.ndarray, lattice: Lattice) -> float:
    """Mean log-probability of the cells under the normal distribution that fits their warped values best."""
    position = torch.from_numpy(cells)
    value, log_volume = lattice.encode(position), lattice.log_slope(position)
    inside = torch.exp(2 * log_volume).mean() / 12  # what a cell is wide counts as spread
    variance = float(value.var(unbiased=False) + inside)
    if not variance > 0:
        return -math.inf
    return float(log_volume.mean()) - 0.5 * math.log(2 * math.pi * math.e * variance)


def _standardised(cells: np.ndarray, lattice: Lattice) -> Lattice:
    """The same lattice with mean 0 and standard deviation 1 over the sample."""
    if len(cells) == 0:
        return lattice
    value = lattice.encode(torch.from_numpy(cells))
    scale = float(value.std(unbiased=False))
    return Lattice(
        lattice.low, lattice.high, float(value.mean()), scale if scale > 0 else 1.0, lattice.center, lattice.knee
    )


def _sound(lattice: Lattice) -> bool:
    """Whether cells all over the range, and next to both ends and the centre, come back from their real numbers."""
    if lattice.high > FINEST:
        return False
    ends = [int(np.clip(p, 0, lattice.high)) for p in (0, lattice.center, lattice.high)]
    near = [e + d for e in ends for d in range(-3, 4)]
    spread = np.linspace(0, lattice.high, 1_000).astype(np.int64)
    powers = np.exp(np.linspace(0, math.log(lattice.high + 1), 1_000)).astype(np.int64)
    cells = torch.from_numpy(np.concatenate([spread, powers, lattice.high - powers, np.array(near, dtype=np.int64)]))
    cells = cells[(cells >= 0) & (cells <= lattice.high)]
    standard = Lattice(lattice.low, lattice.high, 0.37, 1.7, lattice.center, lattice.knee)
    return bool((standard.position(standard.encode(cells)) - cells).abs().max() < 0.2)
