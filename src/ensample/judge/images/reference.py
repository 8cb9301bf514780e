"""The real side when pictures are judged: training and held-out pictures, their labels and features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ensample.data.pictures.column import pixels_of
from ensample.errors import InputError
from ensample.judge.images.extractor import Classifier, Extractor
from ensample.judge.images.own import own
from ensample.judge.real import Real, enough

if TYPE_CHECKING:
    from ensample.data.schema import Schema
    from ensample.judge.subject import Subject

MOST_CLASSES = 200
MORE = "hold out a larger share of the data, or sample more"
"""What to do about too few pictures."""


@dataclass(frozen=True)
class Sizes:
    """Most pictures a side that each measure looks at; stated beside the numbers."""

    features: int = 10_000
    neighbours: int = 4_000
    copies: int = 10_000
    scored: int = 1_000


@dataclass(frozen=True)
class Side:
    """Pictures of one side, uint8 [rows, height, width, channels], and the label of each, None if there is none."""

    pixels: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: np.ndarray) -> Side:
        """The pictures of these rows."""
        return Side(self.pixels[rows], None if self.labels is None else self.labels[rows])


class PictureReference(Real):
    """Training pictures, held-out pictures, and what the measures work out about them.

    Arguments:
        train: records that the models learned from (or a sample of them). None if they are not at hand: then half of
            the held-out ones stand in for them, and nothing is said about copies.
        test: records held out from learning.
        schema: the fields.
        picture: name of the field of pictures.
        label: name of a field of classes, None for none. With it a classifier is trained and judges the classes.
        given: fields that the models were given; made pictures are asked for with those of the held-out records.
        extractor: features to compare; None trains a small network (`own`) on half of the training pictures, by their
            labels if there are some. The other half stands for "real" where real is compared with real.
        sizes: most pictures that each measure looks at.
        seed: of every random choice here.

    Raises:
        InputError: fewer than 20 pictures on one of the sides.
    """

    def __init__(
        self,
        train: pa.Table | None,
        test: pa.Table,
        schema: Schema,
        *,
        picture: str,
        label: str | None = None,
        given: tuple[str, ...] = (),
        extractor: Extractor | None = None,
        sizes: Sizes | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(train, test, schema, given, seed)
        self.picture, self.label, self.sizes = picture, label, sizes or Sizes()
        self.train, self.test = (self.side(table) for table in (self.train_table, self.test_table))
        for sort, side in (("training", self.train), ("held-out", self.test)):
            enough(sort, "pictures", len(side), MORE)
        self._extractor = extractor

    @property
    def subject(self) -> Subject:
        """How pictures are judged and shown."""
        from ensample.judge.images.subject import PICTURES

        return PICTURES

    def side(self, table: pa.Table) -> Side:
        """Pictures and labels of a table. Raises InputError if it has no such pictures."""
        if self.picture not in table.column_names:
            raise InputError(
                "Real and made records have the same field of pictures.",
                f"column {self.picture!r}",
                "not in the table",
                "pass the whole table",
            )
        pixels = pixels_of(table.column(self.picture))
        known = self.label is not None and self.label in table.column_names
        return Side(pixels, texts(table.column(self.label)) if known else None)

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return self.train.pixels.shape[1:]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The classes, in order; none if there is no label or too many of them."""
        labels = self.train.labels
        known = () if labels is None else tuple(sorted({str(x) for x in np.unique(labels)}, key=_natural))
        return known if 2 <= len(known) <= MOST_CLASSES else ()

    @cached_property
    def halves(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the training pictures that a network of the judge learns from, and those that it never sees."""
        order = np.random.default_rng(self.seed + 21).permutation(len(self.train))
        return order[: len(order) // 2], order[len(order) // 2 :]

    @cached_property
    def extractor(self) -> Extractor:
        """What makes the features."""
        return self._extractor or self._own()

    @cached_property
    def classifier(self) -> Classifier | None:
        """What finds the classes of the label: the extractor if it knows them, else a network of the judge."""
        if not self.names:
            return None
        if isinstance(self.extractor, Classifier) and set(self.names) <= set(self.extractor.classes):
            return self.extractor
        found = self._own()
        return found if isinstance(found, Classifier) else None

    def _own(self) -> Any:
        learn = self.halves[0]
        labels = self.train.labels
        usable = self.names and labels is not None and len(np.unique(labels[learn])) >= 2
        return own(self.train.pixels[learn], labels[learn] if usable and labels is not None else None, seed=self.seed)

    @property
    def unseen(self) -> np.ndarray:
        """Rows of training pictures that stand for real ones: no network of the judge learned from them."""
        if self._extractor is not None and not self.names:
            return np.random.default_rng(self.seed + 22).permutation(len(self.train))
        return self.halves[1]

    @cached_property
    def scored(self) -> pa.Table:
        """The held-out records that a likelihood is asked of: some likelihoods of pictures take seconds each."""
        return self.held_out_records(self.sizes.scored)


def texts(column: pa.ChunkedArray) -> np.ndarray:
    """Labels as text, object [rows]; a missing one is "missing"."""
    plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
    return np.array(plain.cast(pa.string()).fill_null("missing").to_pylist(), dtype=object)


def _natural(name: str) -> tuple[bool, float, str]:
    """Numbers in their order, then words."""
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name


def held_out_features(reference: PictureReference, count: int) -> np.ndarray:
    """Features of held-out pictures, float32 [count, d]."""
    return reference.extractor.features(reference.test.pixels[reference.held_out_rows(count)])


def unseen_features(reference: PictureReference, count: int) -> np.ndarray:
    """Features of training pictures that the judge's own network did not learn from, float32 [count, d]."""
    return reference.extractor.features(reference.train.pixels[reference.unseen[:count]])


def held_out_classes(reference: PictureReference, count: int) -> np.ndarray:
    """What the classifier finds in `count` held-out pictures: positions in its classes."""
    assert reference.classifier is not None
    if reference.classifier is reference.extractor:
        features = reference.once(held_out_features, count)
    else:
        features = reference.classifier.features(reference.test.pixels[reference.held_out_rows(count)])
    return np.asarray(reference.classifier.logits(features).argmax(1))
