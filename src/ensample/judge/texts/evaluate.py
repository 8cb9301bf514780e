"""All measures of one model's texts against the real ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ensample.judge.evaluate import Judgement
from ensample.judge.measure import Measure, Sort, mean_draws, spread
from ensample.judge.real import enough
from ensample.judge.text import figure
from ensample.judge.texts.copies import text_copies
from ensample.judge.texts.likelihood import likelihood
from ensample.judge.texts.novelty import novelty, runs_of
from ensample.judge.texts.reference import MORE, Side, TextReference
from ensample.judge.texts.shapes import CHARACTERS, LENGTHS, WORDS, characters_distance, lengths, words_distance
from ensample.judge.texts.tokens import codes
from ensample.judge.texts.twosample import TWO_SAMPLE, two_sample
from ensample.judge.texts.variety import distinct, repetition, self_bleu

REAL = "real texts"
"""In `Measure.parts`: what training texts get in the place of made ones."""

UNKNOWN = "unknown characters"

DISTANCES = (TWO_SAMPLE, LENGTHS, CHARACTERS, WORDS)
"""Measures whose best value is that of real texts at the same number, and not 0."""


@dataclass(frozen=True)
class MadeTexts:
    """Texts that a model made: the records and the texts themselves."""

    table: pa.Table
    side: Side

    def __len__(self) -> int:
        return len(self.side)


def judge_texts(
    reference: TextReference, table: pa.Table, log_prob: np.ndarray | None = None, sort: Sort = "exact"
) -> Judgement:
    """Measure made texts against a reference.

    Beside each distance stands in words what real texts get in the place of made ones (training against held-out
    texts, the same number).

    Arguments:
        reference: the real texts.
        table: made records.
        log_prob: the model's nats for each record of `reference.scored`, [rows]; None if it has no likelihood.
        sort: how far that likelihood can be trusted.

    Raises:
        InputError: fewer than 20 made texts, or no such field.
    """
    start = time.perf_counter()
    made = MadeTexts(table, reference.side(table))
    enough("made", "texts", len(made.side), MORE)
    fake, real = sides(reference, made.side)
    floor = reference.once(real_against_real, len(fake))
    measures = [*_distances(fake, real, reference.seed), *_likeness(reference, fake, real)]
    measures = [_with_floor(m, floor.get(m.name)) for m in measures]
    if log_prob is not None:
        measures = [
            *likelihood(log_prob, reference.texts_scored, reference.tokens_scored, sort, reference.seed),
            *measures,
        ]
    check = None
    if reference.knows_train:
        known = reference.once(training_runs)
        measures.append(novelty(fake.characters, real.characters, known, "character", reference.seed))
        check = text_copies(reference, made.side)
        measures += [check.span, check.long, check.share, check.exact]
    return Judgement(tuple(measures), check, made, time.perf_counter() - start)


def training_runs(reference: TextReference) -> tuple[np.ndarray, ...]:
    """Runs of characters of the training texts that copies are looked for in."""
    return runs_of(reference.learned.characters)


def sides(reference: TextReference, made: Side) -> tuple[Side, Side]:
    """Equally many made and held-out texts, and no more characters a side than there is time for."""
    count = min(len(made), len(reference.test), reference.sizes.texts)
    fake = made.take(np.random.default_rng(reference.seed + 1).permutation(len(made))[:count])
    real = reference.held_out(count)
    count = min(len(side.bounded(reference.sizes.characters)) for side in (fake, real))
    return fake.take(range(count)), real.take(range(count))


def _distances(fake: Side, real: Side, seed: int) -> list[Measure]:
    """What has its floor in real texts."""
    return [
        two_sample(fake.characters, real.characters, seed),
        characters_distance(fake.characters, real.characters, seed),
        words_distance(fake.words, real.words, seed),
        lengths(fake.characters.lengths, real.characters.lengths, seed),
    ]


def _likeness(reference: TextReference, fake: Side, real: Side) -> list[Measure]:
    """What held-out texts are the target of."""
    unit, seed = reference.unit, reference.seed
    mine, theirs = fake.tokens(unit), real.tokens(unit)
    one, other = (side.take(range(min(len(side), reference.sizes.alike))).tokens(unit) for side in (fake, real))
    return [
        *distinct(mine, theirs, unit, seed),
        self_bleu(one, other, unit, seed),
        *repetition(mine, theirs, unit, seed),
        unknown(fake, reference.train, seed),
    ]


def unknown(made: Side, train: Side, seed: int) -> Measure:
    """Share of characters that no training text has.

    Example:
        >>> unknown(Side(("abx", "b")), Side(("ab",)), 0).value
        0.25
    """
    known = np.unique(codes(train.texts))
    strange = ~np.isin(codes(made.texts), known)
    owners = made.characters.owners
    each = np.bincount(owners, strange, len(made)) / max(strange.size / len(made), 1e-9)
    value, draws = float(each.mean()), mean_draws(each, seed + 1)
    low, high = spread(value, draws, (0.0, 1.0))
    words = f"{value:.2%} of characters stand in no training text"
    how = f"bootstrap of {len(made):,} made texts"
    return Measure(UNKNOWN, value, low, high, "lower", 0.0, words, how, draws=draws)


def real_against_real(reference: TextReference, count: int) -> dict[str, Measure]:
    """What training texts get in the place of made ones: the best that any model could do, at this number."""
    rows = np.random.default_rng(reference.seed + 22).permutation(len(reference.train))[:count]
    fake, real = sides(reference, reference.train.take(rows))
    return {m.name: m for m in _distances(fake, real, reference.seed)}


def _with_floor(measure: Measure, floor: Measure | None) -> Measure:
    """The same measure, with the real-against-real number in its words."""
    if floor is None:
        return measure
    words = f"{measure.words}; real texts get {figure(floor)}"
    return replace(measure, words=words, parts={**measure.parts, REAL: floor.value})


def real_texts(reference: TextReference, count: int) -> pa.Table:
    """Training records handed out as if they were made, each once as far as they last: the ceiling."""
    order = np.random.default_rng(reference.seed + 11).permutation(len(reference.train))
    return reference.train_table.take(pa.array(np.resize(order, count)))


def loose_characters(reference: TextReference, count: int) -> pa.Table:
    """Lengths of training texts, filled with characters drawn from them one by one: the floor."""
    rng = np.random.default_rng(reference.seed + 12)
    train = reference.train.characters
    sizes = train.lengths[rng.integers(0, len(train), count)]
    drawn = train.ids[rng.integers(0, len(train.ids), int(sizes.sum()))].astype(np.uint32)
    whole = drawn.tobytes().decode("utf-32-le", "surrogatepass")
    ends = sizes.cumsum()
    return pa.table({reference.text: [whole[end - size : end] for size, end in zip(sizes, ends, strict=True)]})
