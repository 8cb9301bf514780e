"""What is written under an axis of steps: dates where the steps have them, else numbers."""

from __future__ import annotations

import numpy as np

from ensample.judge.svg import short, ticks

MOST = 6
"""Labels of an axis, at most (but for the last sizes)."""

Labels = list[tuple[int, str]]
"""(number of a step, what is written there)."""

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
SIZES = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * k for k in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * k for k in (1, 2, 3, 6, 12)),
    *(_DAY * k for k in (1, 2, 7, 14)),
)
"""Seconds between labels that are no whole months apart."""

MONTHS = (1, 2, 3, 6, *(12 * k for k in (1, 2, 5, 10, 20, 50, 100)))
"""Months between other labels."""

NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

MONDAY = 4 * _DAY
"""The first Monday behind the start of 1970, a Thursday: weeks are counted from there."""


def dated(times: np.ndarray) -> Labels:
    """The steps at which an hour, a day, a month, ... begins: the smallest that begins a few times at most.

    Arguments:
        times: of the steps, ascending, `datetime64` [steps]; NaT for a step of which none is known.

    Example:
        >>> dated(np.datetime64("2024-05-03T07") + np.arange(30))
        [(5, '3 May 2024 12:00'), (11, '18:00'), (17, '4 May'), (23, '06:00'), (29, '12:00')]
        >>> dated(np.datetime64("2023-11-15") + np.arange(100))
        [(16, 'Dec 2023'), (47, 'Jan 2024'), (78, 'Feb')]
    """
    known = np.flatnonzero(~np.isnat(times))
    if not len(known):
        return []
    seconds = times[known].astype("datetime64[s]").astype(np.int64)
    months = times[known].astype("datetime64[M]").astype(np.int64)
    parts = [(seconds - MONDAY if size % (7 * _DAY) == 0 else seconds) // size for size in SIZES]
    parts += [(months + 12 * 1970) // size for size in MONTHS]
    place = next((j for j, part in enumerate(parts) if part[-1] - part[0] <= MOST), len(parts) - 1)
    size = SIZES[place] if place < len(SIZES) else 31 * _DAY * MONTHS[place - len(SIZES)]
    begin = np.flatnonzero(np.diff(parts[place])) + 1
    begins = place < len(SIZES) and (seconds[0] - (MONDAY if size % (7 * _DAY) == 0 else 0)) % size == 0
    if begins or not len(begin):  # the first step is a beginning itself, or the only one to name
        begin = np.append(0, begin)
    before: tuple[int, int, int] | None = None
    out = []
    for j in begin.tolist():
        words, before = _name(int(seconds[j]), size, before)
        out.append((int(known[j]), words))
    return out


def numbered(values: np.ndarray) -> Labels:
    """The steps of ascending `values` [steps] that are nearest to round numbers, with their own; NaN is no value.

    Example:
        >>> numbered(np.arange(-4, 15))
        [(4, '0'), (9, '5'), (14, '10')]
    """
    known = np.flatnonzero(~np.isnan(np.asarray(values, np.float64)))
    if not len(known):
        return []
    own = np.asarray(values, np.float64)[known]
    nearest = dict.fromkeys(int(np.abs(own - mark).argmin()) for mark in ticks(own[0], own[-1], MOST - 1))
    return [(int(known[j]), short(own[j])) for j in nearest]


def _name(seconds: int, size: int, before: tuple[int, int, int] | None) -> tuple[str, tuple[int, int, int]]:
    """(what is written at a time, its day): as much as sets it apart from the label before."""
    time = np.datetime64(seconds, "s")
    year, month, day = (int(word) for word in str(time.astype("datetime64[D]")).split("-"))
    new_year = before is None or before[0] != year
    of_year = f" {year}" if new_year else ""
    if size >= 31 * _DAY:
        return (str(year) if size >= 12 * 31 * _DAY else NAMES[month - 1] + of_year), (year, month, day)
    date = f"{day} {NAMES[month - 1]}{of_year}"
    clock = str(time)[11 : 19 if size < _MINUTE else 16]
    if size >= _DAY or (before != (year, month, day) and seconds % _DAY == 0):
        words = date
    else:
        words = clock if before == (year, month, day) else f"{date} {clock}"
    return words, (year, month, day)
