"""Forecasts of held-out series against what came: the continuous ranked probability score, and coverage of bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ensample.data.dataset import Dataset
from ensample.data.nested import lengths_of, lists_of
from ensample.judge.measure import Measure, mean_draws, spread
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side, step_table

CRPS, COVERS = "forecast error", ("coverage of 50% bands", "coverage of 90% bands")
LEVELS = (0.5, 0.9)
DRAWS, POOL = 50, 400
"""Paths of each series, and changes of training series behind a naive forecast."""


@dataclass(frozen=True)
class Told:
    """Forecasts of the last steps of held-out series.

    Arguments:
        rows: which held-out series they are of, [series].
        known: steps of each that were known, int64 [series].
        paths: number -> drawn values [series, draws, steps], by its name.
    """

    rows: np.ndarray
    known: np.ndarray
    paths: dict[str, np.ndarray]


def horizon(reference: SeriesReference) -> int:
    """Steps that are forecast: half the usual length of a training series."""
    return int(np.quantile(reference.train.lengths, 0.5)) // 2


def ask(model: Any, reference: SeriesReference, seed: int) -> dict[str, Told]:
    """What a model forecasts of the second half of held-out series, given the first; nothing if it cannot.

    Long series are asked about their last steps, as many as half of a usual series has, given all before.
    """
    steps, numbers = horizon(reference), reference.numbers
    if steps < 1 or not numbers or "forecast" not in model.can:
        return {}
    rows = reference.held_out_rows(len(reference.test))
    rows = np.sort(rows[reference.test.lengths[rows] > steps][: reference.sizes.forecasts])
    if not len(rows):
        return {}
    known = reference.test.lengths[rows] - steps
    histories = begun(reference.test_table.take(pa.array(rows)), reference.series, known)
    found = model.forecast(Dataset.from_arrow(histories, reference.schema), steps=steps, draws=DRAWS, seed=seed + 2)
    names = [reference.names[j] for j in numbers]
    return {"told": Told(rows, known, {name: found.paths[name] for name in names if name in found.paths})}


def begun(table: pa.Table, series: str, known: np.ndarray) -> pa.Table:
    """The same records with only so many first steps of each series, [records]."""
    column = table.column(series)
    lengths = lengths_of(column, 0)
    place = np.arange(int(lengths.sum())) - np.repeat(lengths.cumsum() - lengths, lengths)
    kept = pa.array(np.flatnonzero(place < np.repeat(known, lengths)))
    steps = step_table(column).take(kept).combine_chunks()
    lists = lists_of([part.combine_chunks() for part in steps.columns], np.minimum(known, lengths), column.type)
    return table.set_column(table.column_names.index(series), table.schema.field(series), lists)


def forecasts(reference: SeriesReference, told: Told) -> list[Measure]:
    """Error and coverage of forecasts.

    The error is the continuous ranked probability score (Matheson and Winkler 1976) of the drawn paths in standard
    deviations of a variable, the mean over steps, series and variables; without the bias of few draws (Ferro 2014).
    Beside it in words what naive forecasts get: the value one season before (the season, perhaps of one step, that is
    best on training series), and the last value plus changes of training series over as many steps.
    """
    steps = next(iter(told.paths.values())).shape[2]
    real = reference.test.take(told.rows)
    scores, naive, inside = [], [], []
    _, deviation = reference.scale
    for k, j in enumerate(reference.numbers):
        name = reference.names[j]
        if name not in told.paths:
            continue
        truth, past = _parted(real, j, told.known, steps)
        scores.append(crps(told.paths[name], truth) / deviation[k])
        naive.append(np.stack([each / deviation[k] for each in _naive(reference, j, past, truth)]))
        inside.append(np.stack([covered(told.paths[name], truth, level) for level in LEVELS]))
    names = [reference.names[j] for j in reference.numbers if reference.names[j] in told.paths]
    return [_error(scores, naive, names, reference.seed), *_coverage(inside, names, reference.seed)]


def crps(paths: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """`E|X - y| - E|X - X'| / 2` of drawn paths [series, draws, steps] at what came [series, steps]; NaN where unknown.

    Example:
        >>> crps(np.array([[[0.0], [2.0]]]), np.array([[1.0]])).tolist()  # two draws: |0 - 2| / 2 is taken off
        [[0.0]]
    """
    draws = paths.shape[1]
    ordered = np.sort(paths, 1)
    weight = (2 * np.arange(1, draws + 1) - draws - 1)[None, :, None]
    apart = (weight * ordered).sum(1) / max(draws * (draws - 1), 1)
    return np.asarray(np.abs(paths - truth[:, None]).mean(1) - apart)


def covered(paths: np.ndarray, truth: np.ndarray, level: float) -> np.ndarray:
    """Whether what came [series, steps] lies in the central band of the paths; NaN where unknown.

    The band is that of ranks: of n draws the truth has each of n + 1 ranks equally often, so half of a rank at both
    ends is counted as its share.
    """
    below, equal = (paths < truth[:, None]).sum(1), (paths == truth[:, None]).sum(1)
    rank = (below + equal / 2 + 0.5) / (paths.shape[1] + 1)
    half = 0.5 / (paths.shape[1] + 1)
    room = (np.abs(rank - 0.5) - level / 2) / half
    return np.where(np.isnan(truth), np.nan, ((1 - room) / 2).clip(0, 1))


def _parted(side: Side, variable: int, known: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """What came [series, steps], and all before it [series, longest], NaN in front of shorter ones."""
    values, most = side.frame.columns[variable].values, int(known.max())
    ends = side.starts[:-1] + known
    truth = values[ends[:, None] + np.arange(steps)]
    back = np.arange(most)[::-1] + 1
    past = np.where(back <= known[:, None], values[(ends[:, None] - back).clip(min=0)], np.nan)
    return truth, _held(past)


def _held(past: np.ndarray) -> np.ndarray:
    """Missing values as the last known one before them."""
    place = np.where(np.isnan(past), -1, np.arange(past.shape[1]))
    at = np.maximum.accumulate(place, 1)
    return np.where(at >= 0, np.take_along_axis(past, at.clip(min=0), 1), np.nan)


def _naive(reference: SeriesReference, variable: int, past: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, ...]:
    """Errors of naive forecasts [series, steps]: of one season before, and of the last value plus usual changes."""
    steps = truth.shape[1]
    season = _season(reference, variable, past.shape[1], steps)
    before = past[:, _seasonal(past.shape[1], season, steps)]
    pool = _changes(reference, variable, steps)
    return np.abs(before - truth), crps(past[:, -1, None, None] + pool[None], truth)


def _seasonal(length: int, season: int, steps: int) -> np.ndarray:
    """Which of the past steps stands for each of the next ones."""
    return length - season + np.arange(steps) % season


def _training(reference: SeriesReference, variable: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Last steps of training series and all before them, as `_parted`."""
    rows = np.flatnonzero(reference.train.lengths > steps)
    side = reference.train.take(rows[:: max(1, len(rows) // 2_000)])
    truth, past = _parted(side, variable, side.lengths - steps, steps)
    return truth, past


def _season(reference: SeriesReference, variable: int, length: int, steps: int) -> int:
    """The season that foretells training series best."""
    truth, past = _training(reference, variable, steps)
    seasons = range(1, min(length, past.shape[1]) + 1)
    errors = [np.abs(past[:, _seasonal(past.shape[1], season, steps)] - truth) for season in seasons]
    means = [float(np.nanmean(each)) if np.isfinite(each).mean() > 0.5 else np.inf for each in errors]
    return 1 + int(np.argmin(means))


def _changes(reference: SeriesReference, variable: int, steps: int) -> np.ndarray:
    """Changes of training series from the last known value on, some at random, [changes, steps]."""
    truth, past = _training(reference, variable, steps)
    moved = truth - past[:, -1:]
    moved = moved[~np.isnan(moved).any(1)]
    rng = np.random.default_rng(reference.seed)
    return moved[rng.permutation(len(moved))[:POOL]] if len(moved) else np.zeros((1, steps))


def _error(scores: list[np.ndarray], naive: list[np.ndarray], names: list[str], seed: int) -> Measure:
    each = _by_series(np.stack(scores))
    plain, usual = (_by_series(np.stack([part[k] for part in naive])).mean() for k in (0, 1))
    value, draws = float(each.mean()), mean_draws(each, seed)
    low, high = spread(value, draws, (0.0, np.inf))
    words = (
        f"forecasts of the next {scores[0].shape[1]} steps miss by {value:.3f} standard deviations (CRPS); the value "
        f"before by {plain:.3f}, with usual changes {usual:.3f}"
    )
    parts = {name: float(np.nanmean(score)) for name, score in zip(names, scores, strict=True)}
    parts |= {"the value before": float(plain), "with usual changes": float(usual)}
    how = f"bootstrap of {len(each):,} held-out series"
    return Measure(CRPS, value, low, high, "lower", 0.0, words, how, parts=parts, draws=draws, digits=3)


def _coverage(inside: list[np.ndarray], names: list[str], seed: int) -> list[Measure]:
    out = []
    for k, (name, level) in enumerate(zip(COVERS, LEVELS, strict=True)):
        each = _by_series(np.stack([part[k] for part in inside]))
        value, draws = float(each.mean()), mean_draws(each, seed)
        low, high = spread(value, draws, (0.0, 1.0))
        words = f"{value:.1%} of what came lies in the bands that should hold {level:.0%}"
        parts = {variable: float(np.nanmean(part[k])) for variable, part in zip(names, inside, strict=True)}
        how = f"bootstrap of {len(each):,} held-out series"
        out.append(Measure(name, value, low, high, "nearer", level, words, how, parts=parts, draws=draws))
    return out


def _by_series(values: np.ndarray) -> np.ndarray:
    """Mean over variables and steps of each series in which something came, from [variables, series, steps]."""
    there = ~np.isnan(values)
    count = there.sum((0, 2))
    return np.asarray(np.where(there, values, 0.0).sum((0, 2))[count > 0] / count[count > 0])
