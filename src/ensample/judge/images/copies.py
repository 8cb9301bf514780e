"""Copy check of pictures: whether the model learned them by heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from ensample.judge.copies import CopyCheck, Pair, equal_share, nearer_share
from ensample.judge.images.reference import PictureReference, Side, held_out_features, unseen_features
from ensample.judge.measure import Measure
from ensample.judge.neighbours import nearest

SIDE = 32
"""Pictures are compared pixel by pixel at no more than this height and width; larger ones are averaged down."""

CLOSEST, SHOWN = 12, 24
IN_FEATURES = "copy share of features"


@dataclass(frozen=True)
class Beside:
    """A made picture and its nearest training pictures: positions in their tables."""

    made: int
    by_pixels: int
    by_features: int


@dataclass(frozen=True)
class PictureCopies(CopyCheck):
    """The copy check with what only pictures have.

    `share`, `to_train`, `to_test` and `closest` are by pixels, with mirror images; `features` is the share by features,
    over training pictures that the judge's own network did not learn from; `beside` are made pictures as they come.
    """

    features: Measure
    features_chance: float
    beside: tuple[Beside, ...]

    @property
    def copied(self) -> bool:
        """Whether made pictures lean on training ones, by pixels or by features."""
        return super().copied or (self.features.value > 0.52 and self.features_chance < 0.001)


def picture_copies(reference: PictureReference, made: Side, features: np.ndarray) -> PictureCopies:
    """Nearest training and held-out pictures of made ones, by pixels and by features [rows, d], and exact copies.

    Equal numbers of training and held-out pictures are drawn, as for rows of tables: a made picture of a model that
    knows the distribution only is as often nearer to the one as to the other.
    """
    size = min(reference.sizes.copies, len(reference.test), len(reference.train))
    order = np.random.default_rng(reference.seed + 2).permutation(len(reference.train))[:size]
    held = reference.held_out_rows(size)
    places = np.random.default_rng(reference.seed + 1).permutation(len(made))[: reference.sizes.copies]
    fake = points(made.pixels[places])
    to_train, near_train = _mirrored(fake, reference.train.pixels[order])
    to_test, near_test = _mirrored(fake, reference.test.pixels[held])
    share, luck = nearer_share(to_train, near_train, to_test, near_test, size, reference.seed, "picture")
    worst = np.lexsort((-to_test, to_train / np.maximum(to_test, 1e-9)))[:CLOSEST]
    pairs = tuple(Pair(int(places[k]), int(order[near_train[k]]), float(to_train[k]), float(to_test[k])) for k in worst)
    train, test, mine = (fingerprints(side.pixels) for side in (reference.train, reference.test, made))
    exact = equal_share(train, test, mine, reference.seed, "picture", "pixel")
    near, features_luck, by_features = _by_features(reference, features[places])
    beside = tuple(
        Beside(int(places[k]), int(order[near_train[k]]), int(by_features[k])) for k in range(min(SHOWN, len(places)))
    )
    return PictureCopies(share, exact, luck, to_train, to_test, pairs, near, features_luck, beside)


def _by_features(reference: PictureReference, fake: np.ndarray) -> tuple[Measure, float, np.ndarray]:
    """Share nearer to training pictures, its chance, and the row of the nearest training picture [rows]."""
    size = min(reference.sizes.copies, len(reference.test), len(reference.unseen))
    train, test = reference.once(unseen_features, size), reference.once(held_out_features, size)
    wide = fake.astype(np.float64)
    to_train, near_train = nearest(wide, train.astype(np.float64))
    to_test, near_test = nearest(wide, test.astype(np.float64))
    share, luck = nearer_share(to_train, near_train, to_test, near_test, size, reference.seed, "picture", IN_FEATURES)
    return share, luck, reference.unseen[:size][near_train]


def points(pixels: np.ndarray) -> np.ndarray:
    """Pixels 0 to 255 in one row a picture, float32 [rows, d], averaged down to at most 32 x 32 places.

    Example:
        >>> points(np.array([[[[0], [255]]]], np.uint8)).tolist()
        [[0.0, 255.0]]
    """
    height, width = pixels.shape[1:3]
    if max(height, width) > SIDE:
        x = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
        pixels = F.adaptive_avg_pool2d(x, (min(height, SIDE), min(width, SIDE))).permute(0, 2, 3, 1).numpy()
    return pixels.reshape(len(pixels), -1).astype(np.float32)


def _mirrored(fake: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of points to the nearest of pictures or their mirror images, and which picture it is; both [rows]."""
    plain, place = nearest(fake, points(pixels))
    mirror, other = nearest(fake, points(pixels[:, :, ::-1]))
    return np.minimum(plain, mirror), np.where(mirror < plain, other, place)


def fingerprints(pixels: np.ndarray) -> np.ndarray:
    """A number for each picture, uint64 [rows]: equal pictures, equal numbers; others, equal once in 2^50 or so."""
    rng = np.random.default_rng(20)
    weights = rng.integers(0, 2**63, int(np.prod(pixels.shape[1:])), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    out = np.empty(len(pixels), np.uint64)
    for start in range(0, len(pixels), 1_000):
        part = pixels[start : start + 1_000]
        out[start : start + 1_000] = (part.reshape(len(part), -1).astype(np.uint64) * weights).sum(1)
    return out
