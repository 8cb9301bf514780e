"""What the page shows of made series: some beside real ones, how they move, forecasts, nearest training series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from ensample.judge.evaluate import Judgement
from ensample.judge.pairplots import matrix
from ensample.judge.plots import distances, marginal
from ensample.judge.series import plots
from ensample.judge.series.copies import SeriesCopies
from ensample.judge.series.dynamics import autos_of, crosses_of, lags
from ensample.judge.series.evaluate import MadeSeries, sides
from ensample.judge.series.forecasts import Told
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side
from ensample.judge.series.spectrum import spectra
from ensample.judge.series.stretches import Stretches, length
from ensample.judge.view import Panel

SHOWN, STEPS = 7, 200
"""Series of a side that are drawn, and steps of each."""
VARIABLES = 8
"""Variables that are drawn, the least alike first."""
FANS = 4


@dataclass(frozen=True)
class Copied:
    """A made series over the training series nearest to it, a picture a variable, and how far it is."""

    distance: float
    pictures: tuple[Panel, ...]


def detail(reference: SeriesReference, judgement: Judgement) -> dict[str, Any]:
    """What the page shows of series."""
    made, check = judgement.made, judgement.copy
    fake, real = sides(reference, made.side)
    order, moved = _order(reference, judgement), all(len(side.changes.frame) for side in (fake, real))
    return {
        "drawn": [_drawn(reference, made.side, j) for j in order],
        "levels": [_marginal(fake, real, j) for j in order],
        "changes": [_marginal(fake.changes, real.changes, j) for j in order] if moved else [],
        "memory": _memory(reference, fake, real, order),
        "spectra": _spectra(reference, fake, real, order),
        "matrices": _matrices(reference, fake, real),
        "fans": _fans(reference, made),
        "check": check,
        "copy_picture": None if check is None else distances(check.to_train, check.to_test, "record"),
        "closest": _closest(reference, made, check),
    }


def _order(reference: SeriesReference, judgement: Judgement) -> list[int]:
    """The variables that are drawn: those whose values and changes are least alike."""
    shapes = [judgement.get(name) for name in ("value shapes", "change shapes")]
    scores = [sum(m.parts.get(name, 1.0) for m in shapes if m is not None) for name in reference.names]
    return [int(j) for j in np.argsort(scores, kind="stable")[:VARIABLES]]


def _series(side: Side, j: int, rows: np.ndarray) -> list[np.ndarray]:
    """Values of one variable of these series."""
    values = side.frame.columns[j].values
    return [values[side.starts[row] : side.starts[row + 1]][:STEPS] for row in rows]


def _drawn(reference: SeriesReference, made: Side, j: int) -> Panel:
    name, levels = reference.names[j], made.frame.columns[j].levels
    mine = _series(made, j, np.arange(min(SHOWN, len(made))))
    real = _series(reference.test, j, reference.held_out_rows(SHOWN))
    drawn = plots.lines(real, mine, name) if levels is None else plots.strips(real, mine, levels, name)
    return Panel(name, 0.0, drawn)


def _marginal(fake: Side, real: Side, j: int) -> Panel:
    true, made = (side.frame.columns[j] for side in (real, fake))
    return Panel(true.name, 0.0, marginal(true, made))


def _memory(reference: SeriesReference, fake: Side, real: Side, order: list[int]) -> list[Panel]:
    """Autocorrelations by lag."""
    if not real.follows.any() or not fake.follows.any():
        return []
    places = reference.once(lags)
    both = [autos_of(reference, side) for side in (real, fake)]
    known = {j: k for k, j in enumerate((*reference.numbers, *reference.categories))}
    low = min(0.0, *(float(np.min(side)) for side in both)) - 0.02
    out = []
    for j in order:
        one, other = (side[known[j]] for side in both)
        label = f"{reference.names[j]}: autocorrelation of real and made series"
        drawn = plots.curve(places, one, other, label, "steps apart", ends=(low, 1.02))
        out.append(Panel(reference.names[j], float(np.abs(one - other).mean()), drawn))
    return out


def _spectra(reference: SeriesReference, fake: Side, real: Side, order: list[int]) -> list[Panel]:
    """Power by frequency, in decibels."""
    both = [spectra(reference, side) for side in (real, fake)]
    if not both[0].power.shape[2] or any(np.isnan(side.power).all() for side in both):
        return []
    levels = [10 * np.log10(np.nanmean(side.power, 0) + 1e-12) for side in both]
    places = np.arange(1, levels[0].shape[1] + 1) / both[0].steps
    out = []
    for j in order:
        if j in reference.numbers:
            one, other = (level[reference.numbers.index(j)] for level in levels)
            label = f"{reference.names[j]}: power spectrum of real and made series"
            drawn = plots.curve(places, one, other, label, "cycles a step")
            out.append(Panel(reference.names[j], float(np.abs(one - other).mean()), drawn))
    return out


def _matrices(reference: SeriesReference, fake: Side, real: Side) -> list[tuple[str, Markup]]:
    """Correlations of values in the same step: of real series, of made ones, and what is between them."""
    found = [crosses_of(reference, side) for side in (real, fake)]
    names = found[0][0]
    if len(names) < 2:
        return []
    one, other = (values[0] for _, values in found)
    return [
        (title, matrix(values, names, f"correlations, {title}"))
        for title, values in (("real", one), ("made", other), ("difference", other - one))
    ]


def _fans(reference: SeriesReference, made: MadeSeries) -> list[Panel]:
    """Forecasts of a few held-out series, a variable each in turn."""
    told: Told | None = made.told
    if told is None or not told.paths:
        return []
    names, out = list(told.paths), []
    for k in range(min(FANS, len(told.rows))):
        row = k * len(told.rows) // FANS if len(told.rows) >= FANS else k
        name = names[k % len(names)]
        j = reference.names.index(name)
        (values,) = _series_whole(reference.test, j, [int(told.rows[row])])
        known, paths = int(told.known[row]), told.paths[name][row]
        came = values[known : known + paths.shape[1]]
        out.append(Panel(name, 0.0, plots.fan(values[:known], came, paths, name)))
    return out


def _series_whole(side: Side, j: int, rows: list[int]) -> list[np.ndarray]:
    values = side.frame.columns[j].values
    return [values[side.starts[row] : side.starts[row + 1]] for row in rows]


def _closest(reference: SeriesReference, made: MadeSeries, check: Any) -> list[Copied]:
    """The made series that are nearest to a training series, over it."""
    if not isinstance(check, SeriesCopies) or not reference.numbers:
        return []
    steps, out = reference.once(length), []
    place = {int(row): k for k, row in enumerate(check.rows)}
    for pair in check.closest:
        panels = []
        for j in reference.numbers[:1]:
            train = _part(reference.train, check.learned, pair.train, j, steps)
            own = _part(made.side.take(check.rows), check.judged, place[pair.made], j, steps)
            panels.append(Panel(reference.names[j], 0.0, plots.beside(train, own, reference.names[j])))
        out.append(Copied(pair.distance, tuple(panels)))
    return out


def _part(side: Side, stretches: Stretches, row: int, j: int, steps: int) -> np.ndarray:
    (values,) = _series_whole(side, j, [int(stretches.records[row])])
    begin = int(stretches.begins[row])
    return values[begin : begin + steps]
