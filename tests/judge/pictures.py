"""Pictures with classes, small enough to judge in a second: handwritten digits of 8 x 8, and drawn bars."""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa
from sklearn.datasets import load_digits

from ensample.data.dataset import Dataset
from ensample.data.pictures.column import tensor_column
from ensample.judge.images.extractor import Labelled
from ensample.judge.images.own import own
from ensample.judge.images.reference import PictureReference
from ensample.kinds import guess


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """uint8 [1797, 8, 8, 1] and which digit, as text, in one mixed order."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return (x[order].reshape(-1, 8, 8, 1) * 255 / 16).astype(np.uint8), y[order].astype(str)


def table(pixels: np.ndarray, labels: np.ndarray | None = None) -> pa.Table:
    columns = {"picture": tensor_column(pixels)}
    return pa.table(columns if labels is None else {**columns, "label": pa.array(list(map(str, labels)))})


def halves() -> tuple[pa.Table, pa.Table]:
    x, y = digits()
    return table(x[:900], y[:900]), table(x[900:], y[900:])


@functools.cache
def classifier() -> Labelled:
    """Knows digits of the second quarter of the training pictures; 1.5 seconds."""
    x, y = digits()
    found = own(x[:450], y[:450], seen=9_000)
    assert isinstance(found, Labelled)
    return found


def reference(given: tuple[str, ...] = ("label",), label: str | None = "label", **options) -> PictureReference:
    train, test = halves()
    schema = guess(Dataset.from_arrow(train), None)
    options.setdefault("extractor", classifier())
    return PictureReference(train, test, schema, picture="picture", label=label, given=given, **options)


def noisy(pixels: np.ndarray, amount: float, seed: int = 5) -> np.ndarray:
    """Pictures with a share of their pixels replaced by noise."""
    rng = np.random.default_rng(seed)
    hit = rng.random(pixels.shape) < amount
    return np.where(hit, rng.integers(0, 256, pixels.shape), pixels).astype(np.uint8)
