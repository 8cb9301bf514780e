"""Variational autoencoders: a record is drawn given a point of a small latent space."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Generator, Tensor, nn

from ensample.events import Batch, Discrete, Mixed, Span
from ensample.families.base import Distribution, Player, at_least
from ensample.families.flow.classes import Classes
from ensample.families.flow.family import Flow
from ensample.families.flow.steps import Plan, compose
from ensample.families.flow.transforms.base import Composed
from ensample.families.layout import Layout, given_width
from ensample.families.training import Training
from ensample.families.vae.codes import Codes
from ensample.families.vae.latents import Gaussian, Latents
from ensample.families.vae.model import VaeDistribution
from ensample.kinds.records import Records
from ensample.nets.emissions import SORTS, Emission
from ensample.nets.mlp import Mlp
from ensample.nets.random import seeded
from ensample.nets.staircase import Conditioner

FIRST = 10_000
"""Rows that first weights are set from."""


@dataclass(frozen=True)
class Vae(Training):
    """p(x) = integral of p(z) p(x | z) dz, learned with an encoder q(z | x) (Kingma and Welling 2014).

    `log p(x) >= E log (1/K) sum_k p(x | z_k) p(z_k) / q(z_k | x)`, z_k drawn from q (Burda, Grosse and Salakhutdinov
    2016); with one sample it is the ELBO, `E log p(x | z) - KL(q || p)`. The decoder gives every span its own
    distribution over cells, independent given z.

    Use it for a small smooth latent space (`encode`, `decode`, `reconstruct`, `interpolate`, `direction`), and for
    conditions on any fields. Its likelihood is an estimate; where that is the aim, autoregressive and boosted are
    sharper, and columns that determine each other stay blurred by what z does not tell.

    Arguments:
        latents: "gaussian", or "codes" for a codebook (VQ-VAE: van den Oord, Vinyals and Kavukcuoglu 2017).
        dims: numbers of z; with codes, how many codes a record has.
        samples: K of the bound.
        beta: weight of the divergence from the prior (beta-VAE: Higgins et al. 2017); gaussian alone.
        prior: of gaussian latents: "normal" (given fields shift and scale it) or a "flow".
        posterior: of gaussian latents: "normal", or "flow" for an inverse autoregressive flow (Kingma et al. 2016).
        codes: entries of each codebook.
        decoder: distribution of numbers: mixtures of "logistic" or "gaussian" components, "spline" or "binned".
        pieces: components, knots or bins of each number.
        width: hidden units of encoder and decoder; half as many in each step of a flow.
        layers: their hidden layers; 0 makes both linear.
        hidden: share of the rows in learning of which the encoder sees a part alone, so that it can complete records
            (Mattei and Frellsen 2019).
        points: of an estimate of log p.
        norm: of the hidden layers of both: "none", "batch" (Ioffe and Szegedy 2015), "layer" (Ba et al. 2016) or
            "group" (Wu and He 2018).
        dropout: share of hidden units left out in learning.

    How it is trained: the options of `Training`.

    Example:
        >>> import numpy as np
        >>> records = Records(Mixed((Span("a", Discrete(2)),)), np.array([[0], [1], [1]]))
        >>> start = Vae(width=8, dims=2).build(records, seed=0)  # learning goes on from here
        >>> start.encode(start.sample(5, Generator().manual_seed(0))).shape
        torch.Size([5, 2])
    """

    latents: Literal["gaussian", "codes"] = "gaussian"
    dims: int = 4
    samples: int = 8
    beta: float = 1.0
    prior: Literal["normal", "flow"] = "normal"
    posterior: Literal["normal", "flow"] = "normal"
    codes: int = 64
    decoder: Literal["logistic", "gaussian", "spline", "binned"] = "logistic"
    pieces: int = 10
    width: int = 128
    layers: int = 2
    hidden: float = 0.1
    points: int = 256
    norm: Literal["none", "batch", "layer", "group"] = "none"
    dropout: float = 0.0
    learning_rate: float = 2e-3

    name: ClassVar[str] = "vae"
    distribution: ClassVar[type[Distribution]] = VaeDistribution

    def __post_init__(self) -> None:
        at_least(self, dims=1, samples=1, beta=0.0, codes=2, pieces=1, width=1, layers=0, hidden=0.0, points=64)
        at_least(self, dropout=0.0)
        self.check()

    def refuses(self, event: Mixed, given: Mixed | None) -> str | None:
        """Accepts every mixed event."""
        return None if isinstance(event, Mixed) else "a variational autoencoder needs a table of fields"

    def build(self, records: Records, seed: int) -> VaeDistribution:
        """A decoder that starts at independent columns."""
        generator = Generator().manual_seed(seed)
        module = self._module(records.event, records.given, generator)
        first = records.sample(FIRST, seed).batch()
        module.emission.begin(first.cells, first.mask)
        if isinstance(module.latents, Codes):
            module.latents.begin(module.features(first), generator)
        return module

    def players(self, module: VaeDistribution) -> tuple[Player, ...]:
        """Encoder, prior and decoder together."""

        def loss(batch: Batch, generator: Generator) -> Tensor:
            nats, beside = module.bound(batch, self._seen(module, batch, generator), generator)
            return (nats + beside).mean()

        return (Player("autoencoder", loss, tuple(p for p in module.parameters() if p.numel())),)

    def validate(self, module: VaeDistribution, batch: Batch, generator: Generator) -> Tensor:
        """The bound of whole records, nats [rows]."""
        return module.bound(batch, batch.mask, generator)[0]

    def restore(
        self, event: Mixed, given: Mixed | None, arrays: dict[str, Tensor], facts: dict[str, Any]
    ) -> VaeDistribution:
        """Inverse of `VaeDistribution.arrays`."""
        module = self._module(event, given, Generator())
        module.load_state_dict(arrays)
        return module.eval()

    def _seen(self, module: VaeDistribution, batch: Batch, generator: Generator) -> Tensor:
        """Which coordinates are shown [rows, spans]: in a share `hidden` of the rows a random part of the fields."""
        if not self.hidden:
            return batch.mask
        shown = torch.rand(len(batch), 1, generator=generator)
        rows = torch.rand(len(batch), 1, generator=generator) >= self.hidden
        seen = batch.mask & (rows | (torch.rand(batch.mask.shape, generator=generator) < shown))
        for j, span in enumerate(module.event.spans):
            if span.exists is not None:
                seen[:, j] &= seen[:, span.exists[0]]
        return seen

    def _module(self, event: Mixed, given: Mixed | None, generator: Generator) -> VaeDistribution:
        context = given_width(given)
        with seeded(generator):
            encoder, features = _trunk(Layout(event).width + context, self)
            latents = LATENTS[self.latents](self, features, context, generator)
            decoder, h = _trunk(latents.width + context, self)
            emission = Emission(event, h, SORTS[self.decoder](event, self.pieces))
        return VaeDistribution(event, given, encoder, latents, decoder, emission, self.points)


def _gaussian(family: Vae, features: int, context: int, generator: Generator) -> Latents:
    prior = posterior = None
    if family.prior == "flow":
        prior = latent_flow(PRIOR, family.dims, family.width, context, generator)
    if family.posterior == "flow":
        posterior = latent_flow(POSTERIOR, family.dims, family.width, features, generator)
    return Gaussian(
        family.dims,
        features,
        context,
        samples=family.samples,
        beta=family.beta,
        prior=prior,
        posterior=posterior,
    )


def latent_flow(options: Flow, dims: int, width: int, context: int, generator: Generator) -> Composed:
    """A flow of `dims` numbers of a latent space, with half the hidden units of the networks around it."""
    names = {field.name for field in fields(Plan)} & {field.name for field in fields(options)}
    values = {name: getattr(options, name) for name in names if name != "margins"}
    values |= {"margins": 0} if "margins" in names else {}  # z has no quantiles to start from
    values["width"] = max(1, width // 2)
    return compose(Plan(dims, context, **values), generator)


def _codes(family: Vae, features: int, context: int, generator: Generator) -> Latents:
    sizes = [family.codes] * family.dims
    event = Mixed(tuple(Span(str(i), Discrete(family.codes)) for i in range(family.dims)))
    prior = Classes(event, Conditioner.causal(sizes, sizes, context, width=family.width, depth=1))
    return Codes(family.dims, family.codes, EACH, features, prior)


LATENTS = {"gaussian": _gaussian, "codes": _codes}
EACH = 8
"""Length of a code's vector."""
PRIOR = Flow(transform="spline-autoregressive", layers=2, depth=1, bins=8)
"""From z to a standard normal."""
POSTERIOR = Flow(transform="maf", layers=2, depth=1)
"""From noise to z, which makes it an inverse autoregressive flow."""


def _trunk(inputs: int, family: Vae) -> tuple[nn.Module, int]:
    """A network up to its last hidden layer, and its width; no layers leave the inputs as they are."""
    if family.layers == 0:
        return nn.Identity(), inputs
    net = Mlp(inputs, 0, family.width, family.layers, norm=family.norm, dropout=family.dropout)
    net.last = nn.Identity()  # type: ignore[assignment]
    return net, family.width
