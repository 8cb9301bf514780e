"""One table of default sizes of networks of pictures, by the size of the picture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A size of network.

    Arguments:
        patch: side of the squares of pixels that are one token of a transformer.
        width, layers: of the transformer.
        fold: side of the squares that a U-Net folds into channels.
        channels: of the U-Net at each size.
        blocks: residual blocks at each size.
    """

    patch: int
    width: int
    layers: int
    fold: int
    channels: tuple[int, ...]
    blocks: int


SIZES: tuple[tuple[int, Size], ...] = (
    (8, Size(patch=2, width=96, layers=4, fold=1, channels=(32, 64), blocks=1)),
    (16, Size(patch=2, width=128, layers=5, fold=1, channels=(48, 96), blocks=1)),
    (32, Size(patch=4, width=128, layers=5, fold=2, channels=(64, 128), blocks=1)),
    (64, Size(patch=8, width=256, layers=8, fold=2, channels=(64, 128, 192), blocks=1)),
    (128, Size(patch=16, width=384, layers=8, fold=4, channels=(96, 192, 256), blocks=2)),
    (1 << 30, Size(patch=32, width=512, layers=10, fold=8, channels=(128, 256, 384), blocks=2)),
)
"""(longest side up to which a size is taken, the size): what a processor learns something with in minutes."""


def size_for(height: int, width: int) -> Size:
    """The default size of network for pictures of this height and width.

    Example:
        >>> size_for(28, 28).patch, size_for(50, 80).patch
        (4, 16)
    """
    return next(size for side, size in SIZES if max(height, width) <= side)
