"""A hierarchy of latent maps, coarse to fine: each group is drawn given those before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ensample.families.vae.latents import NARROWEST, WIDEST, Latents, inform
from ensample.nets.images.blocks import channel_rms, conv
from ensample.nets.images.coders import Residual, Shape
from ensample.nets.mlp import Affine

Maps = Sequence[Tensor] | None
"""What the encoder saw, [rows, channels, height, width] from fine to coarse; None for places of the prior."""


class Step(nn.Module):
    """One group: a Gaussian of `dims` numbers at each place, under prior and posterior, and what it adds to the map.

    The posterior is told relative to the prior, `mu_q = mu_p + s_p d`, `s_q = s_p e^r` (Vahdat and Kautz, NVAE, 2020),
    so that it starts at it.

    Arguments:
        width: channels of the map.
        dims: numbers at each place.
    """

    def __init__(self, width: int, dims: int) -> None:
        super().__init__()
        self.prior = conv(width, 2 * dims, 3, scale=0.1, bias=True)
        self.meet, self.posterior = conv(2 * width, width, 3), conv(width, 2 * dims, 3, scale=0.1, bias=True)
        inform(self.posterior, dims)
        self.add, self.after = conv(dims, width, 3, bias=True), Residual(width)

    def before(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log scale of the prior, given the map."""
        mean, log_scale = self.prior(F.silu(channel_rms(h))).float().chunk(2, 1)
        return mean, log_scale.clamp(NARROWEST, WIDEST)

    def seen(self, h: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """What the posterior adds, in units of the prior: shift and log scale."""
        both = F.silu(channel_rms(self.meet(torch.cat([channel_rms(h), channel_rms(features)], 1))))
        shift, log_scale = self.posterior(both).float().chunk(2, 1)
        return shift, log_scale.clamp(NARROWEST, WIDEST)

    def forward(self, h: Tensor, z: Tensor) -> Tensor:
        """The map with the group in it."""
        out: Tensor = self.after(h + self.add(z))
        return out


@dataclass(frozen=True)
class Walk:
    """Where a way down the ladder ends: the finest map, log densities [n] and standardised places [n, dims]."""

    map: Tensor
    log_p: Tensor
    log_q: Tensor
    places: Tensor


class Ladder(Latents):
    """z = (z_1, ..., z_G): `p(z) = prod p(z_g | z_<g)`, `q(z | x) = prod q(z_g | z_<g, x)`, top down on maps.

    Soenderby et al., Ladder variational autoencoders, 2016; Vahdat and Kautz, NVAE, 2020, of which this is the core:
    encoder maps meet the way down at each size. The decoder sees the finest map, all groups in it.

    Arguments:
        maps: shapes of the encoder's maps, fine to coarse.
        dims: numbers of a group at each place.
        groups: at each size.
        context: columns of the given fields.
        samples, beta: as of `Gaussian`.
    """

    prior_share = 0.125

    def __init__(
        self, maps: Sequence[Shape], dims: int, groups: int, context: int, *, samples: int, beta: float
    ) -> None:
        super().__init__()
        self.maps, self.samples, self.beta = tuple(reversed(maps)), samples, beta
        self.each = [(dims, high, wide) for _, high, wide in self.maps for _ in range(groups)]
        self.dims = sum(math.prod(shape) for shape in self.each)
        self.width = math.prod(self.maps[-1])
        self.start = nn.Parameter(0.1 * torch.randn(self.maps[0]))
        self.given = Affine(context, self.maps[0][0], bias=False) if context else None
        self.steps = nn.ModuleList(nn.ModuleList(Step(width, dims) for _ in range(groups)) for width, _, _ in self.maps)
        self.grow = nn.ModuleList(conv(m[0], 4 * m[0] // 2, 1) for m in self.maps[:-1])

    def propose(
        self,
        features: Maps,
        context: Tensor,
        points: Tensor,
        free: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """See `Latents.propose`."""
        rows = len(context)
        near = self._walk(features, context, points.expand(-1, rows, -1), posterior=True)
        z, log_p, log_q = self._shaped(near, len(points))
        if free is None:
            return z, log_p - log_q
        wide = self._walk(features, context, free.expand(-1, rows, -1), posterior=False)
        both = zip((z, log_p, log_q), self._shaped(wide, len(free)), strict=True)
        z, log_p, log_q = (torch.cat(pair) for pair in both)
        share = len(free) / len(z)
        return z, log_p - torch.logaddexp(log_q + math.log1p(-share), log_p + math.log(share))

    def learn(
        self,
        features: Maps,
        context: Tensor,
        score: Callable[[Tensor], Tensor],
        generator: Generator,
        share: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """The importance-weighted bound; nothing beside it."""
        noise = torch.randn(self.samples, len(context), self.dims, generator=generator)
        z, log_p, log_q = self._shaped(self._down(features, context, noise, posterior=True), self.samples)
        weight = score(z) + share * self.beta * (log_p - log_q)
        return math.log(self.samples) - torch.logsumexp(weight, 0), torch.zeros(())

    def sample(self, points: Tensor, context: Tensor) -> Tensor:
        """Normal points down the ladder by the prior."""
        return self._walk(None, context, points[None], posterior=False).map.flatten(1)

    def encode(self, features: Maps, context: Tensor) -> Tensor:
        """The posterior's means on the way down, each in units of the prior there."""
        noise = torch.zeros(1, len(context), self.dims)
        return self._down(features, context, noise, posterior=True).places

    def _walk(self, features: Maps, context: Tensor, points: Tensor, *, posterior: bool) -> Walk:
        noise = torch.special.ndtri(points.to(torch.float64)).to(torch.float32)
        return self._down(features, context, noise, posterior=posterior)

    def _down(self, features: Maps, context: Tensor, noise: Tensor, *, posterior: bool) -> Walk:
        """From noise [times, rows, dims] by posterior or prior; both densities where there are features."""
        times, rows, _ = noise.shape
        seen = None if features is None else [m.repeat(times, 1, 1, 1) for m in reversed(features)]
        parts = iter(torch.split(noise.flatten(0, 1), [math.prod(shape) for shape in self.each], 1))
        h = self.start.expand(times * rows, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        if self.given is not None:
            h = h + self.given(context).repeat(times, 1)[:, :, None, None]
        log_p = log_q = torch.zeros(times * rows)
        places = []
        for size, (_, high, wide) in enumerate(self.maps):
            if size:
                h = F.pixel_shuffle(self.grow[size - 1](h), 2).contiguous(memory_format=torch.channels_last)
            for step in cast(list[Step], self.steps[size]):
                own = next(parts).reshape(times * rows, -1, high, wide)
                mean, log_scale = step.before(h)
                place = own  # in units of the prior
                if seen is not None:
                    shift, narrower = step.seen(h, seen[size])
                    place = shift + torch.exp(narrower) * own if posterior else own
                    base = own if posterior else (own - shift) * torch.exp(-narrower)
                    log_q = log_q + (_log_normal(base) - narrower - log_scale).flatten(1).sum(1)
                log_p = log_p + (_log_normal(place) - log_scale).flatten(1).sum(1)
                h = step(h, mean + torch.exp(log_scale) * place)
                places.append(place.flatten(1))
        return Walk(h, log_p, log_q, torch.cat(places, 1))

    def _shaped(self, walk: Walk, times: int) -> tuple[Tensor, Tensor, Tensor]:
        """What the decoder sees [times, rows, width] and log densities [times, rows]."""
        z = walk.map.flatten(1)
        return z.view(times, -1, self.width), walk.log_p.view(times, -1), walk.log_q.view(times, -1)


def _log_normal(z: Tensor) -> Tensor:
    return -0.5 * z.square() - 0.5 * math.log(2 * math.pi)
