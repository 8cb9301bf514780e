"""The leaderboard as text for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensample.judge.measure import Measure

if TYPE_CHECKING:
    from ensample.judge.leaderboard import Entry, Leaderboard


def board_text(board: Leaderboard) -> str:
    """Aligned table, verdict below; a star marks what no other model beats beyond the noise."""
    shows = board.reference.subject.columns
    rows = [["", "family", *(label for _, label in shows), "fit", "sample"]]
    leaders = {name: board.leaders(name) for name, _ in shows}
    for entry in board.entries:
        if entry.judgement is not None:
            cells = [_cell(entry, name, entry.name in leaders[name]) for name, _ in shows]
            rows.append([place(entry), entry.name, *cells, seconds(entry.fit_seconds), seconds(entry.sample_seconds)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(_pad(c, w, k) for k, (c, w) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    failed = [f"{e.name} failed: {e.failure}" for e in board.entries if e.judgement is None]
    return "\n".join([*lines, *failed, "", *board.words, "", *board.reference.subject.notes])


def _pad(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def place(entry: Entry) -> str:
    """What stands before a name: its rank, or what it is instead."""
    if entry.role != "model":
        return entry.role
    if entry.judgement is None:
        return "failed"
    return "copies" if entry.rank is None else f"{entry.rank}{'=' if entry.tied else ''}"


def _cell(entry: Entry, name: str, leads: bool) -> str:
    measure = None if entry.judgement is None else entry.judgement.get(name)
    return "" if measure is None else shown(measure) + ("*" if leads else " ")


def shown(measure: Measure) -> str:
    """Value and half the width of its interval, in the measure's own manner.

    Example:
        >>> shown(Measure("bits", 38.6, 38.5, 38.7, "lower", 0.0, ""))
        '38.60 ±0.10'
    """
    if not np.isfinite(measure.value):
        return "inf" if measure.value > 0 else "n/a"
    half = (measure.high - measure.low) / 2
    if measure.digits is not None:
        return f"{measure.value:.{measure.digits}f} ±{half:.{measure.digits}f}"
    if measure.name == "bits":
        return f"{measure.value:.2f} ±{half:.2f}"
    if "two-sample" in measure.name:
        return f"{measure.value:.3f} ±{half:.3f}".replace("±0.", "±.")
    if measure.name == "density":
        return f"{measure.value:.2f} ±{half:.2f}"
    return f"{100 * measure.value:.1f} ±{100 * half:.1f}%"


def figure(measure: Measure) -> str:
    """The value alone, in the measure's own manner.

    Example:
        >>> figure(Measure("coverage", 0.961, 0.95, 0.97, "higher", 1.0, ""))
        '96.1%'
    """
    whole = shown(measure)
    return whole.split(" ")[0] + ("%" if whole.endswith("%") else "")


def seconds(value: float) -> str:
    """Seconds for people, empty if there are none."""
    if not np.isfinite(value):
        return ""
    return f"{value:.1f}s" if value < 100 else f"{value / 60:.1f}m"
