"""The report: one self-contained page that says how good a model is, and shows it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from ensample.errors import InputError
from ensample.judge import text, view
from ensample.judge.dotplots import Mark, panel
from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.svg import percent, short
from ensample.judge.verdict import copying
from ensample.storage import write_atomically, write_json

if TYPE_CHECKING:
    from ensample.judge.leaderboard import Leaderboard
    from ensample.judge.subject import Subject


@dataclass(frozen=True)
class Report:
    """Everything that is said about one model, beside floor and ceiling, and about its rivals if there were any.

    Made by `report` or `board_report`; `save` writes the page.
    """

    name: str
    words: tuple[str, ...]
    reference: Any
    judgement: Judgement | None
    floor: Judgement | None
    ceiling: Judgement | None
    findings: tuple[Finding, ...]
    board: Leaderboard | None = None

    def __str__(self) -> str:
        lines = [*self.words, ""]
        if self.judgement is not None:
            rows = view.table(self.judgement, self.floor, self.ceiling)
            wide = max(len(r["name"]) for r in rows)
            lines.append(f"{'':{wide}}  {'value':>16}  {'floor':>8}  {'ceiling':>8}  better")
            lines += [
                f"{r['name']:{wide}}  {r['value']:>16}  {r['floor']:>8}  {r['ceiling']:>8}  {r['better']}" for r in rows
            ]
        return "\n".join([*lines, *(["", *map(str, self.findings)] if self.findings else [])])

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        sides = (("measures", self.judgement), ("floor", self.floor), ("ceiling", self.ceiling))
        return {
            "name": self.name,
            "verdict": list(self.words),
            "rows": {"train": len(self.reference.train), "test": len(self.reference.test)},
            "warnings": [{"severity": f.severity, "about": f.about, "words": f.words} for f in self.findings],
            **{name: [m.to_plain() for m in side.measures] for name, side in sides if side is not None},
        }

    def html(self) -> str:
        """The whole page."""
        return _environment().get_template("page.html").render(**_context(self))

    def save(self, path: str | Path) -> None:
        """Write as a web page (`.html`) or as JSON (`.json`).

        Raises:
            InputError: another ending.
            FormatError: the file cannot be written.
        """
        path = Path(path)
        if path.suffix == ".json":
            write_json(path, self.to_plain())
        elif path.suffix in (".html", ".htm"):
            write_page(path, self.html())
        else:
            raise InputError("A report is saved as .html or .json.", str(path), repr(path.suffix), "use one of these")


def report(name: str, reference: Any, judgement: Judgement) -> Report:
    """A report on one model: judged already, floor and ceiling are made and judged here.

    Arguments:
        name: what to call the model.
        reference: the real records.
        judgement: what its subject's `judge` said of the model's records.
    """
    subject: Subject = reference.subject
    count = len(judgement.made)
    low, high = (
        subject.judge(reference, make(reference, count)) for make in (subject.make_floor, subject.make_ceiling)
    )
    words = (f"{name}. {subject.quality(judgement)}", copying(judgement, high, subject.noun))
    findings = (*subject.check_model(reference, judgement), *subject.check_data(reference))
    return Report(name, tuple(w for w in words if w), reference, judgement, low, high, findings)


def board_report(board: Leaderboard) -> Report:
    """The page of a leaderboard: all models, and the best one in detail."""
    best = board.best
    entry = None if best is None else board[best]
    sides = {e.role: e.judgement for e in board.entries if e.role != "model" and e.judgement is not None}
    findings = (*(entry.findings if entry else ()), *board.data_findings)
    judgement = None if entry is None else entry.judgement
    name = best or "no model"
    return Report(
        name, board.words, board.reference, judgement, sides.get("floor"), sides.get("ceiling"), findings, board
    )


def _context(report: Report) -> dict[str, Any]:
    """Everything the template shows."""
    reference, judgement, subject = report.reference, report.judgement, report.reference.subject
    detail: dict[str, Any] = {}
    if judgement is not None:
        detail = {
            "tiles": view.tiles(subject.tiles, judgement, report.floor, report.ceiling),
            "table": view.table(judgement, report.floor, report.ceiling),
            "made_rows": len(judgement.made),
            **subject.detail(reference, judgement),
        }
    return {
        "name": report.name,
        "words": report.words,
        "findings": report.findings,
        "rows": {"train": len(reference.train), "test": len(reference.test)},
        "knows_train": reference.knows_train,
        "schema": view.schema_rows(reference),
        "board": report.board,
        "board_rows": board_rows(report.board) if report.board else [],
        "panels": _panels(report) if report.board else [],
        "measure_labels": [label for _, label in subject.columns],
        "subject": subject,
        "detail": detail,
    }


def _panels(report: Report) -> list[dict[str, Any]]:
    board = report.board
    assert board is not None
    out = []
    for name, label, about in report.reference.subject.panels:
        leaders = board.leaders(name)
        fine = [e for e in board.entries if e.role == "model" and e.judgement is not None]
        marks = [Mark(e.name, e.judgement.get(name) if e.judgement else None, e.name in leaders) for e in fine]
        ends = [side.get(name) if side is not None else None for side in (report.floor, report.ceiling)]
        if any(m.measure is not None for m in marks):
            out.append({"label": label, "about": about, "picture": panel(marks, ends[0], ends[1], label)})
    return out


def board_rows(board: Leaderboard) -> list[dict[str, Any]]:
    """Rows of the leaderboard as text, for the page."""
    rows = []
    shows = board.reference.subject.columns
    leaders = {name: board.leaders(name) for name, _ in shows}
    for entry in board.entries:
        cells = []
        for name, _ in shows:
            measure = None if entry.judgement is None else entry.judgement.get(name)
            cells.append(
                {
                    "text": "" if measure is None else text.shown(measure),
                    "leads": entry.name in leaders[name],
                    "words": "" if measure is None else measure.words,
                }
            )
        times = [text.seconds(entry.fit_seconds), text.seconds(entry.sample_seconds)]
        rows.append({"entry": entry, "place": text.place(entry), "cells": cells, "times": times})
    return rows


def board_table(board: Leaderboard) -> str:
    """The leaderboard as an HTML table for a notebook."""
    head = [label for _, label in board.reference.subject.columns]
    return _environment().get_template("board.html").render(rows=board_rows(board), head=head, words=board.words)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ensample.judge", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, short=short)
    return environment


def write_page(path: Path, page: str) -> None:
    """Write a page as a whole or not at all. Raises FormatError."""
    write_atomically(path, lambda p: p.write_text(page, encoding="utf-8"))
