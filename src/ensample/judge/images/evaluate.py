"""All measures of one model's pictures against the real ones."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import tensor_column
from ensample.errors import InputError
from ensample.judge.evaluate import Judgement
from ensample.judge.images.classes import ACCURACY, SHARES, accuracy, shares
from ensample.judge.images.copies import picture_copies
from ensample.judge.images.extractor import Classifier
from ensample.judge.images.measures import bits_per_dimension, frechet, kernel, score
from ensample.judge.images.neighbourhoods import neighbourhoods
from ensample.judge.images.reference import MORE, PictureReference, Side, held_out_classes, held_out_features
from ensample.judge.measure import Measure, Sort
from ensample.judge.real import enough
from ensample.judge.text import figure

REAL = "real pictures"
"""In `Measure.parts`: what real pictures get in the place of made ones."""

NEAR = ("precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class MadePictures:
    """Pictures that a model made, with their features [rows, d] and the label that each was made for, if any."""

    table: pa.Table
    side: Side
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.side)


def judge_pictures(
    reference: PictureReference, table: pa.Table, log_prob: np.ndarray | None = None, sort: Sort = "exact"
) -> Judgement:
    """Measure made pictures against a reference.

    Beside each number stand in words: the extractor and its hash, how many pictures a side, and what real pictures get
    in the place of made ones (training pictures against held-out ones, the same number).

    Arguments:
        reference: the real pictures.
        table: made records; those of a model that is given the label have it too.
        log_prob: the model's nats for each record of `reference.scored`, [rows]; None if it has no likelihood.
        sort: how far that likelihood can be trusted.

    Raises:
        InputError: fewer than 20 made pictures, of another size, or no such field.
    """
    start = time.perf_counter()
    made = _made(reference, table)
    measures, count = _measures(reference, made)
    floor = reference.once(real_against_real, count)
    measures = [_with_floor(reference, m, floor.get(m.name), count) for m in measures]
    if log_prob is not None:
        measures.insert(0, bits_per_dimension(log_prob, int(np.prod(reference.shape)), sort, reference.seed))
    check = picture_copies(reference, made.side, made.features) if reference.knows_train else None
    if check is not None:
        measures += [check.share, check.features, check.exact]
    return Judgement(tuple(measures), check, made, time.perf_counter() - start)


def _made(reference: PictureReference, table: pa.Table) -> MadePictures:
    side = reference.side(table)
    enough("made", "pictures", len(side), MORE)
    if side.pixels.shape[1:] != reference.shape:
        raise InputError(
            "Real and made pictures have one size.",
            "made pictures",
            f"{side.pixels.shape[1:]} against {reference.shape} (height, width, channels)",
            "resize them",
        )
    return MadePictures(table, side, reference.extractor.features(side.pixels))


def _measures(reference: PictureReference, made: MadePictures) -> tuple[list[Measure], int]:
    """Everything that compares features and classes, and how many pictures a side that took."""
    seed = reference.seed
    count = min(len(made), len(reference.test), reference.sizes.features)
    chosen = np.random.default_rng(seed + 1).permutation(len(made))[:count]
    fake, real = made.features[chosen], reference.once(held_out_features, count)
    near = min(count, reference.sizes.neighbours)
    measures = [frechet(fake, real, seed), kernel(fake, real, seed), *neighbourhoods(fake[:near], real[:near], seed)]
    known = reference.classifier
    if isinstance(reference.extractor, Classifier):
        measures.append(score(reference.extractor.logits(fake), seed))
    if known is not None:
        logits = known.logits(fake if known is reference.extractor else known.features(made.side.pixels[chosen]))
        found = logits.argmax(1)
        labels = made.side.labels
        if labels is not None:
            place = {name: k for k, name in enumerate(known.classes)}
            wanted = np.array([place.get(str(label), -1) for label in labels[chosen]])
            measures.append(accuracy(found, wanted, known.classes, seed))
        measures.append(shares(found, reference.once(held_out_classes, count), known.classes, seed))
    return measures, count


def real_against_real(reference: PictureReference, count: int) -> dict[str, Measure]:
    """What training pictures get in the place of made ones: the best that any model could do, at this number."""
    table = real_pictures(reference, count)
    side = reference.side(table)
    real = MadePictures(table, side, reference.extractor.features(side.pixels))
    return {m.name: m for m in _measures(reference, real)[0]}


def _with_floor(reference: PictureReference, measure: Measure, floor: Measure | None, count: int) -> Measure:
    """The same measure, with what it was taken with and the real-against-real number in its words."""
    near = min(count, reference.sizes.neighbours) if measure.name in NEAR else count
    by = reference.classifier if measure.name in (ACCURACY, SHARES) else reference.extractor
    assert by is not None
    beside = f", real pictures get {figure(floor)}" if floor is not None else ""
    words = f"{measure.words}{beside} ({near:,} pictures a side; {by.name} {by.hash})"
    parts = measure.parts if measure.parts or floor is None else {REAL: floor.value}
    return replace(measure, words=words, parts=parts)


def real_pictures(reference: PictureReference, count: int) -> pa.Table:
    """Training records handed out as if they were made, each once as far as they last: the ceiling.

    Of those that the judge's own network never saw: a perfect sample, and a perfect copy at once.
    """
    rows = reference.unseen
    places = np.tile(rows, -(-count // len(rows)))[:count]
    return reference.train_table.take(pa.array(places))


def loose_pixels(reference: PictureReference, count: int) -> pa.Table:
    """Each pixel drawn from the training pictures on its own (of the same label, if that is given): the floor."""
    rng = np.random.default_rng(reference.seed + 12)
    rows = rng.permutation(np.resize(np.arange(len(reference.test)), count))
    labels = reference.test.labels if reference.label in reference.given else None
    wanted = None if labels is None else labels[rows]
    pixels = np.empty((count, *reference.shape), np.uint8)
    for label in [None] if wanted is None else np.unique(wanted):
        places = np.arange(count) if wanted is None else np.flatnonzero(wanted == label)
        known = reference.train.labels
        alike = np.arange(0) if known is None or wanted is None else np.flatnonzero(known == label)
        source = reference.train.pixels[alike if len(alike) else np.arange(len(reference.train))]
        pixels[places] = _loose(source, len(places), rng)
    columns = {reference.picture: tensor_column(pixels)}
    if reference.label is not None and wanted is not None:
        columns[reference.label] = reference.test_table.column(reference.label).take(pa.array(rows))
    return pa.table(columns)


def _loose(source: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` pictures whose every place [height, width] is taken from a picture of its own."""
    height, width = source.shape[1:3]
    out = np.empty((count, *source.shape[1:]), np.uint8)
    for row in range(height):  # the whole index at once would be eight bytes a pixel
        chosen = rng.integers(0, len(source), (count, width))
        out[:, row] = source[chosen, row, np.arange(width)]
    return out
