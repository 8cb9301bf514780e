"""What the user sees: the answer on standard output, all else on standard error."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from ensample.run import Progress


@dataclass(frozen=True)
class Answer:
    """What a verb found: `text` for people, `facts` (plain values) for `--json`.

    `pieces` is a text that is shown as it appears, instead; `end` is what follows the text.
    """

    text: str
    facts: Mapping[str, Any]
    pieces: Iterable[str] | None = None
    end: str = "\n"


@dataclass
class Console:
    """Standard error: notes, and one live line of progress when it is a terminal.

    Elsewhere (a file, a pipe) a line of progress is written when a stage begins and every 10 seconds.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False
    _stage: str = ""
    _written: float = -math.inf
    _live: int = 0

    def note(self, text: str) -> None:
        """A line for people."""
        if not self.quiet:
            self._clear()
            print(text, file=self.stream, flush=True)

    def progress(self, progress: Progress) -> None:
        """Show how far learning is."""
        if self.quiet:
            return
        now, live = time.monotonic(), self.stream.isatty()
        if now - self._written < (0.1 if live else 10.0) and progress.stage == self._stage:
            return
        self._stage, self._written = progress.stage, now
        line = progress_line(progress)
        if live:
            self.stream.write("\r" + line.ljust(self._live))
            self._live = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def close(self) -> None:
        """Take the live line away."""
        self._clear()

    def _clear(self) -> None:
        if self._live:
            self.stream.write("\r" + " " * self._live + "\r")
            self.stream.flush()
            self._live = 0


def progress_line(progress: Progress) -> str:
    """One line, at most 79 characters: stage, share done, loss, rate and time left.

    Example:
        >>> from ensample.run import Progress
        >>> progress_line(Progress("boosted", 0.5, loss=27.31, rate=1234.0, left=61.0))
        'boosted  50 %  loss 27.3100 nats  1,234 records/s  1m01s left'
    """
    parts = [progress.stage, f"{100 * progress.done:.0f} %"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f} nats")
    if progress.rate is not None:
        parts.append(f"{progress.rate:,.0f} records/s")
    if progress.left is not None and math.isfinite(progress.left):
        parts.append(f"{duration(progress.left)} left")
    return "  ".join(parts)[:79]


def duration(seconds: float) -> str:
    """Seconds for people.

    Example:
        >>> duration(4.21), duration(61), duration(7260)
        ('4.2s', '1m01s', '2h01m')
    """
    if seconds < 10:
        return f"{seconds:.1f}s"
    if seconds < 60:
        return f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def to_json(facts: Mapping[str, Any]) -> str:
    """One JSON object on one line; what JSON cannot say (infinities, not a number) becomes null."""
    return json.dumps(plain(facts), allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value as JSON knows it: arrays as lists, dates and the like as text, infinite as None.

    Example:
        >>> plain({"a": (1, float("inf")), "b": None})
        {'a': [1, None], 'b': None}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


def columns(rows: Sequence[tuple[str, ...]], gap: str = "  ") -> str:
    """Rows of text as aligned columns.

    Example:
        >>> print(columns([("name", "kind"), ("age", "number")]))
        name  kind
        age   number
    """
    widths = [max(len(row[j]) for row in rows) for j in range(len(rows[0]))] if rows else []
    return "\n".join(
        gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
