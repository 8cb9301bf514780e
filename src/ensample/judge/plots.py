"""Pictures of single columns and of distances: real as filled shapes, made as an outline over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ensample.judge.frame import Column
from ensample.judge.svg import Scale, Shown, cut, hint, path, percent, picture, short, tag, text, ticks

WIDTH, HEIGHT = 320.0, 168.0
BINS = 36
OWN_BARS = 24
SPIKE = 0.03
LEVELS = 7


def marginal(real: Column, made: Column, shown: Shown = short) -> Markup:
    """One column, real against made: a histogram with its spikes, or bars of levels; the missing share beside it."""
    return histogram(real, made, shown) if real.is_number else level_bars(real, made)


def histogram(real: Column, made: Column, shown: Shown = short) -> Markup:
    """A number column. Few values: one bar each. Values that hold 3% of the rows and more: a pin of its own."""
    sides = tuple(side.values[~np.isnan(side.values)] for side in (real, made))
    label = f"{real.name}: histogram of real and made rows"
    if not len(sides[0]):
        return picture(WIDTH, HEIGHT, label, text(WIDTH / 2, HEIGHT / 2, "all missing", text_anchor="middle"))
    lost = [float(np.isnan(side.values).mean()) for side in (real, made)]
    right = WIDTH - (44 if max(lost) > 0 else 8)
    distinct = np.unique(sides[0])
    body = (
        _value_bars(sides, distinct, right, shown)
        if len(distinct) <= OWN_BARS
        else _bin_bars(sides, spikes(sides[0]), right, shown)
    )
    return picture(WIDTH, HEIGHT, label, *body, *(_missing(lost) if max(lost) > 0 else []))


def spikes(values: np.ndarray) -> np.ndarray:
    """Values that stand out: 3% of the rows and ten times their neighbourhood's density, sorted.

    None if there are more than three: then the bars themselves are a comb that shows them.
    """
    known, counts = np.unique(values, return_counts=True)
    if len(known) <= OWN_BARS:
        return known[:0]
    share = counts / len(values)
    near = np.array([np.median(share[max(k - 5, 0) : k + 6]) for k in np.flatnonzero(share >= SPIKE)])
    tall = known[share >= SPIKE][share[share >= SPIKE] > 10 * near]
    return tall if len(tall) <= 3 else tall[:0]


def _value_bars(sides: tuple[np.ndarray, ...], distinct: np.ndarray, right: float, shown: Shown) -> list[str]:
    place = [np.searchsorted(distinct, side) for side in sides]
    exact = [np.isin(side, distinct) for side in sides]
    shares = [np.bincount(p[e], minlength=len(distinct)) / max(len(p), 1) for p, e in zip(place, exact, strict=True)]
    top = max(shares[0].max(), shares[1].max(), 1e-9)
    step = (right - 8) / len(distinct)
    up = Scale(0, top, HEIGHT - 24, 10)
    out = [_base(right)]
    for k, value in enumerate(distinct):
        x = 8 + k * step
        words = hint(f"{shown(value)}: {percent(shares[0][k])} real, {percent(shares[1][k])} made")
        out.append(_bar(x + 0.1 * step, 0.8 * step, up, shares[0][k], words))
        out.append(_outline(x + 0.1 * step, 0.8 * step, up, shares[1][k]))
    every = max(1, -(-len(distinct) // 6))
    for k in range(0, len(distinct), every):
        out.append(text(8 + (k + 0.5) * step, HEIGHT - 8, shown(distinct[k]), text_anchor="middle"))
    return out


def _bin_bars(sides: tuple[np.ndarray, ...], pins: np.ndarray, right: float, shown: Shown) -> list[str]:
    rest = [side[~np.isin(side, pins)] for side in sides]
    base = rest[0] if len(rest[0]) >= 10 else sides[0]
    low, high = np.quantile(base, (0.003, 0.997))
    if len(pins):
        low, high = min(low, pins[0]), max(high, pins[-1])
    if not high > low:
        low, high = low - 0.5, high + 0.5
    log = bool(low > 0 and high / max(float(np.median(base)), 1e-300) > 12)
    edges = np.geomspace(low, high, BINS + 1) if log else np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(r, low, high), edges)[0] / max(len(s), 1) for r, s in zip(rest, sides, strict=True)]
    top = max(counts[0].max(), counts[1].max(), 1e-9)
    across = Scale(float(low), float(high), 8, right, log)
    up = Scale(0, top, HEIGHT - 24, 34 if len(pins) else 10)
    out = [_base(right)]
    outline = [(across(edges[0]), up(0))]
    for k in range(BINS):
        x, wide = across(edges[k]), across(edges[k + 1]) - across(edges[k])
        words = (
            f"{shown(edges[k])} to {shown(edges[k + 1])}: {percent(counts[0][k])} real, {percent(counts[1][k])} made"
        )
        out.append(_bar(x + 0.4, max(wide - 0.8, 0.4), up, counts[0][k], hint(words)))
        outline += [(x, up(counts[1][k])), (x + wide, up(counts[1][k]))]
    out.append(path([*outline, (across(edges[-1]), up(0))], class_="made-line"))
    out += _pins(sides, pins, across, right, shown)
    marks = [m for m in (_log_ticks(low, high) if log else ticks(float(low), float(high), 4))]
    out += [text(_inside(across(m), right), HEIGHT - 8, shown(m), text_anchor="middle") for m in marks]
    return out


def _log_ticks(low: float, high: float) -> list[float]:
    marks = [10.0**k for k in range(int(np.ceil(np.log10(low))), int(np.floor(np.log10(high))) + 1)]
    return marks if len(marks) > 1 else [float(low), float(high)]


def _pins(sides: tuple[np.ndarray, ...], pins: np.ndarray, across: Scale, right: float, shown: Shown) -> list[str]:
    """Spikes as pins: a filled head for real, a ring for made, each at the height of its share."""
    up = Scale(0, 1, HEIGHT - 24, 18)
    out = []
    for pin in pins:
        real, made = (float((side == pin).mean()) if len(side) else 0.0 for side in sides)
        x = across(float(pin))
        words = hint(f"the value {shown(pin)}: {percent(real)} of real rows, {percent(made)} of made rows")
        out.append(tag("line", x1=x, x2=x, y1=up(0), y2=up(max(real, made)), class_="pin"))
        out.append(tag("circle", words, cx=x, cy=up(real), r=4.5, class_="real"))
        out.append(tag("circle", words, cx=x, cy=up(made), r=6.5, class_="made-line"))
        side = "start" if x < right / 2 else "end"
        label = f"{shown(pin)}: {percent(real)} | {percent(made)}"
        if len(pins) <= 2:
            shift = 10 if side == "start" else -10
            out.append(text(x + shift, up(max(real, made)) + 3.5, label, text_anchor=side, class_="strong"))
    return out


def _missing(lost: Sequence[float]) -> list[str]:
    """The shares of missing values as two bars at the right edge."""
    up = Scale(0, 1, HEIGHT - 24, 22)
    x = WIDTH - 34
    words = hint(f"missing: {percent(lost[0])} of real rows, {percent(lost[1])} of made rows")
    track = tag("rect", x=x, y=up(1), width=26, height=up(0) - up(1), class_="track")
    return [
        track,
        tag("rect", words, x=x, y=up(lost[0]), width=26, height=up(0) - up(lost[0]), class_="real"),
        tag("line", x1=x - 3, x2=x + 29, y1=up(lost[1]), y2=up(lost[1]), class_="made-line"),
        text(x + 13, 12, percent(lost[0]), text_anchor="middle"),
        text(x + 13, HEIGHT - 8, "missing", text_anchor="middle"),
    ]


def level_bars(real: Column, made: Column) -> Markup:
    """A category column: the share of its commonest levels, the others together, and missing values."""
    assert real.levels is not None
    rows = level_shares(real, made)
    step = min(22.0, (HEIGHT - 8) / max(len(rows), 1))
    top = max([max(r, m) for _, r, m in rows] + [1e-9])
    along = Scale(0, top, 118, WIDTH - 44)
    out = []
    for k, (name, share, other) in enumerate(rows):
        y = 4 + k * step
        words = hint(f"{name}: {percent(share)} real, {percent(other)} made")
        out.append(text(112, y + step / 2 + 3.5, name, 19, text_anchor="end"))
        out.append(
            tag("rect", words, x=118, y=y + 2, width=along(share) - 118 + 0.5, height=step - 5, rx=1.5, class_="real")
        )
        x = along(other)
        out.append(tag("line", words, x1=x, x2=x, y1=y - 0.5, y2=y + step - 1.5, class_="made-line thick"))
        out.append(text(max(along(share), x) + 6, y + step / 2 + 3.5, percent(share), class_="faint"))
    return picture(WIDTH, HEIGHT, f"{real.name}: shares of levels in real and made rows", *out)


def level_shares(real: Column, made: Column) -> list[tuple[str, float, float]]:
    """(level, real share, made share), most frequent first, the tail as one."""
    assert real.levels is not None
    size = len(real.levels)
    shares = []
    for side in (real, made):
        known = side.values[~np.isnan(side.values)].astype(int)
        shares.append(np.bincount(known, minlength=size)[:size] / max(len(side.values), 1))
    order = np.argsort(-shares[0], kind="stable")
    room = LEVELS - 1
    head, tail = order[:room], order[room:]
    if len(tail) == 1:
        head, tail = order[: room + 1], order[room + 1 :]
    rows = [(real.levels[k], float(shares[0][k]), float(shares[1][k])) for k in head if shares[0][k] + shares[1][k] > 0]
    if len(tail) and shares[0][tail].sum() + shares[1][tail].sum() > 0:
        rows.append((f"{len(tail):,} others", float(shares[0][tail].sum()), float(shares[1][tail].sum())))
    lost = [float(np.isnan(side.values).mean()) for side in (real, made)]
    return [*rows, ("missing", *lost)] if max(lost) > 0 else rows  # type: ignore[list-item]


def distances(to_train: np.ndarray, to_test: np.ndarray, noun: str = "row") -> Markup:
    """Distances of made records to the nearest training record (filled) and the nearest held-out one (outline)."""
    wide, high = 640.0, 220.0
    top = float(np.quantile(np.r_[to_train, to_test], 0.995)) or 1.0
    edges = np.linspace(0, top, 49)
    counts = [np.histogram(np.clip(d, 0, top), edges)[0] / len(d) for d in (to_train, to_test)]
    across, up = Scale(0, top, 10, wide - 10), Scale(0, max(c.max() for c in counts), high - 38, 10)
    out = [tag("line", x1=10, x2=wide - 10, y1=up(0), y2=up(0), class_="axis")]
    line = [(across(0), up(0))]
    for k in range(len(edges) - 1):
        x, step = across(edges[k]), across(edges[k + 1]) - across(edges[k])
        shares = f"{percent(counts[0][k])} to training {noun}s, {percent(counts[1][k])} to held-out {noun}s"
        words = f"distance {edges[k]:.2f} to {edges[k + 1]:.2f}: {shares}"
        out.append(_bar(x + 0.5, step - 1, up, counts[0][k], hint(words), "made"))
        line += [(x, up(counts[1][k])), (x + step, up(counts[1][k]))]
    out.append(path([*line, (across(top), up(0))], class_="real-line"))
    out += [text(across(m), high - 22, f"{m:g}", text_anchor="middle") for m in ticks(0, top, 6)]
    label = f"distance to the nearest real {noun} (0 is an equal {noun})"
    out.append(text(wide / 2, high - 4, label, text_anchor="middle"))
    return picture(wide, high, f"distances from made {noun}s to training and to held-out {noun}s", *out)


def _base(right: float) -> str:
    return tag("line", x1=8, x2=right, y1=HEIGHT - 24, y2=HEIGHT - 24, class_="axis")


def _bar(x: float, width: float, up: Scale, share: float, inside: str, style: str = "real") -> str:
    y = up(float(share))
    return tag("rect", inside, x=float(x), y=y, width=float(width), height=max(up(0) - y, 0.0), class_=style)


def _outline(x: float, width: float, up: Scale, share: float) -> str:
    y = up(float(share))
    return path([(x - 1, up(0)), (x - 1, y), (x + width + 1, y), (x + width + 1, up(0))], class_="made-line")


def _inside(x: float, right: float) -> float:
    return min(max(x, 14.0), right - 10)


__all__ = ["cut", "distances", "histogram", "level_bars", "level_shares", "marginal", "spikes"]
