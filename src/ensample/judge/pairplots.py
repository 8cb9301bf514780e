"""Pictures of pairs of columns: association matrices, and real beside made for single pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ensample.judge.frame import Column
from ensample.judge.svg import Scale, Shown, hint, picture, short, tag, text, ticks

SIDE = 270.0
GRID = 30
MOST_LEVELS = 6


def matrix(values: np.ndarray, names: Sequence[str], title: str) -> Markup:
    """Association of all pairs as coloured cells; two hues for the sign, depth for the size."""
    count = len(names)
    named = count <= 24
    left = 96.0 if named else 8.0
    cell = (SIDE + 96 - left) / max(count, 1)
    size = left + cell * count
    out = []
    for i in range(count):
        for j in range(count):
            if i == j:
                continue
            value = float(values[i, j])
            words = hint(f"{names[i]} × {names[j]}: {value:+.2f}")
            style = "plus" if value >= 0 else "minus"
            depth = round(min(abs(value), 1.0) ** 0.8, 3)
            box = {"x": left + j * cell, "y": i * cell, "width": cell - 0.6, "height": cell - 0.6}
            out.append(tag("rect", words, class_=style, fill_opacity=depth, **box))
        if named:
            out.append(text(left - 5, (i + 0.5) * cell + 3.5, names[i], 15, text_anchor="end"))
            out.append(
                text(0, 0, names[i], 15, transform=_below(left + (i + 0.6) * cell, size - left + 9), text_anchor="end")
            )
    return picture(size, size - left + (14 + 4.9 * min(15, max(map(len, names))) if named else 2), title, *out)


def _below(x: float, y: float) -> str:
    """Where a slanted label under a matrix ends."""
    return f"translate({x:.1f},{y:.1f}) rotate(-55)"


def pair(
    real: tuple[Column, Column], made: tuple[Column, Column], shown: tuple[Shown, Shown] = (short, short)
) -> Markup:
    """Two columns, real beside made on the same axes."""
    numbers = [c.is_number for c in real]
    if all(numbers):
        return _density(real, made, shown)
    if any(numbers):
        return _ranges(real, made, shown, numbers.index(True))
    return _shares(real, made)


def _panels(label: str, real: list[str], made: list[str], names: tuple[str, str], high: float = 220.0) -> Markup:
    left = tag("g", *real) if real else ""
    right = tag("g", *made, transform="translate(230,0)") if made else ""
    heads = [
        text(125, 12, "real", text_anchor="middle", class_="strong"),
        text(355, 12, "made", text_anchor="middle", class_="strong"),
    ]
    axes = [
        text(240, high + 28, names[0], 50, text_anchor="middle", class_="strong"),
        text(
            0,
            0,
            names[1],
            28,
            transform=f"translate(9,{high / 2 + 10:.0f}) rotate(-90)",
            text_anchor="middle",
            class_="strong",
        ),
    ]
    return picture(470, high + 34, label, *heads, *axes, left, right)


def _density(real: tuple[Column, ...], made: tuple[Column, ...], shown: tuple[Shown, Shown]) -> Markup:
    """Counts on a grid over the middle 99% of the real values; what lies outside is drawn at the edge."""
    limits = []
    for column in real:
        low, high = np.nanquantile(column.values, (0.005, 0.995))
        limits.append((float(low), float(high) if high > low else float(low) + 1))
    across, up = Scale(*limits[0], 40, 220), Scale(*limits[1], 200, 20)
    panels = []
    for number, side in enumerate((real, made)):
        rows = ~np.isnan(side[0].values) & ~np.isnan(side[1].values)
        x, y = (np.clip(c.values[rows], *lim) for c, lim in zip(side, limits, strict=True))
        counts = np.histogram2d(x, y, GRID, limits)[0] / max(rows.sum(), 1)
        top = counts.max() or 1.0
        step_x, step_y = 180 / GRID, 180 / GRID
        style = ("real", "made")[number]
        cells = [
            tag(
                "rect",
                x=40 + i * step_x,
                y=200 - (j + 1) * step_y,
                width=step_x,
                height=step_y,
                class_=style,
                fill_opacity=round(0.12 + 0.88 * float(counts[i, j] / top) ** 0.5, 2),
            )
            for i, j in zip(*np.nonzero(counts), strict=True)
        ]
        panels.append(
            [
                tag("rect", x=40, y=20, width=180, height=180, class_="frame"),
                *cells,
                *_axes(across, up, shown, number == 0),
            ]
        )
    return _panels(f"{real[0].name} against {real[1].name}", panels[0], panels[1], (real[0].name, real[1].name))


def _axes(across: Scale, up: Scale, shown: tuple[Shown, Shown], first: bool) -> list[str]:
    out = [text(across(m), 214, shown[0](m), text_anchor="middle") for m in ticks(across.low, across.high, 3)]
    if first:
        out += [text(36, up(m) + 3.5, shown[1](m), text_anchor="end") for m in ticks(up.low, up.high, 4)]
    return out


def _ranges(real: tuple[Column, ...], made: tuple[Column, ...], shown: tuple[Shown, Shown], number: int) -> Markup:
    """A number within each level: the middle 90% as a line, the middle 50% as a bar, the median as a gap."""
    level = 1 - number
    assert real[level].levels is not None
    levels = _common(real[level])
    spread = np.nanquantile(real[number].values, (0.01, 0.99))
    across = Scale(float(spread[0]), float(spread[1]) if spread[1] > spread[0] else float(spread[0]) + 1, 28, 216)
    step = 176 / max(len(levels), 1)
    panels = []
    for place, side in enumerate((real, made)):
        style, out = ("real", "made")[place], [tag("rect", x=24, y=20, width=196, height=180, class_="frame")]
        for k, code in enumerate(levels):
            values = side[number].values[side[level].values == code]
            values = values[~np.isnan(values)]
            y = 22 + (k + 0.5) * step
            name = real[level].levels[code]  # type: ignore[index]
            if len(values):
                a, b, c, d, e = (float(v) for v in np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95)))
                words = hint(
                    f"{name}: median {shown[number](c)}, half of the rows {shown[number](b)} to {shown[number](d)}"
                )
                out.append(tag("line", x1=across(a), x2=across(e), y1=y + 4, y2=y + 4, class_=f"{style}-line"))
                box = {"x": across(b), "width": max(across(d) - across(b), 4.0), "y": y - 1, "height": 10}
                out.append(tag("rect", words, class_=style, rx=2, **box))
                if box["width"] > 8:
                    out.append(tag("line", x1=across(c), x2=across(c), y1=y - 3, y2=y + 11, class_="median"))
            if place == 0:
                out.append(text(28, y - 5, name, 30, class_="faint"))
        out += [text(across(m), 214, shown[number](m), text_anchor="middle") for m in ticks(across.low, across.high, 3)]
        panels.append(out)
    return _panels(
        f"{real[number].name} by {real[level].name}", panels[0], panels[1], (real[number].name, real[level].name)
    )


def _common(column: Column) -> list[int]:
    assert column.levels is not None
    counts = np.bincount(column.values[~np.isnan(column.values)].astype(int), minlength=len(column.levels))
    return [int(k) for k in np.argsort(-counts, kind="stable")[:MOST_LEVELS] if counts[k] > 0]


def _shares(real: tuple[Column, ...], made: tuple[Column, ...]) -> Markup:
    """Shares of one column's levels within each level of the other, as shaded cells with numbers."""
    columns, rows = _common(real[0]), _common(real[1])
    step_x, step_y = 148 / max(len(columns), 1), 160 / max(len(rows), 1)
    panels = []
    for place, side in enumerate((real, made)):
        style, out = ("real", "made")[place], []
        for i, a in enumerate(columns):
            inside = side[0].values == a
            for j, b in enumerate(rows):
                share = float((side[1].values[inside] == b).mean()) if inside.any() else 0.0
                name, other = real[0].levels[a], real[1].levels[b]  # type: ignore[index]
                words = hint(f"of {real[0].name} {name}: {100 * share:.1f}% {real[1].name} {other}")
                x, y = 78 + i * step_x, 20 + j * step_y
                out.append(
                    tag(
                        "rect",
                        words,
                        x=x,
                        y=y,
                        width=step_x - 1,
                        height=step_y - 1,
                        class_=style,
                        fill_opacity=round(0.05 + 0.75 * share, 2),
                    )
                )
                out.append(text(x + step_x / 2, y + step_y / 2 + 3, f"{100 * share:.0f}", text_anchor="middle"))
            label = f"translate({78 + (i + 0.4) * step_x:.1f},192) rotate(28)"
            out.append(text(0, 0, real[0].levels[a], 10, transform=label))  # type: ignore[index]
        if place == 0:
            for j, b in enumerate(rows):
                out.append(text(74, 23 + (j + 0.5) * step_y, real[1].levels[b], 9, text_anchor="end"))  # type: ignore[index]
        panels.append(out)
    return _panels(f"{real[0].name} against {real[1].name}", panels[0], panels[1], (real[0].name, real[1].name))
