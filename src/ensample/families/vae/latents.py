"""Latent spaces of variational autoencoders: what is between encoder and decoder. Here the continuous one."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from ensample.families.flow.transforms.base import Composed
from ensample.nets.mlp import Affine

NARROWEST, WIDEST = -8.0, 3.0
"""Bounds of the log scale of a Gaussian in the latent space."""

NARROW = -2.0
"""Log scale that `inform` starts posteriors at."""


class Latents(nn.Module):
    """Prior, posterior and how they are learned. Abstract.

    Shapes: `features` from the encoder, [rows, width] if nothing else is said, `context` [rows, width] of the given
    fields, `points` [times, rows or 1, dims] in (0, 1), what the decoder sees z [times, rows, width].
    """

    integrated: ClassVar[bool] = True
    """Whether likelihoods are integrals over places; otherwise they count one place of each record, a bound."""
    prior_share: ClassVar[float]
    """Share of the points behind an estimate that come from the prior, wherever the encoder looks."""
    width: int
    dims: int
    """Numbers in (0, 1) that one draw takes, and coordinates of the latent space that users see."""

    @torch.no_grad()
    def begin(self, features: Any, generator: Generator) -> None:
        """Set first weights from what the encoder makes of some records; most have nothing to set."""
        return None

    @abstractmethod
    def propose(
        self, features: Any, context: Tensor, points: Tensor, free: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Points of the posterior as z, and `log p(z | context) - log q(z | features)`, [times, rows].

        With `free` [times, rows or 1, dims], as many points of the prior follow, and q is the mixture of both in
        proportion: no weight is then larger than p(x | z) divided by the prior's share, wherever the encoder errs.
        """

    @abstractmethod
    def learn(
        self,
        features: Any,
        context: Tensor,
        score: Callable[[Tensor], Tensor],
        generator: Generator,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Bound of -log p(x | context) and what is paid beside it, nats [rows] each; `score` gives log p(x | z).

        With a `share` below 1 only so much of the divergence between posterior and prior counts.
        """

    @abstractmethod
    def sample(self, points: Tensor, context: Tensor) -> Tensor:
        """Points of the prior: z [rows, width] of points [rows, dims] in (0, 1)."""

    @abstractmethod
    def encode(self, features: Any, context: Tensor) -> Tensor:
        """The place [rows, dims] of the middle of each posterior; standard normal under the prior."""

    def decode(self, places: Tensor, context: Tensor) -> Tensor:
        """What the decoder sees of places [rows, dims]: inverse of `encode`."""
        return self.sample(torch.special.ndtr(places.to(torch.float64)).clamp(1e-15, 1 - 1e-15), context)


class Gaussian(Latents):
    """z ~ N(m(context), s(context)) or a flow of it; q(z | x) = N(mu(x), sigma(x)) or an inverse autoregressive flow.

    Learned by the importance-weighted bound (Burda, Grosse and Salakhutdinov 2016), for one sample the ELBO:
    `log p(x) >= E log mean_k p(x | z_k) [p(z_k) / q(z_k | x)]^beta`.

    Arguments:
        dims: of z.
        features, context: columns of the encoder's output and of the given fields.
        samples: k.
        beta: weight of the divergence (Higgins et al. 2017).
        prior: a flow from z to a standard normal, context [context, rows]; None is a Gaussian.
        posterior: a flow from the posterior's noise to z, context [features, rows]; None is a Gaussian.
        shaped: whether the features are means and log scales already.
    """

    prior_share = 0.125

    def __init__(
        self,
        dims: int,
        features: int,
        context: int,
        *,
        samples: int,
        beta: float,
        prior: Composed | None = None,
        posterior: Composed | None = None,
        shaped: bool = False,
    ) -> None:
        super().__init__()
        self.dims = self.width = dims
        self.samples, self.beta, self.prior, self.posterior = samples, beta, prior, posterior
        self.shape = nn.Identity() if shaped else Affine(features, 2 * dims)
        self.given = Affine(context, 2 * dims, bias=False) if context and prior is None else None
        with torch.no_grad():
            for weight in self.shape.parameters():
                weight.mul_(0.1)
            if self.given is not None:
                self.given.weight.mul_(0.1)

    def propose(
        self, features: Tensor, context: Tensor, points: Tensor, free: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """See `Latents.propose`."""
        z, log_q = self._posterior(features, _normal(points))
        if free is None:
            return z, self.log_prior(z, context) - log_q
        wide = self.sample(free.expand(-1, len(features), -1), context)
        log_q = torch.cat([log_q, self.log_posterior(wide, features)])
        z = torch.cat([z, wide])
        log_p, share = self.log_prior(z, context), len(free) / len(z)
        return z, log_p - torch.logaddexp(log_q + math.log1p(-share), log_p + math.log(share))

    def learn(
        self,
        features: Tensor,
        context: Tensor,
        score: Callable[[Tensor], Tensor],
        generator: Generator,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """The bound; nothing beside it."""
        noise = torch.randn(self.samples, len(features), self.dims, generator=generator)
        z, log_q = self._posterior(features, noise)
        weight = score(z) + share * self.beta * (self.log_prior(z, context) - log_q)
        return math.log(self.samples) - torch.logsumexp(weight, 0), torch.zeros(())

    def sample(self, points: Tensor, context: Tensor) -> Tensor:
        """Normal points through the prior; leading axes are kept."""
        base = _normal(points)
        if self.prior is not None:
            return _through(self.prior.inverse, base, context)[0]
        mean, log_scale = self._given(context)
        return mean + torch.exp(log_scale) * base

    def encode(self, features: Tensor, context: Tensor) -> Tensor:
        """Where the posterior's middle lies, in units of the prior."""
        z, _ = self._posterior(features, torch.zeros(1, len(features), self.dims))
        if self.prior is not None:
            return _through(self.prior, z, context)[0][0]
        mean, log_scale = self._given(context)
        return ((z - mean) * torch.exp(-log_scale))[0]

    def _given(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale of the Gaussian prior."""
        if self.given is None:
            return torch.zeros(()), torch.zeros(())
        mean, log_scale = self.given(context).chunk(2, -1)
        return mean, log_scale.clamp(NARROWEST, WIDEST)

    def _shape(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_scale = self.shape(features).chunk(2, -1)
        return mean, log_scale.clamp(NARROWEST, WIDEST)

    def _posterior(self, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draws [times, rows, dims] and their log q."""
        mean, log_scale = self._shape(features)
        z = mean + torch.exp(log_scale) * noise
        log_q = (_log_normal(noise) - log_scale).sum(-1)
        if self.posterior is not None:
            z, log_det = _through(self.posterior, z, features)
            log_q = log_q - log_det
        return z, log_q

    def log_posterior(self, z: Tensor, features: Tensor) -> Tensor:
        """Log density of z [times, rows, dims] under the posterior, [times, rows]."""
        log_det = torch.zeros(())
        if self.posterior is not None:
            z, log_det = _through(self.posterior.inverse, z, features)
        mean, log_scale = self._shape(features)
        return (_log_normal((z - mean) * torch.exp(-log_scale)) - log_scale).sum(-1) + log_det

    def log_prior(self, z: Tensor, context: Tensor) -> Tensor:
        """Log density of z [..., rows, dims] under the prior, [..., rows]."""
        if self.prior is not None:
            base, log_det = _through(self.prior, z, context)
            return _log_normal(base).sum(-1) + log_det
        mean, log_scale = self._given(context)
        return (_log_normal((z - mean) * torch.exp(-log_scale)) - log_scale).sum(-1)


def inform(layer: nn.Module, dims: int) -> None:
    """Start a layer of `dims` means, then log scales: means that tell records apart, and narrow posteriors.

    Then the decoder has something to read from the first step on, before the divergence closes the posterior
    (collapse: Bowman et al. 2016). The layer's weights are small when it comes here.
    """
    assert isinstance(layer, nn.Linear | nn.Conv2d) and layer.bias is not None
    with torch.no_grad():
        layer.weight[:dims].mul_(10.0)
        layer.bias[dims:].fill_(NARROW)


Map = Callable[[Tensor, Tensor | None, Tensor], tuple[Tensor, Tensor]]


def _through(transform: Map, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """A map of [dims, rows] applied to [..., rows, dims] with a context [rows, width]."""
    context = context.expand(*z.shape[:-1], -1).flatten(0, -2)
    out, log_det = transform(z.flatten(0, -2).t().contiguous(), None, context.t().contiguous())
    return out.t().reshape(z.shape), log_det.reshape(z.shape[:-1])


def _normal(points: Tensor) -> Tensor:
    z: Tensor = torch.special.ndtri(points.to(torch.float64))
    return z.to(torch.float32)


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
