"""The networks over pixels by name, and the table of their sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ensample.nets.images.pixelcnn import PixelCnn
from ensample.nets.images.pixelmade import PixelMade
from ensample.nets.images.pixelrnn import PixelRnn
from ensample.nets.images.pixels import PixelTrunk
from ensample.nets.images.pixeltransformer import PixelTransformer

if TYPE_CHECKING:
    from ensample.families.images.autoregressive.family import ImageAutoregressive

Trunk = Callable[[int, int, tuple[int, int]], PixelTrunk]


@dataclass(frozen=True)
class Sizes:
    """Of a network.

    `width` is of channels, hidden units or tokens; `reach` and `row_width` are of convolutions, as of `PixelCnn`.
    """

    width: int
    layers: int
    reach: int = 0
    row_width: int = 0


def _cnn(options: ImageAutoregressive, sizes: Sizes, given: int) -> Trunk:
    return lambda inputs, outputs, size: PixelCnn(
        inputs,
        outputs,
        size,
        given,
        width=sizes.width,
        layers=sizes.layers,
        reach=sizes.reach,
        row_width=sizes.row_width,
        dropout=options.dropout,
    )


def _made(options: ImageAutoregressive, sizes: Sizes, given: int) -> Trunk:
    return lambda inputs, outputs, size: PixelMade(
        inputs, outputs, size, given, width=sizes.width, layers=sizes.layers, dropout=options.dropout
    )


def _lstm(options: ImageAutoregressive, sizes: Sizes, given: int) -> Trunk:
    return lambda inputs, outputs, size: PixelRnn(
        inputs,
        outputs,
        size,
        given,
        width=sizes.width,
        layers=sizes.layers,
        reach=sizes.reach,
        dropout=options.dropout,
    )


def _transformer(options: ImageAutoregressive, sizes: Sizes, given: int) -> Trunk:
    return lambda inputs, outputs, size: PixelTransformer(
        inputs,
        outputs,
        size,
        given,
        width=sizes.width,
        layers=sizes.layers,
        heads=options.attention_heads,
        dropout=options.dropout,
    )


@dataclass(frozen=True)
class Network:
    """How a network is made, how large it is for pictures of up to so many levels (pixels times channels).

    `rate` multiplies the learning rate; `most` is the largest number of pixels for which it makes sense, `told` that of
    all parameters of all pixels together.
    """

    make: Callable[[ImageAutoregressive, Sizes, int], Trunk]
    sizes: tuple[tuple[int, Sizes], ...]
    rate: float = 1.0
    most: int = 2**31
    told: int = 2**62

    def size(self, coordinates: int) -> Sizes:
        """The row of the table for pictures of so many levels: the last one for all that are larger."""
        return next((sizes for most, sizes in self.sizes if coordinates <= most), self.sizes[-1][1])


NETWORKS: dict[str, Network] = {
    "pixelcnn": Network(
        _cnn, ((100, Sizes(32, 3, 4, 64)), (1024, Sizes(32, 3, 5, 128)), (2**31, Sizes(48, 4, 5, 192)))
    ),
    "made": Network(_made, ((100, Sizes(400, 2)), (2**31, Sizes(1500, 2))), rate=0.4, most=4096, told=32_768),
    "lstm": Network(_lstm, ((100, Sizes(32, 2, 3)), (2**31, Sizes(32, 2, 5)))),
    "transformer": Network(_transformer, ((100, Sizes(64, 4)), (2**31, Sizes(64, 4))), most=1024),
}
"""Networks by name."""
