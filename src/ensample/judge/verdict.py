"""The verdict in words: which model is best, how good that is, and whether it copied rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ensample.judge.evaluate import Judgement
from ensample.judge.measure import Measure

if TYPE_CHECKING:
    from ensample.judge.leaderboard import Leaderboard


def verdict(board: Leaderboard) -> tuple[str, ...]:
    """Sentences for people, the most important first."""
    name = board.best
    if name is None:
        return ("No model could be fitted and judged without failing or copying; see the reasons below.",)
    entry = board[name]
    rivals = [e.name for e in board.entries if e.rank == 1 and e.name != name]
    tie = f", tied with {_and(rivals)}" if rivals else ""
    copiers = [e.name for e in board.entries if e.role == "model" and e.copied]
    subject = board.reference.subject
    assert entry.judgement is not None
    first = f"Best: {name}{tie}. " if tie else f"Best: {name}. "
    out = [first + subject.quality(entry.judgement), copying(entry.judgement, _ceiling(board), subject.noun)]
    if copiers:
        out.append(f"Not ranked, because their {subject.noun}s lean on the training {subject.noun}s: {_and(copiers)}.")
    return tuple(s for s in out if s)


def _ceiling(board: Leaderboard) -> Judgement | None:
    return next((e.judgement for e in board.entries if e.role == "ceiling" and e.judgement), None)


def quality(judgement: Judgement) -> str:
    """How good the rows are, in one or two sentences."""
    plain, derived = judgement["two-sample test"], judgement["two-sample test with relations"]
    useful = judgement.get("usefulness")
    if derived.low <= 0.5:
        text = "A boosted classifier cannot tell its rows from real ones, even with relations between columns at hand"
    elif derived.value < 0.55:
        text = f"A boosted classifier hardly tells its rows from real ones (AUC {derived.value:.2f}, 0.5 is guessing)"
    elif derived.value - plain.value > 0.1:
        text = (
            f"A boosted classifier {_tells(plain)} its rows from real ones "
            f"(AUC {plain.value:.2f}, 0.5 is guessing), but one that is shown relations between columns does "
            f"(AUC {derived.value:.2f})"
        )
    else:
        text = f"A boosted classifier tells its rows from real ones (AUC {derived.value:.2f}, 0.5 is guessing)"
    if useful is not None and np.isfinite(useful.value):
        kept = "all" if useful.value >= 0.995 else f"{max(useful.value, 0):.0%}"
        text += f". A predictor trained on them keeps {kept} of the skill of one trained on real rows"
    return text + "."


def _tells(measure: Measure) -> str:
    if measure.low <= 0.5:
        return "cannot tell"
    return "hardly tells" if measure.value < 0.58 else "tells"


def copying(judgement: Judgement, ceiling: Judgement | None, noun: str = "row") -> str:
    """Whether the records are copies, in one sentence; nothing if the training records are not at hand."""
    check = judgement.copy
    if check is None:
        return ""
    return check.sentence(None if ceiling is None else ceiling.copy, noun)


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
