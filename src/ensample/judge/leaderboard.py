"""The leaderboard: families of models, fitted and judged on the same rows, ranked with ties called ties."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pyarrow as pa

from ensample.budget import Budget
from ensample.errors import EnsampleError, InputError
from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.reference import Reference, Sizes
from ensample.judge.texts.dialogues import ReplyReference
from ensample.judge.verdict import verdict
from ensample.storage import write_json

if TYPE_CHECKING:
    from ensample.data.dataset import Dataset
    from ensample.judge.subject import Subject

Role = Literal["model", "floor", "ceiling"]
MOST_TRAIN, MOST_TEST = 50_000, 20_000
"""Rows that judging looks at; fitting uses all."""


class Fitted(Protocol):
    """What the leaderboard asks of a model."""

    @property
    def can(self) -> Mapping[str, Any]:
        """Verbs and their guarantees."""
        ...

    def sample(self, n: int, *, seed: int) -> Dataset:
        """New records."""
        ...


Fit = Callable[["Dataset", Any, Budget, int], Any]
"""`fit(train, family, budget, seed)` gives a `Fitted`, which also has `log_prob(data)` if its `can` says so."""


@dataclass(frozen=True)
class Entry:
    """One row of the leaderboard; a family that failed has a reason instead of a judgement."""

    name: str
    role: Role
    judgement: Judgement | None = None
    fit_seconds: float = float("nan")
    sample_seconds: float = float("nan")
    failure: str = ""
    rank: int | None = None
    tied: bool = False
    findings: tuple[Finding, ...] = ()

    @property
    def copied(self) -> bool:
        """Whether its rows lean on the training rows."""
        return self.judgement is not None and self.judgement.copy is not None and self.judgement.copy.copied


@dataclass(frozen=True)
class Leaderboard:
    """Entries in the order of their rank, between floor and ceiling. `best` is the name of the best model, if any."""

    entries: tuple[Entry, ...]
    reference: Any
    data_findings: tuple[Finding, ...]

    @property
    def best(self) -> str | None:
        """The best model: of those tied for the first rank the one with the fewest bits, else the first; no copier."""
        first = [e for e in self.entries if e.rank == 1]
        bits = [e for e in first if e.judgement and (m := e.judgement.get("bits")) is not None and np.isfinite(m.value)]
        if len(bits) == len(first):
            bits.sort(key=lambda e: e.judgement["bits"].value if e.judgement else 0.0)
        return (bits if len(bits) == len(first) else first)[0].name if first else None

    def __getitem__(self, name: str) -> Entry:
        return next(e for e in self.entries if e.name == name)

    def leaders(self, measure: str) -> frozenset[str]:
        """Names of the models that no other beats on this measure beyond the noise."""
        taken = {e.name: m for e in self.entries if e.role == "model" and (m := value_of(e, measure)) is not None}
        return frozenset(n for n, m in taken.items() if not any(o.beats(m) for o in taken.values()))

    @property
    def words(self) -> tuple[str, ...]:
        """The verdict: which model is best, how good that is, and whether it copied."""
        return verdict(self)

    def __str__(self) -> str:
        from ensample.judge.text import board_text

        return board_text(self)

    def _repr_html_(self) -> str:
        from ensample.judge.report import board_table

        return board_table(self)

    def to_plain(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "best": self.best,
            "verdict": list(self.words),
            "ranked_by": self.reference.subject.ranked_by,
            "rows": {"train": len(self.reference.train), "test": len(self.reference.test)},
            "warnings": [str(f) for f in self.data_findings],
            "entries": [_plain(e) for e in self.entries],
        }

    def save(self, path: str | Path) -> None:
        """Write as a web page (`.html`) or as JSON (`.json`).

        Raises:
            InputError: another ending.
            FormatError: the file cannot be written.
        """
        from ensample.judge.report import board_report, write_page

        path = Path(path)
        if path.suffix == ".json":
            write_json(path, self.to_plain())
        elif path.suffix in (".html", ".htm"):
            write_page(path, board_report(self).html())
        else:
            raise InputError(
                "A leaderboard is saved as .html or .json.", str(path), repr(path.suffix), "use one of these endings"
            )


def value_of(entry: Entry, measure: str) -> Any:
    """The measure of an entry, None if it has none."""
    return None if entry.judgement is None else entry.judgement.get(measure)


def _plain(entry: Entry) -> dict[str, Any]:
    judgement = entry.judgement
    seconds = {"fit": entry.fit_seconds, "sample": entry.sample_seconds}
    return {
        "name": entry.name,
        "role": entry.role,
        "rank": entry.rank,
        "tied": entry.tied,
        "copied": entry.copied,
        "failure": entry.failure,
        "seconds": {k: round(v, 3) if np.isfinite(v) else None for k, v in seconds.items()},
        "measures": [m.to_plain() for m in judgement.measures] if judgement else [],
        "warnings": [str(f) for f in entry.findings],
    }


def compare(
    train: Dataset,
    test: Dataset,
    families: Mapping[str, Any],
    fit: Fit,
    *,
    budget: Budget | str = "20m",
    seed: int = 0,
    given: tuple[str, ...] = (),
    targets: tuple[str, ...] | None = None,
    sizes: Sizes | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> Leaderboard:
    """Fit, sample and judge each family on the same rows.

    Arguments:
        train: rows to learn from; its schema says what the fields are.
        test: rows held out.
        families: family objects by the name to show. One called "independent" is the floor, one called "resample" the
            ceiling; where they are missing, shuffled columns and plain training rows stand in.
        fit: how to fit one of them.
        budget: for all fits together; seconds that one leaves go to the others. Judging is not counted.
        seed: of everything.
        given: fields that the models are given.
        targets: columns to predict in the usefulness measure.
        sizes: most rows that each measure looks at.
        progress: called with a line of text and the share done.

    Returns:
        A leaderboard; a family that fails is listed with the reason and does not stop the others.
    """
    if train.schema is None:
        raise InputError(
            "Fields have kinds before they are compared.", "train", "no schema", "read it by ensample.read"
        )
    tables = (bounded(train, MOST_TRAIN, seed), bounded(test, MOST_TEST, seed))
    reference = Reference(*tables, train.schema, given=given, targets=targets, sizes=sizes, seed=seed)
    return compare_on(reference, train, families, fit, budget=budget, seed=seed, progress=progress)


def compare_on(
    reference: Any,
    train: Dataset,
    families: Mapping[str, Any],
    fit: Fit,
    *,
    budget: Budget | str = "20m",
    seed: int = 0,
    progress: Callable[[str, float], None] | None = None,
) -> Leaderboard:
    """Fit, sample and judge each family against a reference, of tables or of pictures; see `compare`.

    Arguments:
        reference: the real records; its `subject` says how they are judged.
        train: records to learn from.
        families: family objects by the name to show.
        fit: how to fit one of them.
        budget: for all fits together.
        seed: of fitting and sampling.
        progress: called with a line of text and the share done.
    """
    budget, spent, entries, subject = Budget.parse(budget), 0.0, [], reference.subject
    for done, (name, family) in enumerate(families.items()):
        if progress is not None:
            progress(f"{name}: fit, sample, judge", done / len(families))
        left = max(budget.seconds - spent, 1.0) / (len(families) - done)
        entry = _entry(name, family, fit, train, reference, replace(budget, seconds=left), seed)
        spent += 0.0 if math.isnan(entry.fit_seconds) else entry.fit_seconds
        entries.append(entry)
    if not any(e.role == "floor" and e.judgement for e in entries):
        low = subject.judge(reference, subject.make_floor(reference, subject.made))
        entries = [Entry(subject.floor_name, "floor", low), *entries]
    if not any(e.role == "ceiling" and e.judgement for e in entries):
        high = subject.judge(reference, subject.make_ceiling(reference, subject.made))
        entries = [Entry(subject.ceiling_name, "ceiling", high), *entries]
    return Leaderboard(tuple(ranked(entries, subject.ranked_by)), reference, subject.check_data(reference))


def _entry(name: str, family: Any, fit: Fit, train: Dataset, reference: Any, budget: Budget, seed: int) -> Entry:
    subject: Subject = reference.subject
    role: Role = {"independent": "floor", "resample": "ceiling"}.get(name, "model")  # type: ignore[assignment]
    start = time.perf_counter()
    try:
        model = fit(train, family, budget, seed)
        fitted = time.perf_counter()
        made = sampled_from(model, reference, seed) if role != "ceiling" else _handed_out(reference)
        sampled = time.perf_counter()
        asked = subject.ask(model, reference, seed) if role == "model" else {}
        judgement = subject.judge(reference, made, *_likelihood(model, reference), **asked)
    except (EnsampleError, ArithmeticError, ValueError, RuntimeError, MemoryError) as error:
        return Entry(name, role, failure=str(error).strip().partition("\n")[0] or type(error).__name__)
    findings = subject.check_model(reference, judgement) if role == "model" else ()
    return Entry(name, role, judgement, fitted - start, sampled - fitted, findings=findings)


def _handed_out(reference: Any) -> pa.Table:
    """Training records, each at most once, because a judge notices records drawn twice."""
    table: pa.Table = reference.subject.make_ceiling(reference, reference.subject.made)
    return table


def sampled_from(model: Any, reference: Any, seed: int) -> pa.Table:
    """What the subject asks of a model: so many records, or one for each held-out one, under its given fields."""
    count, held_out = reference.subject.made, reference.test_table
    if isinstance(reference, ReplyReference):
        return reference.replies(model, count, seed)
    if not reference.given:
        made: pa.Table = model.sample(count, seed=seed + 1).to_arrow()
        return made
    chosen = np.sort(np.random.default_rng(seed).permutation(held_out.num_rows)[:count])
    conditions = held_out.select(list(reference.given)).take(pa.array(chosen))
    made = model.sample(where=conditions, seed=seed + 1).to_arrow()
    return made


def _likelihood(model: Any, reference: Any) -> tuple[Any, ...]:
    sort = model.can.get("log_prob")
    return () if sort is None else (np.asarray(model.log_prob(reference.scored)), sort)


def ranked(entries: list[Entry], ranked_by: str) -> Iterator[Entry]:
    """Ceiling, models by rank, copiers, failures, floor. A rank is one more than the number of models that beat it.

    What beats is the paired interval of the measure that ranks; models that share a rank are tied. A model
    whose records lean on the training records is not ranked: what it wins, it wins by copying.
    """
    yield from (e for e in entries if e.role == "ceiling")
    fine = [e for e in entries if e.role == "model" and e.judgement is not None and not e.copied]
    taken = [value_of(e, ranked_by) for e in fine]
    ranks = [1 + sum(other.beats(m) for other in taken) for m in taken]
    placed = [replace(e, rank=r, tied=ranks.count(r) > 1) for e, r in zip(fine, ranks, strict=True)]
    yield from sorted(placed, key=lambda e: (e.rank, value_of(e, ranked_by).value))
    yield from (e for e in entries if e.role == "model" and e.copied)
    yield from (e for e in entries if e.role == "floor")
    yield from (e for e in entries if e.role == "model" and e.judgement is None)


def bounded(data: Dataset, most: int, seed: int) -> pa.Table:
    """At most so many rows of a data set, drawn at random in one pass."""
    rows = len(data)
    if rows <= most:
        return data.to_arrow()
    chosen = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    parts, start = [], 0
    for batch in data.batches():
        low, high = np.searchsorted(chosen, (start, start + batch.num_rows))
        parts.append(batch.take(pa.array(chosen[low:high] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(parts)
