"""The doctor: what is wrong, in words, with the data and with what a model made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.frame import Column, row_ids
from ensample.judge.reference import Reference

FEW_ROWS = 500
SPIKE = 0.03
SHOWN = 4


def check_data(reference: Reference) -> tuple[Finding, ...]:
    """What in the real rows makes learning or judging hard: too few rows, duplicates, leaks, columns not learned."""
    return (*_rows(reference), *_repeats(reference), *_unlearned(reference))


def check_model(reference: Reference, judgement: Judgement) -> tuple[Finding, ...]:
    """What a model gets wrong, the serious things first."""
    found = [
        *_copies(judgement),
        *_impossible(judgement),
        *_relations(reference, judgement),
        *_columns(reference, judgement),
        *_levels(reference, judgement),
        *_outside(reference, judgement),
    ]
    return tuple(sorted(found, key=lambda f: f.severity != "serious"))


def _rows(reference: Reference) -> Iterator[Finding]:
    for name, frame in (("training rows", reference.train), ("held-out rows", reference.test)):
        if len(frame) < FEW_ROWS:
            yield Finding(
                "notice", name, f"only {len(frame):,}: every number here is uncertain, differences may be luck"
            )


def _repeats(reference: Reference) -> Iterator[Finding]:
    names = reference.coding.names
    train, test = row_ids((reference.train_table, reference.test_table), names)
    _, counts = np.unique(train, return_counts=True)
    inside = float(counts[counts > 1].sum() / len(train))
    across = float(np.isin(test, train).mean())
    if inside > 0.05:
        yield Finding("notice", "repeated rows", f"{inside:.1%} of the training rows occur more than once")
    if across > 0.02 and across > 2 * inside:
        words = f"{across:.1%} of the held-out rows are also training rows, which flatters every model: split again"
        yield Finding("serious", "leak", words)


def _unlearned(reference: Reference) -> Iterator[Finding]:
    for kind, words in (
        ("identifier", "look like identifiers: made anew, never learned or judged"),
        ("constant", "have one value only: repeated, not judged"),
    ):
        names = [f.name for f in reference.schema.fields if f.kind.name == kind]
        if names:
            yield Finding(
                "notice",
                listed(names),
                words if len(names) > 1 else words.replace("look", "looks", 1).replace("have", "has", 1),
            )


def _copies(judgement: Judgement) -> Iterator[Finding]:
    check = judgement.copy
    if check is not None and check.copied:
        yield Finding(
            "serious",
            "copies",
            f"{check.share.words}; the chance of so many by luck is {chance(check.chance)}. {check.exact.words}",
        )


def chance(probability: float) -> str:
    """A small probability for people.

    Example:
        >>> chance(0.03), chance(1e-9)
        ('3 in 100', 'below 1 in a million')
    """
    if probability >= 0.01:
        return f"{100 * probability:.0f} in 100"
    if probability < 1e-6:
        return "below 1 in a million"
    return f"1 in {1 / probability:,.0f}"


def _impossible(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get("bits")
    if measure is not None and not np.isfinite(measure.value):
        yield Finding("serious", "bits", measure.words)


def _relations(reference: Reference, judgement: Judgement) -> Iterator[Finding]:
    for row in relation_table(reference, judgement):
        if row.made > 2 * row.real + 0.02:
            severity: Literal["serious", "notice"] = "serious" if row.made > 0.1 else "notice"
            yield Finding(severity, row.words, f"broken by {row.made:.1%} of made rows, {row.real:.1%} of real ones")


@dataclass(frozen=True)
class Kept:
    """One relation and the share of rows that break it, held-out and made."""

    words: str
    real: float
    made: float


def relation_table(reference: Reference, judgement: Judgement) -> tuple[Kept, ...]:
    """The rules found in the training rows and how often each is broken, the worst first."""
    from ensample.judge.discovery import relations

    rows = [
        Kept(r.words, r.broken(reference.test), r.broken(judgement.made.frame))
        for r in reference.once(relations)
        if r.tight
    ]
    known = [r for r in rows if not (np.isnan(r.real) or np.isnan(r.made))]
    return tuple(sorted(known, key=lambda r: r.real - r.made))


def _columns(reference: Reference, judgement: Judgement) -> Iterator[Finding]:
    parts = judgement["column shapes"].parts
    for real, made in zip(reference.test.columns, judgement.made.frame.columns, strict=True):
        lost, kept = np.isnan(real.values).mean(), np.isnan(made.values).mean()
        if abs(lost - kept) > 0.02 + 0.1 * lost:
            yield Finding("serious", real.name, f"{kept:.1%} of made values are missing, {lost:.1%} of real ones")
        elif (spike := _lost_spike(real, made)) is not None:
            yield Finding("serious", real.name, spike)
        elif parts[real.name] < 0.92:
            yield Finding("serious", real.name, f"only {parts[real.name]:.0%} of its shape is kept")


def _lost_spike(real: Column, made: Column) -> str | None:
    """The value of a number column that a share of the real rows has and made rows have far too seldom or often."""
    if not real.is_number:
        return None
    known, fake = (side.values[~np.isnan(side.values)] for side in (real, made))
    if len(known) < 100 or not len(fake):
        return None
    values, counts = np.unique(known, return_counts=True)
    worst = max(
        (
            (c / len(known), float((fake == v).mean()), v)
            for v, c in zip(values, counts, strict=True)
            if c >= SPIKE * len(known)
        ),
        key=lambda item: abs(np.log((item[1] + 1e-3) / item[0])),
        default=None,
    )
    if worst is None or 0.5 < worst[1] / worst[0] < 2:
        return None
    return f"the value {worst[2]:g} makes up {worst[0]:.1%} of real rows but {worst[1]:.1%} of made ones"


def _levels(reference: Reference, judgement: Judgement) -> Iterator[Finding]:
    rows = len(judgement.made.frame)
    for real, made in zip(reference.train.columns, judgement.made.frame.columns, strict=True):
        if real.levels is None:
            continue
        share = np.bincount(real.values[~np.isnan(real.values)].astype(int), minlength=len(real.levels)) / len(
            real.values
        )
        seen = np.bincount(made.values[~np.isnan(made.values)].astype(int), minlength=len(real.levels))
        never = [real.levels[k] for k in np.flatnonzero((share * rows >= 10) & (seen == 0))]
        if never:
            words = f"never made, though each would be expected ten times and more: {listed(never)}"
            yield Finding("notice" if len(never) == 1 else "serious", real.name, words)


def _outside(reference: Reference, judgement: Judgement) -> Iterator[Finding]:
    for real, made in zip(reference.train.columns, judgement.made.frame.columns, strict=True):
        if real.is_number and not np.isnan(real.values).all():
            low, high = np.nanmin(real.values), np.nanmax(real.values)
            share = float(((made.values < low) | (made.values > high)).mean())
            if share > 0.005:
                yield Finding("notice", real.name, f"{share:.1%} of made values lie outside {low:g} to {high:g}")


def listed(names: list[str]) -> str:
    """Names in a row, cut short after a few.

    Example:
        >>> listed(["a", "b", "c", "d", "e", "f"])
        'a, b, c, d and 2 more'
    """
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
