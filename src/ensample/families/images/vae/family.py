"""Variational autoencoders of pictures: options, how they are built and taught."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from torch import Generator, Tensor

from ensample.errors import InputError
from ensample.events import Array, Batch, Continuous, Mixed
from ensample.families.base import Distribution, Player, at_least
from ensample.families.images.vae.build import LATENTS
from ensample.families.images.vae.heads import HEADS
from ensample.families.images.vae.model import PictureVae
from ensample.families.training import Training
from ensample.kinds.images import Images
from ensample.kinds.records import Records
from ensample.nets.random import seeded

FIRST = 10_000
"""Pictures that first weights are set from."""


@dataclass(frozen=True)
class ImageVae(Training):
    """p(x) = integral of p(z) p(x | z) dz over pictures, learned with an encoder q(z | x) (Kingma and Welling 2014).

    `log p(x) >= E log (1/K) sum_k p(x | z_k) [p(z_k) / q(z_k | x)]^beta`, z_k drawn from q (Burda, Grosse and
    Salakhutdinov 2016); with one sample it is the ELBO. Given z the pixels are independent, each with a distribution
    over its levels. Given fields condition encoder, prior and decoder.

    | latents | z | source |
    |---|---|---|
    | vector | `dims` numbers of the whole picture | Kingma and Welling 2014 |
    | grid | `dims` numbers at each place of a small map: a codec for latent diffusion | Rombach et al. 2022 |
    | codes | one of `codes` vectors of `dims` numbers at each place, a chain over them | van den Oord et al. 2017 |
    | ladder | `groups` maps of `dims` numbers at each of `sizes` sizes, coarse to fine | NVAE: Vahdat and Kautz 2020 |

    Use it for a smooth latent space (`encode`, `decode`, `interpolate`, `direction`), as a codec, and for likelihoods
    learned fast. Its samples are blurred where z does not tell a pixel from its neighbours; fields and autoregressive
    nets are sharper.

    Arguments:
        latents: one of the table above.
        dims: numbers of z, at each place of a map where there is one.
        samples: K of the bound.
        beta: weight of the divergence from the prior (beta-VAE: Higgins et al. 2017).
        anneal: steps in which that weight rises from 0 (Bowman et al. 2016): a place at first says much, cheaply.
        prior: of vectors and grids: "normal" (given fields shift and scale it) or a "flow".
        posterior: of them: "normal", or "flow" for an inverse autoregressive flow (Kingma et al. 2016).
        groups: of a ladder, at each size.
        codes: entries of the codebook.
        chain: hidden units of the transformer over codes, a multiple of 4.
        coder: of vectors: "dense" layers, which are cheap and do well on small grey pictures, or "convolution". Grids
            and ladders have convolutions.
        decoder: distribution of a pixel: by its "levels" (two: Bernoulli; up to 32: a probability each; more: cells of
            a mixture of logistics), or cells of "logistic" mixtures or of a "gaussian" however many there are.
        width: hidden units, or channels of the finest map; coarser ones have twice as many each. None takes 500 units,
            or 64 channels.
        depth: hidden layers, or residual blocks at each size; no dense layers make both linear.
        fold: side of the squares of pixels that become channels before convolutions.
        sizes: maps, each half as wide as the one before.
        points: of an estimate of log p, rounded up to a multiple of 64.
        dropout: share of the dense encoder's hidden units left out in learning.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> from ensample.events import Lattice
        >>> event = Continuous(Lattice(0, 1, shift=0.5, scale=0.5), (1, 4, 4))
        >>> pictures = Images(event, np.eye(4, dtype=np.uint8)[None, None].repeat(20, 0))
        >>> start = ImageVae(width=8, dims=2).build(pictures, seed=0)  # learning goes on from here
        >>> start.encode(start.sample(5, Generator().manual_seed(0))).shape
        torch.Size([5, 2])
    """

    latents: Literal["vector", "grid", "ladder", "codes"] = "vector"
    dims: int = 40
    samples: int = 1
    beta: float = 1.0
    anneal: int = 200
    prior: Literal["normal", "flow"] = "normal"
    posterior: Literal["normal", "flow"] = "normal"
    groups: int = 2
    codes: int = 256
    chain: int = 128
    coder: Literal["dense", "convolution"] = "dense"
    decoder: Literal["levels", "logistic", "gaussian"] = "levels"
    width: int | None = None
    depth: int = 2
    fold: int = 4
    sizes: int = 1
    points: int = 1024
    dropout: float = 0.0
    learning_rate: float = 4e-3
    batch_size: int = 512
    precision: Literal["float32", "bfloat16"] = "bfloat16"

    name: ClassVar[str] = "image-vae"
    distribution: ClassVar[type[Distribution]] = PictureVae

    def __post_init__(self) -> None:
        at_least(
            self,
            dims=1,
            samples=1,
            beta=0.0,
            anneal=0,
            groups=1,
            width=1,
            depth=0,
            fold=1,
            sizes=1,
            points=64,
            dropout=0.0,
        )
        if self.chain % 4:
            raise InputError("A transformer has four heads.", f"{self.name}, chain", str(self.chain), "say 128")
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Refuses every table."""
        return "this autoencoder learns pictures; `vae` learns tables"

    def refuses_arrays(self, event: Array, given: Mixed | None) -> str | None:
        """Accepts pictures of levels."""
        if not isinstance(event, Continuous) or len(event.shape) != 3:
            return "an autoencoder of pictures learns levels of brightness, and these are arrays of classes"
        return None

    def build(self, records: Records, seed: int) -> PictureVae:
        """A decoder that starts at independent pixels."""
        generator = Generator().manual_seed(seed)
        event = cast(Continuous, cast(Images, records).event)
        module = self._module(event, records.given, generator)
        module.begin(records.sample(FIRST, seed).batch(), generator)
        return module

    def players(self, module: PictureVae) -> tuple[Player, ...]:
        """Encoder, prior and decoder together."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            share = min(1.0, float(module.taken) / self.anneal) if self.anneal else 1.0
            module.taken += 1
            nats, beside = module.bound(batch, generator, share)
            return (nats + beside).mean()

        weights = tuple(p for p in module.parameters() if p.numel())
        return (Player("autoencoder", loss, weights, steady=not self.anneal),)

    def validate(self, module: PictureVae, batch: Batch, generator: Generator) -> Tensor:
        """The bound, nats [rows]."""
        return module.bound(batch, generator)[0]

    def restore(
        self, event: Continuous, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> PictureVae:
        """Inverse of `PictureVae.arrays`."""
        module = self._module(event, given, Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _module(self, event: Continuous, given: Mixed | None, generator: Generator) -> PictureVae:
        head = HEADS[self.decoder](event)
        with seeded(generator):
            parts = LATENTS[self.latents](self, event, given, head.outputs)
        return PictureVae(event, given, parts.encoder, parts.latents, parts.decoder, head, self.points)
