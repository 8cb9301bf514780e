"""What is wrong with pictures, in words: with the real ones, and with what a model made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ensample.judge.doctor import chance, listed
from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.images.copies import PictureCopies, fingerprints
from ensample.judge.images.evaluate import REAL
from ensample.judge.images.measures import FRECHET, number
from ensample.judge.images.reference import PictureReference
from ensample.judge.measure import Measure

FEW = 500
FAR = 4.0
"""Times the real-against-real distance from which on a distance is called large."""


def check_pictures(reference: PictureReference) -> tuple[Finding, ...]:
    """What in the real pictures makes judging hard: too few, repeated, leaked from training to test."""
    found = []
    for name, side in (("training pictures", reference.train), ("held-out pictures", reference.test)):
        if len(side) < FEW:
            words = f"only {len(side):,}: every number here is uncertain, differences may be luck"
            found.append(Finding("notice", name, words))
    train, test = (fingerprints(side.pixels) for side in (reference.train, reference.test))
    inside, across = repeated(train), float(np.isin(test, train).mean())
    if inside > 0.02:
        found.append(
            Finding("notice", "repeated pictures", f"{inside:.1%} of the training pictures occur twice or more")
        )
    if across > 0.01 and across > 2 * inside:
        words = f"{across:.1%} of the held-out pictures are also training ones, which flatters every model: split again"
        found.append(Finding("serious", "leak", words))
    return tuple(found)


def check_made(reference: PictureReference, judgement: Judgement) -> tuple[Finding, ...]:
    """What a model gets wrong, the serious things first."""
    found = [*_copies(judgement), *_likelihood(judgement), *_repeats(reference, judgement)]
    found += [*_distance(judgement), *_classes(judgement), *_spread(judgement)]
    return tuple(sorted(found, key=lambda f: f.severity != "serious"))


def quality(judgement: Judgement) -> str:
    """How good the pictures are, in one or two sentences."""
    measure = judgement[FRECHET]
    floor = measure.parts[REAL]
    if measure.low <= floor:
        text = f"Its pictures cannot be told from real ones by their features ({_against(measure)})"
    elif floor > 0:
        times = f"{measure.value / floor:.1f} times as far from held-out ones as real ones do"
        text = f"Its pictures lie {times} ({_against(measure)})"
    else:
        text = f"Its pictures lie further from held-out ones than real ones do ({_against(measure)})"
    right = judgement.get("class accuracy")
    if right is not None:
        text += f". A classifier finds the wanted class in {right.value:.1%}"
    return text + "."


def _against(measure: Measure) -> str:
    return f"Frechet distance {number(measure.value)} against {number(measure.parts[REAL])}"


def repeated(ids: np.ndarray) -> float:
    """Share of records whose number occurs more than once.

    Example:
        >>> repeated(np.array([1, 1, 2, 3]))
        0.5
    """
    _, counts = np.unique(ids, return_counts=True)
    return float(counts[counts > 1].sum() / len(ids))


def _copies(judgement: Judgement) -> Iterator[Finding]:
    check = judgement.copy
    if isinstance(check, PictureCopies) and check.copied:
        by_pixels = check.chance <= check.features_chance
        share, luck = (check.share, check.chance) if by_pixels else (check.features, check.features_chance)
        how = "by pixels" if by_pixels else "by features"
        words = f"{how}, {share.words}; the chance of so many by luck is {chance(luck)}. {check.exact.words}"
        yield Finding("serious", "copies", words)


def _likelihood(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get("bits")
    if measure is not None and not np.isfinite(measure.value):
        yield Finding("serious", "bits", measure.words)


def _repeats(reference: PictureReference, judgement: Judgement) -> Iterator[Finding]:
    twice, usual = repeated(fingerprints(judgement.made.side.pixels)), repeated(fingerprints(reference.train.pixels))
    if twice > 0.01 + 2 * usual:
        yield Finding("serious", "repeated pictures", f"{twice:.1%} of the made pictures occur twice or more")


def _distance(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement[FRECHET]
    floor = measure.parts[REAL]
    if floor > 0 and measure.low > FAR * floor:
        words = f"{_against(measure)} of real pictures: a look at them will show how they differ"
        yield Finding("notice", "distance", words)
    if "too few pictures" in measure.words:
        yield Finding("notice", "distance", "fewer pictures than features: compare kernel distances instead")


def _classes(judgement: Judgement) -> Iterator[Finding]:
    shares, right = judgement.get("class shares"), judgement.get("class accuracy")
    if shares is not None:
        never = [name for name, share in shares.parts.items() if share == 0]
        if never:
            yield Finding("serious", "classes", f"never made, as far as the classifier sees: {listed(never)}")
        elif shares.low > 0.25:
            yield Finding("notice", "classes", shares.words)
    if right is not None:
        wrong = sorted((share, name) for name, share in right.parts.items() if share < 0.8)
        if wrong:
            words = "the classifier seldom finds what was asked for: "
            yield Finding("serious", "classes", words + listed([f"{name} ({share:.0%})" for share, name in wrong]))


def _spread(judgement: Judgement) -> Iterator[Finding]:
    for name, words in (
        ("precision", "of made pictures lie where real ones lie: many are no proper pictures"),
        ("recall", "of real pictures lie where made ones lie: the variety is not all there"),
    ):
        measure = judgement[name]
        floor = measure.parts[REAL]
        if measure.high < 0.8 * floor:
            yield Finding("notice", name, f"only {measure.value:.0%} {words} (real pictures: {floor:.0%})")
