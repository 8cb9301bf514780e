"""What is wrong with series, in words: with the real ones, and with what a model made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ensample.judge.doctor import chance
from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.series.copies import CLOSE, SeriesCopies, usual
from ensample.judge.series.dynamics import AUTO, CROSS
from ensample.judge.series.evaluate import REAL, sides
from ensample.judge.series.forecasts import COVERS, CRPS
from ensample.judge.series.marginals import MISSING, values
from ensample.judge.series.reference import SeriesReference
from ensample.judge.series.side import Side
from ensample.judge.series.stretches import record_numbers
from ensample.judge.series.twosample import TWO_SAMPLE
from ensample.judge.series.usefulness import PREDICTIVE

FEW = 500
PARTS = 4
"""A series is cut into so many parts when its course is looked at."""
OFF, FAR_OFF = 1.25, 2.0
"""Ratios to real series from which on something is told, and is serious."""


def check_series(reference: SeriesReference) -> tuple[Finding, ...]:
    """What in the real series makes judging hard: too few, repeated, overlapping, moved on in time."""
    found = []
    for name, side in (("training series", reference.train), ("held-out series", reference.test)):
        if len(side) < FEW:
            words = f"only {len(side):,}: every number here is uncertain, differences may be luck"
            found.append(Finding("notice", name, words))
    inside = repeated(reference.train)
    if inside > 0.02:
        found.append(Finding("notice", "repeated series", f"{inside:.1%} of the training series occur twice or more"))
    known = np.isin(record_numbers(reference.test), record_numbers(reference.train))
    near = float(known.mean()) if not reference.knows_train else max(float(known.mean()), reference.once(usual))
    if near > 0.05 and near > 2 * inside:
        words = (
            f"{near:.1%} of the held-out series are nearly training ones (windows that overlap, perhaps), which "
            "flatters every model and hides copies: split by time"
        )
        found.append(Finding("serious", "leak", words))
    alike = values(reference, *sides(reference, reference.train))
    if alike.value < 0.85:
        words = f"held-out series are others than training series: {alike.words}; no model can do better than these"
        found.append(Finding("notice", "moved on", words))
    return tuple(found)


def check_made(reference: SeriesReference, judgement: Judgement) -> tuple[Finding, ...]:
    """What a model gets wrong, the serious things first."""
    fake, real = sides(reference, judgement.made.side)
    found = [*_copies(judgement), *_likelihood(judgement), *_lengths(fake, real), *_repeats(reference, fake)]
    for look in (_level, _jumps, _course, _range):
        found += _gathered([(reference.names[j], [*look(reference, fake, real, j)]) for j in reference.numbers])
    found += [*_classes(reference, fake, real), *_related(judgement), *_missing(judgement), *forecasts(judgement)]
    found += _useful(judgement)
    return tuple(sorted(found, key=lambda f: f.severity != "serious"))


def quality(judgement: Judgement) -> str:
    """How good the series are, in one or two sentences."""
    measure = judgement[TWO_SAMPLE]
    best = measure.parts.get(REAL, 0.5)
    if measure.low <= max(best, 0.5) and best > 0.6:
        text = "A recurrent network tells its series from held-out ones no better than it tells training series, which "
        text += f"are others as well (AUC {measure.value:.2f} and {best:.2f})"
    elif measure.low <= max(best, 0.5):
        text = f"A recurrent network cannot tell its series from real ones (AUC {measure.value:.2f})"
    else:
        how = "hardly tells" if measure.value < 0.58 else "often tells" if measure.value < 0.8 else "tells"
        against = f"AUC {measure.value:.2f}, training series {best:.2f}, 0.5 is guessing"
        text = f"A recurrent network {how} its series from real ones ({against})"
    told = judgement.get(CRPS)
    if told is not None:
        naive = min(told.parts["the value before"], told.parts["with usual changes"])
        share = told.value / max(naive, 1e-12)
        text += f". Its forecasts have {share:.0%} of the error of naive ones"
    return text + "."


def repeated(side: Side) -> float:
    """Share of series that occur more than once."""
    numbers = record_numbers(side)
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return float((counts[place] > 1).mean()) if len(numbers) else 0.0


def _gathered(found: list[tuple[str, list[Finding]]]) -> Iterator[Finding]:
    """Findings of the same sort about several variables as one: the first serious one in words, the others by name."""
    for about in dict.fromkeys(each.about for _, some in found for each in some):
        same = [(name, each) for name, some in found for each in some if each.about == about]
        same.sort(key=lambda item: item[1].severity != "serious")
        others = [name for name, _ in same[1:]]
        more = f"; so it is with {', '.join(others)}" if others else ""
        yield Finding(same[0][1].severity, about, same[0][1].words + more)


def _copies(judgement: Judgement) -> Iterator[Finding]:
    check = judgement.copy
    if not isinstance(check, SeriesCopies):
        return
    if check.copied:
        yield Finding("serious", "copies", f"{check.close.words}; {check.exact.words}")
    elif check.share.value > 0.52 and check.chance < 0.001 and check.close.value > check.close.target + 0.01:
        luck = f"the chance of so many by luck is {chance(check.chance)}"
        yield Finding("notice", "leaning", f"{check.share.words}; {luck}; {judgement[CLOSE].words}")


def _likelihood(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get("bits")
    if measure is not None and not np.isfinite(measure.value):
        yield Finding("serious", "bits", measure.words)


def _lengths(fake: Side, real: Side) -> Iterator[Finding]:
    ratio = float(np.median(fake.lengths) + 1) / float(np.median(real.lengths) + 1)
    half = f"half of them have at most {np.median(fake.lengths):,.0f} steps"
    words = f"{half}, of real ones {np.median(real.lengths):,.0f}"
    if ratio < 0.67:
        yield Finding("serious" if ratio < 0.33 else "notice", "too short", words)
    elif ratio > 1.5:
        yield Finding("serious" if ratio > 3 else "notice", "too long", words)
    empty, some = (float((side.lengths == 0).mean()) for side in (fake, real))
    if empty > 0.01 + 2 * some:
        yield Finding("serious", "empty series", f"{empty:.1%} have no step; of real ones {some:.1%}")


def _repeats(reference: SeriesReference, made: Side) -> Iterator[Finding]:
    twice = repeated(made)
    if twice > 0.01 + 2 * repeated(reference.train.take(np.arange(min(len(reference.train), len(made))))):
        yield Finding("serious", "repeated series", f"{twice:.1%} of the made series occur twice or more")


def _known(values: np.ndarray) -> np.ndarray:
    return np.asarray(values[~np.isnan(values)])


def _ratio(words: str, about: tuple[str, str], ratio: float, trust: float = 0.0) -> Iterator[Finding]:
    """A finding if a ratio to real series is far from 1: `about` what it is called below and above."""
    size = max(ratio, 1 / max(ratio, 1e-9))
    if size > OFF + trust:
        yield Finding("serious" if size > FAR_OFF + trust else "notice", about[ratio > 1], words)


def _level(reference: SeriesReference, fake: Side, real: Side, j: int) -> Iterator[Finding]:
    name = reference.names[j]
    made, true = (_known(side.frame.columns[j].values) for side in (fake, real))
    if not len(made) or not len(true) or not true.std() > 0:
        return
    gap = float(made.mean() - true.mean()) / float(true.std())
    # the mean of few series is uncertain: their own means tell how much
    noise = 2 * _deviation_of_means(real, j) / float(true.std())
    if abs(gap) > 0.2 + noise:
        words = f"made {name} is {made.mean():.4g} in the mean, the real one {true.mean():.4g}"
        yield Finding("serious" if abs(gap) > 1 + noise else "notice", "shifted", words)
    ratio = float(made.std() / true.std())
    words = f"made {name} spreads {ratio:.2f} times as much as the real one (standard deviations of all values)"
    yield from _ratio(words, ("too little spread", "too much spread"), ratio, noise)


def _deviation_of_means(side: Side, j: int) -> float:
    """Standard error of the mean over all series, from those of single ones."""
    means = _means(side.padded(side.frame.columns[j].values, max(side.steps, 1)))
    return float(np.nanstd(means) / np.sqrt(max(np.isfinite(means).sum(), 1))) if np.isfinite(means).any() else 0.0


def _means(padded: np.ndarray) -> np.ndarray:
    """Mean of what is known of each series, NaN where nothing is."""
    there = ~np.isnan(padded)
    return np.asarray(np.where(there.any(1), np.where(there, padded, 0.0).sum(1) / np.maximum(there.sum(1), 1), np.nan))


def _jumps(reference: SeriesReference, fake: Side, real: Side, j: int) -> Iterator[Finding]:
    name = reference.names[j]
    made, true = (np.abs(_known(side.changes.frame.columns[j].values)) for side in (fake, real))
    if len(made) and len(true) and true.mean() > 0:
        ratio = float(made.mean() / true.mean())
        words = f"from a step to the next made {name} changes {ratio:.2f} times as much as the real one in the mean"
        yield from _ratio(words, ("too smooth", "jumps"), ratio)
        still, usually = (float((side == 0).mean()) for side in (made, true))
        if abs(still - usually) > 0.1:
            words = f"made {name} stays the same in {still:.0%} of steps, the real one in {usually:.0%}"
            yield Finding("notice", "stands still" if still > usually else "never stands still", words)


def _course(reference: SeriesReference, fake: Side, real: Side, j: int) -> Iterator[Finding]:
    """Spread between series in the parts of their course, against that of real ones."""
    both = [_spreads(side, j) for side in (fake, real)]
    if any(side is None or not (side > 0).all() for side in both):
        return
    made, true = (side / side.mean() for side in both if side is not None)
    first, last = made[0] / true[0], made[-1] / true[-1]
    name, ratio = reference.names[j], float(last / first)
    words = (
        f"the spread of made {name} in the last quarter of a series is {made[-1] / made[0]:.2f} times that in the "
        f"first, of the real one {true[-1] / true[0]:.2f} times"
    )
    yield from _ratio(words, ("variance shrinks towards the end", "variance grows towards the end"), ratio)


def _spreads(side: Side, j: int) -> np.ndarray | None:
    """Standard deviation of values in each quarter of the course, less the mean of each series; None for short ones."""
    rows = np.flatnonzero(side.lengths >= 2 * PARTS)
    if len(rows) < 20:
        return None
    chosen = side.take(rows)
    values = chosen.frame.columns[j].values
    means = _means(chosen.padded(values, chosen.steps))
    place = np.arange(len(values)) - chosen.starts[:-1][chosen.owners]
    part = place * PARTS // chosen.lengths[chosen.owners]
    left = values - means[chosen.owners]
    found = [_known(left[part == k]) for k in range(PARTS)]
    return np.array([each.std() if len(each) else 0.0 for each in found])


def _range(reference: SeriesReference, fake: Side, real: Side, j: int) -> Iterator[Finding]:
    name = reference.names[j]
    seen = _known(reference.train.frame.columns[j].values)
    made, true = (_known(side.frame.columns[j].values) for side in (fake, real))
    if not len(seen) or not len(made):
        return
    outside, usually = (float(((side < seen.min()) | (side > seen.max())).mean()) for side in (made, true))
    if outside > 0.005 + 2 * usually:
        words = f"{outside:.1%} of made values of {name} lie outside {seen.min():.4g} to {seen.max():.4g}, "
        about = f"the range of training values; of held-out ones {usually:.1%}"
        yield Finding("notice", "out of range", words + about)


def _classes(reference: SeriesReference, fake: Side, real: Side) -> Iterator[Finding]:
    for j in reference.categories:
        name, levels = reference.names[j], fake.frame.columns[j].levels
        assert levels is not None
        stays = []
        for side in (fake, real):
            after = np.flatnonzero(side.follows)
            codes = side.frame.columns[j].values
            stays.append(float((codes[after] != codes[after - 1]).mean()) if len(after) else np.nan)
        if np.isfinite(stays).all() and stays[1] > 0:
            words = f"made {name} changes in {stays[0]:.1%} of steps, the real one in {stays[1]:.1%}"
            yield from _ratio(words, ("changes too seldom", "changes too often"), stays[0] / stays[1])
        shares = [
            np.bincount(_known(side.frame.columns[j].values).astype(int), minlength=len(levels))
            / max(len(side.owners), 1)
            for side in (fake, real)
        ]
        worst = int(np.argmax(np.abs(shares[0] - shares[1])))
        if abs(shares[0][worst] - shares[1][worst]) > 0.1:
            words = f"{shares[0][worst]:.1%} of made {name} are {levels[worst]}, of real ones {shares[1][worst]:.1%}"
            yield Finding("notice", "shares of classes", words)


def _related(judgement: Judgement) -> Iterator[Finding]:
    for name, about in ((AUTO, "memory"), (CROSS, "relations between variables")):
        measure = judgement.get(name)
        if measure is not None and measure.low > 0.1 + measure.parts.get(REAL, 0.0):
            yield Finding("serious" if measure.low > 0.3 else "notice", about, measure.words)


def _missing(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get(MISSING)
    if measure is not None and measure.low > 0.05 + 2 * measure.parts.get(REAL, 0.0):
        yield Finding("serious" if measure.low > 0.2 else "notice", "what is missing", measure.words)


def forecasts(judgement: Judgement) -> Iterator[Finding]:
    """Forecasts worse than naive ones, and bands that hold too little or too much."""
    error = judgement.get(CRPS)
    if error is None:
        return
    if error.low > min(error.parts["the value before"], error.parts["with usual changes"]):
        yield Finding("serious", "forecasts", f"worse than naive ones: {error.words}")
    wide = judgement[COVERS[1]]
    if wide.high < 0.85:
        yield Finding("serious" if wide.high < 0.7 else "notice", "bands too narrow", wide.words)
    if judgement[COVERS[0]].low > 0.6:
        yield Finding("notice", "bands too wide", judgement[COVERS[0]].words)


def _useful(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get(PREDICTIVE)
    if measure is not None and measure.low > OFF * measure.target:
        yield Finding("serious" if measure.low > FAR_OFF * measure.target else "notice", "dynamics", measure.words)
