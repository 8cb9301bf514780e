"""Forecasts as pictures: what was, and behind it the bands in which paths lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ensample.data.series.times import Axis
from ensample.judge.svg import Scale, path, picture, short, tag, text, ticks
from ensample.judge.timeaxis import Labels, dated, numbered

if TYPE_CHECKING:
    from ensample.forecasts import Forecast

PANELS = 12
"""Pictures of a series and a variable at most."""

WIDTH, HEIGHT, LEFT, GAP = 640.0, 150.0, 56.0, 40.0

STYLE = (
    "text{font:11px sans-serif;fill:#444}.past{fill:none;stroke:#333;stroke-width:1.2}"
    ".middle{fill:none;stroke:#00796b;stroke-width:1.6}.band{fill:#00796b;fill-opacity:.18}.axis{stroke:#ddd}"
    ".now{stroke:#999;stroke-dasharray:2 3}"
)


def fan(forecast: Forecast) -> str:
    """An SVG with a panel for each number of each series, the first twelve: history, median and central bands."""
    series = forecast.shape[0]
    wanted = [(row, name) for row in range(series) for name in forecast.numbers][:PANELS]
    panels = [_panel(forecast, row, name, j * (HEIGHT + GAP)) for j, (row, name) in enumerate(wanted)]
    drawn = picture(WIDTH, max(1, len(wanted)) * (HEIGHT + GAP), str(forecast), tag("style", STYLE), *panels)
    return str(drawn).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)


def _panel(forecast: Forecast, row: int, name: str, top: float) -> str:
    past = forecast.history.get(name, np.zeros((row + 1, 0)))[row]
    median, bands = forecast.median[name][row], [forecast.band(level) for level in sorted(forecast.level, reverse=True)]
    ends = [end[name][row] for band in bands for end in band]
    seen = np.concatenate([past, median, *ends])
    seen = seen[np.isfinite(seen)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    at, labels = _times(forecast, row, len(past))
    across = Scale(float(at[0]), float(at[-1]), LEFT, WIDTH - 8)
    up = Scale(low, high if high > low else low + 1, top + HEIGHT - 4, top + 20)
    before, after = at[: len(past)], at[len(past) :]
    parts = [text(LEFT, top + 12, name, most=60)]
    for mark in ticks(up.low, up.high):
        parts.append(tag("line", x1=LEFT, x2=WIDTH - 8, y1=up(mark), y2=up(mark), class_="axis"))
        parts.append(text(LEFT - 6, up(mark) + 4, short(mark), text_anchor="end"))
    parts += [part for step, words in labels for part in _mark(across(float(at[step])), words, top + HEIGHT)]
    if len(past):
        now = across(float(before[-1]))
        parts.append(tag("line", x1=now, x2=now, y1=top + 20, y2=top + HEIGHT - 4, class_="now"))
    for lower, upper in bands:
        parts.append(_area(after, lower[name][row], upper[name][row], across, up))
    parts.append(_line(before, past, across, up, "past"))
    parts.append(_line(after, median, across, up, "middle"))
    return tag("g", *parts)


def _times(forecast: Forecast, row: int, past: int) -> tuple[np.ndarray, Labels]:
    """(place of each step across, labels): regular steps lie at equal distances, others at their times."""
    series, _, steps = forecast.shape
    place = np.arange(past + steps, dtype=np.float64)
    if forecast.times is None or forecast.plan is None:
        return place, numbered(np.arange(past + steps) - (past - 1))
    parts = [one for one in (forecast.before, forecast.times) if one is not None]
    mine = [one.slice(row * (len(one) // series), len(one) // series) for one in parts]
    axis = forecast.plan.axis
    seconds = np.concatenate([_counted(one) for one in mine])
    known = ~np.isnan(seconds)
    if forecast.plan.grid is None:
        place = np.where(known, seconds, np.nanmin(seconds))
    if not axis.dated:
        return place, numbered(seconds)
    whole = np.where(known, seconds, 0).astype("datetime64[s]")
    return place, dated(np.where(known, whole, np.datetime64("NaT", "s")))


def _counted(times: pa.Array) -> np.ndarray:
    """Times as seconds, on the clock of their zone; or as the numbers that they are [steps], NaN for a missing one."""
    there, out = ~np.asarray(times.is_null()), np.full(len(times), np.nan)
    known = times.drop_null()
    if pa.types.is_timestamp(known.type) and known.type.tz is not None:
        known = pc.local_timestamp(known)
    axis = Axis(known.type)
    out[there] = axis.ticks(known) / (axis.per_second or 1.0)
    return out


def _mark(x: float, words: str, y: float) -> list[str]:
    """A label under the axis that stays within the picture, and the tick above it."""
    room = 3.0 * len(words)  # half of what the words take
    x_words = min(max(x, LEFT - 6 + room), WIDTH - room)
    return [
        tag("line", x1=x, x2=x, y1=y - 4, y2=y, class_="axis"),
        text(x_words, y + 13, words, text_anchor="middle"),
    ]


def _line(at: np.ndarray, values: np.ndarray, across: Scale, up: Scale, style: str) -> str:
    """A line that is interrupted where values are missing."""
    there = np.isfinite(values)
    runs = np.split(np.arange(len(at)), np.flatnonzero(np.diff(there.astype(int))) + 1)
    lines = [_points(at[run], values[run], across, up) for run in runs if len(run) and there[run[0]]]
    return tag("g", *(path(points, class_=style) for points in lines))


def _area(at: np.ndarray, lower: np.ndarray, upper: np.ndarray, across: Scale, up: Scale) -> str:
    there = np.isfinite(lower) & np.isfinite(upper)
    if not there.any():
        return ""
    at, lower, upper = at[there], lower[there], upper[there]
    if len(at) == 1:  # one step has no width of its own
        at, lower, upper = np.array([at[0] - 0.3, at[0] + 0.3]), lower.repeat(2), upper.repeat(2)
    edge = [*_points(at, upper, across, up), *_points(at[::-1], lower[::-1], across, up)]
    return path(edge, closed=True, class_="band")


def _points(at: np.ndarray, values: np.ndarray, across: Scale, up: Scale) -> Sequence[tuple[float, float]]:
    return [(across(float(x)), up(float(y))) for x, y in zip(at, values, strict=True)]
