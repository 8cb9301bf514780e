"""Pictures of series: real beside made, curves over lags and frequencies, forecasts with their bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from ensample.judge.svg import Scale, hint, path, picture, short, tag, text, ticks

WIDE, HIGH = 640.0, 200.0
LEFT, GAP = 46.0, 22.0
HUES = 330
"""Degrees of the circle of colours over which classes are spread."""


def lines(real: Sequence[np.ndarray], made: Sequence[np.ndarray], name: str) -> Markup:
    """Real series (left) and made ones (right) of one number, over the same range."""
    up = _scale([*real, *made], HIGH - 24, 20)
    middle = (WIDE - LEFT - GAP) / 2
    out = _levels(up, WIDE - 8)
    for k, (side, series, style) in enumerate((("real", real, "real-line"), ("made", made, "made-line"))):
        start = LEFT + k * (middle + GAP)
        across = _steps(max(map(len, series), default=1), start, start + middle - 8)
        out += [_line(np.arange(len(each)), each, across, up, f"{style} thin") for each in series]
        out.append(text(start, 12, side, class_="strong"))
        out += _marks(across, HIGH - 8)
    return picture(WIDE, HIGH, f"{name}: real and made series", *out)


def strips(real: Sequence[np.ndarray], made: Sequence[np.ndarray], levels: Sequence[str], name: str) -> Markup:
    """Real series (left) and made ones (right) of one class, a row a series and a colour a class; NaN is left blank."""
    rows, middle = max(len(real), len(made)), (WIDE - GAP) / 2
    step, out = min(18.0, (HIGH - 44) / max(rows, 1)), []
    longest = max([len(each) for each in (*real, *made)], default=1) or 1
    for k, (side, series) in enumerate((("real", real), ("made", made))):
        start, wide = k * (middle + GAP), middle / longest
        out.append(text(start, 12, side, class_="strong"))
        for row, each in enumerate(series):
            for first, last, code in _runs_of(each):
                box = {
                    "x": start + first * wide,
                    "y": 20 + row * step,
                    "width": (last - first) * wide,
                    "height": step - 2,
                }
                out.append(tag("rect", hint(levels[code]), fill=_hue(code, len(levels)), **box))
    used = sorted({int(code) for each in (*real, *made) for code in each[~np.isnan(each)]})[:8]
    place = 0.0
    for code in used:
        out.append(tag("rect", x=place, y=HIGH - 16, width=10.0, height=10.0, fill=_hue(code, len(levels))))
        out.append(text(place + 14, HIGH - 7, levels[code], 12))
        place += 26 + 6.4 * min(len(levels[code]), 12)
    return picture(WIDE, HIGH, f"{name}: classes of real and made series", *out)


def curve(
    places: np.ndarray,
    real: np.ndarray,
    made: np.ndarray,
    label: str,
    below: str,
    hinted: Callable[[float], str] = short,
    ends: tuple[float, float] | None = None,
) -> Markup:
    """One curve of real series and one of made ones over the same places."""
    wide, high = 320.0, 190.0
    across = Scale(float(places[0]), float(places[-1]), 40, wide - 10)
    up = _scale([real, made], high - 36, 10) if ends is None else Scale(*ends, high - 36, 10)
    out = [*_levels(up, wide - 10, 40.0)]
    for values, style, side in ((real, "real-line", "real"), (made, "made-line", "made")):
        out.append(_line(places, values, across, up, style))
        for x, y in zip(places, values, strict=True):
            words = hint(f"{side}, {hinted(float(x))}: {y:.3g}")
            out.append(tag("circle", words, cx=across(float(x)), cy=up(float(y)), r=2.4, class_=side))
    out += [
        text(across(mark), high - 20, hinted(mark), text_anchor="middle") for mark in ticks(across.low, across.high, 5)
    ]
    out.append(text(wide / 2 + 10, high - 4, below, text_anchor="middle"))
    return picture(wide, high, label, *out)


def fan(past: np.ndarray, came: np.ndarray, paths: np.ndarray, name: str) -> Markup:
    """What was known and what came (real), the median of drawn paths [draws, steps] and their 50% and 90% bands."""
    wide, high = WIDE, 220.0
    known = past[-3 * len(came) :]
    bands = [np.quantile(paths, ((1 - level) / 2, (1 + level) / 2), axis=0) for level in (0.9, 0.5)]
    up = _scale([known, came, bands[0]], high - 22, 10)
    across = _steps(len(known) + len(came), 46, wide - 8)
    ahead = len(known) + np.arange(len(came))
    out = _levels(up, wide - 8)
    for level, band in zip((90, 50), bands, strict=True):
        edge = [(across(float(x)), up(float(y))) for x, y in zip(ahead, band[1], strict=True)]
        edge += [(across(float(x)), up(float(y))) for x, y in zip(ahead[::-1], band[0][::-1], strict=True)]
        out.append(path(edge, closed=True, class_=f"band b{level}"))
    out.append(_line(ahead, np.median(paths, 0), across, up, "made-line"))
    out.append(_line(np.arange(len(known) + len(came)), np.concatenate([known, came]), across, up, "real-line"))
    out.append(tag("line", x1=across(len(known) - 0.5), x2=across(len(known) - 0.5), y1=10, y2=high - 22, class_="end"))
    out += _marks(across, high - 6)
    return picture(wide, high, f"{name}: forecast and what came", *out)


def beside(train: np.ndarray, made: np.ndarray, name: str) -> Markup:
    """A made series over the training series that it is nearest to."""
    wide, high = 320.0, 150.0
    up = _scale([train, made], high - 22, 10)
    across = _steps(max(len(train), len(made)), 46, wide - 8)
    out = [*_levels(up, wide - 8), _line(np.arange(len(train)), train, across, up, "real-line")]
    out += [_line(np.arange(len(made)), made, across, up, "made-line"), *_marks(across, high - 6)]
    return picture(wide, high, f"{name}: a made series and the nearest training series", *out)


def _scale(parts: Sequence[np.ndarray], bottom: float, top: float) -> Scale:
    """Over all finite values, with the wildest of many cut off."""
    seen = np.concatenate([np.ravel(part) for part in parts]) if parts else np.zeros(0)
    seen = seen[np.isfinite(seen)]
    if not len(seen):
        return Scale(0.0, 1.0, bottom, top)
    low, high = float(seen.min()), float(seen.max())
    room = 0.04 * (high - low) or 0.5
    return Scale(low - room, high + room, bottom, top)


def _steps(count: int, start: float, end: float) -> Scale:
    return Scale(0.0, float(max(count - 1, 1)), start, end)


def _marks(across: Scale, y: float) -> list[str]:
    """Numbers of steps, from 1, under a picture."""
    marks = [mark for mark in ticks(1, across.high + 1, 4) if mark == int(mark)]
    return [text(across(mark - 1), y, short(mark), text_anchor="middle") for mark in marks]


def _levels(up: Scale, right: float, left: float = LEFT) -> list[str]:
    """Guides at round values."""
    out = []
    for mark in ticks(up.low, up.high, 4):
        out.append(tag("line", x1=left, x2=right, y1=up(mark), y2=up(mark), class_="guide"))
        out.append(text(left - 6, up(mark) + 4, short(mark), text_anchor="end"))
    return out


def _line(at: np.ndarray, values: np.ndarray, across: Scale, up: Scale, style: str) -> str:
    """A line that is interrupted where values are missing; a value alone is a dot."""
    out = []
    for first, last in _known(values):
        points = [(across(float(x)), up(float(y))) for x, y in zip(at[first:last], values[first:last], strict=True)]
        if len(points) > 1:
            out.append(path(points, class_=style))
        else:
            out.append(tag("circle", cx=points[0][0], cy=points[0][1], r=1.4, class_=style.split("-")[0]))
    return tag("g", *out) if out else ""


def _known(values: np.ndarray) -> list[tuple[int, int]]:
    """Beginnings and ends of runs of finite values."""
    there = np.concatenate([[False], np.isfinite(values), [False]])
    edges = np.flatnonzero(there[1:] != there[:-1])
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _runs_of(codes: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of the same class: beginning, end, class; missing ones left out."""
    cuts = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
    return [(a, b, int(codes[a])) for a, b in pairwise(cuts) if b > a and not np.isnan(codes[a])]


def _hue(code: int, count: int) -> str:
    return f"hsl({210 + HUES * code // max(count - 1, 1)} 42% {46 + 14 * (code % 2)}%)"


__all__ = ["beside", "curve", "fan", "lines", "strips"]
