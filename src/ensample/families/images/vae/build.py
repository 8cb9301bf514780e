"""The parts of an autoencoder of pictures from its options: encoder, latents, decoder that fit together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Generator, nn

from ensample.events import Continuous, Mixed
from ensample.families.images.vae.codes import GridCodes
from ensample.families.images.vae.ladder import Ladder
from ensample.families.layout import given_width
from ensample.families.vae.family import POSTERIOR, PRIOR, latent_flow
from ensample.families.vae.latents import Gaussian, Latents, inform
from ensample.nets.images.coders import (
    CoarsestEncoder,
    ConvDecoder,
    ConvEncoder,
    DenseDecoder,
    DenseEncoder,
    FinestDecoder,
    GridDecoder,
    MapDecoder,
    Shape,
)
from ensample.nets.images.pixelhead import HEADS, usual_head
from ensample.nets.images.pixels import PixelNet
from ensample.nets.images.pixeltransformer import PixelTransformer


class Options(Protocol):
    """What of the family decides about the parts."""

    dims: int
    samples: int
    beta: float
    prior: Any
    posterior: Any
    groups: int
    codes: int
    chain: int
    coder: Any
    width: int | None
    depth: int
    fold: int
    sizes: int
    dropout: float


@dataclass(frozen=True)
class Parts:
    """Modules of an autoencoder; what the encoder gives the latents read, what they draw the decoder reads."""

    encoder: nn.Module
    latents: Latents
    decoder: nn.Module


def vector(family: Options, event: Continuous, given: Mixed | None, outputs: int) -> Parts:
    """One vector for the whole picture."""
    encoder, features, decoder = CODERS[family.coder](family, _shape(event), given_width(given), outputs)
    latents = Gaussian(
        family.dims, features, given_width(given), **_bound(family), **_flows(family, family.dims, features, given)
    )
    inform(latents.shape, family.dims)
    return Parts(encoder, latents, decoder)


def grid(family: Options, event: Continuous, given: Mixed | None, outputs: int) -> Parts:
    """A few numbers at each place of the coarsest map."""
    shape, told = _shape(event), given_width(given)
    encoder = CoarsestEncoder(_conv_encoder(family, shape, told), 2 * family.dims)
    decoder = GridDecoder(family.dims, told, _conv_decoder(family, shape, outputs))
    inform(encoder.last, family.dims)
    dims = encoder.features // 2
    flows = _flows(family, dims, encoder.features, given)
    latents = Gaussian(dims, encoder.features, told, **_bound(family), **flows, shaped=True)
    return Parts(encoder, latents, decoder)


def ladder(family: Options, event: Continuous, given: Mixed | None, outputs: int) -> Parts:
    """Groups of maps from coarse to fine."""
    shape, told = _shape(event), given_width(given)
    encoder = _conv_encoder(family, shape, told)
    latents = Ladder(encoder.maps, family.dims, family.groups, told, **_bound(family))
    return Parts(encoder, latents, FinestDecoder(encoder.maps[0], (outputs, *shape[1:]), family.fold))


def codes(family: Options, event: Continuous, given: Mixed | None, outputs: int) -> Parts:
    """A code at each place of the coarsest map, a transformer over them for prior."""
    shape, told = _shape(event), given_width(given)
    encoder = CoarsestEncoder(_conv_encoder(family, shape, told), family.dims)
    _, high, wide = encoder.encoder.maps[-1]

    def trunk(inputs: int, outputs: int, size: tuple[int, int]) -> PixelTransformer:
        return PixelTransformer(inputs, outputs, size, told, width=family.chain, layers=LAYERS, heads=HEADS_OF_CHAIN)

    head = HEADS[usual_head(family.codes, ordered=False)](family.codes, 1, 1)
    prior = PixelNet(family.codes, (1, high, wide), head, trunk, ordered=False)
    decoder = GridDecoder(family.dims, told, _conv_decoder(family, shape, outputs))
    return Parts(encoder, GridCodes((family.dims, high, wide), prior), decoder)


UNITS, CHANNELS = 500, 64
"""Hidden units of dense coders, channels of the finest map of convolutions, where the family does not say."""
LAYERS, HEADS_OF_CHAIN = 3, 4
"""Of the transformer over codes."""
Build = Callable[[Any, Continuous, Mixed | None, int], Parts]
LATENTS: dict[str, Build] = {"vector": vector, "grid": grid, "ladder": ladder, "codes": codes}


def _units(family: Options) -> int:
    return family.width or UNITS


def _dense(family: Options, shape: Shape, told: int, outputs: int) -> tuple[nn.Module, int, nn.Module]:
    encoder = DenseEncoder(shape, told, _units(family), family.depth, family.dropout)
    decoder = DenseDecoder(family.dims, (outputs, *shape[1:]), told, _units(family), family.depth)
    return encoder, encoder.features, decoder


def _convolutions(family: Options, shape: Shape, told: int, outputs: int) -> tuple[nn.Module, int, nn.Module]:
    encoder = CoarsestEncoder(_conv_encoder(family, shape, told))
    return encoder, encoder.features, MapDecoder(family.dims, told, _conv_decoder(family, shape, outputs))


CODERS = {"dense": _dense, "convolution": _convolutions}


def _conv_encoder(family: Options, shape: Shape, told: int) -> ConvEncoder:
    return ConvEncoder(
        shape, told, width=family.width or CHANNELS, depth=family.depth, fold=family.fold, sizes=family.sizes
    )


def _conv_decoder(family: Options, shape: Shape, outputs: int) -> ConvDecoder:
    sizes = {"width": family.width or CHANNELS, "depth": family.depth, "fold": family.fold, "sizes": family.sizes}
    return ConvDecoder((outputs, *shape[1:]), **sizes)


def _bound(family: Options) -> dict[str, Any]:
    return {"samples": family.samples, "beta": family.beta}


def _flows(family: Options, dims: int, features: int, given: Mixed | None) -> dict[str, Any]:
    """Flows of prior and posterior, where they are asked for."""
    prior = posterior = None
    if family.prior == "flow":
        prior = latent_flow(PRIOR, dims, _units(family), given_width(given), _drawn())
    if family.posterior == "flow":
        posterior = latent_flow(POSTERIOR, dims, _units(family), features, _drawn())
    return {"prior": prior, "posterior": posterior}


def _drawn() -> Generator:
    """A generator of its own for parts that seed themselves."""
    return Generator().manual_seed(int(torch.randint(2**62, ())))


def _shape(event: Continuous) -> Shape:
    channels, height, width = event.shape
    return channels, height, width
