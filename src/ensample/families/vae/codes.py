"""A latent space of codes: the vector-quantised autoencoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from ensample.families.flow.classes import Classes
from ensample.families.vae.latents import Latents
from ensample.nets.mlp import Affine

COMMITMENT = 0.25
"""How much the encoder is pulled to its code, beside the code to the encoder (van den Oord et al. 2017)."""
SHARPNESS = 2.0
"""Proposals of codes: `q(c | x)` falls with the squared distance to the encoder, in units of 1 / SHARPNESS of the mean
squared distance to the nearest code."""


class Codes(Latents):
    """`groups` codes of `size` each, every one a vector of a codebook; the prior is autoregressive over the groups.

    Van den Oord, Vinyals and Kavukcuoglu, Neural Discrete Representation Learning, 2017: the encoder's vector of each
    group is replaced by the nearest code, gradients pass straight through, codes follow the encoder and the encoder
    commits to them. The prior is learned beside, by the codes chosen.

    Arguments:
        groups, size, dims: codes of a record, entries of each codebook, and the length of an entry.
        features: columns of the encoder's output.
        prior: p(codes | context) over `groups` classes of `size`.
    """

    prior_share = 0.5  # the nearest codes are not all that explain a record

    book: nn.Parameter

    def __init__(self, groups: int, size: int, dims: int, features: int, prior: Classes) -> None:
        super().__init__()
        self.dims, self.size, self.each, self.width, self.prior = groups, size, dims, groups * dims, prior
        self.shape = Affine(features, self.width)
        self.book = nn.Parameter(torch.randn(groups, size, dims))

    @torch.no_grad()
    def begin(self, features: Tensor, generator: Generator) -> None:
        """Codes at places of random records, so that all of them are in use."""
        places = self._places(features)
        for group in range(self.dims):
            rows = torch.randint(len(features), (self.size,), generator=generator)
            noise = torch.randn(self.size, self.each, generator=generator)
            self.book[group] = places[rows, group] + 0.01 * noise

    def codes(self, features: Tensor) -> Tensor:
        """The nearest code of each group [rows, groups] int64."""
        return self._distances(self._places(features)).argmin(-1)

    def propose(
        self, features: Tensor, context: Tensor, points: Tensor, free: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Codes drawn by their distance to the encoder's vectors; all codes, where they are no more than the points."""
        if free is not None and self.size**self.dims <= len(points) + len(free):
            return self._every(features, context)
        log_q = self._log_q(features)  # [rows, groups, size]
        chosen = _invert(log_q, points.expand(-1, len(features), -1))
        if free is not None:
            wide = self._from_prior(free.expand(-1, len(features), -1), context)
            chosen = torch.cat([chosen, wide])
        log_p = self._log_prior(chosen, context)
        picked = log_q.expand(len(chosen), -1, -1, -1).gather(-1, chosen[..., None])[..., 0].sum(-1)
        if free is not None:
            share = len(free) / len(chosen)
            picked = torch.logaddexp(picked + math.log1p(-share), log_p + math.log(share))
        return self._looked_up(chosen), log_p - picked

    def learn(
        self,
        features: Tensor,
        context: Tensor,
        score: Callable[[Tensor], Tensor],
        generator: Generator,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Nats of the record and of its nearest codes; beside them the pull between encoder and codebook."""
        places = self._places(features)
        codes = self._distances(places).argmin(-1)
        book = self._looked_up(codes)
        flat = places.flatten(1)
        straight = flat + (book - flat).detach()
        pull = (book - flat.detach()).square().sum(1) + COMMITMENT * (flat - book.detach()).square().sum(1)
        return -score(straight[None])[0] - share * self._log_prior(codes[None], context)[0], pull

    def sample(self, points: Tensor, context: Tensor) -> Tensor:
        """Codes of the prior, looked up."""
        return self._looked_up(self._from_prior(points, context))

    def encode(self, features: Tensor, context: Tensor) -> Tensor:
        """The middles of the intervals that the nearest codes have under the prior."""
        codes = self.codes(features)
        return self.prior.encode(codes, torch.ones_like(codes, dtype=torch.bool), context.t().contiguous())

    def _places(self, features: Tensor) -> Tensor:
        out: Tensor = self.shape(features)
        return out.reshape(len(features), self.dims, self.each)

    def _distances(self, places: Tensor) -> Tensor:
        """Squared distances [rows, groups, size]."""
        book = self.book.detach()
        cross = torch.einsum("rgd,gsd->rgs", places.detach(), book)
        return places.detach().square().sum(-1, keepdim=True) - 2 * cross + book.square().sum(-1)

    def _log_q(self, features: Tensor) -> Tensor:
        distance = self._distances(self._places(features))
        nearest = distance.sort(-1).values[..., : min(8, self.size)]
        unit = (nearest[..., -1:] - nearest[..., :1]).clamp(min=1e-6)
        return (-SHARPNESS * distance / unit).log_softmax(-1)

    def _looked_up(self, codes: Tensor) -> Tensor:
        """Entries [..., groups x dims] of codes [..., groups]."""
        group = torch.arange(self.dims)
        return self.book[group, codes].flatten(-2)

    def _log_prior(self, codes: Tensor, context: Tensor) -> Tensor:
        """Log-probability [times, rows] of codes [times, rows, groups]."""
        flat = codes.flatten(0, 1)
        given = context.expand(len(codes), -1, -1).flatten(0, 1).t().contiguous()
        nats = self.prior.nats(flat, torch.ones_like(flat, dtype=torch.bool), given)
        return -nats.reshape(codes.shape[:2])

    def _from_prior(self, points: Tensor, context: Tensor) -> Tensor:
        flat = torch.special.ndtri(points.to(torch.float64)).flatten(0, -2)
        given = context.expand(*points.shape[:-1], -1).flatten(0, -2)
        return self.prior.decode(flat, given.t().contiguous())[0].reshape(points.shape)

    def _every(self, features: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """All combinations of codes: their mean with these weights is the exact sum."""
        combinations = torch.tensor(list(itertools.product(range(self.size), repeat=self.dims)))
        chosen = combinations[:, None].expand(-1, len(features), -1)
        return self._looked_up(chosen), self._log_prior(chosen, context) + math.log(len(chosen))


def _invert(log_q: Tensor, points: Tensor) -> Tensor:
    """Classes [times, rows, groups] at points of the same shape in (0, 1), from tables [rows, groups, classes]."""
    ends = log_q.to(torch.float64).exp().cumsum(-1)
    wanted = points.to(torch.float64).permute(1, 2, 0).contiguous() * ends[..., -1:]
    return torch.searchsorted(ends, wanted, right=True).clamp(max=log_q.shape[-1] - 1).permute(2, 0, 1)
