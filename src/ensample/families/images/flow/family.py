"""Normalising flows of pictures: options, how they are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from torch import Generator, Tensor

from ensample.events import Array, Batch, Continuous, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.images.flow.model import PictureFlow
from ensample.families.images.flow.scales import Scales, folds
from ensample.families.layout import given_width
from ensample.families.training import Training
from ensample.kinds.images import Images
from ensample.kinds.records import Records
from ensample.nets.random import seeded

FIRST = 512
"""Pictures that first weights are set from."""


@dataclass(frozen=True)
class ImageFlow(Training):
    """log p(y) = log N(f(y); 0, I) + log |det df/dy|, f a chain of invertible maps at several scales.

    RealNVP (Dinh, Sohl-Dickstein and Bengio 2017) and Glow (Kingma and Dhariwal 2018): sides are halved and squares of
    pixels become channels; at each scale steps of actnorm, mixing of the channels and affine coupling; then half of the
    channels leaves as standard normal numbers given the other half. Levels are spread evenly over their cells, so the
    log-probability of a picture is bounded. Given fields condition couplings and priors.

    Use it where every picture needs a place that keeps all of it (`encode`, `decode`, `interpolate`), with samples in
    one pass. Flows need many steps for sharp pictures, and are poor at few levels, whose wide cells a density must
    fill evenly: autoregressive nets and autoencoders count levels, and fields make better pictures.

    Arguments:
        mixing: of the channels between couplings: "convolution" (Glow's invertible 1 x 1, by an LU factorisation) or a
            fixed "permutation" (RealNVP).
        coupling: maps of single numbers: "affine" (RealNVP, Glow), or "spline" (Durkan, Bekasov, Murray and
            Papamakarios 2019), slower a step and better where levels are few.
        scales: at most so many; each halves the sides that are even.
        depth: steps at each scale.
        width: channels of the couplings' nets.
        offsets: places in the cell that a bound of log p averages over.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice
        >>> event = Continuous(Lattice(0, 16, shift=8.0, scale=8.0), (1, 4, 4))
        >>> pictures = Images(event, 16 * np.eye(4, dtype=np.uint8)[None, None].repeat(20, 0))
        >>> start = ImageFlow(width=8, depth=1).build(pictures, seed=0)  # learning goes on from here
        >>> made = start.sample(5, Generator().manual_seed(0))
        >>> bool((start.decode(start.encode(made), Generator()).cells == made.cells).all())
        True
    """

    mixing: Literal["convolution", "permutation"] = "convolution"
    coupling: Literal["affine", "spline"] = "affine"
    scales: int = 2
    depth: int = 6
    width: int = 64
    offsets: int = 8
    learning_rate: float = 2e-3
    batch_size: int = 128

    name: ClassVar[str] = "image-flow"
    distribution: ClassVar[type[Distribution]] = PictureFlow

    def __post_init__(self) -> None:
        at_least(self, scales=1, depth=1, width=1, offsets=1)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this flow learns pictures; `flow` learns tables"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Accepts pictures of levels that have two channels or an even side."""
        if not isinstance(event, Continuous) or len(event.shape) != 3:
            return "a flow transforms levels of brightness, and these are arrays of classes"
        channels, height, width = event.shape
        return None if folds((channels, height, width), 1) else "a flow of grey pictures needs a side that is even"

    def build(self, records: Records, seed: int) -> PictureFlow:
        """A flow near a rotation of standardised channels."""
        generator = Generator().manual_seed(seed)
        event = cast(Continuous, cast(Images, records).event)
        module = self._module(event, records.given, generator)
        module.begin(records.sample(FIRST, seed).batch(), generator)
        return module

    def players(self, module: PictureFlow) -> tuple[Player, ...]:
        """Maximum likelihood of levels spread over their cells."""
        weights = tuple(p for p in module.parameters() if p.numel())
        return (Player("flow", lambda batch, generator: module.nats(batch, generator).mean(), weights),)

    def validate(self, module: PictureFlow, batch: Batch, generator: Generator) -> Tensor:
        """The bound with one place in each cell, nats [rows]."""
        return module.nats(batch, generator)

    def restore(
        self, event: Continuous, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> PictureFlow:
        """Inverse of `PictureFlow.arrays`."""
        module = self._module(event, given, Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _module(self, event: Continuous, given: Mixed | None, generator: Generator) -> PictureFlow:
        channels, height, width = event.shape
        with seeded(generator):
            flow = Scales(
                (channels, height, width),
                given_width(given),
                scales=self.scales,
                depth=self.depth,
                width=self.width,
                mixing=self.mixing,
                coupling=self.coupling,
            )
        return PictureFlow(event, given, flow, self.offsets)
