"""Dots with intervals between floor and ceiling: where each model stands on each measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from ensample.judge.measure import Measure
from ensample.judge.svg import Scale, hint, picture, tag, text, ticks
from ensample.judge.text import figure, shown

ROW = 26.0


@dataclass(frozen=True)
class Mark:
    """One row of a dot plot."""

    name: str
    measure: Measure | None
    leads: bool = False


def panel(marks: Sequence[Mark], floor: Measure | None, ceiling: Measure | None, label: str) -> Markup:
    """Models under each other; dashed lines are floor and ceiling, better lies to the right."""
    known = [m.measure for m in marks if m.measure is not None and math.isfinite(m.measure.value)]
    wide, left, right = 300.0, 92.0, 290.0
    high = 30 + ROW * len(marks) + 22
    if not known:
        return picture(wide, 40, label, text(wide / 2, 24, "no model has this measure", text_anchor="middle"))
    across = _scale([*known, *(m for m in (floor, ceiling) if m is not None)], left, right)
    out = [tag("line", x1=left, x2=right, y1=high - 22, y2=high - 22, class_="axis")]
    ends = (min(across.low, across.high), max(across.low, across.high))
    out += [text(across(t), high - 8, _tick(t, known[0]), text_anchor="middle") for t in ticks(*ends, 4)]
    for name, x, anchor, words in _ends(known[0], floor, ceiling, across, left, right):
        out.append(tag("line", hint(words), x1=x, x2=x, y1=20, y2=high - 22, class_=f"end {name}"))
        out.append(text(x, 13, _end_name(name, known[0]), text_anchor=anchor, class_="faint"))
    for k, mark in enumerate(marks):
        y = 30 + ROW * (k + 0.5)
        out.append(text(left - 10, y + 4, mark.name, 14, text_anchor="end", class_="strong" if mark.leads else None))
        out.append(tag("line", x1=left, x2=right, y1=y, y2=y, class_="guide"))
        if mark.measure is None or not math.isfinite(mark.measure.value):
            words = "no likelihood" if mark.measure is None else shown(mark.measure)
            out.append(text(left + 6, y + 4, words, class_="faint"))
            continue
        out += _dot(mark, across, y)
    return picture(wide, high, label, *out)


def _dot(mark: Mark, across: Scale, y: float) -> list[str]:
    measure = mark.measure
    assert measure is not None
    words = hint(f"{mark.name}: {shown(measure)}, 95% interval; {measure.words}")
    style = "made" if mark.leads else "made dim"
    ends = sorted((across(measure.low), across(measure.high)))
    bar = tag("line", x1=ends[0], x2=ends[1], y1=y, y2=y, class_="interval" if mark.leads else "interval dim")
    return [bar, tag("circle", words, cx=across(measure.value), cy=y, r=5.5, class_=style)]


def track(measure: Measure, floor: Measure | None, ceiling: Measure | None) -> Markup:
    """One measure of one model as a dot on the way from floor to ceiling."""
    wide, left, right, y = 330.0, 6.0, 324.0, 17.0
    known = [m for m in (floor, ceiling) if m is not None and math.isfinite(m.value)]
    if not math.isfinite(measure.value):
        return picture(wide, 44, measure.name, text(left, y + 4, figure(measure)))
    if not known:
        return Markup("")
    across = _scale([measure, *known], left, right)
    out = [tag("line", x1=left, x2=right, y1=y, y2=y, class_="rail")]
    for name, x, anchor, words in _ends(measure, floor, ceiling, across, left, right):
        out.append(tag("line", hint(words), x1=x, x2=x, y1=y - 9, y2=y + 9, class_=f"end {name}"))
        label = words.replace(":", "").split(" ±")[0]
        unit = "%" if words.endswith("%") and not label.endswith("%") else ""
        out.append(text(x, y + 24, label + unit, text_anchor=anchor, class_="faint"))
    return picture(wide, 44, measure.name, *out, *_dot(Mark("this model", measure, leads=True), across, y))


_End = tuple[str, float, str, str]
"""Name of the line, its place, the anchor of its label, its words."""


def _ends(
    measure: Measure, floor: Measure | None, ceiling: Measure | None, across: Scale, left: float, right: float
) -> list[_End]:
    """Lines for floor and ceiling; for what is best near a target, for that; for the copy share also plain copies."""
    lines = [("floor", floor), ("ceiling", ceiling)]
    known = [(n, m.value, shown(m)) for n, m in lines if m is not None and math.isfinite(m.value)]
    if measure.name == "copy share":
        known = [("ceiling", 0.5, "50%"), *(("floor", value, words) for n, value, words in known if n == "ceiling")]
    elif measure.better == "nearer" and math.isfinite(measure.target):
        best = figure(replace(measure, value=measure.target))
        known = [*(line for line in known if line[0] == "floor"), ("ceiling", measure.target, best)]
    places = [(name, across(value), words) for name, value, words in known]
    out = []
    for name, x, words in places:
        near = [other for n, other, _ in places if n != name and abs(other - x) < 78]
        anchor = "start" if x < left + 36 else "end" if x > right - 36 else "middle"
        if near:
            anchor = "end" if x < near[0] or (x == near[0] and name == "floor") else "start"
        out.append((name, x, anchor, f"{_end_name(name, measure)}: {words}"))
    return out


def _end_name(name: str, measure: Measure) -> str:
    if measure.name == "copy share":
        return {"ceiling": "best", "floor": "copies"}[name]
    return "best" if name == "ceiling" and measure.better == "nearer" else name


def _scale(measures: Sequence[Measure], start: float, end: float) -> Scale:
    """A scale on which better lies to the right, with room for all values and the intervals of the models."""
    values = [v for m in measures for v in (m.value, m.low, m.high) if math.isfinite(v)]
    if measures[0].better == "nearer" and math.isfinite(measures[0].target):
        values.append(measures[0].target)
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    low, high = low - room, high + room
    flipped = measures[0].better != "higher"
    return Scale(low, high, end, start) if flipped else Scale(low, high, start, end)


def _tick(value: float, measure: Measure) -> str:
    if measure.digits is not None or measure.name in ("bits", "density") or "two-sample" in measure.name:
        return f"{value:g}"
    return f"{100 * value:.4g}%"
