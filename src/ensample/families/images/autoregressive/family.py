"""Autoregressive networks over pixels: options, how they are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Array, Batch, Continuous, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.images.autoregressive.model import AutoregressivePictures
from ensample.families.images.autoregressive.networks import NETWORKS, Sizes
from ensample.families.layout import given_width
from ensample.families.training import Training
from ensample.kinds.images import Images
from ensample.kinds.records import Records
from ensample.nets.images.pixelhead import HEADS, PixelHead, usual_head
from ensample.nets.images.pixels import PixelNet
from ensample.nets.random import seeded

START = 20_000
"""Pictures whose shares of levels are where each pixel starts."""


@dataclass(frozen=True)
class ImageAutoregressive(Training):
    """p(picture | given) = product over pixels in raster order, and over the channels of each, of p(level | before).

    Likelihoods are exact and the best of all families on small pictures; samples are sharp, but drawn pixel by pixel,
    and what is drawn early is not mended later: outlines may not close. A hole is filled from what lies above and left
    of it; use a field to fill one from all sides. Works on pictures of any levels, and on arrays of classes (codes).

    | network | p(pixel) looks at | good for |
    |---|---|---|
    | pixelcnn | near pixels by gated masked convolutions, rows above as a whole (van den Oord et al. 2016) | pictures |
    | made | all pixels before by dense masked layers (Germain et al. 2015) | tiny pictures, a fast draw |
    | lstm | a memory that goes down the rows (PixelRNN: van den Oord et al. 2016) | long strokes |
    | transformer | all pixels before by attention (image GPT: Chen et al. 2020) | codes, pictures up to 32 x 32 |

    Arguments:
        network: one of the table above.
        head: distribution of a pixel's levels: "bernoulli" (two), "softmax", "logistic" (a discretised mixture whose
            channels are linear in each other, PixelCNN++: Salimans et al. 2017); "auto" takes them for two levels, up
            to 32 or classes, and more.
        width: channels, hidden units of a layer, or width of tokens; by the size of the picture if left out.
        layers: of the network; likewise.
        reach: pixels that a first convolution (pixelcnn, lstm) reads to each side; likewise.
        row_width: hidden units of the network over rows (pixelcnn), 0 for none; likewise.
        attention_heads: of a transformer; its width is a multiple of it.
        pieces: components of a mixture of logistics.
        dropout: share of hidden units left out in training.

    How it is trained: the options of `Training`; dense layers learn at a smaller part of the learning rate.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice
        >>> event = Continuous(Lattice(0, 1, shift=0.5, scale=0.5), (1, 4, 4))
        >>> pictures = Images(event, np.eye(4, dtype=np.uint8)[None, None].repeat(20, 0))
        >>> start = ImageAutoregressive(width=8).build(pictures, seed=0)  # learning goes on from here
        >>> start.eval().sample(5, Generator().manual_seed(0)).cells.shape
        torch.Size([5, 1, 4, 4])
    """

    network: Literal["pixelcnn", "made", "lstm", "transformer"] = "pixelcnn"
    head: Literal["auto", "bernoulli", "softmax", "logistic"] = "auto"
    width: int | None = None
    layers: int | None = None
    reach: int | None = None
    row_width: int | None = None
    attention_heads: int = 4
    pieces: int = 10
    dropout: float = 0.0
    learning_rate: float = 1e-2
    optimiser: Literal["adamw", "adam", "sgd", "muon"] = "muon"
    warm_up: int = 50
    batch_size: int = 32
    average: float = 0.998
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    holdout: float = 0.02

    name: ClassVar[str] = "image-autoregressive"
    distribution: ClassVar[type[Distribution]] = AutoregressivePictures

    def __post_init__(self) -> None:
        at_least(self, width=1, layers=1, reach=1, row_width=0, attention_heads=1, pieces=1)
        self.check_shares("dropout")
        if self.network == "transformer" and self.width is not None and self.width % self.attention_heads:
            seen = f"width={self.width}, attention_heads={self.attention_heads}"
            raise InputError("The width must be a multiple of the heads.", self.name, seen, "change one of them")
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this network predicts pixels; `autoregressive` learns tables"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Accepts grids of levels or classes, (height, width) or (channels, height, width), that the options suit."""
        if len(event.shape) not in (2, 3):
            return "a chain of pixels needs rows and columns"
        pixels, levels = event.shape[-2] * event.shape[-1], _levels(event)
        if pixels > NETWORKS[self.network].most:
            return f"the network {self.network!r} is made for at most {NETWORKS[self.network].most} pixels"
        if levels < 2:
            return "there is nothing to learn where all pixels have one level"
        if self.head == "bernoulli" and levels > 2:
            return f'head="bernoulli" is for two levels, and here are {levels}'
        if self.head == "logistic" and not isinstance(event, Continuous):
            return 'head="logistic" is for levels with an order, and these are classes'
        told = pixels * self._head(event, Generator()).outputs
        if told > NETWORKS[self.network].told:
            return f"dense layers of {told} outputs are too large: choose another network than {self.network!r}"
        return None

    def build(self, records: Records, seed: int) -> AutoregressivePictures:
        """A network that starts near independent pixels."""
        assert isinstance(records, Images)
        module = self._module(records.event, records.given, Generator().manual_seed(seed))
        module.net.begin(module.codes(records.sample(START, seed).batch()))
        return module

    def players(self, module: AutoregressivePictures) -> tuple[Player, ...]:
        """Maximum likelihood; the loss is in nats a level, so that clipping means the same for all sizes."""
        size = float(module.net.shape[0] * module.net.trunk.pixels)
        rate = NETWORKS[self.network].rate
        weights = tuple(p for p in module.parameters() if p.numel())  # without given fields some are empty
        return (Player("network", lambda b, g: module.nats(b).mean() / size, weights, rate=lambda: rate),)

    def validate(self, module: AutoregressivePictures, batch: Batch, generator: Generator) -> Tensor:
        """Nats [rows]."""
        return module.nats(batch)

    def restore(
        self, event: Array, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> AutoregressivePictures:
        """Inverse of `AutoregressivePictures.arrays`."""
        module = self._module(event, given, Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _module(self, event: Array, given: Mixed | None, generator: Generator) -> AutoregressivePictures:
        channels, height, wide = (1, *event.shape)[-3:]
        head, ordered = self._head(event, generator), isinstance(event, Continuous)
        make = NETWORKS[self.network].make(self, self._sizes(channels * height * wide), given_width(given))
        with seeded(generator):
            net = PixelNet(_levels(event), (channels, height, wide), head, make, ordered=ordered)
        return AutoregressivePictures(event, given, net)

    def _head(self, event: Array, generator: Generator) -> PixelHead:
        levels, channels = _levels(event), (1, *event.shape)[-3]
        name = usual_head(levels, isinstance(event, Continuous)) if self.head == "auto" else self.head
        with seeded(generator):
            return HEADS[name](levels, channels, self.pieces)

    def _sizes(self, coordinates: int) -> Sizes:
        usual = NETWORKS[self.network].size(coordinates)
        asked = {name: getattr(self, name) for name in ("width", "layers", "reach", "row_width")}
        return Sizes(**{name: getattr(usual, name) if value is None else value for name, value in asked.items()})


def _levels(event: Array) -> int:
    return event.lattice.high - event.lattice.low + 1 if isinstance(event, Continuous) else event.classes
