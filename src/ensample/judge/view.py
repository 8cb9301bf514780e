"""What the page shows of one model: tiles, columns, pairs, relations, closest rows, as values and pictures."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from ensample.judge.doctor import Kept, relation_table
from ensample.judge.dotplots import track
from ensample.judge.evaluate import Judgement
from ensample.judge.measure import Measure
from ensample.judge.pairplots import matrix, pair
from ensample.judge.pairs import pair_view
from ensample.judge.plots import distances, marginal
from ensample.judge.reference import Reference
from ensample.judge.svg import Shown, short
from ensample.judge.text import figure, shown

PAIRS = 6
DRAWN = 4_000
"""Rows behind each picture; more would not show."""


@dataclass(frozen=True)
class Tile:
    """One measure with its picture between floor and ceiling."""

    label: str
    value: str
    words: str
    picture: Markup


@dataclass(frozen=True)
class Panel:
    """One column or pair: its name, how alike real and made are, its picture."""

    name: str
    score: float
    picture: Markup


def tiles(
    wanted: Sequence[tuple[str, str]], judgement: Judgement, floor: Judgement | None, ceiling: Judgement | None
) -> list[Tile]:
    """The wanted measures (name, heading), each on its way from floor to ceiling."""
    out = []
    for name, label in wanted:
        measure = judgement.get(name)
        if measure is not None:
            ends = [side.get(name) if side is not None else None for side in (floor, ceiling)]
            out.append(Tile(label, figure(measure), measure.words, track(measure, *ends)))
    return out


def table(judgement: Judgement, floor: Judgement | None, ceiling: Judgement | None) -> list[dict[str, Any]]:
    """Every measure with its interval, direction, floor and ceiling."""
    rows = []
    for measure in judgement.measures:
        ends = [side.get(measure.name) if side is not None else None for side in (floor, ceiling)]
        rows.append(
            {
                "name": measure.name,
                "value": shown(measure),
                "better": _direction(measure),
                "floor": figure(ends[0]) if ends[0] is not None else "",
                "ceiling": figure(ends[1]) if ends[1] is not None else "",
                "words": measure.words,
                "interval": measure.interval,
            }
        )
    return rows


def _direction(measure: Measure) -> str:
    if measure.better == "nearer":
        return f"nearer to {measure.target:g}"
    if measure.name == "exact copies":
        return f"at most {100 * measure.target:.2g}%"
    return measure.better


def columns(reference: Reference, judgement: Judgement) -> list[Panel]:
    """Pictures of all columns, the least alike first."""
    scores = judgement["column shapes"].parts
    real = reference.test.sample(2 * DRAWN, reference.seed)
    made = judgement.made.frame.sample(2 * DRAWN, reference.seed)
    out = [
        Panel(a.name, scores[a.name], marginal(a, b, writer(reference, a.name)))
        for a, b in zip(real.columns, made.columns, strict=True)
    ]
    return sorted(out, key=lambda panel: panel.score)


def writer(reference: Reference, name: str) -> Shown:
    """How to write a value of this column: dates as dates, numbers short."""
    kind = next(f.kind.name for f in reference.schema.fields if f.name == name)
    if kind != "datetime":
        return short
    column = reference.train_table.schema.field(name).type
    if pa.types.is_time(column) or pa.types.is_duration(column):
        return lambda days: str(dt.timedelta(seconds=round(days * 86_400)))
    wide = np.nanquantile(reference.train.columns[reference.train.names.index(name)].values, (0.01, 0.99))
    form = "%Y-%m-%d" if wide[1] - wide[0] > 3 else "%d %b %H:%M"
    return lambda days: (dt.datetime(1970, 1, 1) + dt.timedelta(days=days)).strftime(form)


def matrices(reference: Reference, judgement: Judgement) -> list[tuple[str, Markup]]:
    """Association of all pairs, real, made, and made minus real."""
    names = reference.test.names
    if len(names) < 2:
        return []
    view = pair_view(reference, judgement.made)
    parts = (("real", view.real), ("made", view.made), ("made minus real", view.made - view.real))
    return [(title, matrix(values, names, f"association of columns, {title}")) for title, values in parts]


def pairs(reference: Reference, judgement: Judgement) -> list[Panel]:
    """The strongest pairs of the real rows, and those that the model keeps least well."""
    names = reference.test.names
    if len(names) < 2:
        return []
    view = pair_view(reference, judgement.made)
    upper = [(i, j) for i in range(len(names)) for j in range(i + 1, len(names))]
    strongest = sorted(upper, key=lambda ij: -abs(view.real[ij]))
    worst = sorted(upper, key=lambda ij: view.similarity[ij])
    chosen = list(dict.fromkeys([*_varied(strongest, PAIRS // 2), *worst]))[: min(PAIRS, len(upper))]
    real = reference.test.sample(DRAWN, reference.seed)
    made = judgement.made.frame.sample(DRAWN, reference.seed)
    out = []
    for i, j in chosen:
        sides = [(side.columns[i], side.columns[j]) for side in (real, made)]
        if any(np.isnan(c.values).all() for side in sides for c in side):
            continue
        drawn = pair(sides[0], sides[1], (writer(reference, names[i]), writer(reference, names[j])))
        out.append(Panel(f"{names[i]} × {names[j]}", float(view.similarity[i, j]), drawn))
    return out


def _varied(ranked: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """The first pairs in which no column comes a third time."""
    out: list[tuple[int, int]] = []
    used: dict[int, int] = {}
    for i, j in ranked:
        if len(out) < count and used.get(i, 0) < 2 and used.get(j, 0) < 2:
            out.append((i, j))
            used[i], used[j] = used.get(i, 0) + 1, used.get(j, 0) + 1
    return out


def rules(reference: Reference, judgement: Judgement) -> tuple[Kept, ...]:
    """Relations found, worst kept first."""
    return relation_table(reference, judgement)


def copy_picture(judgement: Judgement) -> Markup | None:
    """Distances to training and held-out rows."""
    check = judgement.copy
    return None if check is None else distances(check.to_train, check.to_test)


def closest(reference: Reference, judgement: Judgement) -> list[dict[str, Any]]:
    """The made rows that lie most suspiciously near to a training row, value beside value."""
    if judgement.copy is None:
        return []
    names = reference.coding.names
    out = []
    for found in judgement.copy.closest:
        made = _row(judgement.made.table, found.made, names)
        train = _row(reference.train_table, found.train, names)
        cells = [{"name": n, "made": m, "train": t, "same": m == t} for n, m, t in zip(names, made, train, strict=True)]
        out.append({"distance": found.distance, "to_test": found.to_test, "cells": cells})
    return out


def _row(rows: pa.Table, place: int, names: tuple[str, ...]) -> list[str]:
    values = [rows.column(name)[place].as_py() for name in names]
    return ["missing" if v is None else f"{v:.6g}" if isinstance(v, float) else str(v) for v in values]


def schema_rows(reference: Reference) -> list[tuple[str, str, str, str]]:
    """(name, type, kind, description) of every field."""
    return [(f.name, f.dtype, f.kind.name, f.kind.describe()) for f in reference.schema.fields]
