"""What is wrong with texts, in words: with the real ones, and with what a model made of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ensample.judge.doctor import chance, listed
from ensample.judge.evaluate import Judgement
from ensample.judge.finding import Finding
from ensample.judge.texts.copies import TextCopies
from ensample.judge.texts.evaluate import REAL, UNKNOWN, sides
from ensample.judge.texts.likelihood import BITS, BYTES
from ensample.judge.texts.novelty import NOVELTY
from ensample.judge.texts.reference import Side, TextReference
from ensample.judge.texts.tokens import codes
from ensample.judge.texts.twosample import TWO_SAMPLE
from ensample.judge.texts.variety import DISTINCT, LONGEST_REPEAT, REPETITION, SELF_BLEU

FEW = 500
DAMAGED = "�"
"""What stands where bytes were no text."""


def check_texts(reference: TextReference) -> tuple[Finding, ...]:
    """What in the real texts makes judging hard: too few, repeated, leaked from training to test, damaged."""
    found = []
    for name, side in (("training texts", reference.train), ("held-out texts", reference.test)):
        if len(side) < FEW:
            words = f"only {len(side):,}: every number here is uncertain, differences may be luck"
            found.append(Finding("notice", name, words))
    train = set(reference.train.texts)
    inside, across = repeated(reference.train), float(np.mean([text in train for text in reference.test.texts]))
    if inside > 0.02:
        found.append(Finding("notice", "repeated texts", f"{inside:.1%} of the training texts occur twice or more"))
    if across > 0.01 and across > 2 * inside:
        words = f"{across:.1%} of the held-out texts are also training ones, which flatters every model: split again"
        found.append(Finding("serious", "leak", words))
    damaged = float(np.mean([DAMAGED in text for text in reference.train.texts]))
    if damaged > 0:
        words = f"{damaged:.1%} of the training texts hold {DAMAGED!r}: bytes were read in the wrong encoding"
        found.append(Finding("notice", "damaged texts", words))
    if len(reference.learned) < len(reference.train):
        words = f"copies were looked for in {len(reference.learned):,} of {len(reference.train):,} training texts"
        found.append(Finding("notice", "copies", words))
    return tuple(found)


def check_made(reference: TextReference, judgement: Judgement) -> tuple[Finding, ...]:
    """What a model gets wrong, the serious things first."""
    made = judgement.made.side
    found = [*_copies(judgement), *_likelihood(judgement), *_lengths(reference, made), *_repeats(reference, made)]
    found += [*_repetition(judgement), *_variety(judgement), *_characters(reference, judgement), *_novelty(judgement)]
    return tuple(sorted(found, key=lambda f: f.severity != "serious"))


def quality(judgement: Judgement) -> str:
    """How good the texts are, in one or two sentences."""
    measure = judgement[TWO_SAMPLE]
    usual = measure.parts[REAL]
    if measure.low <= max(usual, 0.5):
        text = f"A classifier of runs of characters cannot tell its texts from real ones (AUC {measure.value:.2f})"
    else:
        how = "hardly tells" if measure.value < 0.58 else "often tells" if measure.value < 0.8 else "tells"
        against = f"AUC {measure.value:.2f}, training texts {usual:.2f}, 0.5 is guessing"
        text = f"A classifier of runs of characters {how} its texts from real ones ({against})"
    bits = judgement.get(BITS)
    if bits is not None and np.isfinite(bits.value):
        text += f". A held-out text takes {bits.value:.3f} bits per character"
        per_byte = judgement.get(BYTES)
        if per_byte is not None and abs(per_byte.value - bits.value) > 5e-4:
            text += f", {per_byte.value:.3f} per byte"
    return text + "."


def repeated(side: Side) -> float:
    """Share of texts that occur more than once.

    Example:
        >>> repeated(Side(("a", "b", "a", "c")))
        0.5
    """
    seen: dict[str, int] = {}
    for text in side.texts:
        seen[text] = seen.get(text, 0) + 1
    return sum(count for count in seen.values() if count > 1) / max(len(side), 1)


def _copies(judgement: Judgement) -> Iterator[Finding]:
    check = judgement.copy
    if not isinstance(check, TextCopies):
        return
    if check.copied:
        yield Finding("serious", "copies", f"{check.long.words}; {check.exact.words}")
    elif check.share.value > 0.52 and check.chance < 0.001:
        luck = f"the chance of so many by luck is {chance(check.chance)}"
        yield Finding("notice", "leaning", f"{check.share.words}; {luck}; {check.span.words}")


def _likelihood(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get(BITS)
    if measure is not None and not np.isfinite(measure.value):
        yield Finding("serious", "bits", measure.words)


def _lengths(reference: TextReference, made: Side) -> Iterator[Finding]:
    mine, real = made.characters.lengths, reference.test.characters.lengths
    ratio = float(np.median(mine) + 1) / float(np.median(real) + 1)
    words = f"half of them have at most {np.median(mine):,.0f} characters, of real texts {np.median(real):,.0f}"
    if ratio < 0.67:
        yield Finding("serious" if ratio < 0.33 else "notice", "too short", words)
    elif ratio > 1.5:
        yield Finding("serious" if ratio > 3 else "notice", "too long", words)
    empty, usual = float((mine == 0).mean()), float((real == 0).mean())
    if empty > 0.01 + 2 * usual:
        yield Finding("serious", "empty texts", f"{empty:.1%} are empty; of real texts {usual:.1%}")


def _repeats(reference: TextReference, made: Side) -> Iterator[Finding]:
    twice = repeated(made)
    usual = repeated(reference.train.take(range(min(len(reference.train), len(made)))))
    if twice > 0.01 + 2 * usual:
        yield Finding("serious", "repeated texts", f"{twice:.1%} of the made texts occur twice or more")


def _repetition(judgement: Judgement) -> Iterator[Finding]:
    share, longest = judgement[REPETITION], judgement[LONGEST_REPEAT]
    if share.low > 0.02 + 1.5 * share.target:
        yield Finding("serious" if share.low > 0.1 + 3 * share.target else "notice", "repeats itself", share.words)
    elif longest.low > 2 + 1.5 * longest.target:
        yield Finding("notice", "repeats itself", longest.words)


def _variety(judgement: Judgement) -> Iterator[Finding]:
    alike = judgement[SELF_BLEU]
    if alike.low > alike.target + 0.2 * (1.0 - alike.target):
        yield Finding("notice", "all alike", alike.words)
    few = [judgement[name] for name in DISTINCT if judgement[name].high < 0.8 * judgement[name].target]
    if few:
        yield Finding("notice", "little variety", few[0].words)


def _characters(reference: TextReference, judgement: Judgement) -> Iterator[Finding]:
    measure = judgement[UNKNOWN]
    if measure.value > 0:
        strange = set(codes(judgement.made.side.texts).tolist()) - set(codes(reference.train.texts).tolist())
        names = [repr(chr(point)) for point in sorted(strange)]
        words = f"{measure.words}: {listed(names)}"
        yield Finding("serious" if measure.value > 0.001 else "notice", "unknown characters", words)
    fake, _ = sides(reference, judgement.made.side)
    damaged = float(np.mean([DAMAGED in text for text in fake.texts]))
    if damaged > 0.001 + float(np.mean([DAMAGED in text for text in reference.train.texts])):
        yield Finding("serious", "damaged texts", f"{damaged:.1%} hold {DAMAGED!r}: bytes that are no text")


def _novelty(judgement: Judgement) -> Iterator[Finding]:
    measure = judgement.get(NOVELTY)
    if measure is not None and measure.high < 0.6 * measure.target:
        yield Finding("notice", "little novelty", measure.words)
