"""Search for dependencies between values and for orders between numbers."""

from __future__ import annotations

import numpy as np

from ensample.judge.frame import Column, Frame
from ensample.judge.relations import Depends, Ordered

CONFIDENT = 0.99
SUPPORT = 25
MOST_DEPENDS, MOST_ORDERS = 10, 4
OWN_VALUES = 60
SURPRISE = 0.02
"""Least information, in bits a row over the whole table, that a dependency must explain to be kept."""


def dependencies(frame: Frame) -> tuple[Depends, ...]:
    """Values of one column that fix the value of another, most informative first.

    A level counts if 99 of 100 of its training rows (25 at least) agree on the other column's value, on both halves of
    the rows. A missing value is a level like any other, so "no occupation where there is no employer" is found too.
    """
    coded = [_levels(c) for c in frame.columns]
    found = []
    for a, source in enumerate(coded):
        for b, target in enumerate(coded):
            if a != b and source is not None and target is not None:
                rule = _rule(frame, a, b, source, target)
                found += [rule] if rule is not None else []
    found.sort(key=lambda rule: -rule.weight)
    kept: dict[frozenset[int], Depends] = {}
    for rule in found:
        kept.setdefault(frozenset(rule.columns), rule)
    return tuple(kept.values())[:MOST_DEPENDS]


_Coded = tuple[np.ndarray, np.ndarray]
"""Codes [rows] and the value of each code (infinity for missing, NaN for "another number")."""


def _levels(column: Column) -> _Coded | None:
    key = np.where(np.isnan(column.values), np.inf, column.values)
    values, codes, counts = np.unique(key, return_inverse=True, return_counts=True)
    if len(values) > OWN_VALUES and column.is_number:
        own = np.flatnonzero(counts >= 0.02 * len(key))
        place = np.full(len(values), len(own))
        place[own] = np.arange(len(own))
        values, codes = np.append(values[own], np.nan), place[codes]
    return (codes, values) if len(values) > 1 else None


def _rule(frame: Frame, a: int, b: int, source: _Coded, target: _Coded) -> Depends | None:
    codes_a, values_a = source
    codes_b, values_b = target
    half = np.arange(len(codes_a)) % 2 == 0
    first, second = (_crossed(codes_a[side], codes_b[side], len(values_a), len(values_b)) for side in (half, ~half))
    whole = first + second
    size, mode = whole.sum(1), whole.argmax(1)
    share = np.divide(whole.max(1), size, out=np.zeros(len(size)), where=size > 0)
    again = np.divide(
        second[np.arange(len(size)), mode], second.sum(1), out=np.zeros(len(size)), where=second.sum(1) > 0
    )
    base = whole.sum(0) / whole.sum()
    sure = (size >= SUPPORT) & (share >= CONFIDENT) & (again >= CONFIDENT)
    sure &= ~np.isnan(values_a) & ~np.isnan(values_b[mode]) & (base[mode] < 0.9)
    weight = float((size[sure] * -np.log2(base[mode[sure]])).sum() / size.sum())
    if not sure.any() or weight < SURPRISE:
        return None
    full = bool(size[sure].sum() >= 0.99 * size.sum())
    words = _words(frame, a, b, values_a, values_b, np.flatnonzero(sure), mode, size, full)
    return Depends(a, b, tuple(values_a[sure]), tuple(values_b[mode[sure]]), words, weight, full)


def _crossed(a: np.ndarray, b: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns)


def _words(
    frame: Frame,
    a: int,
    b: int,
    values_a: np.ndarray,
    values_b: np.ndarray,
    sure: np.ndarray,
    mode: np.ndarray,
    size: np.ndarray,
    full: bool,
) -> str:
    one, other = frame.columns[a], frame.columns[b]
    if full:
        return f"{one.name} fixes {other.name}"
    if size[sure].sum() >= 0.5 * size.sum() and len(sure) > 3:
        return f"most values of {one.name} fix {other.name}"
    top = sorted(sure, key=lambda k: -size[k])
    k = top[0]
    more = f" (and {len(top) - 1} more like it)" if len(top) > 1 else ""
    return f"where {one.name} is {_label(one, values_a[k])}, {other.name} is {_label(other, values_b[mode[k]])}{more}"


def _label(column: Column, value: float) -> str:
    if np.isinf(value):
        return "missing"
    return f"{value:g}" if column.levels is None else column.levels[int(value)]


def orders(frame: Frame, known: set[tuple[int, ...]]) -> tuple[Ordered, ...]:
    """Pairs of numbers in the same order in 999 of 1000 rows though their ranges overlap, closest first."""
    found = []
    taken = {frozenset(columns) for columns in known}
    for a in frame.numbers:
        for b in frame.numbers:
            if a != b and frozenset((a, b)) not in taken and (score := _order(frame, a, b)) is not None:
                found.append((score, Ordered(a, b, f"{frame.names[a]} is at most {frame.names[b]}")))
    return tuple(order for _, order in sorted(found, key=lambda item: item[0])[:MOST_ORDERS])


def _order(frame: Frame, a: int, b: int) -> float | None:
    low, high = frame.matrix[:, a], frame.matrix[:, b]
    rows = ~np.isnan(low) & ~np.isnan(high)
    if rows.sum() < 100:
        return None
    low, high = low[rows], high[rows]
    if (low <= high).mean() < 0.999 or (low == high).mean() > 0.9:
        return None
    by_chance = float((low <= np.roll(high, len(high) // 2)).mean())
    return by_chance if by_chance < 0.9 else None
