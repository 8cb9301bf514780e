"""Notes, progress and JSON."""

from __future__ import annotations

import datetime
import io
import json

import numpy as np

from ensample.cli.console import Console, duration, progress_line, to_json
from ensample.run import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def screen(text):
    """What stands on a terminal in the end: a carriage return goes back to the start of the line."""
    lines = []
    for line in text.split("\n"):
        shown: list[str] = []
        for part in line.split("\r"):
            shown[: len(part)] = part
        lines.append("".join(shown).rstrip())
    return "\n".join(lines)


def test_a_terminal_has_one_live_line_that_goes_away():
    stream = Terminal()
    console = Console(stream)
    console.progress(Progress("a long name of a stage", 0.1, loss=2.0))
    console.progress(Progress("b", 0.5, loss=1.0))
    assert screen(stream.getvalue()) == "b  50 %  loss 1.0000 nats"
    console.note("read 3 rows")
    console.progress(Progress("c", 0.9))
    console.close()
    assert screen(stream.getvalue()) == "read 3 rows\n"


def test_a_file_gets_a_line_a_stage_and_no_more_than_one_in_ten_seconds():
    stream = io.StringIO()
    console = Console(stream)
    for k in range(50):
        console.progress(Progress("fit" if k < 25 else "score", k / 50))
    assert stream.getvalue() == "fit  0 %\nscore  50 %\n"


def test_quiet_says_nothing():
    stream = Terminal()
    console = Console(stream, quiet=True)
    console.note("read")
    console.progress(Progress("fit", 0.5))
    console.close()
    assert stream.getvalue() == ""


def test_progress_line_leaves_out_what_is_not_known():
    assert progress_line(Progress("fit", 0.25)) == "fit  25 %"
    assert progress_line(Progress("fit", 1.0, left=float("inf"))) == "fit  100 %"
    assert len(progress_line(Progress("x" * 200, 1.0))) < 80


def test_durations():
    assert [duration(s) for s in (0.04, 9.9, 59.6, 60, 3599, 3600)] == [
        "0.0s",
        "9.9s",
        "60s",
        "1m00s",
        "59m59s",
        "1h00m",
    ]


def test_json_is_strict():
    facts = {
        "a": np.array([1.5, np.nan, -np.inf]),
        "b": (np.int64(3), True, None),
        "c": datetime.date(1969, 7, 20),
        "d": "ü",
    }
    text = to_json(facts)
    assert json.loads(text) == {"a": [1.5, None, None], "b": [3, True, None], "c": "1969-07-20", "d": "ü"}
    assert "\n" not in text and "NaN" not in text
