"""One table of default sizes of networks over sequences of classes, and of how far they look back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Size:
    """Width of the tokens (channels, hidden units) and number of layers."""

    width: int
    layers: int


SIZES: tuple[tuple[int, dict[str, Size]], ...] = (
    (30_000, {"transformer": Size(64, 2), "recurrent": Size(96, 1), "wavenet": Size(48, 6)}),
    (300_000, {"transformer": Size(96, 4), "recurrent": Size(192, 1), "wavenet": Size(64, 7)}),
    (5_000_000, {"transformer": Size(128, 4), "recurrent": Size(256, 2), "wavenet": Size(96, 8)}),
    (2**62, {"transformer": Size(256, 6), "recurrent": Size(512, 2), "wavenet": Size(192, 16)}),
)
"""(classes in all records up to which a row is taken, sizes): what a processor learns something with in minutes."""

MANY_CLASSES = 1_000
"""Each of so many classes (words, pieces of words) says more than a character, and needs wider vectors."""
HEAD = 64
"""Width of a head of attention, about."""
LONGEST, SHORTEST = 128, 16
"""Most and fewest tokens that a network looks back on by default."""


def size_for(network: str, classes: int, amount: int) -> Size:
    """The default size of a network for so many classes of a step and so many steps in all records.

    Example:
        >>> size_for("transformer", 65, 1_000_000)
        Size(width=128, layers=4)
    """
    size = next(sizes[network] for most, sizes in SIZES if amount <= most)
    return Size(max(size.width, 192), size.layers) if classes >= MANY_CLASSES else size


def heads_for(width: int) -> int:
    """Heads of attention of about `HEAD` channels, each of an even number.

    Example:
        >>> heads_for(128), heads_for(96), heads_for(40)
        (2, 2, 1)
    """
    return next((n for n in range(max(1, round(width / HEAD)), 1, -1) if width % (2 * n) == 0), 1)


def context_for(lengths: np.ndarray) -> int:
    """How many tokens are looked back on: several short records, or a part of long ones; a power of two.

    Arguments:
        lengths: steps of all records [rows], negative ones of records that are missing.

    Example:
        >>> context_for(np.array([5, 7, 9])), context_for(np.array([1_000_000]))
        (64, 128)
    """
    there = lengths[lengths >= 0]
    wanted = 4 * (float(np.quantile(there, 0.95)) + 1) if len(there) else 0
    return int(2 ** np.ceil(np.log2(np.clip(wanted, SHORTEST, LONGEST))))
